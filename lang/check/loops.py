"""Shapes of loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.patterns import bind_pattern
from ppl.lang.check.report import Place, quote
from ppl.lang.check.statements import tail
from ppl.lang.check.structure import LoopBody
from ppl.lang.check.terms import BOOL, ERROR, NUM, Con, Meta, Term, prune
from ppl.semantics.diagnostics import Diagnostic

if TYPE_CHECKING:
    from ppl.lang.check.infer import Body


def for_(body: Body, e: s.For) -> Term:
    bind_pattern(body, e.pattern, _elements(body, e.over, "`for`"))
    inner = body.expr(e.body)
    item = body.solver.measured(
        inner, Place(body, e.body), tail(e.body), "the body of `for`", "E512"
    )
    return t.measure(t.array(item))


def comprehension(body: Body, e: s.Comprehension) -> Term:
    bind_pattern(body, e.pattern, _elements(body, e.over, "a comprehension"))
    if e.guard is not None:
        body.equal(body.expr(e.guard), BOOL, e.guard, "the condition of a comprehension")
    return t.array(body.expr(e.item))


def scan(body: Body, e: s.Scan) -> Term:
    word = "scan" if e.keep == "all" else "fold"
    carry = body.expr(e.init)
    item = _elements(body, e.over, f"`{word}`")
    bind_pattern(body, e.carry, carry)
    bind_pattern(body, e.pattern, item)
    return _loop(body, e, e.body, carry, word, keep_all=e.keep == "all")


def iterate(body: Body, e: s.Iterate) -> Term:
    carry = body.expr(e.init)
    if e.limit is not None:
        body.equal(body.expr(e.limit), NUM, e.limit, "the limit of `iterate`")
    bind_pattern(body, e.carry, carry)
    body.equal(body.expr(e.until), BOOL, e.until, "the condition of `until`")
    return _loop(body, e, e.body, carry, "iterate", keep_all=False)


def _elements(body: Body, over: s.Expr, word: str) -> Term:
    """What a loop over an expression goes through."""
    term = prune(body.expr(over))
    if isinstance(term, Con) and term.head == "array":
        return term.args[0]
    if term is NUM:
        body.report(
            Diagnostic(
                "E301",
                f"{word} goes over an array, and `{quote(over)}` is a number",
                over.span,
                (),
                f"to repeat it: `in range({quote(over)})`",
            )
        )
        return ERROR
    item = Meta()
    body.equal(term, t.array(item), over, f"what {word} goes over")
    return item


def _loop(body: Body, e: s.Expr, block: s.Block, carry: Term, word: str, *, keep_all: bool) -> Term:
    result: Term = Meta()
    inner = body.expr(block)
    place = Place(body, e)
    body.solver.add(
        LoopBody(place, inner, carry, result, keep_all=keep_all, word=word, tail=tail(block))
    )
    return prune(result)

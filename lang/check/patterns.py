"""Shapes of patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.report import Place, quote
from ppl.lang.check.structure import HasField
from ppl.lang.check.terms import (
    BOOL,
    ERROR,
    NUM,
    TEXT,
    UNIT,
    Con,
    Meta,
    Term,
    prune,
    show,
    too_large,
)
from ppl.semantics.diagnostics import Diagnostic, Note

if TYPE_CHECKING:
    from ppl.lang.check.infer import Body


def bind_pattern(body: Body, pattern: s.Pattern, term: Term) -> None:
    """Give a pattern, and the names in it, the shape of what it takes apart."""
    known = prune(term)
    if isinstance(known, Con) and known.args and too_large(known):
        body.report(
            Diagnostic(
                "E390",
                f"the type of `{quote(pattern)}` is too large",
                pattern.span,
                (Note("it has more than 2000 parts"),),
                "keep many values of one type in an array",
            )
        )
        term = ERROR
    body.types[pattern] = term
    match pattern:
        case s.PName():
            body.locals[body.facts.binders[pattern]] = term
        case s.PTuple(items=items):
            for p, part in zip(items, _parts(body, pattern, term, len(items)), strict=True):
                bind_pattern(body, p, part)
        case s.PRecord(fields=fields):
            for name, p in fields:
                part: Term = Meta()
                body.solver.add(HasField(Place(body, p), term, name, part, pattern))
                bind_pattern(body, p, prune(part))
        case s.PLit(value=value):
            kind = {bool: BOOL, str: TEXT, type(None): UNIT}.get(type(value), NUM)
            body.equal(term, kind, pattern, f"what is matched with `{pattern.span.text}`")
        case s.PCons(args=args):
            _constructor(body, pattern, body.facts.constructor(pattern), args, term)
        case _:
            pass


def _parts(body: Body, pattern: s.PTuple, term: Term, n: int) -> tuple[Term, ...]:
    if n == 0:
        body.equal(term, UNIT, pattern, "what `()` takes apart")
        return ()
    known = prune(term)
    if isinstance(known, Con) and known.head == "tuple" and len(known.args) == n:
        return known.args
    parts: tuple[Term, ...] = tuple([Meta() for _ in range(n)])
    if isinstance(known, Con) and known is not ERROR:
        many = f"has {len(known.args)} parts" if known.head == "tuple" else "is no tuple"
        body.report(
            Diagnostic(
                "E309",
                f"`{pattern.span.text}` takes apart {n} parts, but {show(known)} {many}",
                pattern.span,
            )
        )
        return (ERROR,) * n
    body.equal(term, Con("tuple", parts), pattern, "what this pattern takes apart")
    return parts


def _constructor(
    body: Body, pattern: s.PCons, name: str, args: tuple[s.Pattern, ...], term: Term
) -> None:
    decl = body.facts.constructors.get(name)
    if decl is None:
        for p in args:
            bind_pattern(body, p, ERROR)
        return
    variables: dict[str, Term] = {v: Meta() for v in decl.params}
    fields = [t.from_type(f, variables) for f in decl.of(name)]
    whole = Con(("data", decl.name), tuple([variables[v] for v in decl.params]))
    body.equal(term, whole, pattern, f"what is matched with `{name}`")
    body.constructors[pattern] = name
    if len(fields) != len(args):
        body.report(
            Diagnostic(
                "E309",
                f"`{name}` has {len(fields)} argument{'s' * (len(fields) != 1)}, "
                f"and the pattern {len(args)}",
                pattern.span,
                (),
                f"write `{name}" + (f"({', '.join('_' * len(fields))})`" if fields else "`"),
            )
        )
        fields = [ERROR] * len(args)
    for p, f in zip(args, fields, strict=True):
        bind_pattern(body, p, f)

"""Shapes of calls: of functions, primitives, constructors and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.arguments import all_arguments, arrange, wrong_count
from ppl.lang.check.primitives import primitive_call
from ppl.lang.check.report import Place, quote
from ppl.lang.check.scope import Builtin, ConstructorRef, Global, Local
from ppl.lang.check.terms import ERROR, Con, Meta, Term, describe, prune
from ppl.semantics.diagnostics import Diagnostic, Note
from ppl.semantics.signatures import PRIMITIVES

if TYPE_CHECKING:
    from ppl.lang.check.infer import Body


def call(body: Body, e: s.Call) -> Term:
    meaning = body.facts.meaning.get(e.fn)
    if isinstance(meaning, Global):
        return _function(body, e, meaning.name)
    if isinstance(meaning, Builtin):
        return primitive_call(body, e, meaning.name)
    if isinstance(meaning, ConstructorRef):
        return _constructor(body, e, meaning.name)
    if isinstance(e.fn, s.Field) and e.fn.name == "do" and e.named:
        return _intervention(body, e, e.fn)
    return _apply(body, e)


# ---------------------------------------------------------------------------- any value


def _apply(body: Body, e: s.Call) -> Term:
    fn = prune(body.expr(e.fn))
    args = [body.expr(a) for a in e.args]
    for _, a in e.named:
        body.expr(a)
    if fn is ERROR:
        return ERROR
    if e.named:
        body.report(
            Diagnostic(
                "E310",
                f"`{quote(e.fn)}` is a function value: its parameters have no names here",
                e.named[0][1].span,
                (),
                "give the arguments in order",
            )
        )
        return ERROR
    if isinstance(fn, Con) and fn.head != "fun":
        body.report(_not_a_function(body, e, fn))
        return ERROR
    body.arguments[e] = tuple(e.args)
    if type(fn) is Meta:
        result = Meta()
        body.equal(fn, t.fun(args, result), e.fn, "what is called here")
        return result
    assert isinstance(fn, Con)
    params, result = fn.args[:-1], fn.args[-1]
    if len(params) != len(args):
        body.report(wrong_count(e, quote(e.fn), len(params), len(args), None))
        return result
    for i, (a, term, p) in enumerate(zip(e.args, args, params, strict=True)):
        body.equal(term, p, a, f"argument {i + 1} of `{quote(e.fn)}`")
    return result


def _not_a_function(body: Body, e: s.Call, fn: Con) -> Diagnostic:
    hint = None
    meaning = body.facts.meaning.get(e.fn)
    notes = (Place(body, e).shape_note(e.fn, fn),)
    if isinstance(meaning, Local) and meaning.name in PRIMITIVES:
        hint = f"this variable hides the built-in `{meaning.name}`: rename the variable"
    elif fn.head == "array":
        hint = f"indices are written `{quote(e.fn)}[…]`"
    elif fn.head == "num":
        hint = "products are written with `*`"
    elif fn.head == "measure":
        hint = f"draw the function first: `f ~ {quote(e.fn)}`, then `f(…)`"
    return Diagnostic(
        "E311", f"`{quote(e.fn)}` is {describe(fn)}, and cannot be called", e.fn.span, notes, hint
    )


# ------------------------------------------------------------------- functions of the program


def _function(body: Body, e: s.Call, name: str) -> Term:
    item = body.facts.functions[name]
    fn = body.functions.reference(name, body, e.fn)
    params = [p.pattern.name if isinstance(p.pattern, s.PName) else f".{i}"
              for i, p in enumerate(item.params)]  # fmt: skip
    optional = {k for k, p in zip(params, item.params, strict=True) if p.default is not None}
    ordered = arrange(body, e, name, params, optional)
    if ordered is None or fn is None:
        all_arguments(body, e)
        return ERROR
    body.types[e.fn] = fn
    body.arguments[e] = ordered
    if e.fn in body.calls:
        body.calls[e] = body.calls[e.fn]
    actual = [None if a is None else body.expr(a) for a in ordered]
    for i, (a, term) in enumerate(zip(ordered, actual, strict=True)):
        if a is not None and term is not None:
            body.equal(term, fn.args[i], a, f"argument {i + 1} of `{name}`")
    return fn.args[-1]


def _constructor(body: Body, e: s.Call, name: str) -> Term:
    whole = constructor_value(body, e.fn, name)
    fields = whole.args[:-1] if isinstance(whole, Con) and whole.head == "fun" else ()
    result = whole.args[-1] if fields and isinstance(whole, Con) else whole
    body.types[e.fn] = whole
    args = [body.expr(a) for a in e.args]
    for k, a in e.named:
        body.expr(a)
        body.report(Diagnostic("E313", f"arguments of a constructor have no names (`{k}`)", a.span))
    if len(args) != len(fields):
        body.report(wrong_count(e, name, len(fields), len(args), None))
        return result
    body.constructors[e] = name
    body.arguments[e] = tuple(e.args)
    for i, (a, term, f) in enumerate(zip(e.args, args, fields, strict=True)):
        body.equal(term, f, a, f"argument {i + 1} of `{name}`")
    return result


def constructor_value(body: Body, node: s.Expr, name: str) -> Term:
    """A constructor as a value: a constant, or a function."""
    decl = body.facts.constructors[name]
    body.constructors[node] = name
    variables: dict[str, Term] = {v: Meta() for v in decl.params}
    fields = [t.from_type(f, variables) for f in decl.of(name)]
    whole = Con(("data", decl.name), tuple([variables[v] for v in decl.params]))
    return t.fun(fields, whole) if fields else whole


def _intervention(body: Body, e: s.Call, fn: s.Field) -> Term:
    """`m.do(x = 1)`, which is said from outside: sites have names where a program is run."""
    body.expr(fn.value)
    all_arguments(body, e)
    sites = ", ".join(f"{name}={quote(a)}" for name, a in e.named)
    body.report(
        Diagnostic(
            "E120",
            "a program cannot intervene on a measure inside it",
            e.span,
            (Note("sites have their names where the whole program is run"),),
            f"intervene from Python, `model(…).do({sites})`, or give the function a parameter",
        )
    )
    return ERROR

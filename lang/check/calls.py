"""Shapes of calls: of functions, primitives, constructors and values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.broadcast import Each, Reduce
from ppl.lang.check.report import Place, quote
from ppl.lang.check.schemes import is_distribution, signatures
from ppl.lang.check.scope import Builtin, ConstructorRef, Global, Local
from ppl.lang.check.terms import ERROR, Con, Meta, Term, describe, prune
from ppl.semantics.diagnostics import Diagnostic, Note, suggest
from ppl.semantics.signatures import ALIASES, PRIMITIVES, Primitive
from ppl.semantics.types import POS

if TYPE_CHECKING:
    from ppl.lang.check.infer import Body


def resolve_alias(name: str, arity: int) -> str:
    """The row a name stands for when it is given so many arguments."""
    return ALIASES.get((name, arity)) or ALIASES.get((name, None)) or name


def is_elementwise_distribution(body: Body, e: s.Call) -> bool:
    meaning = body.facts.meaning.get(e.fn)
    if not isinstance(meaning, Builtin):
        return False
    name = resolve_alias(meaning.name, len(e.args) + len(e.named))
    return is_distribution(name) and PRIMITIVES[name].kind == "elementwise"


def call(body: Body, e: s.Call) -> Term:
    meaning = body.facts.meaning.get(e.fn) if isinstance(e.fn, s.Name) else None
    if isinstance(meaning, Global):
        return _function(body, e, meaning.name)
    if isinstance(meaning, Builtin):
        return _primitive(body, e, meaning.name)
    if isinstance(meaning, ConstructorRef):
        return _constructor(body, e, meaning.name)
    if isinstance(e.fn, s.Field) and e.fn.name == "do":
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
        body.report(_wrong_count(e, quote(e.fn), len(params), len(args), None))
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


def _wrong_count(
    e: s.Call, name: str, wanted: int, given: int, params: Sequence[str] | None
) -> Diagnostic:
    many = f"{wanted} argument{'s' * (wanted != 1)}"
    notes = (Note(f"its parameters are {', '.join(params)}"),) if params else ()
    return Diagnostic("E312", f"`{name}` takes {many}, and is given {given}", e.span, notes, None)


def arrange(
    body: Body, e: s.Call, name: str, params: Sequence[str], optional: Collection[str]
) -> tuple[s.Expr | None, ...] | None:
    """The arguments in the order of the parameters; None where the default is meant.

    Reports unknown, doubled and missing ones, and then gives None.
    """
    given: dict[str, s.Expr] = {}
    if len(e.args) > len(params):
        total = len(e.args) + len(e.named)
        body.report(_wrong_count(e, name, len(params), total, params))
        return None
    for p, a in zip(params, e.args, strict=False):
        given[p] = a
    for k, a in e.named:
        if k not in params:
            body.report(
                Diagnostic(
                    "E313",
                    f"`{name}` has no parameter `{k}`",
                    a.span,
                    (Note(f"its parameters are {', '.join(params)}"),),
                    suggest(k, params),
                )
            )
            return None
        if k in given:
            body.report(Diagnostic("E313", f"`{k}` of `{name}` is given twice", a.span))
            return None
        given[k] = a
    missing = [p for p in params if p not in given and p not in optional]
    if missing:
        total = len(e.args) + len(e.named)
        body.report(_wrong_count(e, name, len(params), total, params))
        return None
    return tuple([given.get(p) for p in params])


def _all_arguments(body: Body, e: s.Call) -> None:
    """Arguments of a call that has an error of its own still have to make sense."""
    for a in e.args:
        body.expr(a)
    for _, a in e.named:
        body.expr(a)


# ------------------------------------------------------------------- functions of the program


def _function(body: Body, e: s.Call, name: str) -> Term:
    item = body.facts.functions[name]
    fn = body.functions.reference(name, body, e.fn)
    params = [p.pattern.name if isinstance(p.pattern, s.PName) else f".{i}"
              for i, p in enumerate(item.params)]  # fmt: skip
    optional = {k for k, p in zip(params, item.params, strict=True) if p.default is not None}
    ordered = arrange(body, e, name, params, optional)
    if ordered is None or fn is None:
        _all_arguments(body, e)
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
        body.report(_wrong_count(e, name, len(fields), len(args), None))
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


# --------------------------------------------------------------------------------- primitives


def _primitive(body: Body, e: s.Call, written: str) -> Term:
    name = resolve_alias(written, len(e.args) + len(e.named))
    if name not in PRIMITIVES:  # an alias that exists only for another number of arguments
        body.report(
            Diagnostic("E312", f"`{written}` does not take {len(e.args)} arguments", e.span)
        )
        _all_arguments(body, e)
        return ERROR
    r = PRIMITIVES[name]
    body.primitive[e] = body.primitive[e.fn] = name
    if name == "zip":
        return _zip(body, e)
    if name == "normalize":
        return _normalize(body, e)
    ordered = arrange(body, e, written, r.params, r.defaults.keys())
    if ordered is None:
        _all_arguments(body, e)
        return ERROR
    body.arguments[e] = ordered
    args = [None if a is None else body.expr(a) for a in ordered]
    given = [(i, a, x) for i, (a, x) in enumerate(zip(args, ordered, strict=True)) if a is not None and x is not None]  # fmt: skip
    _zero_scales(body, written, r, ordered)
    if r.kind == "elementwise":
        return _elementwise(body, e, r, [(i, a, x) for i, a, x in given])
    if r.kind == "reduction":
        (sig, *_) = signatures(name)
        element = t.from_type(sig.params[0])
        assert isinstance(element, Con)
        _, arg, node = given[0]
        body.solver.add(Reduce(Place(body, e), name, arg, node, element))
        return t.from_type(sig.result)
    (sig, *_) = signatures(name)
    variables: dict[str, Term] = {}
    params = [t.from_type(p, variables) for p in sig.params]
    result = t.from_type(sig.result, variables)
    for i, arg, node in given:
        body.equal(arg, params[i], node, f"argument {i + 1} of `{written}`")
    return result


#: parameters of type pos that may well be 0
_ZERO_OK = frozenset(
    [
        ("von_mises", "kappa"),
        ("poisson", "rate"),
        ("zero_inflated_poisson", "rate"),
        ("uniform", "lo"),
    ]
)


def _zero_scales(
    body: Body, written: str, r: Primitive, ordered: tuple[s.Expr | None, ...]
) -> None:
    """`pos` is [0, ∞): a scale of 0 that is written out is certainly a slip."""
    if not is_distribution(r.name) or r.kind != "elementwise":
        return
    widest = signatures(r.name)[-1]
    for name, type_, arg in zip(r.params, widest.params, ordered, strict=True):
        if (
            isinstance(arg, s.Lit)
            and type(arg.value) in (int, float)
            and arg.value == 0
            and type_ is POS
            and (r.name, name) not in _ZERO_OK
        ):
            body.report(
                Diagnostic(
                    "E404",
                    f"`{name}` of `{written}` is 0: there is no such distribution",
                    arg.span,
                    (Note(f"`{name}` must be greater than 0"),),
                    "`dirac(x)` is the distribution that is always x",
                )
            )


def _elementwise(
    body: Body, e: s.Call, r: Primitive, given: list[tuple[int, Term, s.Expr]]
) -> Term:
    (sig, *_) = signatures(r.name)
    elements = [t.from_type(sig.params[i]) for i, _, _ in given]
    out = t.from_type(sig.result)
    assert isinstance(out, Con)
    args = [prune(a) for _, a, _ in given]
    result: Term = out
    if any(a is not x for a, x in zip(args, elements, strict=True)):
        result = Meta()
        nodes = [x for _, _, x in given]
        cons = [x for x in elements if isinstance(x, Con)]
        body.solver.add(Each(Place(body, e), r.name, args, nodes, cons, out, result))
        result = prune(result)
    return t.measure(result) if is_distribution(r.name) else result


def primitive_value(body: Body, e: s.Name, written: str) -> Term:
    """A primitive as a function value; elementwise ones at one tuple of shapes."""
    name = resolve_alias(written, -1)
    if name not in PRIMITIVES:
        name = next(v for (k, _), v in ALIASES.items() if k == written)
    r = PRIMITIVES[name]
    if r.kind == "rule" or name == "normalize":
        body.report(
            Diagnostic(
                "E314",
                f"`{written}` cannot be used as a value: its type depends on its arguments",
                e.span,
                (),
                f"wrap it: `fn (x) => {written}(x)`",
            )
        )
        return ERROR
    body.primitive[e] = name
    (sig, *_) = signatures(name)
    count = len(r.params) - len(r.defaults)
    if r.kind == "plain":
        variables: dict[str, Term] = {}
        params = [t.from_type(p, variables) for p in sig.params[:count]]
        return t.fun(params, t.from_type(sig.result, variables))
    elements = [t.from_type(p) for p in sig.params[:count]]
    out = t.from_type(sig.result)
    cons = [x for x in elements if isinstance(x, Con)]
    args: list[Term] = [Meta() for _ in cons]
    assert isinstance(out, Con)
    if r.kind == "reduction":
        body.solver.add(Reduce(Place(body, e), name, args[0], e, cons[0]))
        return t.fun(args, out)
    result = Meta()
    body.solver.add(Each(Place(body, e), name, args, [e] * len(cons), cons, out, result))
    return t.fun(args, t.measure(result) if is_distribution(name) else result)


def _zip(body: Body, e: s.Call) -> Term:
    items: list[Term] = []
    for _, a in e.named:
        body.expr(a)
    if len(e.args) < 2 or e.named:
        body.report(
            Diagnostic("E312", f"`zip` takes two or more arrays, not {len(e.args)}", e.span)
        )
        _all_arguments(body, e)
        return ERROR
    for i, a in enumerate(e.args):
        item: Term = Meta()
        term = prune(body.expr(a))
        if isinstance(term, Con) and term.head == "array":
            item = term.args[0]
        else:
            body.equal(term, t.array(item), a, f"argument {i + 1} of `zip`")
        items.append(item)
    body.arguments[e] = tuple(e.args)
    return t.array(Con("tuple", tuple(items)))


def _normalize(body: Body, e: s.Call) -> Term:
    """`normalize(m)`, a measure; `normalize(m, exact)`, a distribution: its density is known."""
    if not e.args or len(e.args) > 2 or e.named:
        _all_arguments(body, e)
        body.report(_wrong_count(e, "normalize", 1, len(e.args) + len(e.named), None))
        return ERROR
    body.arguments[e] = tuple(e.args[:1])
    if len(e.args) == 2 and not is_exact(e):
        body.report(
            Diagnostic(
                "E320",
                f"`normalize` has no method `{quote(e.args[1])}`",
                e.args[1].span,
                (),
                "`normalize(m, exact)` sums over all paths; `normalize(m)` leaves the method to "
                "inference",
            )
        )
    term = body.expr(e.args[0])
    item = body.solver.measured(
        term, Place(body, e), e.args[0], "argument 1 of `normalize`", "E509"
    )
    return t.measure(item)


def is_exact(e: s.Call) -> bool:
    """Whether the second argument of `normalize` is the word `exact`."""
    return len(e.args) == 2 and isinstance(e.args[1], s.Name) and e.args[1].name == "exact"


def _intervention(body: Body, e: s.Call, fn: s.Field) -> Term:
    """`m.do(x = 1)`: the same measure with a site cut."""
    term = body.expr(fn.value)
    _all_arguments(body, e)
    item = body.solver.measured(term, Place(body, e), fn.value, "what `.do` intervenes on", "E509")
    if e.args or not e.named:
        body.report(
            Diagnostic(
                "E313",
                "`.do` takes the sites to set by name",
                e.span,
                (),
                f"write `{quote(fn.value)}.do(x = 1)`",
            )
        )
    return t.measure(item)

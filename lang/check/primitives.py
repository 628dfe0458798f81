"""Shapes of calls of primitives, and of primitives that are used as values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.arguments import all_arguments, arrange, wrong_count
from ppl.lang.check.broadcast import Each, Reduce
from ppl.lang.check.nested import problem, settings, way
from ppl.lang.check.report import Place
from ppl.lang.check.schemes import is_distribution, signatures
from ppl.lang.check.scope import Builtin
from ppl.lang.check.terms import ERROR, Con, Meta, Term, prune
from ppl.lang.check.texts import Keys, Length, Written
from ppl.semantics.diagnostics import Diagnostic, Note
from ppl.semantics.signatures import ALIASES, KEYED, PRIMITIVES, Primitive
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


def primitive_call(body: Body, e: s.Call, written: str) -> Term:
    name = resolve_alias(written, len(e.args) + len(e.named))
    if name not in PRIMITIVES:  # an alias that exists only for another number of arguments
        body.report(
            Diagnostic("E312", f"`{written}` does not take {len(e.args)} arguments", e.span)
        )
        all_arguments(body, e)
        return ERROR
    r = PRIMITIVES[name]
    body.primitive[e] = body.primitive[e.fn] = name
    if name == "zip":
        return _zip(body, e)
    if name == "normalize":
        return _normalize(body, e)
    ordered = arrange(body, e, written, r.params, r.defaults.keys())
    if ordered is None:
        all_arguments(body, e)
        return ERROR
    body.arguments[e] = ordered
    args = [None if a is None else body.expr(a) for a in ordered]
    pairs = enumerate(zip(args, ordered, strict=True))
    given = [(i, a, x) for i, (a, x) in pairs if a is not None and x is not None]
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
    if name == "len":
        _, arg, node = given[0]
        body.solver.add(Length(Place(body, e), arg, node))
        return t.NUM
    (sig, *_) = signatures(name)
    variables: dict[str, Term] = {}
    params = [t.from_type(p, variables) for p in sig.params]
    result = t.from_type(sig.result, variables)
    if name == "text":
        _, arg, node = given[0]
        body.solver.add(Written(Place(body, e), arg, node))
    if name in KEYED:
        body.solver.add(Keys(Place(body, e), variables["k"], name))
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


def primitive_value(body: Body, e: s.Expr, written: str) -> Term:
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
        result = t.from_type(sig.result, variables)
        if name == "len":
            params = [Meta()]
            body.solver.add(Length(Place(body, e), params[0], e))
        if name == "text":
            body.solver.add(Written(Place(body, e), params[0], e))
        if name in KEYED:
            body.solver.add(Keys(Place(body, e), variables["k"], name))
        return t.fun(params, result)
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
        all_arguments(body, e)
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
    """`normalize(m, exact)` or `normalize(m)`, a distribution, since its density is known; with a
    method that draws, a measure."""
    measure = e.args[0] if e.args else None
    if measure is None or len(e.args) > 2 or e.named:
        all_arguments(body, e)
        body.report(wrong_count(e, "normalize", 1, len(e.args) + len(e.named), None))
        return ERROR
    chosen, given = way(e), settings(e)
    fault = problem(e) if len(e.args) == 2 else None
    if fault is not None:
        body.report(fault)
        given = ()
    elif len(given) < (chosen.takes is not None):
        body.arguments[e] = (measure, None)
    else:
        body.arguments[e] = (measure, *given)
    body.primitive[e] = body.primitive[e.fn] = chosen.op
    term = body.expr(measure)
    for size in given:
        body.equal(body.expr(size), t.NUM, size, str(chosen.takes))
    item = body.solver.measured(term, Place(body, e), measure, "argument 1 of `normalize`", "E509")
    return t.measure(item)

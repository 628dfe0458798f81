"""Which numbers flow through primitives: overloads choose by kinds and ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check import atoms
from ppl.lang.check.graph import A, Apply, leaf
from ppl.lang.check.nested import is_exact, way
from ppl.lang.check.report import quote
from ppl.lang.check.schemes import is_distribution, row, signatures
from ppl.semantics import types as ty
from ppl.semantics.signatures import Primitive

if TYPE_CHECKING:
    from ppl.lang.check.flows import Flows


def primitive_call(flows: Flows, e: s.Call, r: Primitive) -> A:
    ordered = flows.body.arguments[e]
    args = [None if x is None else flows.expr(x) for x in ordered]
    pairs = enumerate(zip(args, ordered, strict=True))
    written = [(a, x, i) for i, (a, x) in pairs if a is not None and x is not None]
    shape = flows.shape(e)
    if r.name == "zip":
        return A("array", (A("tuple", tuple([a.args[0] for a, _, _ in written])),))
    if r.name.startswith("normalize"):
        atom = atoms.DIST if is_exact(e) else atoms.MEASURE
        for a, x, _ in written[1:]:
            flows.flow(a, flows.graph.of_type(ty.NAT, {}), str(way(e).takes), x)
        return A("measure", (written[0][0].args[0],), flows.graph.constant(atom, True))
    if r.kind in ("elementwise", "reduction"):
        given = [a for a, _, _ in written]
        minus = ordered[0]
        if r.name == "exp" and isinstance(minus, s.Unary) and minus.op == "-":
            inner = flows.types[minus.value]
            return flows.apply("exp-", [inner], shape, e, [minus.value])
        return flows.apply(r.name, given, shape, e, [x for _, x, _ in written])
    of: dict[str, A] = {}
    if r.name == "len":
        return flows.graph.number(atoms.NAT)
    if r.name == "empty_map":
        return flows.graph.fresh_inside(shape)
    sigs = signatures(r.name)
    for a, _, i in written:
        _variables(flows, sigs[0].params[i], a, of)
    if len(sigs) == 1:
        for a, x, i in written:
            wanted = flows.graph.of_type(sigs[0].params[i], of)
            flows.flow(a, wanted, f"argument {i + 1} of `{quote(e.fn)}`", x)
        return flows.graph.of_type(sigs[0].result, of)
    return _overloaded(flows, e, r, args, of)


def _overloaded(flows: Flows, e: s.Call, r: Primitive, args: list[A | None], of: dict[str, A]) -> A:
    """Plain rows with several signatures of one shape: the leaves choose."""
    g, sig = flows.graph, signatures(r.name)[0]
    ins: list[int] = []
    nodes: list[s.Expr | None] = []
    for i, (a, p) in enumerate(zip(args, sig.params, strict=True)):
        if a is None:
            default = r.defaults[r.params[i]]
            small = atoms.NEGATIVE if default < 0 else 0
            ins.append(g.constant(atoms.REAL if small else atoms.POS))
            nodes.append(None)
            continue
        found: list[int] = []
        _leaf_vars(p, a, found)
        for var in found:
            ins.append(var)
            nodes.append(flows.body.arguments[e][i])
        _flow_variables(flows, p, a, of, e)
    out = _with_leaves(flows, sig.result, of)
    outs: list[int] = []
    _leaf_vars(sig.result, out, outs)
    g.applies.append(Apply(r.name, tuple(ins), tuple(outs), e, tuple(nodes)))
    return out


def _flow_variables(flows: Flows, p: ty.Type, a: A, of: dict[str, A], node: s.Node) -> None:
    match p:
        case ty.Base(name) if name in of:
            flows.flow(a, of[name], "an argument", node)
        case ty.Array(item) | ty.Dist(item) | ty.Measure(item):
            _flow_variables(flows, item, a.args[0], of, node)
        case _:
            pass


def _with_leaves(flows: Flows, p: ty.Type, of: dict[str, A]) -> A:
    """A result type with variables in place of its numbers and measures."""
    g = flows.graph
    match p:
        case ty.Base(name):
            return of[name] if name in of else A("num", (), g.new())
        case ty.Array(item):
            return A("array", (_with_leaves(flows, item, of),))
        case ty.Dist(item) | ty.Measure(item):
            return A("measure", (_with_leaves(flows, item, of),), g.new(True))
    raise AssertionError(p)


def _variables(flows: Flows, p: ty.Type, a: A, of: dict[str, A]) -> None:
    """New variables for each type variable of a signature, in the shape of an argument."""
    match p:
        case ty.Base(name):
            if name not in of and name not in ty.NUMBERS and name not in ty.NAMED:
                of[name] = flows.graph.like(a)
        case ty.Array(item) | ty.Dist(item) | ty.Measure(item):
            _variables(flows, item, a.args[0], of)
        case ty.Fun(params, result):
            for x, y in zip((*params, result), a.args, strict=True):
                _variables(flows, x, y, of)
        case ty.Tuple(items) | ty.Data(_, items):
            for x, y in zip(items, a.args, strict=True):
                _variables(flows, x, y, of)
        case _:
            pass


def primitive_value(flows: Flows, e: s.Expr) -> A:
    r = row(flows.body.primitive[e])
    a = flows.graph.fresh(flows.shape(e))
    if r.name == "empty_map":
        return a
    if r.name == "len":
        return A("fun", (*a.args[:-1], flows.graph.number(atoms.NAT)))
    if r.kind == "plain":
        of: dict[str, A] = {}
        sig = signatures(r.name)[-1]
        for p, x in zip(sig.params, a.args[:-1], strict=False):
            _variables(flows, p, x, of)
            flows.flow(x, flows.graph.of_type(p, of), f"an argument of `{r.name}`", e)
        return A("fun", (*a.args[:-1], flows.graph.of_type(sig.result, of)))
    draws = is_distribution(r.name)
    ends = [leaf(x) for x in a.args[:-1]]
    out = leaf(a.args[-1].args[0] if draws else a.args[-1])
    outs = (out.var,) if out.head == "num" else ()
    ins = tuple([x.var for x in ends if x.head == "num"])
    if ins or outs:
        none = (None,) * len(ins)
        flows.graph.applies.append(Apply(r.name, ins, outs, e, none))
    if draws:
        dist = flows.graph.constant(atoms.DIST, True)
        return A("fun", (*a.args[:-1], A("measure", a.args[-1].args, dist)))
    return a


def _leaf_vars(p: ty.Type, a: A, out: list[int]) -> None:
    """Variables at the numbers and measures of a signature, in the order of `atoms.leaves`."""
    match p:
        case ty.Base():
            if p in ty.NUMBERS.values():
                out.append(a.var)
        case ty.Array(item):
            _leaf_vars(item, a.args[0], out)
        case ty.Dist(item) | ty.Measure(item):
            out.append(a.var)
            _leaf_vars(item, a.args[0], out)
        case _:
            pass

"""Values of the IR: one rule a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import DiagnosticError, Span, fail
from ppl.semantics.signatures import PRIMITIVES, Distribution
from ppl.semantics.statistics import NEEDED
from ppl.semantics.xla import arrays
from ppl.semantics.xla.axes import Coupled
from ppl.semantics.xla.checks import check_enough, divisor
from ppl.semantics.xla.dists import float_params
from ppl.semantics.xla.overflow import check_range
from ppl.semantics.xla.primitives import apply_primitive, fitting
from ppl.semantics.xla.rules import RULES
from ppl.semantics.xla.sizes import check_sizes
from ppl.semantics.xla.state import Env, Scope
from ppl.semantics.xla.texts import texts
from ppl.semantics.xla.values import (
    Closure,
    Code,
    Dist,
    GlobalFn,
    Rec,
    RValue,
    Static,
    Suspension,
    captured,
    to_arr,
)


def value(node: ir.Value, env: Env, scope: Scope) -> RValue:
    """Evaluate a pure node."""
    try:
        return _NODES[type(node)](node, env, scope)
    except Coupled as error:
        raise coupled(error, node.span) from None


def coupled(error: Coupled, span: Span | None) -> DiagnosticError:
    return fail(
        "E805",
        f"the choices of `{error.plate.name}` cannot be summed out: this mixes different elements "
        "of their array, or those of two arrays",
        span=span,
        hint="use each element only inside a `for` over the array, or sample the sites "
        "(importance, smc, mcmc)",
    )


def _lit(node: ir.Lit, env: Env, scope: Scope) -> RValue:
    v = node.value
    return Static(v) if isinstance(v, str) else fitting(v, node.span)


def _var(node: ir.Var, env: Env, scope: Scope) -> RValue:
    return env[node.name]


def _global(node: ir.Global, env: Env, scope: Scope) -> RValue:
    return GlobalFn(node.name)


def _lam(node: ir.Lam, env: Env, scope: Scope) -> RValue:
    names = tuple(sorted(node.free))
    return Closure(Code(node), names, tuple(captured(env[n]) for n in names))


def _thunk(node: ir.Thunk, env: Env, scope: Scope) -> RValue:
    names = tuple(sorted(node.free))
    return Suspension(Code(node.body), names, tuple(captured(env[n]) for n in names))


def _tuple(node: ir.MakeTuple, env: Env, scope: Scope) -> RValue:
    return tuple(value(v, env, scope) for v in node.items)


def _record(node: ir.MakeRecord, env: Env, scope: Scope) -> RValue:
    return Rec(node.names, tuple(value(v, env, scope) for v in node.items))


def _array(node: ir.MakeArray, env: Env, scope: Scope) -> RValue:
    assert isinstance(node.type, T.Array)
    return arrays.stack([value(v, env, scope) for v in node.items], node.type.item, node.span)


def _proj(node: ir.Proj, env: Env, scope: Scope) -> RValue:
    return value(node.value, env, scope)[node.index]


def _get(node: ir.Get, env: Env, scope: Scope) -> RValue:
    return value(node.value, env, scope).get(node.name)


def _make(node: ir.Make, env: Env, scope: Scope) -> RValue:
    raise fail(
        "E706",
        f"values of inductive types (`{node.constructor}`) do not run on XLA",
        span=node.span,
        hint="run with engine='machine'",
    )


def _op(node: ir.Op, env: Env, scope: Scope) -> RValue:
    args = [value(v, env, scope) for v in node.args]
    if any(isinstance(a, Static) and isinstance(a.value, str) for a in args) or node.type == T.TEXT:
        return texts(node, args)
    if node.op in RULES:
        out = RULES[node.op](node, args, scope)
        check_range(node, args, out, scope)
        return out
    row = PRIMITIVES[node.op]
    if isinstance(row, Distribution):
        check_sizes(node, args)
        for k in row.static:
            args[k] = Static(
                arrays.static_int(args[k], f"argument {k + 1} of `{node.op}`", node.span)
            )
        if row.finite and row.kind == "elementwise":  # counts say how many values there are
            reals = float_params(node.op)
            args = [a if real else captured(a) for a, real in zip(args, reals, strict=True)]
        return Dist(node.op, tuple(args), node.type)
    if node.op in ("floordiv", "mod"):
        args[1] = divisor(node, args[1], scope)
    if node.op in NEEDED:
        check_enough(node, to_arr(args[0]), scope)
    out = apply_primitive(node.op, args, node.span)
    check_range(node, args, out, scope)
    return out


_NODES: dict[type, Callable[[Any, Env, Scope], RValue]] = {
    ir.Lit: _lit,
    ir.Var: _var,
    ir.Global: _global,
    ir.Lam: _lam,
    ir.Thunk: _thunk,
    ir.Op: _op,
    ir.MakeTuple: _tuple,
    ir.MakeRecord: _record,
    ir.MakeArray: _array,
    ir.Proj: _proj,
    ir.Get: _get,
    ir.Make: _make,
}

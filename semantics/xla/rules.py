"""Primitives with a rule of their own: on arrays of any values, casts, distributions' densities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import functions as F
from ppl.semantics import ir
from ppl.semantics.xla import arrays
from ppl.semantics.xla.axes import Arr, Coupled, elementwise
from ppl.semantics.xla.checks import CASTS, check_index
from ppl.semantics.xla.lanes import lanes
from ppl.semantics.xla.primitives import apply_primitive, equal
from ppl.semantics.xla.state import Scope
from ppl.semantics.xla.values import RValue, Seq, elements, length, map_elements, map_leaves, to_arr


def _index(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    check_index(node, args[1], length(args[0]), scope)
    return arrays.index(args[0], args[1], node.span)


def _columns(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    check_index(node, args[1], length(elements(arrays.transpose(args[0]))), scope)
    return arrays.columns(args[0], args[1], node.span)


def _bounds(node: ir.Op, args: list[RValue]) -> tuple[int, int]:
    lo, hi = (arrays.static_int(a, "the end of a slice", node.span) for a in args)
    return lo, hi


def _columns_slice(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    flipped = arrays.slice_array(arrays.transpose(args[0]), *_bounds(node, args[1:]), node.span)
    return arrays.transpose(flipped)


def _range(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    ends = [arrays.static_int(a, "the size of a range", node.span) for a in args]
    return arrays.arange(*(ends if len(ends) == 2 else (0, ends[0])))


def _enumerate(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    n = length(args[0])
    return Seq((arrays.arange(0, n), elements(args[0])), n)


def _repeat(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    return arrays.repeat(args[0], arrays.static_int(args[1], "the number of copies", node.span))


def _reverse(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    return map_elements(lambda d: d[::-1], args[0], length(args[0]))


def _arith_index(op: str) -> Callable[[ir.Op, list[RValue], Scope], RValue]:
    """Adding a constant to the loop's own index keeps it a known position."""

    def rule(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
        out = apply_primitive(op, args, node.span)
        a, b = args
        if isinstance(a, Arr) and a.index is not None and type(b) is int:
            k = a.index[1] + (b if op == "add" else -b)
            return Arr(out.data, out.axes, (a.index[0], k))
        if op == "add" and isinstance(b, Arr) and b.index is not None and type(a) is int:
            return Arr(out.data, out.axes, (b.index[0], b.index[1] + a))
        return out

    return rule


def _to_real(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    a = args[0]
    if isinstance(a, (bool, int)):
        return float(a)
    return map_leaves(lambda x: Arr(jnp.asarray(x.data, jnp.result_type(float)), x.axes), a)


def _score_if(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    if isinstance(args[0], bool):
        return 0.0 if args[0] else -math.inf
    return elementwise(lambda c: jnp.where(c, 0.0, -jnp.inf), to_arr(args[0]))


def _ode(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    from ppl.semantics.xla.run import apply

    rhs, y0, t0, ts, rtol, atol = args
    times = length(ts)

    def solve(rhs: RValue, y0: RValue, t0: RValue, ts: Arr, rtol: RValue, atol: RValue) -> RValue:
        inside = replace(scope, faults=None, mask=None)

        def field(t: Any, y: RValue) -> RValue:
            return map_leaves(lambda a: a, apply(rhs, (Arr(t), y), inside))

        start = map_leaves(lambda a: Arr(jnp.asarray(a.data, jnp.result_type(float))), y0)
        return F.solve_ode(
            field,
            start,
            to_arr(t0).data,
            ts.data,
            to_arr(rtol).data,
            to_arr(atol).data,
            stiff=node.op == "ode_stiff",
        )

    return arrays.as_array(lanes(solve, rhs, y0, t0, ts, rtol, atol), times)


def _log_prob(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    from ppl.semantics.xla.run import density

    score, waits = density(args[0], args[1], scope, node.span)
    if waits:
        raise Coupled(waits[0])
    return score


#: by primitive; the others compute with numbers alone
RULES: dict[str, Callable[[ir.Op, list[RValue], Scope], RValue]] = {
    "log_prob": _log_prob,
    "add": _arith_index("add"),
    "sub": _arith_index("sub"),
    "eq": lambda node, args, scope: equal(args[0], args[1], node.span),
    "ne": lambda node, args, scope: apply_primitive(
        "not", [equal(args[0], args[1], node.span)], node.span
    ),
    "index": _index,
    "slice": lambda node, args, scope: arrays.slice_array(
        args[0], *_bounds(node, args[1:]), node.span
    ),
    "columns": _columns,
    "columns_slice": _columns_slice,
    "zip": lambda node, args, scope: arrays.zip_arrays(args, node.span),
    "len": lambda node, args, scope: length(args[0]),
    "range": _range,
    "range_from": _range,
    "enumerate": _enumerate,
    "concat": lambda node, args, scope: arrays.concat(args[0], args[1], node.span),
    "reverse": _reverse,
    "repeat": _repeat,
    "transpose": lambda node, args, scope: arrays.transpose(args[0]),
    "flatten": lambda node, args, scope: arrays.flatten(to_arr(args[0])),
    "to_real": _to_real,
    **CASTS,
    "score_if": _score_if,
    "ode": _ode,
    "ode_stiff": _ode,
}

"""Whole numbers beyond the bits of compiled code: faults of the lanes in which they arise.

Integers wrap around without a word. What an operation should have given is computed in floating
point as well: numbers that wrapped are off by a multiple of 2^bits, which is far more than
floating point is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax.numpy as jnp

from ppl.semantics import functions as F
from ppl.semantics import ir
from ppl.semantics.functions.casts import real
from ppl.semantics.xla import faults
from ppl.semantics.xla.axes import Arr, elementwise
from ppl.semantics.xla.primitives import too_large
from ppl.semantics.xla.state import Scope
from ppl.semantics.xla.values import RValue, is_constant, to_arr

#: a bound of |f(x, y)| by bounds of |x| and |y|, of the operations that can leave the range
_BOUNDS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "square": lambda a: a * a,
    "pow": lambda a, b: math.inf,
    "sum": lambda a: math.inf,
    "prod": lambda a: math.inf,
}
_ROUNDED = frozenset(("floor", "ceil", "round", "trunc", "checked_int"))


def check_range(node: ir.Op, args: list[RValue], out: RValue, scope: Scope) -> None:
    """An integer that does not fit is a fault of the lanes in which it arises."""
    if scope.faults is None or not isinstance(out, Arr):
        return
    if not jnp.issubdtype(out.dtype, jnp.integer):
        return
    limit = float(jnp.iinfo(out.dtype).max)  # the power of two above it
    if node.op in _ROUNDED:
        x = to_arr(args[0])
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return
        bad = elementwise(lambda v: (v >= limit) | (v < -limit), x)
    elif node.op in _BOUNDS and _BOUNDS[node.op](*map(_size, args)) >= limit:
        wanted = _in_reals(node.op, [elementwise(real, to_arr(a)) for a in args])
        bad = elementwise(lambda f, n: jnp.abs(f - real(n)) > limit / 2, wanted, out)
    else:
        return
    faults.note(scope, bad, "E728", too_large(), node.span)


def _size(x: RValue) -> float:
    """A bound of |x| that is known without looking at it."""
    if is_constant(x):
        return abs(x)
    arr = to_arr(x)
    if arr.dtype == bool:
        return 1
    if arr.index is not None:
        axis, first = arr.index
        return abs(first) + (axis.size if axis else arr.event_shape[0])
    return math.inf


def _in_reals(op: str, args: list[Arr]) -> Arr:
    if op in F.ELEMENTWISE:
        return elementwise(F.ELEMENTWISE[op], *args)
    (x,) = args
    k = len(x.axes)
    return Arr(F.REDUCTIONS[op](x.data, tuple(range(k, k + x.event_rank))), x.axes)

"""Numeric primitives on run-time values; those of constants are folded."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import functions as F
from ppl.semantics.diagnostics import DiagnosticError, Span, fail
from ppl.semantics.functions.casts import real
from ppl.semantics.signatures import OPERATORS, PRIMITIVES
from ppl.semantics.xla import arrays
from ppl.semantics.xla.axes import Arr, batched, einsum, elementwise, full, refuse_closed
from ppl.semantics.xla.values import Rec, RValue, Seq, Static, is_constant, to_arr


def apply_primitive(op: str, args: list[Any], span: Span | None) -> RValue:
    """A numeric primitive on run-time values; constants are folded."""
    if all(isinstance(a, (bool, int, float)) for a in args) and op in F.ELEMENTWISE:
        try:
            return fitting(fold(op, *args), span)
        except (KeyError, ArithmeticError, ValueError):  # the array version knows, or gives inf
            with jax.ensure_compile_time_eval():
                return F.ELEMENTWISE[op](*(to_arr(a).data for a in args)).item()
    if not any(op in table for table in (F.ELEMENTWISE, F.REDUCTIONS, F.EINSUM, F.BATCHED)):
        raise fail(
            "E706", f"`{op}` does not run on XLA", span=span, hint="run with engine='machine'"
        )
    arrs = [to_arr(a) for k, a in enumerate(args) if k not in PRIMITIVES[op].static]
    if op in F.ELEMENTWISE:
        if len({a.event_shape for a in arrs if a.event_rank}) > 1:
            raise misshaped(op, arrs, span)
        return elementwise(F.ELEMENTWISE[op], *arrs)
    if op in F.REDUCTIONS:
        return _reduce(op, arrs[0])
    if op in F.EINSUM:
        spec = F.EINSUM[op](*(a.event_rank for a in arrs))
        if not _contractible(spec, arrs):
            raise misshaped(op, arrs, span)
        return einsum(spec, *(elementwise(real, a) for a in arrs))  # whole ones would wrap around
    if op in _SQUARE and len(set(arrs[0].event_shape)) > 1:
        raise misshaped(op, arrs, span)
    static = {
        k: arrays.static_int(args[k], f"argument {k + 1} of `{op}`", span)
        for k in PRIMITIVES[op].static
    }

    def call(*data: Any) -> Any:
        it = iter(data)
        return F.BATCHED[op](*(static[k] if k in static else next(it) for k in range(len(args))))

    try:
        return batched(call, *arrs) if arrs else Arr(call())
    except (TypeError, ValueError):  # what a function of arrays raises while it is traced
        raise misshaped(op, arrs, span) from None


#: primitives of one square matrix, and what is as long as its sides
_SQUARE = frozenset(
    "cholesky inverse log_det solve solve_triangular diagonal add_diag trace".split()
)


def _contractible(spec: str, arrs: list[Arr]) -> bool:
    """Whether dimensions of one letter have one size."""
    sizes: dict[str, int] = {}
    return all(
        sizes.setdefault(letter, n) == n
        for letters, a in zip(spec.split("->")[0].split(","), arrs, strict=True)
        for letter, n in zip(letters, a.event_shape, strict=True)
    )


def misshaped(op: str, arrs: list[Arr], span: Span | None) -> DiagnosticError:
    shown = next((symbol for symbol, name in OPERATORS.items() if name == op), op)
    return fail(
        "E704",
        f"`{shown}` of {arrays.shapes(arrs)}",
        span=span,
        hint="look at the sizes of the data that these arrays come from",
    )


def _reduce(op: str, x: Arr) -> Arr:
    refuse_closed(x)
    k = len(x.axes)
    return full(F.REDUCTIONS[op](x.data, tuple(range(k, k + x.event_rank))), x.axes)


def equal(a: RValue, b: RValue, span: Span | None) -> RValue:
    """`==` on any comparable values."""
    match a, b:
        case Static(), Static():
            return a.value == b.value
        case Seq(items=items, length=n), Seq():
            return n == b.length and (n == 0 or equal(items, b.items, span))
        case tuple(), tuple():
            parts = [equal(x, y, span) for x, y in zip(a, b, strict=True)]
        case Rec(names=names), Rec():
            parts = [equal(a.get(n), b.get(n), span) for n in names]
        case _ if is_constant(a) and is_constant(b):
            return a == b
        case _:
            x, y = to_arr(a), to_arr(b)
            if x.event_shape != y.event_shape and x.event_rank and y.event_rank:
                return False
            same = elementwise(jnp.equal, x, y)
            return _reduce("all", same) if same.event_rank else same
    out: RValue = True
    for p in parts:
        out = apply_primitive("and", [out, p], span)
    return out


# ---------------------------------------------------------------------------------- constants


def fitting(v: RValue, span: Span | None) -> RValue:
    """A constant, which must fit the whole numbers of this precision."""
    if isinstance(v, int) and abs(v) > jnp.iinfo(jnp.result_type(int)).max:
        raise fail(
            "E728",
            too_large(),
            span=span,
            hint="write it as a real number, such as `1e30` or `10.0 ^ 30`",
        )
    return v


def too_large() -> str:
    bits = jnp.iinfo(jnp.result_type(int)).bits
    return f"a whole number is too large: it does not fit in the {bits} bits of compiled code"


def fold(op: str, *args: Any) -> Any:
    """A primitive of Python numbers or texts. Raises KeyError if only arrays have it."""
    return _FOLD[op](*args)


def _fold_pow(a: float, b: float) -> float:
    out = a**b
    if isinstance(out, complex):
        raise ValueError
    return out


#: primitives on Python numbers, which say exactly what JAX says
_FOLD: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": _fold_pow,
    "neg": operator.neg,
    "lt": operator.lt,
    "gt": operator.gt,
    "le": operator.le,
    "ge": operator.ge,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": operator.not_,
    "min": min,
    "max": max,
    "abs": abs,
    "square": lambda a: a * a,
    "indicator": int,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
}

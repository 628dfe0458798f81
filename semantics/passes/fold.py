"""A primitive of constants is a constant, where its value does not depend on the engine.

Integers are folded within 32 bits, the smallest that an engine uses; reals by the operations that
IEEE 754 rounds correctly. What would be an error at run time is left to be one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ppl.semantics import ir
from ppl.semantics.types import BIT, BOOL, NAT, is_number, is_real

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
}
_COMPARISON: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "gt": operator.gt,
    "le": operator.le,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}


def fold(v: ir.Op) -> ir.Value:
    """The value of the operation if it is known, else the operation."""
    match v.op, v.args:
        case ("and" | "or") as op, (a, b):
            return _connective(v, op, a, b)
        case "not", (ir.Lit(value=bool(x)),):
            return ir.Lit(BOOL, not x, span=v.span)
        case "len", (ir.MakeArray(items=items),):
            return ir.Lit(BIT if len(items) < 2 else NAT, len(items), span=v.span)
        case "index", (ir.MakeArray(items=items), ir.Lit(value=int(i))) if 0 <= i < len(items):
            return items[i]
        case "to_real", (ir.Lit(value=int(x)),):
            return _literal(v, float(x))
        case "neg", (ir.Lit(value=int() | float() as x),):
            return _literal(v, -x)
        case "div", (ir.Lit(value=x), ir.Lit(value=y)) if _numbers(x, y) and y != 0:
            return _literal(v, x / y)  # type: ignore[operator]
        case op, (ir.Lit(value=x), ir.Lit(value=y)) if _numbers(x, y):
            if op in _ARITHMETIC:
                return _literal(v, _ARITHMETIC[op](x, y))
            if op in _COMPARISON:
                return ir.Lit(BOOL, _COMPARISON[op](x, y), span=v.span)
    return v


def _numbers(*values: object) -> bool:
    return all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in values)


def _literal(v: ir.Op, value: int | float) -> ir.Value:
    """The constant, if it is one of the kind that the operation has."""
    if not is_number(v.type) or is_real(v.type) != isinstance(value, float):
        return v
    if isinstance(value, int) and not -(2**31) <= value < 2**31:
        return v
    return ir.Lit(v.type, value, span=v.span)


def _connective(v: ir.Op, op: str, a: ir.Value, b: ir.Value) -> ir.Value:
    for known, other in ((a, b), (b, a)):
        if isinstance(known, ir.Lit) and other.type == BOOL:
            decides = known.value is (op == "or")
            return known if decides else other
    return v

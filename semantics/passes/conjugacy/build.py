"""Values of the IR made by passes, with the types that the table of primitives gives them."""

from __future__ import annotations

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import array_of, part, parts_of
from ppl.semantics.ir_types import literal_type
from ppl.semantics.op_types import element, op_type
from ppl.semantics.subtypes import below


def op(name: str, *args: ir.Value, type: T.Type | None = None) -> ir.Op:
    """A primitive at arguments. `type`: a smaller range than the table knows of."""
    return ir.Op(type or op_type(name, tuple(a.type for a in args)), name, args)


def number(x: float) -> ir.Lit:
    return ir.Lit(literal_type(x), x)


ZERO, ONE, HALF = number(0), number(1), number(0.5)


def is_one(v: ir.Value) -> bool:
    return isinstance(v, ir.Lit) and v.value == 1


def is_zero(v: ir.Value) -> bool:
    return isinstance(v, ir.Lit) and v.value == 0


def times(a: ir.Value, b: ir.Value) -> ir.Value:
    """a * b, without factors that are 1."""
    return b if is_one(a) else a if is_one(b) else op("mul", a, b)


def plus(a: ir.Value, b: ir.Value) -> ir.Value:
    """a + b, without terms that are 0."""
    return b if is_zero(a) else a if is_zero(b) else op("add", a, b)


def minus(a: ir.Value, b: ir.Value) -> ir.Value:
    return op("neg", b) if is_zero(a) else a if is_zero(b) else op("sub", a, b)


def over(a: ir.Value, b: ir.Value) -> ir.Value:
    """a / b, which is real whatever a and b are."""
    return op("div", a, b)


def pair(items: tuple[ir.Value, ...]) -> ir.Value:
    """A tuple, or its only item."""
    if len(items) == 1:
        return items[0]
    return ir.MakeTuple(T.Tuple(tuple(i.type for i in items)), items)


def items_of(v: ir.Value) -> tuple[ir.Value, ...]:
    """The components of a tuple or the fields of a record; of other values, the value."""
    if isinstance(v, (ir.MakeTuple, ir.MakeRecord)):
        return v.items
    return tuple(part(v, k) for k, _ in parts_of(v.type)) or (v,)


def made_of(items: tuple[ir.Value, ...], t: T.Type) -> ir.Value:
    """The value of a type whose `items_of` are these."""
    if isinstance(t, T.Tuple):
        return ir.MakeTuple(t, items)
    if isinstance(t, T.Record):
        return ir.MakeRecord(t, tuple(k for k, _ in t.fields), items)
    return items[0]


def as_type(v: ir.Value, t: T.Type) -> ir.Value:
    """The value at a type of numbers of its rank, which its numbers are known to be in."""
    if below(v.type, t):
        return v
    if T.is_real(element(t)) and not T.is_real(element(v.type)):
        v = op("to_real", v)
    if below(v.type, t):
        return v
    if isinstance(v, ir.Op):
        return ir.Op(t, v.op, v.args, span=v.span)
    kind = element(t)
    return ir.Op(array_of(kind, T.rank(t)), f"checked_{kind}", (v,))

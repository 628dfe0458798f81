"""`x[i]`, `x[i, j]`, `x[lo:hi]`, `X[:, j]`: one dimension at a time.

A literal that counts from the end is written out as `len(x) - k`; a missing end of a slice is 0 or
`len(x)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.elaborate.scope import Frame, Scope
from ppl.semantics import ir
from ppl.semantics.types import BIT, NAT, Array, Data, Type

if TYPE_CHECKING:
    from ppl.lang.elaborate.context import Context

Item = s.Expr | s.Slice


def indexed(cx: Context, e: s.Index, scope: Scope) -> ir.Value:
    if cx.instance.primitive.get(e) == "value_at":
        m, (key,) = cx.value(e.value, scope), e.items
        assert isinstance(m.type, Data) and isinstance(key, s.Expr)
        k = cx.fit(cx.value(key, scope), m.type.args[0], scope)
        return ir.Op(m.type.args[1], "value_at", (m, k), span=e.span)
    return _select(cx, cx.value(e.value, scope), list(e.items), scope, e)


def _select(cx: Context, xs: ir.Value, items: list[Item], scope: Scope, e: s.Index) -> ir.Value:
    """`xs[items]`: the first item on the first dimension, the others on those after it."""
    while items and not isinstance(items[0], s.Slice):
        i = _index(cx, items.pop(0), xs, scope)
        t = _item(xs.type)
        if isinstance(i.type, Array):
            xs = ir.Op(_array_of(t, i.type), "index", (xs, i), span=e.span)
            return _after(cx, xs, items, scope, e)
        xs = ir.Op(t, "index", (xs, i), span=e.span)
    if not items:
        return xs
    first = items[0]
    assert isinstance(first, s.Slice)
    if first.lo is not None or first.hi is not None or len(items) == 1:
        xs = ir.Op(xs.type, "slice", (xs, *_ends(cx, first, xs, scope)), span=e.span)
    return _after(cx, xs, items[1:], scope, e)


def _after(cx: Context, xs: ir.Value, items: list[Item], scope: Scope, e: s.Index) -> ir.Value:
    """`xs[:, items]`: every row indexed."""
    if not items:
        return xs
    if len(items) > 1:
        return _rows(cx, xs, items, scope, e)
    row = ir.Op(_item(xs.type), "index", (xs, ir.Lit(BIT, 0, span=e.span)), span=e.span)
    (item,) = items
    if isinstance(item, s.Slice):
        if item.lo is None and item.hi is None:
            return xs
        return ir.Op(xs.type, "columns_slice", (xs, *_ends(cx, item, row, scope)), span=e.span)
    i = _index(cx, item, row, scope)
    t = _item(row.type)
    t = _array_of(t, i.type) if isinstance(i.type, Array) else t
    return ir.Op(Array(t), "columns", (xs, i), span=e.span)


def _rows(cx: Context, xs: ir.Value, items: list[Item], scope: Scope, e: s.Index) -> ir.Value:
    """Two or more dimensions after the first: a loop over the rows."""
    param = ir.Param(cx.namer.fresh("row"), _item(xs.type))
    inner = scope.inner(Frame())
    row = ir.Var(param.type, param.name, span=e.span)
    body = inner.close(cx.returned(_select(cx, row, list(items), inner, e)))
    loop = ir.For(Array(body.type), param, xs, body, span=e.span)
    return scope.emit(cx.namer.fresh("rows"), loop)


def _index(cx: Context, e: Item, xs: ir.Value, scope: Scope) -> ir.Value:
    assert isinstance(e, s.Expr)
    return _from_end(e, xs) or cx.value(e, scope)


def _ends(cx: Context, e: s.Slice, xs: ir.Value, scope: Scope) -> tuple[ir.Value, ir.Value]:
    lo = ir.Lit(BIT, 0, span=e.span) if e.lo is None else _index(cx, e.lo, xs, scope)
    hi = _length(xs, e) if e.hi is None else _index(cx, e.hi, xs, scope)
    return lo, hi


def _from_end(e: s.Expr, xs: ir.Value) -> ir.Value | None:
    match e:
        case s.Unary(op="-", value=s.Lit(value=int(k))) if k > 0:
            back = ir.Lit(BIT if k == 1 else NAT, k, span=e.span)
            return ir.Op(NAT, "sub", (_length(xs, e), back), span=e.span)
    return None


def _length(xs: ir.Value, e: s.Node) -> ir.Value:
    return ir.Op(NAT, "len", (xs,), span=e.span)


def _item(t: Type) -> Type:
    """The type of an element; a character is a text."""
    return t.item if isinstance(t, Array) else t


def _array_of(t: Type, index: Type) -> Type:
    while isinstance(index, Array):
        t, index = Array(t), index.item
    return t

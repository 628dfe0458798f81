"""Structural primitives: indexing, slicing, zipping, stacking, reshaping.

These work on any element type, so they live here and not with the numeric functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.xla.axes import Arr, align, elementwise, open_event, union
from ppl.semantics.xla.join import as_union, same_head
from ppl.semantics.xla.lanes import lanes
from ppl.semantics.xla.values import (
    Closure,
    Dist,
    Rec,
    RValue,
    Seq,
    Static,
    Suspension,
    Union,
    as_array,
    close_array,
    elements,
    is_constant,
    leaves,
    length,
    map_elements,
    map_leaves,
    open_array,
    to_arr,
)


def static_int(value: RValue, what: str, span: Span | None) -> int:
    """A number used as a shape or a bound of a slice must be known while compiling."""
    if isinstance(value, (bool, int)):
        return int(value)
    raise fail(
        "E702",
        f"{what} must be known before the model runs, but depends on a random or computed value",
        span=span,
        hint="use a number, `len(…)`, or an integer parameter of the model",
    )


def index(xs: RValue, i: RValue, span: Span | None = None) -> RValue:
    """Element `i` along the first dimension, or the array of elements at an array of indices.

    The loop's own full-range index is axis alignment, an offset of it a slice, anything else a
    gather. Static indices out of range raise E703; dynamic ones read the nearest element (lanes
    that are alive report a fault, see `faults`).
    """
    n = length(xs)
    if isinstance(i, int):
        if not 0 <= i < n:
            raise fail(
                "E703",
                f"index {i} is out of range for an array of length {n}",
                span=span,
                hint="indices start at 0; a literal negative index counts from the end",
            )
        return _decided(map_leaves(lambda a: _take_static(a, i), elements(xs)))
    i = to_arr(i)
    if i.closed and i.event_rank == 1:  # element by element, in the plate that they belong to
        return close_array(index(xs, open_event(i, i.closed[0]), span), i.closed[0])
    if i.index is not None and i.index[0] is not None and i.event_rank == 0:
        axis, k = i.index
        if 0 <= k and k + axis.size <= n and not _meets(xs, axis):
            whole = xs if (k, axis.size) == (0, n) else slice_array(xs, k, k + axis.size, span)
            return open_array(whole, axis)
    if n == 0:
        return _nothing(xs, i)
    taken = lanes(
        lambda x, j: map_leaves(lambda a: Arr(_gather(a.data, j.data)), x), elements(xs), i
    )
    return taken if i.event_rank == 0 else as_array(taken, i.event_shape[0])


def _nothing(xs: RValue, i: Arr) -> RValue:
    """What indexing an empty array reads: zeros, where nothing runs (else a fault was noted)."""

    def zeros(a: Arr) -> Arr:
        shape = (*(x.size for x in i.axes), *i.event_shape, *a.event_shape[1:])
        return Arr(jnp.zeros(shape, a.dtype), i.axes)

    read = map_leaves(zeros, elements(xs))
    return read if i.event_rank == 0 else as_array(read, i.event_shape[0])


def _meets(xs: RValue, axis: object) -> bool:
    found = False

    def look(a: Arr) -> Arr:
        nonlocal found
        found = found or axis in a.axes or bool(a.closed)
        return a

    map_leaves(look, elements(xs))
    return found


def _gather(x, j):
    return jnp.take(x, j, axis=0, mode="clip")


def _take_static(a: Arr, i: int) -> RValue:
    k = len(a.axes)
    if a.index is not None and a.index[0] is None:
        return a.index[1] + i  # an element of a range is a constant,
    if isinstance(a.data, np.ndarray) and a.data.ndim == 1:
        return a.data[i].item()  # and one of data that are known while compiling
    return Arr(a.data[(slice(None),) * k + (i,)], a.axes)


def _decided(value: RValue) -> RValue:
    """Unions of which it is known while compiling which option they are, as that option."""

    def one(v: RValue) -> RValue:
        known = isinstance(v, Union) and isinstance(v.tag, int)
        return _decided(v.options[v.tag]) if known else v

    return jax.tree.map(one, value, is_leaf=lambda v: isinstance(v, (Arr, Union)))


def slice_array(xs: RValue, lo: int, hi: int, span: Span | None = None) -> RValue:
    """xs[lo:hi]; bounds are static and must lie within the array (E703)."""
    n = length(xs)
    if not 0 <= lo <= hi <= n:
        raise fail(
            "E703",
            f"the slice {lo}:{hi} leaves an array of length {n}",
            span=span,
            hint="both ends of a slice lie within the array, the first before the last",
        )
    if (lo, hi) == (0, n):
        return xs
    out = map_elements(lambda d: d[lo:hi], xs, hi - lo)
    if isinstance(xs, Arr) and xs.index is not None and xs.index[0] is None:
        out = replace(out, index=(None, xs.index[1] + lo))
    return out


def transpose(xs: RValue) -> RValue:
    """The first two dimensions exchanged."""

    def swap(a: Arr) -> Arr:
        k = len(a.axes)
        return Arr(jnp.swapaxes(a.data, k, k + 1), a.axes)

    if isinstance(xs, Arr):
        return swap(xs)
    inner = length(elements(xs))
    return Seq(Seq(map_leaves(swap, xs.items.items), xs.length), inner)


def columns(xs: RValue, i: RValue, span: Span | None) -> RValue:
    """xs[:, i] for each row."""
    flipped = index(transpose(xs), i, span)
    many = isinstance(i, Arr) and i.event_rank > 0
    return transpose(flipped) if many else flipped


def shapes(arrays: Sequence[Arr]) -> str:
    """The shapes of values, for messages."""
    shown = ["a number" if not a.event_rank else "x".join(map(str, a.event_shape)) for a in arrays]
    return "an array of shape " + shown[0] if len(shown) == 1 else "shapes " + " and ".join(shown)


def arange(lo: int, hi: int) -> Arr:
    return Arr(jnp.arange(lo, max(lo, hi), dtype=jnp.result_type(int)), (), (None, lo))


def zip_arrays(arrays: Sequence[RValue], span: Span | None) -> Seq:
    """The array of tuples of elements."""
    sizes = [length(a) for a in arrays]
    if len(set(sizes)) > 1:
        shown = " and ".join(map(str, sizes))
        raise fail(
            "E704",
            f"`zip` of arrays of different lengths: {shown}",
            span=span,
            hint="look at the sizes of the data that these arrays come from",
        )
    return Seq(tuple(elements(a) for a in arrays), sizes[0])


def concat(xs: RValue, ys: RValue, span: Span | None = None) -> RValue:
    n = length(xs) + length(ys)
    if length(xs) == 0 or length(ys) == 0:
        return ys if length(xs) == 0 else xs
    shape, other = (
        [a.event_shape[1:] for a in leaves(v)] if isinstance(v, Arr) else [] for v in (xs, ys)
    )
    if shape != other:
        raise fail(
            "E704",
            "`concat` of arrays whose elements have different sizes: "
            f"{shapes([to_arr(xs), to_arr(ys)])}",
            span=span,
            hint="the elements of an array of arrays have one length",
        )
    return as_array(_concat(elements(xs), elements(ys)), n)


def _concat(a: RValue, b: RValue) -> RValue:
    match a, b:
        case tuple(), tuple():
            return tuple(_concat(x, y) for x, y in zip(a, b, strict=True))
        case Rec(names=names), Rec():
            return Rec(names, tuple(_concat(a.get(n), b.get(n)) for n in names))
        case Seq(), Seq():
            return Seq(_concat(a.items, b.items), a.length)
        case _:
            x, y = to_arr(a), to_arr(b)
            axes = union(x.axes, y.axes)
            sides = [
                jnp.broadcast_to(align(v, axes), (*(s.size for s in axes), *v.event_shape))
                for v in (x, y)
            ]
            return Arr(jnp.concatenate(sides, axis=len(axes)), axes)


def flatten(xs: Arr) -> Arr:
    k, (m, n, *rest) = len(xs.axes), xs.event_shape
    return Arr(jnp.reshape(xs.data, (*xs.data.shape[:k], m * n, *rest)), xs.axes)


def repeat(x: RValue, n: int) -> RValue:
    def grow(a: Arr) -> Arr:
        k = len(a.axes)
        data = jnp.expand_dims(a.data, k)
        return Arr(jnp.broadcast_to(data, (*data.shape[:k], n, *data.shape[k + 1 :])), a.axes)

    return as_array(map_leaves(grow, x), n)


def stack(items: Sequence[RValue], item_type: T.Type, span: Span | None) -> RValue:
    """The array of the given elements."""
    if not items:
        return as_array(_no_elements(item_type), 0)
    return as_array(_stack(list(items), span), len(items))


def _no_elements(t: T.Type, rank: int = 1) -> RValue:
    match t:
        case T.Array(item=item):
            inner = _no_elements(item, rank + 1)
            return inner if isinstance(inner, Arr) else Seq(inner, 0)
        case T.Tuple(items=items):
            return tuple(_no_elements(x, rank) for x in items)
        case T.Record(fields=fields):
            return Rec(tuple(n for n, _ in fields), tuple(_no_elements(x, rank) for _, x in fields))
        case _ if T.is_number(t) or t == T.BOOL:
            kind = bool if t == T.BOOL else float if T.is_real(t) else int
            return Arr(jnp.zeros((0,) * rank, jnp.result_type(kind)))
        case _:
            return None


def _stack(items: list[RValue], span: Span | None) -> RValue:
    first = items[0]
    if all(isinstance(v, tuple) for v in items):
        return tuple(_stack(list(column), span) for column in zip(*items, strict=True))
    if isinstance(first, Rec):
        cols = [_stack([v.get(n) for v in items], span) for n in first.names]
        return Rec(first.names, tuple(cols))
    if isinstance(first, Seq):
        _same_sizes([v.length for v in items], span)
        return Seq(_stack([v.items for v in items], span), first.length)
    if first is None:
        return first
    if isinstance(first, Static) and all(v == first for v in items):
        return first
    if isinstance(first, Static) and isinstance(first.value, str):
        raise fail(
            "E701",
            "an array of different texts does not run on XLA",
            span=span,
            hint="run with engine='machine'",
        )
    if is_constant(first) or isinstance(first, Arr):
        return _stack_numbers([to_arr(v) for v in items], span)
    return _stack_code(items, span)


def _same_sizes(sizes: list, span: Span | None) -> None:
    if len(set(sizes)) > 1:
        shown = " and ".join(map(str, dict.fromkeys(sizes)))
        raise fail(
            "E704",
            f"the elements of an array have different sizes: {shown}",
            span=span,
            hint="the elements of an array of arrays have one length",
        )


def _stack_numbers(items: list[Arr], span: Span | None) -> Arr:
    _same_sizes([v.event_shape for v in items], span)
    axes = union(*(v.axes for v in items))
    dtype = jnp.result_type(*(v.data for v in items))
    shape = (*(a.size for a in axes), *items[0].event_shape)
    data = [jnp.broadcast_to(align(v, axes), shape).astype(dtype) for v in items]
    return Arr(jnp.stack(data, axis=len(axes)), axes)


def _stack_code(items: list[RValue], span: Span | None) -> RValue:
    """A column for every code that occurs, and which of them each element is."""
    unions = [as_union(v) for v in items]
    heads: list[RValue] = []
    for option in (option for u in unions for option in u.options):
        if not any(same_head(h, option) for h in heads):
            heads.append(option)

    def column(head: RValue) -> RValue:
        mine = [next((o for o in u.options if same_head(head, o)), head) for u in unions]
        return _stack_same(mine, span)

    options = tuple(map(column, heads))
    if len(options) == 1:
        return options[0]
    places = [
        [next(k for k, h in enumerate(heads) if same_head(h, o)) for o in u.options] for u in unions
    ]
    if all(len(p) == 1 for p in places):
        tag = Arr(np.array([p[0] for p in places]))  # known while compiling
    else:
        tags = [
            elementwise(lambda t, p=p: jnp.asarray(p)[t], u.tag)
            for u, p in zip(unions, places, strict=True)
        ]
        tag = _stack_numbers(tags, span)
    return Union(tag, options)


def _stack_same(items: list[RValue], span: Span | None) -> RValue:
    def each(rows: list[tuple[RValue, ...]]) -> tuple[RValue, ...]:
        return tuple(_stack(list(column), span) for column in zip(*rows, strict=True))

    match items[0]:
        case Closure() | Suspension() as c:
            return replace(c, values=each([v.values for v in items]))
        case Dist() as d:
            return replace(d, args=each([v.args for v in items]))
        case other:
            return other

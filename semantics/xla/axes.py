"""Arrays with named independent axes.

A number at run time is an `Arr`: an array whose leading dimensions are the named axes it varies
along (particles, plates, enumeration axes), in one canonical order, followed by its event
dimensions. An operation works over the union of its arguments' axes, so what does not vary along
an axis is computed once. Opening a plate turns the first event dimension into an axis, closing
turns it back: both only relabel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

Array = Any  # a JAX or NumPy array, or a tracer


@dataclass(frozen=True, order=True)
class Axis:
    """A named independent dimension.

    Axes sort by `order`: enumeration axes (negative) first, then particles (0), then plates by
    depth of nesting, so that closing the innermost plate never moves data. `name` tells apart
    axes of equal order; such axes never meet in one array, except enumeration axes.
    `plates` (enumeration axes only): the plates the summed site was born under.
    `mesh` (particles only): the devices that share them, if there are several (`sharing`).
    """

    order: int
    name: str
    size: int
    plates: tuple[Axis, ...] = ()
    mesh: Any = field(default=None, compare=False, repr=False)

    @property
    def enumerated(self) -> bool:
        return self.order < 0

    def __repr__(self) -> str:
        return f"{self.name}:{self.size}"


Axes = tuple[Axis, ...]


@partial(
    jax.tree_util.register_dataclass, data_fields=["data"], meta_fields=["axes", "index", "closed"]
)
@dataclass(frozen=True)
class Arr:
    """`data.shape == (*(a.size for a in axes), *event_shape)`, `axes` sorted.

    `index = (axis, k)` says that the data are k, k+1, … along `axis`: the loop's own index
        (axis None: along the first event dimension, a range that no loop has opened yet).
    `closed`: the plates that the first event dimensions were, when elements of a closed plate
    still carry an enumeration axis born in it.
    """

    data: Array
    axes: Axes = ()
    index: tuple[Axis | None, int] | None = None
    closed: Axes = ()

    @property
    def event_rank(self) -> int:
        return jnp.ndim(self.data) - len(self.axes)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return tuple(jnp.shape(self.data)[len(self.axes) :])

    @property
    def dtype(self) -> Any:
        return jnp.result_type(self.data)


def union(*groups: Iterable[Axis]) -> Axes:
    """All the axes, in canonical order."""
    return tuple(sorted(set().union(*groups)))


def align(arr: Arr, axes: Axes, event_rank: int | None = None) -> Array:
    """The data with one leading dimension for each of `axes` (1 where it does not vary).

    A scalar event grows to `event_rank` dimensions of size 1.
    """
    shape = jnp.shape(arr.data)
    sizes = dict(zip(arr.axes, shape, strict=False))
    event = shape[len(arr.axes) :]
    if event_rank is not None and not event:
        event = (1,) * event_rank
    target = (*(sizes.get(a, 1) for a in axes), *event)
    return arr.data if target == shape else jnp.reshape(arr.data, target)


def spread(arr: Arr, axes: Axes) -> Arr:
    """The same values, made to vary along (at least) `axes`."""
    every = union(arr.axes, axes)
    if every == arr.axes:
        return arr
    shape = (*(a.size for a in every), *arr.event_shape)
    return Arr(jnp.broadcast_to(align(arr, every), shape), every, closed=arr.closed)


class Coupled(Exception):
    """An operation would mix elements of a plate whose choices are being summed out, or take them
    together with those of another plate."""

    def __init__(self, plate: Axis):
        self.plate = plate


def refuse_closed(*args: Arr) -> None:
    for a in args:
        if a.closed:
            raise Coupled(a.closed[0])


def batched(f: Callable[..., Array], *args: Arr) -> Arr:
    """Apply `f`, which works over mutually broadcasting leading dimensions."""
    refuse_closed(*args)
    axes = union(*(a.axes for a in args))
    out = f(*(align(a, axes) for a in args))
    return full(out, axes)


def full(data: Array, axes: Axes) -> Arr:
    """Wrap a result whose leading dimensions are those of `axes`, some possibly of size 1."""
    shape = jnp.shape(data)
    want = tuple(a.size for a in axes)
    if shape[: len(axes)] != want:
        data = jnp.broadcast_to(data, (*want, *shape[len(axes) :]))
    return Arr(data, axes)


def narrow(data: Array, axes: Axes) -> Arr:
    """Wrap a result whose leading dimensions are those of `axes`; where one has size 1 it does not
    vary, and the axis is dropped."""
    shape = jnp.shape(data)
    keep = [n == a.size for a, n in zip(axes, shape, strict=False)]
    if all(keep):
        return Arr(data, axes)
    drop = tuple(i for i, k in enumerate(keep) if not k)
    return Arr(jnp.squeeze(data, axis=drop), tuple(a for a, k in zip(axes, keep, strict=True) if k))


def elementwise(f: Callable[..., Array], *args: Arr) -> Arr:
    """Apply a broadcasting function; scalars go with anything, events have equal shapes."""
    rank = max(a.event_rank for a in args)
    axes = union(*(a.axes for a in args))
    out = full(f(*(align(a, axes, rank) for a in args)), axes)
    closed = next((a.closed for a in args if a.closed), ())
    return replace(out, closed=closed) if closed else out


def position(axis: Axis, offset: int, like: Array) -> Arr:
    """The values offset, offset + 1, … along `axis` (as booleans: 0 is false, 1 is true)."""
    data = jnp.arange(offset, offset + axis.size)
    return Arr(data.astype(jnp.result_type(like)), (axis,), (axis, offset))


def at_position(v: Arr, axis: Axis) -> Arr:
    """The log-indicator that a value is the position on an axis."""
    plain = replace(v, index=None)
    return elementwise(
        lambda x, k: jnp.where(x == k, 0.0, -jnp.inf), plain, position(axis, 0, v.data)
    )


def open_event(arr: Arr, axis: Axis) -> Arr:
    """The first event dimension becomes `axis`, which is later than all of arr's other axes."""
    if arr.closed and arr.closed[0] != axis:
        raise Coupled(arr.closed[0])
    if arr.index is not None and arr.index[0] is not None and arr.index[0].enumerated:
        return position(*arr.index, like=arr.data)  # it never varied along the plate
    axes = (*arr.axes, axis)
    index = (axis, arr.index[1]) if arr.index is not None and arr.index[0] is None else None
    out = Arr(arr.data, axes, index, arr.closed[1:])
    return out if axes == union(axes) else _sorted(out)


def _sorted(arr: Arr) -> Arr:
    order = sorted(range(len(arr.axes)), key=lambda i: arr.axes[i])
    rest = range(len(arr.axes), jnp.ndim(arr.data))
    return Arr(
        jnp.transpose(arr.data, (*order, *rest)),
        tuple(arr.axes[i] for i in order),
        closed=arr.closed,
    )


def close_event(arr: Arr, axis: Axis) -> Arr:
    """`axis` becomes the first event dimension (constant along it if arr does not vary)."""
    n = len(arr.axes)
    own = any(axis in a.plates for a in arr.axes)
    closed = (axis, *arr.closed) if own else ()
    if axis not in arr.axes:
        shape = jnp.shape(arr.data)
        data = jnp.expand_dims(arr.data, n)
        data = jnp.broadcast_to(data, (*shape[:n], axis.size, *shape[n:]))
        return Arr(data, arr.axes, arr.index if own else None, closed)
    i = arr.axes.index(axis)
    data = arr.data if i == n - 1 else jnp.moveaxis(arr.data, i, n - 1)
    return Arr(data, (*arr.axes[:i], *arr.axes[i + 1 :]), closed=closed)


def sum_axis(arr: Arr, axis: Axis) -> Arr:
    """The sum along a plate; constants count `axis.size` times."""
    if axis not in arr.axes:
        return Arr(arr.data * axis.size, arr.axes)
    i = arr.axes.index(axis)
    return Arr(jnp.sum(arr.data, axis=i), (*arr.axes[:i], *arr.axes[i + 1 :]))


def einsum(spec: str, *args: Arr) -> Arr:
    """Contract event dimensions by `spec` ("ij,j->i"); axes are batch dimensions by name.

    Only the axes an argument has appear in its subscripts, so this lowers to `dot_general`.
    """
    refuse_closed(*args)
    return _einsum(spec, (), *args)


def contract(a: Arr, b: Arr, axes: Axes) -> Arr:
    """The sum of the products along named axes, as a matrix product."""
    return _einsum(",->", axes, a, b)


def _einsum(spec: str, summed: Axes, *args: Arr) -> Arr:
    every = union(*(a.axes for a in args))
    axes = tuple(a for a in every if a not in summed)
    letters = {a: chr(ord("A") + k) for k, a in enumerate(every)}
    ins, out = spec.split("->")
    subs = [
        "".join(letters[x] for x in a.axes) + s for a, s in zip(args, ins.split(","), strict=True)
    ]
    result = "".join(letters[x] for x in axes) + out
    dtype = jnp.result_type(*(a.data for a in args))
    data = [jnp.asarray(a.data, dtype) for a in args]
    return Arr(jnp.einsum(",".join(subs) + "->" + result, *data), axes)


def rename(score: Arr, names: Mapping[Axis, Axis]) -> Arr:
    """The same tensor with some axes renamed (and all in canonical order)."""
    axes = tuple(names.get(a, a) for a in score.axes)
    order = sorted(range(len(axes)), key=lambda i: axes[i])
    rest = range(len(axes), jnp.ndim(score.data))
    return Arr(jnp.transpose(score.data, (*order, *rest)), tuple(axes[i] for i in order))

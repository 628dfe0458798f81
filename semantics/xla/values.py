"""What programs compute at run time, all of it pytrees.

None, bool, int and float are themselves: constants, known while tracing; texts are `Static`. Other
numbers are `Arr`. An array of numbers is an `Arr` with event dimensions; an array of anything else
is a `Seq`, one value whose leaves have one more leading event dimension (a structure of arrays).
Functions and measures are code (a pointer into the IR, static) with the environment it captured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.xla.axes import (
    Arr,
    Axes,
    Axis,
    close_event,
    elementwise,
    open_event,
    spread,
    union,
)

RValue = Any  # one of the classes below, a tuple, or a constant

register = jax.tree_util.register_dataclass


class Code:
    """A pointer to IR, compared by identity (structural comparison of code would be slow)."""

    __slots__ = ("node",)

    def __init__(self, node: ir.Lam | ir.Comp):
        self.node = node

    def __hash__(self) -> int:
        return id(self.node)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Code) and other.node is self.node

    def __repr__(self) -> str:
        return f"<code at {self.node.span!r}>"


@partial(register, data_fields=["items"], meta_fields=["names"])
@dataclass(frozen=True)
class Rec:
    names: tuple[str, ...]
    items: tuple[RValue, ...]

    def get(self, name: str) -> RValue:
        return self.items[self.names.index(name)]


@partial(register, data_fields=["items"], meta_fields=["length"])
@dataclass(frozen=True)
class Seq:
    """An array of things that are not numbers."""

    items: RValue
    length: int


@partial(register, data_fields=["values"], meta_fields=["code", "names"])
@dataclass(frozen=True)
class Closure:
    """A function: `code.node` is a `Lam`, the environment binds its free variables."""

    code: Code
    names: tuple[str, ...]
    values: tuple[RValue, ...]


@partial(register, data_fields=["values"], meta_fields=["code", "names"])
@dataclass(frozen=True)
class Suspension:
    """A measure that is not a distribution: a computation and its environment."""

    code: Code
    names: tuple[str, ...]
    values: tuple[RValue, ...]


@partial(register, data_fields=[], meta_fields=["value"])
@dataclass(frozen=True)
class Static:
    """A constant that is part of the code rather than the data, wherever the value is passed: a
    text, an argument used as a shape, a number captured by a function."""

    value: bool | int | str


@partial(register, data_fields=["args"], meta_fields=["name", "type"])
@dataclass(frozen=True)
class Dist:
    """A distribution (or base measure): a row of the table and its arguments."""

    name: str
    args: tuple[RValue, ...]
    type: Any


@partial(register, data_fields=[], meta_fields=["name"])
@dataclass(frozen=True)
class GlobalFn:
    """A top-level function."""

    name: str


@partial(register, data_fields=[], meta_fields=["name"])
@dataclass(frozen=True)
class PrimFn:
    """A primitive used as a value."""

    name: str


@partial(register, data_fields=[], meta_fields=["call", "type"])
@dataclass(frozen=True)
class HostFn:
    """A Python function given as data, which JAX can trace. It takes and gives arrays, tuples and
    dicts for records, as its type says."""

    call: Callable[..., Any]
    type: T.Fun


@partial(register, data_fields=["tag", "options"], meta_fields=[])
@dataclass(frozen=True)
class Union:
    """One of finitely many values of different structure; `tag` is an integer `Arr`."""

    tag: Arr
    options: tuple[RValue, ...]


@partial(register, data_fields=["last"], meta_fields=["span"])
@dataclass(frozen=True)
class Forgotten:
    """The states of a loop of which only the last is kept: nothing can be computed from it."""

    last: RValue
    span: Any


def cut(value: RValue, mask: Arr) -> RValue:
    """The same value, without derivative in the lanes outside `mask`.

    A function that is undefined there (log of a negative number) would otherwise multiply its
    infinite derivative with the zero that comes back from the lanes not taken.
    """

    def one(a: RValue) -> RValue:
        if not isinstance(a, Arr) or not jnp.issubdtype(a.dtype, jnp.floating):
            return a
        apart = elementwise(lambda m, x: jnp.where(m, x, jax.lax.stop_gradient(x)), mask, a)
        return replace(apart, closed=a.closed)

    return jax.tree.map(one, value, is_leaf=_arr_leaf)


def is_constant(v: RValue) -> bool:
    return v is None or isinstance(v, (bool, int, float, Static))


def captured(v: RValue) -> RValue:
    """A value in the environment of code: whole numbers stay constants, which may be sizes."""
    match v:
        case bool() | int():
            return Static(v)
        case tuple():
            return tuple(map(captured, v))
        case Rec(names=names, items=items):
            return Rec(names, tuple(map(captured, items)))
        case _:
            return v


def released(v: RValue) -> RValue:
    """The inverse of `captured`."""
    match v:
        case Static(value=bool() | int() as number):
            return number
        case tuple():
            return tuple(map(released, v))
        case Rec(names=names, items=items):
            return Rec(names, tuple(map(released, items)))
        case _:
            return v


def environment(names: tuple[str, ...], values: tuple[RValue, ...]) -> dict[str, RValue]:
    """What code captured, by name."""
    return dict(zip(names, map(released, values), strict=True))


def _arr_leaf(v: Any) -> bool:
    return isinstance(v, Arr)


def map_leaves(f: Callable[[Arr], Any], value: RValue) -> RValue:
    """Apply `f` to every `Arr`; numeric constants become scalars first."""
    return jax.tree.map(lambda v: f(to_arr(v)), value, is_leaf=_arr_leaf)


def leaves(value: RValue) -> list[Arr]:
    return [to_arr(v) for v in jax.tree.leaves(value, is_leaf=_arr_leaf)]


def varies_along(value: RValue) -> Axes:
    return union(*(a.axes for a in leaves(value)))


def to_arr(v: Any) -> Arr:
    """A number or boolean as an `Arr` without axes."""
    if isinstance(v, Arr):
        return v
    if isinstance(v, bool):
        return Arr(jnp.asarray(v))
    if isinstance(v, int):
        return Arr(jnp.asarray(v, jnp.result_type(int)))
    if isinstance(v, float):
        return Arr(jnp.asarray(v, jnp.result_type(float)))
    if isinstance(v, Static):
        return to_arr(v.value)
    if isinstance(v, (str, tuple, Rec, Seq, Dist, Closure, Suspension)):
        raise TypeError(f"no number: {v!r}")
    return Arr(jnp.asarray(v))


# -------------------------------------------------------------------------------------- arrays


def length(array: RValue) -> int:
    """The static length of the first dimension."""
    return array.length if isinstance(array, Seq) else array.event_shape[0]


def elements(array: RValue) -> RValue:
    """An array seen as its element type with one more leading event dimension."""
    return array.items if isinstance(array, Seq) else array


def as_array(items: RValue, n: int) -> RValue:
    """The inverse of `elements`: arrays of numbers are `Arr`, others `Seq`."""
    return items if isinstance(items, Arr) else Seq(items, n)


def open_array(array: RValue, axis: Axis) -> RValue:
    """The element at every position at once: its leaves vary along `axis`."""
    return map_leaves(lambda a: open_event(a, axis), elements(array))


def close_array(value: RValue, axis: Axis) -> RValue:
    """The array of the values along `axis`."""
    return as_array(map_leaves(lambda a: close_event(a, axis), value), axis.size)


def map_elements(f: Callable[[Any], Any], array: RValue, n: int) -> RValue:
    """Apply `f` to the data of each leaf with the array's dimension first."""

    def at(a: Arr) -> Arr:
        k = len(a.axes)
        return Arr(jnp.moveaxis(f(jnp.moveaxis(a.data, k, 0)), 0, k), a.axes)

    return as_array(map_leaves(at, elements(array)), n)


def spread_value(value: RValue, axes: Axes) -> RValue:
    """Every leaf made to vary along `axes`."""
    return map_leaves(lambda a: spread(a, axes), value)

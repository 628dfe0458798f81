"""Values of executions, one by one, as arrays led by the draws.

An array of tuples or records is held by its parts, each an array, as compiled code holds it; what
is no array of numbers, or not of one size in all executions, is an array of Python objects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ppl.semantics import types as T


@dataclass(frozen=True, eq=False, repr=False)
class Functions:
    """A function for every draw; calling it gives the value in every draw, led by (chain, draw)."""

    functions: Sequence[Any]
    type: T.Fun
    lead: tuple[int, int]

    def __call__(self, *args: Any) -> Any:
        values = [None if f is None else f(*args) for f in self.functions]
        return stacked(values, self.type.result, self.lead)

    def __repr__(self) -> str:
        return f"<{len(self.functions)} draws of a function {self.type}>"


def stacked(values: Sequence[Any], t: T.Type, lead: tuple[int, int]) -> Any:
    """One value an execution (None where it has weight zero) as a tree of arrays (chain, draw, …),
    led by `lead`."""
    match t:
        case T.Tuple(items=items):
            parts = (_each(values, _part(i)) for i in range(len(items)))
            return tuple(stacked(p, i, lead) for p, i in zip(parts, items, strict=True))
        case T.Record(fields=fields):
            return {k: stacked(_each(values, _part(k)), f, lead) for k, f in fields}
        case T.Fun():
            return Functions(values, t, lead)
        case T.Base(name="unit"):
            return None
        case T.Array():
            item, depth = _innermost(t)
            sizes = {_sizes(v, depth) for v in values if v is not None}
            if len(sizes) == 1 and None not in sizes and (out := _array(values, t, lead)):
                return out[0]
        case T.Base() if T.is_number(t) or t == T.BOOL:
            missing = any(v is None for v in values)
            if missing:
                values = [math.nan if v is None else real(v) for v in values]
            return (np.asarray(values, np.float64) if missing else exact(values)).reshape(lead)
    out = np.empty(len(values), object)
    for i, v in enumerate(values):
        out[i] = v
    return out.reshape(lead)


def sizes_in(value: Any, t: T.Type, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """What decides how `stacked` holds values: by place in the type, the sizes of an array, the
    kind of a number."""
    match t:
        case T.Tuple(items=items):
            for i, item in enumerate(items):
                yield from sizes_in(value[i], item, (*at, i))
        case T.Record(fields=fields):
            for k, item in fields:
                yield from sizes_in(value[k], item, (*at, k))
        case T.Array():
            array = rectangular(value)
            sizes = _sizes(value, _innermost(t)[1])
            yield at, (sizes, None if array is None else (array.shape, array.dtype))
        case T.Base() if T.is_number(t) or t == T.BOOL:
            yield at, exact([value]).dtype


def _array(values: Sequence[Any], t: T.Array, lead: tuple[int, int]) -> tuple[Any] | None:
    """Arrays of one size in all executions: as arrays of their parts, a list of functions, or one
    array of numbers; None of anything else."""
    item, depth = _innermost(t)
    if _holds_functions(t.item):
        n = next((len(v) for v in values if v is not None), 0)
        return ([stacked(_each(values, _part(i)), t.item, lead) for i in range(n)],)
    if isinstance(item, (T.Tuple, T.Record)):

        def of(key: Any, part: T.Type) -> Any:
            whole = reduce(lambda s, _: T.Array(s), range(depth), part)
            return stacked(_each(values, lambda v: _picked(v, key, depth)), whole, lead)

        if isinstance(item, T.Tuple):
            return (tuple(of(i, s) for i, s in enumerate(item.items)),)
        return ({k: of(k, s) for k, s in item.fields},)
    if all(v is None or rectangular(v) is not None for v in values):
        rows = [{} if v is None else {(): np.asarray(v)} for v in values]
        whole = filled(rows, (), next(r[()].shape for r in rows if r))
        return (whole.reshape(*lead, *whole.shape[2:]),)
    return None


def _part(key: Any) -> Callable[[Any], Any]:
    return lambda v: v[key]


def _each(values: Iterable[Any], f: Callable[[Any], Any]) -> list[Any]:
    return [None if v is None else f(v) for v in values]


def _innermost(t: T.Type) -> tuple[T.Type, int]:
    """What an array of arrays is of, and how many dimensions it has."""
    depth = 0
    while isinstance(t, T.Array):
        t, depth = t.item, depth + 1
    return t, depth


def _sizes(value: Any, depth: int) -> tuple[int, ...] | None:
    """The sizes of `depth` dimensions of nested lists, None if rows differ."""
    if depth == 1:
        return (len(value),)
    rows = {_sizes(v, depth - 1) for v in value} or {(0,) * (depth - 1)}
    row = rows.pop()
    return None if rows or row is None else (len(value), *row)


def _picked(value: Any, key: Any, depth: int) -> Any:
    return value[key] if depth == 0 else [_picked(v, key, depth - 1) for v in value]


def _holds_functions(t: T.Type) -> bool:
    match t:
        case T.Array(item=item):
            return _holds_functions(item)
        case T.Tuple(items=items):
            return any(map(_holds_functions, items))
        case T.Record(fields=fields):
            return any(_holds_functions(f) for _, f in fields)
        case _:
            return isinstance(t, T.Fun)


# ---------------------------------------------------------------------------------------- numbers


def numbers(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The numbers and arrays of numbers in a value: `name`, `name.field`, `name.0`."""
    if isinstance(value, list):
        value = _by_parts(value)
    if isinstance(value, Mapping):
        for k, v in value.items():
            yield from numbers(f"{name}.{k}", v)
    elif isinstance(value, tuple):
        for i, v in enumerate(value):
            yield from numbers(f"{name}.{i}", v)
    elif isinstance(value, (bool, int, float)):
        array = np.asarray(value)
        yield name, array if array.dtype.kind in "bif" else np.asarray(real(value))
    elif isinstance(value, list):
        array = rectangular(value)
        if array is not None:
            yield name, array


def _by_parts(value: Any) -> Any:
    """An array of tuples or records as a tuple or record of arrays."""
    if not isinstance(value, list):
        return value
    items = [_by_parts(v) for v in value]
    first = items[0] if items else None
    if isinstance(first, tuple) and all(
        isinstance(v, tuple) and len(v) == len(first) for v in items
    ):
        return tuple([v[i] for v in items] for i in range(len(first)))
    if isinstance(first, Mapping) and all(
        isinstance(v, Mapping) and v.keys() == first.keys() for v in items
    ):
        return {k: [v[k] for v in items] for k in first}
    return items


def rectangular(value: Any) -> np.ndarray | None:
    """Nested lists of numbers as an array, if all rows have one length."""
    try:
        array = exact(value)
    except ValueError:
        return None
    return array if array.dtype.kind in "bif" else None


def exact(value: Any) -> np.ndarray:
    """An array of (lists of) numbers; of objects, if whole ones are beyond 64 bits."""
    array = np.asarray(value)
    if array.dtype.kind in "uf" and np.any(np.abs(array) >= 2.0**63):
        objects = np.asarray(value, object)
        if all(type(v) is int for v in objects.flat):
            return objects
    return array


def real(n: float) -> float:
    try:
        return float(n)
    except OverflowError:
        return math.copysign(math.inf, n)


def filled(rows: list[Any], grid: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """(1, draw, *grid, *shape); NaN where a draw has no value."""
    leaf = next(v for row in rows for v in row.values())
    whole = all(rows) and all(v.dtype == leaf.dtype for row in rows for v in row.values())
    dtype = leaf.dtype if whole else np.float64
    out = np.full((1, len(rows), *grid, *shape), 0 if whole else np.nan, dtype)
    for i, row in enumerate(rows):
        for indices, v in row.items():
            out[(0, i, *indices)] = v
    return out

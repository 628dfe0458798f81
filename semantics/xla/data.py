"""Python data as run-time values, by the declared types of a model's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import types as T
from ppl.semantics.diagnostics import fail
from ppl.semantics.holes import Keys
from ppl.semantics.xla.arrays import stack
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.values import HostFn, Rec, RValue, Seq, Static, map_leaves


def to_runtime(value: Any, type: T.Type) -> RValue:
    """A value of the declared type (already checked by `ppl.data`) as the evaluator holds it.

    Arrays of tuples and records become one structure of arrays. Numbers become arrays, to be
    passed as arguments of compiled code. There are no holes: a program with `A?` has none.
    """
    match type:
        case T.Option(item=item):
            return to_runtime(value, item)
        case T.Base(name="unit"):
            return None
        case T.Base(name="text"):
            return Static(str(value))
        case T.Tuple(items=items):
            return tuple(to_runtime(v, t) for v, t in zip(value, items, strict=True))
        case T.Record(fields=fields):
            return Rec(
                tuple(k for k, _ in fields), tuple(to_runtime(value[k], t) for k, t in fields)
            )
        case T.Array(item=item):
            return _array(value, item)
        case T.Fun():
            return HostFn(value, type)
        case _ if T.is_number(type) or type == T.BOOL:
            return Arr(jnp.asarray(np.asarray(value, _dtype(type))))
    raise fail(
        "E706", f"data of type `{type}` cannot be passed to XLA", hint="use engine='machine'"
    )


def _dtype(t: T.Type) -> Any:
    kind = bool if t == T.BOOL else float if T.is_real(t) else int
    return jnp.result_type(kind) if kind is not bool else np.bool_


def _array(value: Any, item: T.Type, depth: int = 1) -> RValue:
    """An array of `item` inside `depth - 1` more arrays; structures are held by columns."""
    match item:
        case T.Option(item=inner):
            return _array(np.ma.getdata(value), inner, depth)
        case T.Fun() if depth == 1:
            return stack([HostFn(f, item) for f in value], item, None)
        case _ if T.is_number(item) or item == T.BOOL:
            data = np.asarray(value, _dtype(item))
            missing = depth - data.ndim  # nested empty arrays have lost dimensions
            return Arr(jnp.asarray(data.reshape(data.shape + (0,) * missing)))
        case T.Array(item=inner):
            return _array(value, inner, depth + 1)
        case T.Tuple(items=parts):
            columns = [_array(v, t, depth) for v, t in zip(value, parts, strict=True)]
            return _columns(columns, tuple(_items(c, depth) for c in columns), depth)
        case T.Record(fields=fields):
            columns = [_array(value[k], t, depth) for k, t in fields]
            rec = Rec(tuple(k for k, _ in fields), tuple(_items(c, depth) for c in columns))
            return _columns(columns, rec, depth)
    raise fail("E706", f"an array of `{item}` cannot be passed to XLA", hint="use engine='machine'")


def _items(array: RValue, depth: int) -> RValue:
    for _ in range(depth):
        array = array.items if isinstance(array, Seq) else array
    return array


def _columns(columns: list[RValue], items: RValue, depth: int) -> RValue:
    sizes = []
    array = columns[0]
    for k in range(depth):
        sizes.append(array.length if isinstance(array, Seq) else array.event_shape[k])
        array = array.items if isinstance(array, Seq) else array
    for n in reversed(sizes):
        items = Seq(items, n)
    return items


def with_leaf(value: RValue, keys: Keys, leaf: Arr) -> RValue:
    """Data with one part replaced: a number, or an array of numbers, that the fields and components
    `keys` lead to (through arrays)."""
    if isinstance(value, Seq):
        return Seq(with_leaf(value.items, keys, leaf), value.length)
    if not keys:
        return Arr(jnp.asarray(leaf.data, value.dtype), leaf.axes)
    key, *rest = keys
    at = value.names.index(key) if isinstance(value, Rec) else key
    parts = value.items if isinstance(value, Rec) else value
    new = with_leaf(parts[at], tuple(rest), leaf)
    parts = (*parts[:at], new, *parts[at + 1 :])
    return Rec(value.names, parts) if isinstance(value, Rec) else parts


def split_static(
    values: Mapping[str, Any], types: Mapping[str, T.Type], static: frozenset[str]
) -> tuple[tuple[tuple[str, Any], ...], dict[str, RValue]]:
    """The parameters that are part of the code, and the data. Sizes are part of the code, and what
    decides which elements a comprehension keeps."""
    fixed, data = [], {}
    for name, type in types.items():
        v = values[name]
        if name in static:
            fixed.append((name, known(to_runtime(v, type))))
        else:
            data[name] = to_runtime(v, type)
    return tuple(fixed), data


def known(v: RValue) -> RValue:
    """Data as constants: numbers of Python, and NumPy arrays whose elements become such numbers."""

    def one(a: Arr) -> RValue:
        data = np.asarray(a.data)
        return Arr(data) if data.ndim else data.item()

    return map_leaves(one, v)


def fingerprint(v: RValue) -> tuple[Any, ...]:
    """What tells known values apart, to key compiled code."""
    found, tree = jax.tree.flatten(v)
    return tree, *((np.shape(x), np.asarray(x).dtype.str, np.asarray(x).tobytes()) for x in found)

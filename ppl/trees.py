"""Results as trees: dicts, tuples and lists of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def on_host(array: Any) -> np.ndarray:
    """As a NumPy array, missing draws as NaN."""
    if isinstance(array, np.ma.MaskedArray):
        holes = np.ma.getmaskarray(array)
        return np.where(holes, np.nan, array.data) if holes.any() else array.data
    return np.asarray(array)


def named_arrays(tree: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays in a result: `{a, b}` gives `a` and `b`, `(x, y)` `result.0` and `result.1`."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from named_arrays(value, f"{name}.{key}" if name else str(key))
    elif isinstance(tree, (tuple, list)):
        for i, value in enumerate(tree):
            yield from named_arrays(value, f"{name or 'result'}.{i}")
    elif hasattr(tree, "shape") and hasattr(tree, "dtype"):
        yield name or "result", on_host(tree)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are equal, NaN being equal to NaN."""
    return a.shape == b.shape and np.array_equal(
        a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f"
    )


def leaves(tree: Any) -> list[Any]:
    """The leaves of a result: what is no tuple, list, dict or None."""
    if isinstance(tree, Mapping):
        return [leaf for v in tree.values() for leaf in leaves(v)]
    if isinstance(tree, (tuple, list)):
        return [leaf for v in tree for leaf in leaves(v)]
    return [] if tree is None else [tree]


def map_leaves(f: Any, tree: Any) -> Any:
    """The same tree with `f` applied to its arrays; a leaf that is no array makes it None."""
    if isinstance(tree, Mapping):
        return {k: map_leaves(f, v) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(map_leaves(f, v) for v in tree)
    return f(tree) if hasattr(tree, "shape") else None

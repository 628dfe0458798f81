"""A tree of values as arrays that compiled code takes and gives: each array once, and constants
known, which would otherwise become arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax


@dataclass(frozen=True)
class Form:
    """tree: of all leaves. places: for each, which array it is, or the constant in a 1-tuple."""

    tree: Any
    places: tuple[int | tuple[Any], ...]


@partial(jax.tree_util.register_dataclass, data_fields=["arrays"], meta_fields=["form"])
@dataclass(frozen=True)
class Packed:
    """`arrays` are those that are not among others that are given as well."""

    arrays: tuple[Any, ...]
    form: Form

    @staticmethod
    def of(tree: Any, beside: Any = ()) -> Packed:
        """beside: a tree of arrays that goes the same way."""
        flat, form = jax.tree.flatten(tree)
        others = jax.tree.leaves(beside)
        known = {id(x): k for k, x in enumerate(others)}
        own: list[Any] = []
        places: list[int | tuple[Any]] = []
        for leaf in flat:
            if isinstance(leaf, (bool, int, float)):
                places.append((leaf,))
                continue
            if id(leaf) not in known:
                known[id(leaf)] = len(others) + len(own)
                own.append(leaf)
            places.append(known[id(leaf)])
        return Packed(tuple(own), Form(form, tuple(places)))

    def tree(self, beside: Any = ()) -> Any:
        """The tree that was packed, `beside` as it came out."""
        arrays = (*jax.tree.leaves(beside), *self.arrays)
        flat = [arrays[p] if isinstance(p, int) else p[0] for p in self.form.places]
        return jax.tree.unflatten(self.form.tree, flat)

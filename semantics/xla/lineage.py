"""Versions of the particle axis.

Resampling replaces the particles by copies of some of them: a new version of the particle axis,
linked to the one before by every particle's ancestor. Values are not touched then. A value knows
the version that it was made in, and is gathered through the composed ancestors when it is next
read, wherever it is held: nothing has to find the values that are alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics.xla.axes import Arr, Axis
from ppl.semantics.xla.sharing import share, whole
from ppl.semantics.xla.values import RValue

Array = Any


@dataclass(frozen=True, eq=False)
class Versioned:
    """A value and the version of the particle axis that it varies along."""

    value: RValue
    version: int


@dataclass(frozen=True, eq=False)
class Lineage:
    """links[k] (n,): the particle of version k that each particle of version k + 1 goes on from."""

    axis: Axis
    links: tuple[Array, ...] = ()

    @property
    def version(self) -> int:
        """The newest."""
        return len(self.links)

    def then(self, ancestors: Array) -> Lineage:
        return replace(self, links=(*self.links, ancestors))

    def made(self, value: RValue) -> Versioned:
        """A value of the newest version."""
        return Versioned(value, self.version)

    def now(self, v: Any) -> RValue:
        """The value that each particle of the newest version has inherited."""
        if not isinstance(v, Versioned):
            return v
        if v.version == self.version or not moving(v.value, self.axis):
            return v.value
        *older, ancestors = self.links[v.version :]
        for link in reversed(older):
            ancestors = link[ancestors]
        return inherited(v.value, ancestors, self.axis)

    @property
    def roots(self) -> Arr:
        """The particle of the first version that each one of the newest descends from."""
        first = Arr(jnp.arange(self.axis.size, dtype=jnp.int32), (self.axis,))
        return self.now(Versioned(first, 0))

    def brought(self, table: Mapping[str, Any]) -> dict[str, RValue]:
        """`now` of every entry."""
        return {k: self.now(v) for k, v in table.items()}


def _is_arr(v: Any) -> bool:
    return isinstance(v, Arr)


def moving(value: RValue, axis: Axis) -> list[Arr]:
    """The arrays in a value that vary along `axis`."""
    return [
        a for a in jax.tree.leaves(value, is_leaf=_is_arr) if isinstance(a, Arr) and axis in a.axes
    ]


def moved(value: RValue, axis: Axis, arrays: list[Arr]) -> RValue:
    """The value with other arrays in the place of those that `moving` lists."""
    rest = iter(arrays)
    return jax.tree.map(
        lambda a: next(rest) if isinstance(a, Arr) and axis in a.axes else a,
        value,
        is_leaf=_is_arr,
    )


def inherited(value: RValue, ancestors: Array, axis: Axis) -> RValue:
    """A value as the children of `ancestors` (n,) see it."""

    def one(a: Arr) -> Arr:
        i = a.axes.index(axis)
        every = whole(a.data, axis.mesh)
        return replace(a, data=share(jnp.take(every, ancestors, axis=i, mode="clip"), axis.mesh, i))

    return moved(value, axis, [one(a) for a in moving(value, axis)])


def shared(value: RValue, axis: Axis) -> RValue:
    """A value whose parts along `axis` are where the devices' particles are."""
    return moved(
        value,
        axis,
        [
            replace(a, data=share(a.data, axis.mesh, a.axes.index(axis)))
            for a in moving(value, axis)
        ],
    )


def traced_back(history: Any, ancestors: Array, axis: Axis) -> tuple[Any, Array]:
    """What happened to the particles that are left, and who they were at the beginning (n,).

    history: a tree with time leading, entry t as it was before the resampling of step t.
    ancestors: (time, n), of that resampling.
    """

    def back(children: Array, x: tuple[Array, Any]) -> tuple[Array, Any]:
        at = x[0][children]
        return at, inherited(x[1], at, axis)

    same = jnp.arange(axis.size, dtype=ancestors.dtype)
    first, found = jax.lax.scan(back, same, (ancestors, history), reverse=True)
    return found, first

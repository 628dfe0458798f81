"""What happened in the steps of a loop without a bound, one entry a step, and its names.

How many steps a loop takes is known only when it has run, and arrays have to have a size before. So
steps are recorded into arrays of a fixed room, and the run says how many there were: where the room
was too small (`shortfall`), the program is run again with more. That is exact, since what is drawn
depends on the path alone. Afterwards the arrays are cut to the longest run, and the steps of a
recursion get the names that its calls give them (`by_name`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import jax
import numpy as np

from ppl.semantics.xla.axes import Arr, Axis
from ppl.semantics.xla.values import RValue

#: steps that there is room for when nothing is known
ROOM = 32

Path = tuple[str, ...]
B = TypeVar("B", bound=Any)
T = TypeVar("T")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["items", "count", "ends"],
    meta_fields=["loop", "places", "depth"],
)
@dataclass(frozen=True)
class Steps:
    """Leaves of `items` have the step as event dimension number `depth`; what is beyond a lane's
    end is missing (nan).

    loop: its path. count: how many steps were taken by the lane that took most.
    places: for a recursion, the paths at which it runs itself, and `ends` (with the step as last
    event dimension) which of them each step ended in, -1 at the end; None if there is only one.
    """

    items: RValue
    count: Arr
    ends: Arr | None
    loop: Path
    places: tuple[Path, ...] | None = None
    depth: int = 0

    def deeper(self) -> Steps:
        """The same inside one more array."""
        return replace(self, depth=self.depth + 1)


def _is_steps(v: Any) -> bool:
    return isinstance(v, Steps)


def loops(tree: Any) -> Iterator[Steps]:
    """All records of steps in a tree, outer ones first."""
    for v in jax.tree.leaves(tree, is_leaf=_is_steps):
        if isinstance(v, Steps):
            yield v
            yield from loops(v.items)


def shortfall(tree: Any, rooms: Mapping[Path, int], limit: int) -> dict[Path, int]:
    """The rooms that were too small, by loop, and what they should be: powers of two.

    Loops that were stopped because they did not end within `limit` steps have room enough.
    """
    out: dict[Path, int] = {}
    for s in loops(tree):
        needed = int(np.max(np.asarray(s.count.data), initial=0))
        if rooms.get(s.loop, ROOM) < needed < limit:
            out[s.loop] = max(out.get(s.loop, 0), 1 << (needed - 1).bit_length())
    return out


def with_room(bound: B, run: Callable[[B], T]) -> T:
    """`run(bound)`, repeated with more room for the steps of loops until there is enough."""
    while True:
        try:
            return run(bound)
        except _TooLittleRoom as more:
            bound = bound.with_room(more.needed)


def check_room(tree: Any, bound: Any) -> None:
    """Have what `with_room` runs repeated if steps of a loop are missing from its outputs."""
    if needed := shortfall(tree, dict(bound.rooms), bound.limit):
        raise _TooLittleRoom(needed)


class _TooLittleRoom(Exception):
    def __init__(self, needed: Mapping[Path, int]):
        self.needed = needed


# ---------------------------------------------------------------------------------- named columns


def by_name(values: Mapping[str, Arr | Steps]) -> dict[str, Arr]:
    """Columns that vary along the particle axis, first: `x` with a dimension for the steps of a
    loop, `walk/x`, `walk/else/walk/x`, … for a recursion. Dimensions end with the longest run."""
    out: dict[str, Arr] = {}
    for name, v in values.items():
        if isinstance(v, Arr):
            out[name] = v
            continue
        levels, data = _levels(v)
        axes = (Axis(0, "particle", data.shape[0]),)
        if all(data.shape):
            for spelled, column in _spelled("", name, 0, levels, data):
                out[spelled] = Arr(column, axes)
    return out


@dataclass(frozen=True)
class _Level:
    """One loop around a value: the dimension of its steps, and how each step ended."""

    dim: int
    loop: str
    places: tuple[str, ...] | None
    ends: np.ndarray | None


def _levels(v: Steps) -> tuple[list[_Level], np.ndarray]:
    levels, cuts, at, item = [], [], 1, v
    while isinstance(item, Steps):
        at += item.depth
        cuts.append((at, int(np.max(np.asarray(item.count.data), initial=0))))
        ends = None if item.ends is None else _cut(np.asarray(item.ends.data), cuts)
        places = None if item.places is None else tuple(map("/".join, item.places))
        levels.append(_Level(at, "/".join(item.loop), places, ends))
        at, item = at + 1, item.items
    return levels, _cut(np.asarray(item.data), cuts)


def _cut(data: np.ndarray, cuts: list[tuple[int, int]]) -> np.ndarray:
    for dim, n in cuts:
        data = np.take(data, np.arange(min(n, data.shape[dim])), axis=dim)
    return data


def _spelled(
    done: str, name: str, read: int, levels: list[_Level], data: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """The columns of a value whose name is spelled up to its character `read`."""
    if not levels:
        yield _joined(done, name[read:]), data
        return
    level, inner = levels[0], levels[1:]
    if level.places is None:
        yield from _spelled(done, name, read, inner, data)
        return
    done = _joined(done, name[read : len(level.loop)])
    inner = [_without(x, level.dim) for x in inner]
    reached: dict[str, np.ndarray | None] = {"": None}
    for t in range(data.shape[level.dim]):
        now = np.take(data, t, axis=level.dim)
        for path, lanes in reached.items():
            column = now if lanes is None else np.where(_like(lanes, now), now, np.nan)
            if not np.isnan(column).all():
                deeper = [_at_step(x, level.dim, t) for x in inner]
                there = _joined(done, path)
                yield from _spelled(there, name, len(level.loop), deeper, column)
        reached = _next(reached, level, t)


def _next(
    reached: dict[str, np.ndarray | None], level: _Level, t: int
) -> dict[str, np.ndarray | None]:
    """Where the lanes are after step t: the path of calls, and which lanes took it."""
    assert level.places is not None
    if level.ends is None:
        return {_joined(path, level.places[0]): lanes for path, lanes in reached.items()}
    ended = level.ends[..., t]
    out: dict[str, np.ndarray | None] = {}
    for path, lanes in reached.items():
        for k, place in enumerate(level.places):
            took = ended == k if lanes is None else (ended == k) & lanes
            if took.any():
                out[_joined(path, place)] = took
    return out


def _at_step(level: _Level, dim: int, t: int) -> _Level:
    """An inner loop in step t of the loop around it."""
    return level if level.ends is None else replace(level, ends=np.take(level.ends, t, axis=dim))


def _without(level: _Level, dim: int) -> _Level:
    return replace(level, dim=level.dim - 1)


def _like(lanes: np.ndarray, column: np.ndarray) -> np.ndarray:
    return lanes.reshape(lanes.shape + (1,) * (column.ndim - lanes.ndim))


def _joined(*parts: str) -> str:
    return "/".join(p.strip("/") for p in parts if p.strip("/"))

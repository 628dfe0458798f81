"""Values given for the steps of a recursion, by the names that its calls give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from ppl.semantics.xla.arrays import index
from ppl.semantics.xla.axes import Arr, align, elementwise, union
from ppl.semantics.xla.state import Path, Scope


@dataclass(frozen=True)
class Replay:
    """The calls that something is given for are numbered, the first one 0; one more number stands
    for all others. `tables`: by name in the first call, values by number (first event dimension),
    missing where there is none. `moves[k, j]`: the number of the call that call k makes at place j.
    """

    tables: Mapping[str, Arr]
    moves: np.ndarray

    def at(self, call: Arr) -> dict[str, Arr]:
        """What is given for the choices of a call, under their names in the first one."""
        return {name: index(table, call) for name, table in self.tables.items()}

    def after(self, call: Arr, place: Arr) -> Arr:
        """The number of the call made at a place (-1: none)."""
        moves = jnp.asarray(self.moves)
        return elementwise(lambda k, j: jnp.where(j < 0, k, moves[k, j]), call, place)


def replay(scope: Scope, places: tuple[Path, ...]) -> Replay | None:
    """What is given for the recursion at this path that runs itself at `places`."""
    here = "/".join(scope.path)
    names = sorted(("/".join(p) for p in places), key=len, reverse=True)
    calls: dict[str, int] = {"": 0}
    found: dict[str, dict[int, Arr]] = {}
    for name, v in scope.given.items():
        if not scope.owns(name) or name == here:
            continue
        call, rest = "", name[len(here) :].lstrip("/")
        while place := next((p for p in names if rest.startswith(f"{p}/")), None):
            call, rest = f"{call}/{place}", rest[len(place) + 1 :]
            calls.setdefault(call, len(calls))
        found.setdefault(f"{here}/{rest}".lstrip("/"), {})[calls[call]] = v
    if not found:
        return None
    other = len(calls)
    moves = np.full((other + 1, len(places)), other)
    for call, k in calls.items():
        for j, place in enumerate(places):
            moves[k, j] = calls.get(f"{call}/{'/'.join(place)}", other)
    return Replay({name: _table(rows, other + 1) for name, rows in found.items()}, moves)


def _table(rows: Mapping[int, Arr], size: int) -> Arr:
    """Values by number, missing where there is none or one of another shape than the first."""
    like = next(iter(rows.values()))
    axes, real = union(*(v.axes for v in rows.values())), jnp.result_type(float)
    shape = (*(a.size for a in axes), *like.event_shape)
    missing = jnp.full(shape, jnp.nan, real)
    data = [missing] * size
    for k, v in rows.items():
        if v.event_shape == like.event_shape:
            data[k] = jnp.broadcast_to(jnp.asarray(align(v, axes), real), shape)
    return Arr(jnp.stack(data, axis=len(axes)), axes)

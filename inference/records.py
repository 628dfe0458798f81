"""What chains record, read back from the checkpoint that they wrote it to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ppl.inference.checkpoint import Checkpoint
from ppl.inference.schedule import Schedule
from ppl.semantics.density import Density
from ppl.semantics.mixed import MixedDensity


def position_of(density: Density, record: dict[str, Any]) -> dict[str, Any]:
    """The coordinates in a record, by site, which are taken out of it."""
    position = density.unflatten(record.pop("z"))
    if isinstance(density, MixedDensity):
        position |= density.unflatten_discrete(record.pop("k"))
    return position


@dataclass(frozen=True, eq=False)
class Records:
    """The records of finished chains. position: what `position_of` is for their density. tails: the
    blocks of each lane, None if they are on disk. together: one lane is all chains; else each is
    one."""

    position: Callable[[dict[str, Any]], dict[str, Any]]
    checkpoint: Checkpoint
    tails: Sequence[Sequence[Any]]
    schedule: Schedule
    together: bool

    @property
    def shape(self) -> tuple[int, int]:
        return self.schedule.chains, self.schedule.draws

    def rows(self, first: int, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Positions and statistics of draws in their order, chain after chain, led by the row."""
        parts, row = [], first
        while row < first + count:
            chain, draw = divmod(row, self.schedule.draws)
            k, slot = divmod(draw, self._capacity)
            here = self._block(0 if self.together else chain, k)
            left = min(self._capacity - slot, self.schedule.draws - draw, first + count - row)
            at = (chain, slice(slot, slot + left)) if self.together else slice(slot, slot + left)
            parts.append({name: np.asarray(x)[at] for name, x in here.items()})
            row += left
        record = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        return self.position(record), record

    @cached_property
    def _capacity(self) -> int:
        """Steps in a block."""
        return self._block(0, 0)["z"].shape[1 if self.together else 0]

    def _block(self, lane: int, k: int) -> dict[str, Any]:
        held = self.tails[lane][k]
        return self.checkpoint.block(lane, k) if held is None else held

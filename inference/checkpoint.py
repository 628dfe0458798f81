"""Checkpoints: where the lanes of a run are, on disk, so that a run that was killed goes on as if
nothing had happened.

A checkpoint is a folder. `run.json` says of which run; `lane-0.npz` where lane 0 is: how many
steps of warm-up and sampling it has made, its kernel's state, and the block of records that it is
filling; `lane-0-block-2.npz` is a block that is full. A file is written under another name and
renamed, so it is there whole or not at all, and a full block is there before the place that counts
on it. So whenever the process is killed, the folder holds where every lane was at some moment; as
the lane's random numbers are part of its state, the rest of it is the same bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import jax
import numpy as np

from ppl.inference import folder
from ppl.inference.folder import Folder, refused
from ppl.semantics import keys


class Place(NamedTuple):
    """Where a lane is: steps of warm-up and of sampling it has made, its state, and the blocks of
    what it recorded while sampling, the last one perhaps not full."""

    warmup: int
    sampling: int
    state: Any
    blocks: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Checkpoint(Folder):
    """The folder of a run on XLA. Unless it `holds` them, full blocks are on disk alone."""

    holds: bool = True

    _written: dict[int, float] = field(default_factory=dict, repr=False)
    _blocks: dict[int, int] = field(default_factory=dict, repr=False)

    def has(self, lane: int) -> bool:
        """Whether a lane had begun."""
        return (self.folder / f"lane-{lane}.npz").exists()

    def load(self, lane: int, like: Any) -> Place | None:
        """Where a lane was, its state in the form of `like`; None if it had not begun."""
        if not self.has(lane):
            return None
        file = self.folder / f"lane-{lane}.npz"
        try:
            found = _read(file)
            full = int(found["full"])
            blocks: list[Any] = [None] * full
            if self.holds:
                blocks = [self.block(lane, k) for k in range(full)]
            blocks += [{k[6:]: v for k, v in found.items() if k.startswith("block:")}] * (
                "filling" in found
            )
            leaves, tree = jax.tree.flatten(like)
            state = [_keyed(found[f"state:{i}"], leaf) for i, leaf in enumerate(leaves)]
        except (OSError, ValueError, KeyError) as error:
            raise refused(f"`{file}` cannot be read: {error}") from None
        self._blocks[lane] = full
        return Place(
            int(found["warmup"]), int(found["sampling"]), jax.tree.unflatten(tree, state), blocks
        )

    def save(self, lane: int, place: Place, *, full: bool, now: bool) -> None:
        """Write where a lane is; `full` says whether its last block is, `now` not to wait.

        Raises:
            DiagnosticError: E898, it cannot be written.
        """
        time = monotonic()
        if not now and time - self._written.setdefault(lane, time) < folder.EVERY:
            return
        try:
            self._write(lane, place, full)
        except OSError as error:
            raise refused(f"`{self.folder}` cannot be written: {error}") from None

    def block(self, lane: int, k: int) -> dict[str, np.ndarray]:
        """A full block of a lane."""
        return _read(self._block(lane, k))

    def _write(self, lane: int, place: Place, full: bool) -> None:
        count = len(place.blocks) - (bool(place.blocks) and not full)
        for k in range(self._blocks.get(lane, 0), count):
            _whole_arrays(self._block(lane, k), place.blocks[k])
        arrays = {f"state:{i}": _plain(x) for i, x in enumerate(jax.tree.leaves(place.state))}
        if count < len(place.blocks):
            arrays |= {f"block:{k}": v for k, v in place.blocks[-1].items()} | {"filling": True}
        counts = {"warmup": place.warmup, "sampling": place.sampling, "full": count}
        _whole_arrays(self.folder / f"lane-{lane}.npz", arrays | counts)
        self._blocks[lane], self._written[lane] = count, monotonic()

    def _block(self, lane: int, k: int) -> Path:
        return self.folder / f"lane-{lane}-block-{k}.npz"


def _plain(x: Any) -> np.ndarray:
    """An array, or the words of keys."""
    return np.asarray(keys.words(x) if _is_key(x) else x)


def _keyed(x: np.ndarray, like: Any) -> Any:
    if _is_key(like):
        return keys.wrap(x)
    if x.dtype != like.dtype or x.shape != like.shape:
        raise ValueError("a state of another form")
    return x


def _is_key(x: Any) -> bool:
    return jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key)


def _read(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


def _whole_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    other = file.with_name(f".{file.name}.{os.getpid()}.npz")
    np.savez(other, **{k: np.asarray(v) for k, v in arrays.items()})  # pyright: ignore
    os.replace(other, file)

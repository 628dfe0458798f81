"""Driving compiled chains from the host, in blocks of steps.

A block is a traced number of steps written into a buffer, so one program serves warm-up, sampling,
every seed, every number of draws and all data of the same shapes. Draws stay on the device until
the end. How the chains share the machine is a `Mode`; it never changes which random numbers a chain
uses: chain c of a seed has the key fold_in(seed, c), and splits it by step.

What the programs are of is not known here, nor how they were compiled.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from ppl.inference.checkpoint import Checkpoint, Place
from ppl.inference.lanes import Lanes, Report
from ppl.inference.records import Records
from ppl.inference.schedule import Mode, Progress, Schedule
from ppl.semantics.diagnostics import fail
from ppl.semantics.precision import Precision
from ppl.semantics.processes import fetched


@dataclass(frozen=True)
class Draws:
    """What chains return, as NumPy arrays with leading axes (chain, draw).

    `position` by site path, in free coordinates (and discrete ones, if held); `stats` under ArviZ's
    names; `mode` and `seconds` tell how it was run.
    """

    position: Mapping[str, np.ndarray]
    stats: Mapping[str, np.ndarray]
    mode: str
    seconds: float
    #: where the draws are instead, if they were not to be held
    records: Records | None = None

    @property
    def divergences(self) -> int:
        return int(np.sum(self.stats.get("diverging", 0)))


class Interrupted(KeyboardInterrupt):
    """Chains were stopped by the user; `draws` has what they had drawn, None if nothing."""

    def __init__(self, draws: Draws | None):
        self.draws = draws
        super().__init__("stopped by the user")


def choose_mode(
    size: int, data: Any, schedule: Schedule, mode: Mode = "auto"
) -> Literal["loop", "vectorised", "devices"]:
    """The faster way to run these chains, of so many coordinates; a rule, not a measurement, so
    that a seed's result does not depend on how busy the machine was.

    An accelerator idles unless chains are stepped together. On a CPU that saves only the dispatch
    of small operations: arithmetic is the same, every step waits for the deepest of the chains'
    trees, and compiling takes about three times as long. Threads divide the work by the cores at no
    such price. So together pays only if the arithmetic is small and the steps queueing for each
    core are many enough to earn the compilation back.

    Raises:
        DiagnosticError: E811, there is no such number of chains for each device.
    """
    devices = jax.device_count()
    if mode == "devices" and schedule.chains % devices:
        raise fail(
            "E811",
            f"{schedule.chains} chains cannot be shared evenly by {devices} devices",
            hint="use a multiple of the number of devices, or mode = vectorised",
        )
    if mode != "auto":
        return mode
    if devices > 1 and schedule.chains % devices == 0:
        return "devices"
    if jax.default_backend() != "cpu":
        return "vectorised"
    arithmetic = size + sum(np.size(x) for x in jax.tree.leaves(data))
    queueing = schedule.chains / _cores() - _LOCKSTEP
    steps = schedule.warmup + schedule.draws * schedule.thin
    small = arithmetic <= _SMALL
    return "vectorised" if small and queueing * steps > _EARNS_COMPILATION else "loop"


# Measured with NUTS on two cores: chains in lockstep take 1.4 times one chain's time where dispatch
# dominates, which it does up to about 2000 numbers; 4e4 steps saved are the seconds it compiles.
_LOCKSTEP = 1.4
_SMALL = 2_000
_EARNS_COMPILATION = 40_000
_BLOCK_BYTES = 2**24
_BLOCK_STEPS = 128


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Programs:
    """Compiled programs of chains on data of one form.

    begin: a lane (a chain's number; of all in lockstep, an array of them) to its first state.
    advance: (data, state, record, slot, steps, thin) to the state and the record after so many
        steps (see `step_programs`).
    row: what the record of one state is like, by name; `z` is its flat position.
    position: takes the coordinates out of records, by site.
    state: what a state is like, if `advance` is yet to be compiled for it.
    """

    mode: Literal["loop", "vectorised", "devices"]
    begin: Callable[[Any], Any]
    advance: Callable[..., Any]
    row: Mapping[str, Any]
    position: Callable[[dict[str, Any]], dict[str, Any]]
    state: Any = None


def lanes_of(mode: str, chains: int) -> list[Any]:
    """The lanes of chains: in `loop` each is one, else one is all."""
    return list(range(chains)) if mode == "loop" else [np.arange(chains)]


def sample(
    programs: Programs,
    data: Any,
    schedule: Schedule,
    scope: Precision,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Draws:
    """The draws of chains in this precision; see `run_chains`."""
    began = time.perf_counter()
    together = programs.mode != "loop"
    lanes, axis = lanes_of(programs.mode, schedule.chains), int(together)  # axis: of the steps
    blank = blank_record(programs.row, axis=axis)
    saved = checkpoint and checkpoint.begin(mode=programs.mode, precision=scope)
    run = Lanes(programs.advance, data, blank, schedule, scope, Report(schedule, progress), saved)
    with ThreadPoolExecutor(max_workers=min(len(lanes), _cores())) as pool:
        try:
            compiled = None
            if programs.state is not None:  # while the lanes begin here
                compiled = pool.submit(run.compile, programs.state)
            places = [
                (saved and saved.load(k, programs.state)) or Place(0, 0, programs.begin(lane), [])
                for k, lane in enumerate(lanes)
            ]
            if compiled is not None:
                compiled.result()
        except KeyboardInterrupt:
            raise Interrupted(None) from None
        ends = run.run(pool, places)
    stopped = run.report.stop.is_set()
    if saved is not None and not saved.holds:
        if stopped:
            raise Interrupted(None)
        blocks = tuple(end.blocks for end in ends)
        records = Records(programs.position, saved, blocks, schedule, together)
        return Draws({}, {}, programs.mode, time.perf_counter() - began, records)
    made = jax.device_get(fetched([(end.blocks, end.sampling) for end in ends]))
    joined = [_joined(blocks, length, axis) for blocks, length in made if length]
    if stopped and not joined:
        raise Interrupted(None)
    record = joined[0] if together else _rectangle(joined)
    draws = Draws(
        position=programs.position(record),
        stats=record,
        mode=programs.mode,
        seconds=time.perf_counter() - began,
    )
    if stopped:
        raise Interrupted(draws)
    return draws


def _joined(blocks: list[dict[str, Any]], length: int, axis: int) -> dict[str, np.ndarray]:
    """The blocks of a lane, which hold `length` records, as one, steps along `axis`."""
    kept = (slice(None),) * axis + (slice(length),)
    return {name: np.concatenate([b[name] for b in blocks], axis)[kept] for name in blocks[0]}


def _rectangle(chains: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Chains as (chain, draw). If they were stopped at different lengths: as many of the longest,
    cut to the shortest among them, as keep the most draws, in the order they were started."""
    lengths = [len(chain["z"]) for chain in chains]
    cut = max(lengths, key=lambda n: n * sum(length >= n for length in lengths))
    kept = [chain for chain in chains if len(chain["z"]) >= cut]
    return {name: np.stack([chain[name][:cut] for chain in kept]) for name in kept[0]}


def blank_record(row: Mapping[str, Any], *, axis: int) -> dict[str, Any]:
    """An empty block of records like `row`, steps along `axis`."""
    size = max(1, row["z"].shape[-1])
    steps = max(1, min(_BLOCK_STEPS, _BLOCK_BYTES // (8 * size)))
    return {
        name: np.zeros((*x.shape[:axis], steps, *x.shape[axis:]), x.dtype)
        for name, x in row.items()
    }

"""Running Markov chains: one compiled step program, driven from the host in blocks of steps.

A block is a traced number of steps written into a buffer, so one program serves warm-up, sampling,
every seed, every number of draws and all data of the same shapes. Draws stay on the device until
the end. How the chains share the machine is a `Mode`; it never changes which random numbers a chain
uses: chain c of a seed has the key fold_in(seed, c), and splits it by step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from ppl.inference.checkpoint import Checkpoint, Place
from ppl.inference.initialise import Init, explain_failure
from ppl.inference.kernels.flat import Kernel, StepPrograms, step_programs
from ppl.inference.lanes import Lanes, Report
from ppl.inference.records import Records, position_of
from ppl.inference.schedule import Progress, Schedule
from ppl.semantics import keys
from ppl.semantics.density import Density, Position
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.precision import Precision, precision
from ppl.semantics.xla.sharing import fetched

Mode = Literal["auto", "loop", "vectorised", "devices"]
"""How chains share the machine.

`loop`: one chain a program, as many threads as cores. `vectorised`: one program steps all chains
together, each step as slow as the slowest chain's. `devices`: vectorised over the chains of each
JAX device. `auto`: see `choose_mode`."""


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
    density: Density, data: Any, schedule: Schedule, mode: Mode = "auto"
) -> Literal["loop", "vectorised", "devices"]:
    """The faster way to run these chains; a rule, not a measurement, so that a seed's result
    does not depend on how busy the machine was.

    An accelerator idles unless chains are stepped together. On a CPU that saves only the dispatch
    of small operations: arithmetic is the same, every step waits for the deepest of the chains'
    trees, and compiling takes about three times as long. Threads divide the work by the cores at no
    such price. So together pays only if the arithmetic is small and the steps queueing for each
    core are many enough to earn the compilation back.
    """
    if mode != "auto":
        return mode
    devices = jax.device_count()
    if devices > 1 and schedule.chains % devices == 0:
        return "devices"
    if jax.default_backend() != "cpu":
        return "vectorised"
    arithmetic = density.size + sum(np.size(x) for x in jax.tree.leaves(data))
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


def run_chains(
    density: Density,
    kernel: Kernel,
    data: Any,
    schedule: Schedule,
    *,
    seed: int,
    mode: Mode = "auto",
    start: Position | None = None,
    init: Init = "uniform",
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    numbers: Precision | None = None,
) -> Draws:
    """Run a schedule of chains of a kernel on a density.

    `start` gives a position for every chain (leading axis chain) or one for all; by default each
    finds its own, by `init`. `kernel` must count its own warm-up. The result is the same, bit for
    bit, whatever the progress, the number of threads and the earlier calls; chain c of a seed is
    also the same however many chains run beside it in `loop` mode. Between modes XLA may round sums
    differently, and chains part after some steps though their random numbers are the same.
    Raises E810 if a chain finds no starting point, E811 for a senseless schedule, E814 if there is
    no continuous site. A KeyboardInterrupt, also one raised by `progress`, ends the chains after
    the block they are in and becomes `Interrupted` with the draws so far (see `_rectangle`). With a
    `checkpoint` they go on where they were when an earlier process was killed; raises E898 if it
    is of another run.
    """
    if density.size == 0 and kernel.find is None:
        raise fail(
            "E814",
            "there is no continuous site for a gradient method to move",
            hint="a finite program is solved exactly by the method `exact`",
        )
    chosen = choose_mode(density, data, schedule, mode)
    began = time.perf_counter()
    with precision(numbers) as scope:
        if chosen == "devices" and schedule.chains % jax.device_count():
            raise fail(
                "E811",
                f"{schedule.chains} chains cannot be shared evenly by {jax.device_count()} devices",
                hint="use a multiple of the number of devices, or mode = vectorised",
            )
        programs = step_programs(density, kernel, chosen)
        data = jax.device_put(data)
        lanes = list(range(schedule.chains)) if chosen == "loop" else [np.arange(schedule.chains)]
        words, at = keys.seed_words(seed), _vectors(density, start)
        starter = _Starter(density, programs, data, words, at, init == "prior")
        state_like, row_like, _ = starter.shapes(lanes[0])
        blank = _blank(row_like, density.size, axis=0 if chosen == "loop" else 1)
        saved = checkpoint and checkpoint.begin(mode=chosen, precision=scope)
        run = Lanes(
            programs.advance, data, blank, schedule, scope, Report(schedule, progress), saved
        )
        with ThreadPoolExecutor(max_workers=min(len(lanes), _cores())) as pool:
            try:
                compiled = pool.submit(run.compile, state_like)  # while the starter compiles here
                places = [
                    (saved and saved.load(k, state_like)) or Place(0, 0, starter(lane), [])
                    for k, lane in enumerate(lanes)
                ]
                compiled.result()
            except KeyboardInterrupt:
                raise Interrupted(None) from None
            ends = run.run(pool, places)
        if saved is not None and not saved.holds:
            if run.report.stop.is_set():
                raise Interrupted(None)
            together = chosen != "loop"
            records = Records(density, saved, tuple(e.blocks for e in ends), schedule, together)
            return Draws({}, {}, chosen, time.perf_counter() - began, records)
        records = jax.device_get(fetched([(end.blocks, end.sampling) for end in ends]))
    stopped = run.report.stop.is_set()
    axis = 0 if chosen == "loop" else 1  # of the steps
    joined = [_joined(blocks, length, axis) for blocks, length in records if length]
    if stopped and not joined:
        raise Interrupted(None)
    record = joined[0] if chosen != "loop" else _rectangle(joined)
    draws = Draws(
        position=position_of(density, record),
        stats=record,
        mode=chosen,
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


def _blank(row: dict[str, Any], size: int, *, axis: int) -> dict[str, Any]:
    """An empty block of records like `row`, steps along `axis`."""
    steps = max(1, min(_BLOCK_STEPS, _BLOCK_BYTES // (8 * max(1, size))))
    return {
        name: np.zeros((*x.shape[:axis], steps, *x.shape[axis:]), x.dtype)
        for name, x in row.items()
    }


def _vectors(density: Density, start: Position | None) -> np.ndarray | None:
    """Given positions as a vector (size,), or one for each chain (chain, size)."""
    return None if start is None else np.asarray(density.flatten(start))


@dataclass(frozen=True)
class _Starter:
    """Finds each lane's first state; a lane is a chain's number, or an array of all of them."""

    density: Density
    programs: StepPrograms
    data: Any
    seed: np.ndarray
    start: np.ndarray | None
    prior: bool

    def call(self, lane: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The program that begins a lane, and its arguments."""
        if self.start is None:
            program = self.programs.start_from_prior if self.prior else self.programs.start
            return program, (self.data, self.seed, lane)
        z = self.start[lane] if self.start.ndim == 2 else self.start
        z = np.broadcast_to(z, (*np.shape(lane), self.density.size))
        return self.programs.start_at, (self.data, self.seed, lane, z)

    def shapes(self, lane: Any) -> Any:
        program, arguments = self.call(lane)
        return program.eval_shape(*arguments)  # type: ignore[attr-defined]

    def __call__(self, lane: Any) -> Any:
        program, arguments = self.call(lane)
        state, _, ok = program(*arguments)
        ok = fetched(ok)
        if not np.all(ok) and self.start is None and not self.prior:
            with suppress(DiagnosticError):  # a prior that cannot be drawn
                state, _, ok = self.programs.start_from_prior(self.data, self.seed, lane)
                ok = fetched(ok)
        if not np.all(ok):
            raise explain_failure(self.density, self.data, self.seed)
        return state

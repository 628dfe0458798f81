"""Running Markov chains: one compiled step program, driven from the host in blocks of steps.

A block is a traced number of steps written into a buffer, so one program serves warm-up, sampling,
every seed, every number of draws and all data of the same shapes. Draws stay on the device until
the end. How the chains share the machine is a `Mode`; it never changes which random numbers a chain
uses: chain c of a seed has the key fold_in(seed, c), and splits it by step.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from ppl.inference.initialise import Init, explain_failure
from ppl.inference.kernels.flat import Kernel, StepPrograms, step_programs
from ppl.semantics.density import Density, Position
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.mixed import MixedDensity
from ppl.semantics.precision import Precision, precision

Mode = Literal["auto", "loop", "vectorised", "devices"]
"""How chains share the machine.

`loop`: one chain a program, as many threads as cores. `vectorised`: one program steps all chains
together, each step as slow as the slowest chain's. `devices`: vectorised over the chains of each
JAX device. `auto`: see `choose_mode`."""

Progress = Callable[[int, int, dict[str, Any]], None]
"""Called with steps done, steps in all (chains times warm-up and sampling), and how it goes:
`phase`, `divergences` so far. Calls are serialised, though they may come from worker threads."""


@dataclass(frozen=True)
class Schedule:
    """How long and how many: steps of warm-up, draws kept, chains, steps per kept draw."""

    warmup: int = 1000
    draws: int = 1000
    chains: int = 4
    thin: int = 1

    def __post_init__(self) -> None:
        for name, least in (("warmup", 0), ("draws", 1), ("chains", 1), ("thin", 1)):
            value = getattr(self, name)
            if value < least:
                raise fail("E811", f"{name} = {value}: it must be at least {least}")


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
    devices = jax.local_device_count()
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
_TICK = 0.2  # seconds between reports of progress, and until an interrupt is heard


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
    the block they are in and becomes `Interrupted` with the draws so far (see `_rectangle`).
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
        if chosen == "devices" and schedule.chains % len(jax.local_devices()):
            raise fail(
                "E811",
                f"{schedule.chains} chains cannot be shared evenly by "
                f"{len(jax.local_devices())} devices",
                hint="use a multiple of the number of devices, or mode = vectorised",
            )
        programs = step_programs(density, kernel, chosen)
        data = jax.device_put(data)
        lanes = list(range(schedule.chains)) if chosen == "loop" else [np.arange(schedule.chains)]
        starter = _Starter(
            density, programs, data, seed_words(seed), _vectors(density, start), init == "prior"
        )
        state_like, row_like, _ = starter.shapes(lanes[0])
        blank = _blank(row_like, density.size, axis=0 if chosen == "loop" else 1)
        run = _Run(programs.advance, data, blank, schedule, scope, _Report(schedule, progress))
        with ThreadPoolExecutor(max_workers=min(len(lanes), _cores())) as pool:
            try:
                compiled = pool.submit(run.compile, state_like)  # while the starter compiles here
                states = [starter(lane) for lane in lanes]
                compiled.result()
            except KeyboardInterrupt:
                raise Interrupted(None) from None
            records = run.lanes(pool, states)
        records = jax.device_get(records)
    stopped = run.report.stop.is_set()
    axis = 0 if chosen == "loop" else 1  # of the steps
    joined = [_joined(record, axis) for record in records if record.length]
    if stopped and not joined:
        raise Interrupted(None)
    record = joined[0] if chosen != "loop" else _rectangle(joined)
    position = density.unflatten(record.pop("z"))
    if isinstance(density, MixedDensity):
        position |= density.unflatten_discrete(record.pop("k"))
    draws = Draws(
        position=position,
        stats=record,
        mode=chosen,
        seconds=time.perf_counter() - began,
    )
    if stopped:
        raise Interrupted(draws)
    return draws


class _Record(NamedTuple):
    """The blocks a lane recorded, the last one perhaps not full, and how many steps they hold."""

    blocks: list[dict[str, Any]]
    length: int


def _joined(record: _Record, axis: int) -> dict[str, np.ndarray]:
    """A lane's blocks as one, steps along `axis`."""
    kept = (slice(None),) * axis + (slice(record.length),)
    blocks = record.blocks
    return {name: np.concatenate([b[name] for b in blocks], axis)[kept] for name in blocks[0]}


def _rectangle(chains: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Chains as (chain, draw). If they were stopped at different lengths: as many of the longest,
    cut to the shortest among them, as keep the most draws, in the order they were started."""
    lengths = [len(chain["z"]) for chain in chains]
    cut = max(lengths, key=lambda n: n * sum(length >= n for length in lengths))
    kept = [chain for chain in chains if len(chain["z"]) >= cut]
    return {name: np.stack([chain[name][:cut] for chain in kept]) for name in kept[0]}


def seed_words(seed: int) -> np.ndarray:
    """A seed of up to 64 bits as a Threefry key; the same in both precisions."""
    return np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)


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
        if not np.all(ok) and self.start is None and not self.prior:
            with suppress(DiagnosticError):  # a prior that cannot be drawn
                state, _, ok = self.programs.start_from_prior(self.data, self.seed, lane)
        if not np.all(ok):
            raise explain_failure(self.density, self.data, self.seed)
        return state


@dataclass(frozen=True)
class _Report:
    """Adds up what lanes tell of their progress; also how they are told to stop, by each other and
    from outside."""

    schedule: Schedule
    progress: Progress | None
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    total: dict[str, int] = field(default_factory=lambda: {"steps": 0, "divergences": 0})

    def __call__(self, steps: int, phase: str, diverging: np.ndarray) -> None:
        assert self.progress is not None
        plan = self.schedule
        with self.lock:
            self.total["steps"] += steps
            self.total["divergences"] += int(diverging.sum())
            self.progress(
                self.total["steps"],
                plan.chains * (plan.warmup + plan.draws * plan.thin),
                {"phase": phase, "divergences": self.total["divergences"]},
            )


@dataclass(frozen=True)
class _Run:
    """Steps a lane through the schedule, on a thread of its own."""

    advance: Callable[..., Any]
    data: Any
    blank: dict[str, Any]
    schedule: Schedule
    scope: Precision
    report: _Report

    def compile(self, state: Any) -> None:
        """Have the step program compiled, by asking for no steps."""
        with precision(self.scope):
            zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), state)
            self.advance(self.data, zeros, self.blank, 0, 0, 1)

    def lanes(self, pool: ThreadPoolExecutor, states: list[Any]) -> list[_Record]:
        """What each lane recorded; after an interrupt, what it had recorded until then."""
        running = [pool.submit(self.lane, state) for state in states]
        while True:
            try:
                return [lane.result() for lane in running]
            except KeyboardInterrupt:
                self.report.stop.set()
            except BaseException:
                self.report.stop.set()
                raise

    def lane(self, state: Any) -> _Record:
        """Warm-up, then sampling; blocks stay on the device."""
        with precision(self.scope):
            state, _ = self._steps(state, "warmup", self.schedule.warmup, 1)
            _, record = self._steps(state, "sampling", self.schedule.draws, self.schedule.thin)
            return record

    def _steps(self, state: Any, phase: str, total: int, thin: int) -> tuple[Any, _Record]:
        """Calls of the step program that take about `_TICK` each, so that a lane can be stopped."""
        axis = self.blank["z"].ndim - 2
        capacity = self.blank["z"].shape[axis]
        chains = self.blank["z"].shape[0] if axis else 1
        blocks: list[dict[str, Any]] = []
        done, slot, pace = 0, capacity, 1
        while done < total and not self.report.stop.is_set():
            if slot == capacity:
                slot = 0
                if phase == "sampling" or not blocks:
                    blocks.append(self.blank)
            n = min(pace, capacity - slot, total - done)
            began = time.perf_counter()
            state, block = self.advance(self.data, state, blocks[-1], slot, n, thin)
            blocks[-1] = jax.block_until_ready(block)
            took = time.perf_counter() - began
            pace = int(min(capacity, max(1, min(4 * n, n * _TICK / took))))
            done, slot = done + n, slot + n
            if self.report.progress:
                none = np.zeros(self.blank["z"].shape[:-1], bool)  # of kernels that cannot diverge
                diverging = block.get("diverging", none)
                diverging = np.asarray(diverging)[..., slot - n : slot] * (phase == "sampling")
                try:
                    self.report(n * thin * chains, phase, diverging)
                except KeyboardInterrupt:
                    self.report.stop.set()
        return state, _Record(blocks, done)

"""Stepping lanes of chains through a schedule, in blocks of steps: each on a thread of its own,
telling of its progress, stopped together, and written to a checkpoint on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from ppl.inference.checkpoint import Checkpoint, Place
from ppl.inference.schedule import Progress, Schedule
from ppl.semantics.precision import Precision, precision

#: statistics of draws that those who look on hear of
TOLD, NOTHING = ("diverging", "acceptance_rate"), np.zeros(0)

_TICK = 0.2  # seconds between reports of progress, and until an interrupt is heard


def next_pace(steps: int, seconds: float, tick: float) -> int:
    """How many steps to take in the next call, that it takes about `tick`. With several processes
    all of them have to make the same calls, so that time decides nothing."""
    if jax.process_count() > 1:
        return 4 * steps
    return int(max(1, min(4 * steps, steps * tick / max(seconds, 1e-9))))


@dataclass(frozen=True)
class Report:
    """Adds up what lanes tell of their progress; also how they are told to stop, by each other and
    from outside."""

    schedule: Schedule
    progress: Progress | None
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    total: dict[str, int] = field(default_factory=lambda: {"steps": 0, "divergences": 0})

    def __call__(self, steps: int, phase: str, told: Mapping[str, np.ndarray]) -> None:
        assert self.progress is not None
        plan = self.schedule
        with self.lock:
            self.total["steps"] += steps
            self.total["divergences"] += int(told.get("diverging", NOTHING).sum())
            accepted = told.get("acceptance_rate", NOTHING)
            recent = {"acceptance": f"{np.nanmean(accepted):.2f}"} if np.any(accepted >= 0) else {}
            self.progress(
                self.total["steps"],
                plan.chains * (plan.warmup + plan.draws * plan.thin),
                {"phase": phase, "divergences": self.total["divergences"], **recent},
            )


@dataclass(frozen=True)
class Lanes:
    """How lanes go from place to place. `blank` is an empty block of records."""

    advance: Callable[..., Any]
    data: Any
    blank: dict[str, Any]
    schedule: Schedule
    scope: Precision
    report: Report
    checkpoint: Checkpoint | None = None

    def compile(self, state: Any) -> None:
        """Have the step program compiled, by asking for no steps."""
        with precision(self.scope):
            zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), state)
            self.advance(self.data, zeros, self.blank, 0, 0, 1)

    def run(self, pool: ThreadPoolExecutor, places: list[Place]) -> list[Place]:
        """Where each lane ends; after an interrupt, where it was then."""
        running: list[Any] = []
        while True:
            try:
                for k in range(len(running), len(places)):
                    running.append(pool.submit(self._lane, k, places[k]))
                return [lane.result() for lane in running]
            except KeyboardInterrupt:
                self.report.stop.set()
            except BaseException:
                self.report.stop.set()
                raise

    def _lane(self, number: int, place: Place) -> Place:
        """Warm-up, then sampling; blocks stay on the device."""
        with precision(self.scope):
            plan = self.schedule
            self._tell(place.warmup + place.sampling * plan.thin, "sampling", {})
            while place.warmup < plan.warmup and not self.report.stop.is_set():
                place = self._warm(number, place)
            return self._sample(number, place)

    def _warm(self, number: int, place: Place) -> Place:
        """Warm-up to its end, or until the lane is stopped; what it records is written over."""
        record, pace = self.blank, 1
        while place.warmup < self.schedule.warmup and not self.report.stop.is_set():
            n = min(pace, self._capacity, self.schedule.warmup - place.warmup)
            state, record, pace = self._advance(place.state, record, 0, n, 1)
            place = place._replace(warmup=place.warmup + n, state=state)
            self._save(number, place, now=place.warmup == self.schedule.warmup)
            self._tell(n, "warmup", {})
        return place

    def _sample(self, number: int, place: Place) -> Place:
        plan, pace = self.schedule, 1
        blocks: list[Any] = list(place.blocks)
        full = self._capacity
        while place.sampling < plan.draws and not self.report.stop.is_set():
            slot = place.sampling % self._capacity
            if slot == 0:
                blocks.append(self.blank)
            n = min(pace, self._capacity - slot, plan.draws - place.sampling)
            state, blocks[-1], pace = self._advance(place.state, blocks[-1], slot, n, plan.thin)
            place = Place(place.warmup, place.sampling + n, state, blocks)
            self._save(number, place, now=place.sampling == plan.draws)
            if self.report.progress is not None:
                found = {k: np.asarray(blocks[-1][k]) for k in TOLD if k in blocks[-1]}
                told = {k: v[..., slot : slot + n] for k, v in found.items()}
                self._tell(n * plan.thin, "sampling", told)
            if self.checkpoint is not None and not self.checkpoint.holds and slot + n == full:
                blocks[-1] = None  # it is on disk
        return place

    @property
    def _axis(self) -> int:
        """Of the steps in a block."""
        return self.blank["z"].ndim - 2

    @property
    def _capacity(self) -> int:
        return self.blank["z"].shape[self._axis]

    def _advance(
        self, state: Any, block: Any, slot: int, n: int, thin: int
    ) -> tuple[Any, dict[str, Any], int]:
        """The state and the block after n recorded steps, and how many to take next: calls take
        about `_TICK` each, so that a lane can be stopped."""
        began = time.perf_counter()
        state, block = self.advance(self.data, state, block, slot, n, thin)
        block = jax.block_until_ready(block)
        took = time.perf_counter() - began
        return state, block, next_pace(n, took, _TICK)

    def _save(self, number: int, place: Place, *, now: bool) -> None:
        if self.checkpoint is not None:
            full = place.sampling % self._capacity == 0
            now = now or (full and not self.checkpoint.holds)
            self.checkpoint.save(number, place, full=full, now=now)

    def _tell(self, steps: int, phase: str, told: Mapping[str, np.ndarray]) -> None:
        if self.report.progress is None or steps == 0:
            return
        chains = self.blank["z"].shape[0] if self._axis else 1
        try:
            self.report(steps * chains, phase, told)
        except KeyboardInterrupt:
            self.report.stop.set()

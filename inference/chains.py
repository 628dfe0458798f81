"""Running Markov chains of a kernel on a density: one compiled step program (see `sampling`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from ppl.inference.checkpoint import Checkpoint
from ppl.inference.initialise import explain_failure
from ppl.inference.kernels.flat import Kernel, StepPrograms, step_programs
from ppl.inference.records import position_of
from ppl.inference.sampling import Draws, Programs, choose_mode, lanes_of, sample
from ppl.inference.schedule import Init, Mode, Progress, Schedule
from ppl.semantics import keys
from ppl.semantics.density import Density, Position
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.precision import Precision, precision
from ppl.semantics.processes import fetched


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
    with precision(numbers) as scope:
        chosen = choose_mode(density.size, data, schedule, mode)
        steps = step_programs(density, kernel, chosen)
        data = jax.device_put(data)
        words, at = keys.seed_words(seed), _vectors(density, start)
        begin = _Starter(density, steps, data, words, at, init == "prior")
        state, row, _ = begin.shapes(lanes_of(chosen, schedule.chains)[0])
        position = partial(position_of, density)
        programs = Programs(chosen, begin, steps.advance, row, position, state)
        return sample(programs, data, schedule, scope, checkpoint=checkpoint, progress=progress)


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

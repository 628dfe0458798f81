"""Resample-move: particles that move at every suspension point.

Composition: as `smc`; at every point, after the particles were resampled if that was due, each
makes `moves` steps of a kernel on its *prefix*, the program run from its beginning to this point.
The target of a move is the joint density of the prefix: of its sites and of its scores so far,
never of what is still to come, and never the weights, which stay. Law: `ProperlyWeighted`, for the
joint law of whole traces.

Particles move whether they were resampled or not. Whether that is due depends on what they are, and
moves that depended on it would keep no law: a kernel leaves alone the mean over all populations,
not that over those with few effective particles. For the same reason particles that have ended stay
as they are, and no move of another ends its run before this point.

Gilks and Berzuini, "Following a moving target: Monte Carlo inference for dynamic Bayesian models"
(2001).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from ppl.inference import ancestry, moving
from ppl.inference.kernels.algebra import Kernel, basic_kernels, check_kernel
from ppl.inference.kernels.basic import Prior
from ppl.inference.kernels.machine.program import Program
from ppl.inference.kernels.machine.steps import Step, step_of
from ppl.inference.kernels.particle import ParticleGibbs
from ppl.inference.moving import Moving
from ppl.inference.resample import Resample, SchemeName
from ppl.inference.settings import check_types
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import Execution, Suspended
from ppl.semantics.machine.omega import Source

if TYPE_CHECKING:
    from ppl.inference.journal import Journal


@dataclass(frozen=True, kw_only=True)
class Rmsmc:
    """Settings: those of `smc`, the kernel (`ppl.kernels`; by default single-site
    Metropolis-Hastings), and how many steps of it each particle makes at every point. `replicas` as
    in `smc`."""

    particles: int = 1_000
    threshold: float = 0.5
    scheme: SchemeName = "systematic"
    kernel: Kernel | None = None
    moves: int = 1
    replicas: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        if self.particles < 1:
            raise fail("E811", f"particles = {self.particles}: it must be at least 1")
        for name in ("moves", "replicas"):
            if getattr(self, name) < 1:
                raise fail("E811", f"{name} = {getattr(self, name)}: it must be at least 1")
        if not 0 <= self.threshold <= 1:
            raise fail("E811", f"threshold = {self.threshold}: it must be between 0 and 1")
        if self.kernel is not None:
            check_kernel(self.kernel)
            if any(isinstance(k, ParticleGibbs) for k in basic_kernels(self.kernel)):
                raise fail(
                    "E811",
                    "`pgibbs` runs programs to the end, and `rmsmc` moves particles on their way",
                    hint="move by prior, gibbs or random_walk",
                )

    @property
    def policy(self) -> Resample:
        """Who goes on at a suspension point."""
        return Resample(self.scheme, self.threshold)


def prefix_of(program: Program, points: int) -> Program:
    """The program up to a point, where its runs stop. What was learnt of names is shared."""

    def upto(start: Suspended, omega: Any) -> Suspended | Execution:
        at: Suspended | Execution = start
        for _ in range(points):
            if isinstance(at, Execution):
                break
            at = at.resume(omega)
        return at

    quick, named = program.start(), program.start(named=True)
    return replace(
        program,
        run=lambda omega: moving.Prefix(upto(quick, omega)),
        record=lambda omega: upto(named, omega),
    )


@dataclass(frozen=True, eq=False)
class ResampleMove:
    """The steps of all particles of a program."""

    program: Program
    settings: Rmsmc
    _moves: dict[int, Step] = field(default_factory=dict)

    def spawn(self) -> Moving:
        """All particles where the program begins."""
        return moving.spawn(self.program, self.settings.particles)

    def step(self, at: Moving, source: Source, t: int) -> Moving:
        """Each particle to its next point; there resampled, if that is due, and moved."""
        at = moving.advance(at, source, t)
        if not at.waiting:
            return at
        at = moving.resample(at, self.settings.policy, source, t)
        return moving.move(at, self.moves(t), self.settings.moves, source, t)

    def moves(self, t: int) -> Step:
        """The kernel's step at the points that end step t."""
        if t not in self._moves:
            kernel = self.settings.kernel or Prior()
            self._moves[t] = step_of(kernel, prefix_of(self.program, t + 1))
        return self._moves[t]


def run_moving(
    program: Program,
    settings: Rmsmc,
    source: Source,
    *,
    journal: Journal | None = None,
    progress: ancestry.Progress | None = None,
) -> Moving:
    """Particles to their ends; from where a `journal` says they were, if they had begun.

    Raises:
        DiagnosticError: E712, E855, E819, the kernel does not fit the program.
    """
    every = ResampleMove(program, settings)
    first, at = (0, every.spawn()) if journal is None or journal.place is None else journal.place
    for t in count(first):
        at = every.step(at, source, t)
        if progress is not None:
            progress(settings.particles, settings.particles, t, at.told)
        if not at.waiting:
            return at
        if journal is not None and journal.due():
            journal.write((t + 1, at))
    raise AssertionError("unreachable")

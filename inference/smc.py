"""Sequential Monte Carlo over runs that stop at suspension points.

Composition: spawn n particles; then advance each to its next suspension point (or its end), weight
it by what it has scored since the last, and let the policy say who goes on. Law:
`ProperlyWeighted`, for the joint law of whole traces; the mass is an unbiased estimate of the
evidence. Particles that end early stay in the population with the weights they have, and points
may differ between particles: each weight is that of the particle's own path.

Del Moral, Doucet and Jasra, "Sequential Monte Carlo samplers" (2006); Wood, van de Meent and
Mansinghka, "A new approach to probabilistic programming inference" (2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ppl.inference import ancestry
from ppl.inference.choices import ANCESTOR, UNIFORM
from ppl.inference.population import Population
from ppl.inference.resample import Resample, SchemeName, Uniforms, When
from ppl.inference.settings import check_types
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import Execution, Suspended
from ppl.semantics.machine.omega import Source, slots_of
from ppl.semantics.machine.suspend import advanced

if TYPE_CHECKING:
    from ppl.inference.journal import Journal


@dataclass(frozen=True, kw_only=True)
class Smc:
    """Settings: particles; resample by `scheme` when the effective sample size is below `threshold`
    times their number (0: never; 1: at every point), or `when` a function of the population says so
    (its `effective_size`, `weights`, `log_weights`; arrays of NumPy, or of JAX on XLA). Without
    `keep_history` (on XLA) what loops did before their last step is not kept, and memory does not
    grow with their steps. With `trajectories`, so many are drawn backwards through the populations
    (`inference.backward`), instead of the lines that the particles descend in. A `guide`, another
    model applied to its data, proposes (`inference.guided`). The evidence is the mean of that of
    `replicas`, independent filters, and has a standard error if they are several; draws are those
    of the first. With the scheme "optimal", which knows no threshold, finite choices are tried with
    each of their values (`inference.expanding`)."""

    particles: int = 1_000
    threshold: float = 0.5
    scheme: SchemeName | Literal["optimal"] = "systematic"
    keep_history: bool = True
    when: When | None = None
    guide: Any = None
    trajectories: int | None = None
    replicas: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        if self.particles < 1:
            raise fail("E811", f"particles = {self.particles}: it must be at least 1")
        if self.replicas < 1:
            raise fail("E811", f"replicas = {self.replicas}: it must be at least 1")
        if not 0 <= self.threshold <= 1:
            raise fail("E811", f"threshold = {self.threshold}: it must be between 0 and 1")
        if not (self.when is None or callable(self.when)):
            raise fail("E811", f"when = {self.when!r}: it must be a function of the population")
        if not (self.guide is None or hasattr(self.guide, "plain")):
            raise fail("E811", f"guide = {self.guide!r}: it must be a model applied to its data")
        if self.scheme == "optimal":
            for name in ("when", "guide", "trajectories"):
                if getattr(self, name) is not None:
                    raise fail("E811", f'scheme = optimal: it is not made for "{name}"')
        if self.trajectories is not None:
            if self.trajectories < 1:
                raise fail("E811", f"trajectories = {self.trajectories}: it must be at least 1")
            if self.guide is not None or not self.keep_history:
                why = "a guide" if self.guide is not None else "keep_history=False"
                raise fail(
                    "E811",
                    f"trajectories are drawn through what a filter kept, and not with {why}",
                    hint="leave one of the two out",
                )

    @property
    def policy(self) -> Resample:
        """What happens at a suspension point."""
        assert self.scheme != "optimal"
        return Resample(self.scheme, self.threshold, self.when)


@dataclass(frozen=True, eq=False)
class Particles:
    """Runs, and the population of their weights, after some `steps`. lineages: for each the slots
    that it and its ancestors had in steps 0, 1, …, newest first: (older, slot). told: of the points
    so far (`inference.ancestry`)."""

    runs: Sequence[Suspended | Execution]
    population: Population
    lineages: Sequence[Any]
    steps: int = 0
    told: ancestry.Told = None

    @property
    def waiting(self) -> bool:
        """Whether some particle has not ended."""
        return any(isinstance(run, Suspended) for run in self.runs)

    @property
    def log_evidence(self) -> float:
        """The log of the total mass."""
        return float(self.population.log_mass)


def spawn(start: Suspended, n: int) -> Particles:
    """n particles where the program begins."""
    return Particles([start] * n, Population.fresh(n), [None] * n)


def advance(
    particles: Particles, source: Source, step: int, *, progress: ancestry.Progress | None = None
) -> Particles:
    """Each to its next suspension point or its end, and weighted by its scores on the way."""
    before, n = particles.runs, len(particles.runs)
    runs: list[Suspended | Execution] = []
    for run in advanced(before, slots_of(source, step, n)):
        runs.append(run)
        if progress is not None:
            progress(len(runs), n, step, particles.told)
    # what has ended is the same run as before
    pairs = zip(before, runs, strict=True)
    increments = np.array([0.0 if a is b else b.log_weight - a.log_weight for a, b in pairs])
    places = zip(particles.lineages, range(n), before, runs, strict=True)
    lineages = [older if a is b else (older, i) for older, i, a, b in places]
    population = particles.population.scored(increments)
    return Particles(runs, population, lineages, step + 1, particles.told)


def resample(particles: Particles, policy: Resample, source: Source, step: int) -> Particles:
    """What the policy makes of them."""
    before = particles.population
    ancestors, population = policy(before, uniforms_of(source, step))
    chosen = ancestors.tolist()
    runs, lineages = [particles.runs[a] for a in chosen], [particles.lineages[a] for a in chosen]
    told = ancestry.told(particles.told, before, policy, ancestors)
    return Particles(runs, population, lineages, particles.steps, told)


def run_smc(
    start: Suspended, settings: Smc, source: Source, *, progress: ancestry.Progress | None = None
) -> Particles:
    """n particles from `start` to their ends."""
    return finish(spawn(start, settings.particles), settings, source, progress=progress)[0]


def finish(
    particles: Particles,
    settings: Smc,
    source: Source,
    *,
    stood: Particles | None = None,
    stands: Callable[[Any], bool] = lambda _: False,
    journal: Journal | None = None,
    progress: ancestry.Progress | None = None,
) -> tuple[Particles, Particles | None]:
    """Particles from where they are to their ends; and as they were, if they once all were, where a
    run `stands`. Where they are goes into a `journal`, at times."""
    for step in count(particles.steps):
        particles = advance(particles, source, step, progress=progress)
        if not particles.waiting:
            break
        particles = resample(particles, settings.policy, source, step)
        if all(map(stands, particles.runs)):
            stood = particles
        if journal is not None and journal.due():
            journal.write((particles, stood))
    return particles, stood


def uniforms_of(source: Source, step: int) -> Uniforms:
    """Number k of a step comes from slot k of the step, at a path of its own."""

    def uniforms(n: int, edges: Callable[[], Any], where: Any) -> Any:
        if not where:
            return np.full(n, 0.5)
        known = cache(edges)  # only tapes ask for them
        each = enumerate(slots_of(source, step, n))
        draws = [omega.draw(ANCESTOR, UNIFORM, (known, k)) for k, omega in each]
        return np.array(draws)

    return uniforms


def follow(start: Suspended, lineage: Any, source: Source) -> Execution:
    """A particle's execution once more, from its lineage: `start` may record what the first run
    did not."""
    slots = []
    while lineage is not None:
        lineage, slot = lineage
        slots.append(slot)
    at: Suspended | Execution = start
    for step, slot in enumerate(reversed(slots)):
        assert isinstance(at, Suspended)
        at = at.resume(source.at(step, slot))
    assert isinstance(at, Execution)
    return at

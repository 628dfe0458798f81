"""Guided sequential Monte Carlo: particles whose choices another program proposes.

A *guide* is a program that runs beside the model, from one suspension point to the next with it.
What it draws at a path is what the model draws at this path, and the weight is multiplied by the
ratio of the model's density to the guide's; sites that the guide has not drawn by then come from
their priors, and what it draws besides only helps it. Law: `ProperlyWeighted`, for the joint law of
whole traces, if the guide, whatever it drew before, can draw all that the model can: given all else
that it drew, each choice is weighted by the density that it was drawn from.

What the guide *scores* on the way to a point looks ahead from there: particles are resampled by
their weights times the exponential of the score, which their children's weights are divided by
(the auxiliary particle filter). It changes who survives, and no law.

Pitt and Shephard, "Filtering via simulation: auxiliary particle filters" (1999); Doucet, Godsill
and Andrieu, "On sequential Monte Carlo sampling methods for Bayesian filtering" (2000).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.inference import ancestry
from ppl.inference.kernels.machine.traces import Site, Trace, named_twice
from ppl.inference.population import Population
from ppl.inference.resample import Resample
from ppl.inference.smc import uniforms_of
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.machine import Execution, Suspended
from ppl.semantics.machine.omega import Source
from ppl.semantics.machine.state import Dead, Draw, Omega, State

if TYPE_CHECKING:
    from ppl.inference.journal import Journal

NEVER = -math.inf
Sites = Mapping[int, Site]


@dataclass(frozen=True, eq=False)
class Guided:
    """A particle: runs of the model and of the guide; the sites of the model; what the guide has
    drawn and the model has not yet come to; the log of what its weight grew by in the last step,
    and of what the guide sees ahead."""

    run: Suspended | Execution
    guide: Suspended | Execution
    sites: Sites
    ready: Sites
    increment: float = 0.0
    ahead: float = 0.0

    @property
    def waits(self) -> bool:
        """Whether it has not ended."""
        return isinstance(self.run, Suspended)

    def trace(self) -> Trace:
        """Of one that has ended."""
        assert isinstance(self.run, Execution)
        return Trace(self.run, self.sites)


@dataclass(frozen=True, eq=False)
class GuidedPopulation:
    """Particles and the population of their weights. told: of the points so far."""

    particles: Sequence[Guided]
    population: Population
    told: ancestry.Told = None

    @property
    def runs(self) -> Sequence[Suspended | Execution]:
        return [p.run for p in self.particles]

    @property
    def waiting(self) -> bool:
        """Whether some particle has not ended."""
        return any(p.waits for p in self.particles)


class Recorder:
    """A source of randomness that writes down the sites of a run."""

    def __init__(self, fresh: Omega):
        self.fresh = fresh
        self.sites: dict[int, Site] = {}

    def begin(self, state: State) -> Draw:
        new, sites = self.fresh.begin(state), self.sites

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            if path in sites:
                raise named_twice(family)
            value = new(path, family, args)
            sites[path] = Site(value, family, args)
            return value

        return draw

    def mark(self) -> Any:
        return len(self.sites), self.fresh.mark()

    def restore(self, mark: Any) -> None:
        size, fresh = mark
        while len(self.sites) > size:
            self.sites.popitem()
        self.fresh.restore(fresh)


class Following(Recorder):
    """One in which the sites that are `ready` have the values that the guide drew, if they are of
    the shape of the model's; `log_ratio` is that of the model's density to the guide's."""

    def __init__(self, ready: Sites, fresh: Omega):
        super().__init__(fresh)
        self.ready = ready
        self.log_ratio = 0.0

    def begin(self, state: State) -> Draw:
        other, ready, sites = super().begin(state), self.ready, self.sites

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            proposed = ready.get(path)
            if proposed is None:
                return other(path, family, args)
            if path in sites:
                raise named_twice(family)
            value = proposed.value
            sites[path] = site = Site(value, family, args)
            here = site.log_prob(value)
            if here == NEVER:
                raise Dead
            self.log_ratio += here - proposed.log_prob(value)
            return value

        return draw

    def mark(self) -> Any:
        return self.log_ratio, super().mark()

    def restore(self, mark: Any) -> None:
        self.log_ratio, rest = mark
        super().restore(rest)


def spawn_guided(model: Suspended, guide: Suspended, n: int) -> GuidedPopulation:
    """n particles where both programs begin."""
    return GuidedPopulation([Guided(model, guide, {}, {})] * n, Population.fresh(n))


def step_guided(at: GuidedPopulation, policy: Resample, source: Source, t: int) -> GuidedPopulation:
    """Each particle to its next point, as the guide proposes; there resampled, if that is due.

    Raises:
        DiagnosticError: E868, the guide's look-ahead is zero.
    """
    n = len(at.particles)
    each = enumerate(at.particles)
    particles = [advance_guided(p, source.at(t, i), source.at(t, n + i)) for i, p in each]
    population = at.population.scored(np.array([p.increment for p in particles]))
    after = GuidedPopulation(particles, population, at.told)
    if not after.waiting:
        return after
    ahead = np.array([p.ahead for p in particles])
    seen, mass = population.scored(ahead), population.log_mass
    ancestors, population = policy(seen, uniforms_of(source, t))
    chosen = [particles[a] for a in ancestors.tolist()]
    told = ancestry.told(at.told, seen, policy, ancestors, mass)
    return GuidedPopulation(chosen, population.scored(-ahead[ancestors]), told)


def advance_guided(particle: Guided, source: Source, helping: Source) -> Guided:
    """The guide to its next point, and then the model."""
    if not isinstance(particle.run, Suspended):
        return replace(particle, increment=0.0, ahead=0.0)
    guide, ready, ahead = particle.guide, particle.ready, 0.0
    if isinstance(guide, Suspended):
        recorder = Recorder(helping)
        before, guide = guide, guide.resume(recorder)
        if not guide.log_weight > NEVER:
            raise gives_up()
        ahead = guide.log_weight - before.log_weight
        ready = {**ready, **recorder.sites}
    following = Following(ready, source)
    run = particle.run.resume(following)
    increment = run.log_weight - particle.run.log_weight + following.log_ratio
    used = following.sites.keys()
    return Guided(
        run,
        guide,
        {**particle.sites, **following.sites},
        {k: site for k, site in ready.items() if k not in used},
        increment,
        ahead if isinstance(run, Suspended) else 0.0,
    )


def gives_up() -> DiagnosticError:
    """What to say of a guide whose look-ahead is zero."""
    return fail(
        "E868",
        "the guide has weight zero, so that particles would be lost which the model needs",
        hint="a look-ahead is positive: add a little, factor log(p + 0.01)",
    )


def run_guided(
    model: Suspended,
    guide: Suspended,
    n: int,
    policy: Resample,
    source: Source,
    *,
    journal: Journal | None = None,
    progress: ancestry.Progress | None = None,
) -> GuidedPopulation:
    """n particles to their ends; from where a `journal` says they were, if they had begun."""
    known = None if journal is None else journal.place
    first, at = known or (0, spawn_guided(model, guide, n))
    for t in count(first):
        at = step_guided(at, policy, source, t)
        if progress is not None:
            progress(n, n, t, at.told)
        if not at.waiting:
            return at
        if journal is not None and journal.due():
            journal.write((t + 1, at))
    raise AssertionError("unreachable")

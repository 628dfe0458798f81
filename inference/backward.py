"""Backward simulation: smoothed trajectories from the populations of a filter, one by one.

A filter is run, and its population at every point is kept. A trajectory begins at one of the
particles that arrive, drawn by weight; then, from the last point to the first, its past is drawn
anew among all particles of that point, by weight times the density of what the trajectory draws and
scores from there on, replayed from that particle. So early choices are not those of the few
ancestors that resampling left. Where a step drew nothing, the past stays what it was. Law: each
trajectory, weighted by the filter's estimate of the evidence, is `ProperlyWeighted`, for whole
traces; with any scheme of resampling, whenever it is due, because a population's measure is
unbiased given the one before, whoever its ancestors were.

Programs need not be state-space models. A replay costs what is left of the program, so that a
trajectory costs particles times the square of the points.

Godsill, Doucet and West, "Monte Carlo smoothing for nonlinear time series" (2004); Lindsten and
Schön, "Backward simulation methods for Monte Carlo statistical inference" (2013).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ppl.inference import ancestry
from ppl.inference.choices import ANCESTOR, CATEGORICAL
from ppl.inference.kernels.machine.conditional import Future, Particle, Sweep
from ppl.inference.kernels.machine.program import Program, Selection
from ppl.inference.population import Population
from ppl.inference.smc import Smc, uniforms_of
from ppl.semantics.machine.omega import Source

if TYPE_CHECKING:
    from ppl.inference.journal import Journal


@dataclass(frozen=True, eq=False)
class Stage:
    """Particles at a point, and their weights there before they are resampled. told: of the points
    before it."""

    particles: Sequence[Particle]
    population: Population
    told: ancestry.Told = None


@dataclass(frozen=True, eq=False)
class BackwardSimulation:
    """A filter of a program, and what is drawn from it."""

    program: Program
    settings: Smc

    @property
    def sweep(self) -> Sweep:
        """What advances particles and replays them: all sites are drawn."""
        n = self.settings.particles
        return Sweep(self.program, Selection(self.program), n, False, self.settings.threshold)

    def filter(
        self,
        source: Source,
        *,
        journal: Journal | None = None,
        progress: ancestry.Progress | None = None,
    ) -> list[Stage]:
        """The populations at every point, and in the end; from where a `journal` says they were, if
        they had begun."""
        n, sweep, policy = self.settings.particles, self.sweep, self.settings.policy
        fresh = [Particle(self.program.start(), None, 0.0)] * n
        known = None if journal is None else journal.place
        stages, particles, population, told = known or ([], fresh, Population.fresh(n), None)
        while not stages or any(p.waits for p in stages[-1].particles):
            t, each = len(stages), enumerate(particles)
            particles = [sweep.advance(p, {}, source.at(t, i)) for i, p in each]
            population = population.scored(np.array([p.increment for p in particles]))
            stages.append(Stage(particles, population, told))
            if progress is not None:
                progress(n, n, t, told)
            waits = any(p.waits for p in particles)
            if waits:
                seen = population
                ancestors, population = policy(seen, uniforms_of(source, t))
                told = ancestry.told(told, seen, policy, ancestors)
                particles = [particles[a] for a in ancestors.tolist()]
            if journal is not None and journal.due(now=not waits):
                journal.write((stages, particles, population, told))
        return stages

    def trajectories(
        self, stages: Sequence[Stage], n: int, source: Source, *, first: int = 0
    ) -> Iterator[Particle]:
        """n of them, from the `first` on, given the populations independent of each other. Without
        mass, any."""
        last = stages[-1]
        alive = float(last.population.log_mass) > -np.inf
        for k in range(first, n):
            draw = alive and self.trajectory(stages, len(stages) + k, source)
            yield draw or last.particles[k % len(last.particles)]

    def trajectory(self, stages: Sequence[Stage], step: int, source: Source) -> Particle:
        """One, drawn from slots of this step of the source."""
        last = stages[-1]
        particle = last.particles[_chosen(last.population, source.at(step, len(stages)))]
        path: Sequence[Particle] = [particle]
        # one that ended early has been the same since
        for t in reversed(range(particle.steps - 1)):
            at = stages[t]
            if not path[0].sites[1]:
                own = next(p for p in at.particles if p.sites is path[0].sites[0])
                path = (own, *path)
                continue
            futures = [self._from(p, w, path) for p, w in zip(*_both(at), strict=True)]
            densities = np.array([f.log_density for f in futures])
            a = _chosen(at.population.scored(densities), source.at(step, t))
            path = (at.particles[a], *futures[a].path)
        return path[-1]

    def _from(self, particle: Particle, log_weight: float, path: Sequence[Particle]) -> Future:
        """The path's choices made again from a particle, if it has any mass."""
        if log_weight == -np.inf:
            return Future((), -np.inf)
        return self.sweep.replayed(particle, path, {})


def _both(stage: Stage) -> tuple[Sequence[Particle], list[float]]:
    return stage.particles, np.asarray(stage.population.log_weights).tolist()


def _chosen(population: Population, source: Source) -> int:
    return source.draw(ANCESTOR, CATEGORICAL, (tuple(population.weights.tolist()),))

"""Particles that carry their traces, so that kernels can move them: transformers one by one.

`spawn`, `advance`, `resample` and `move` each keep the law `ProperlyWeighted`, of whole traces, and
so does what is composed of them: `resample_move`, or an algorithm of one's own. Weights change
where a particle advances and where its ancestor is drawn, and never where it moves: a kernel leaves
alone the measure that the particles are weighted for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ppl.inference import ancestry
from ppl.inference.kernels.machine.conditional import Particle, Segment, merged
from ppl.inference.kernels.machine.program import Program
from ppl.inference.kernels.machine.steps import Step, Tally
from ppl.inference.kernels.machine.traces import Trace, Turns
from ppl.inference.population import Population
from ppl.inference.resample import Resample
from ppl.inference.smc import uniforms_of
from ppl.semantics.machine import Execution, Suspended
from ppl.semantics.machine.omega import Source


class Prefix(NamedTuple):
    """A run that has come to a point, as kernels look at it: one that has ended before has weight
    zero."""

    run: Suspended | Execution

    @property
    def log_weight(self) -> Any:
        return self.run.log_weight

    @property
    def alive(self) -> bool:
        return isinstance(self.run, Suspended)


@dataclass(frozen=True, eq=False)
class Moving:
    """Particles and the population of their weights. tally: of all moves so far. told: of
    all points."""

    particles: Sequence[Particle]
    population: Population
    tally: Tally = field(default_factory=Tally)
    told: ancestry.Told = None

    @property
    def runs(self) -> Sequence[Suspended | Execution]:
        return [p.run for p in self.particles]

    @property
    def waiting(self) -> bool:
        """Whether some particle has not ended."""
        return any(p.waits for p in self.particles)


def spawn(program: Program, n: int) -> Moving:
    """n particles where the program begins."""
    return Moving([Particle(program.start(), None, 0.0)] * n, Population.fresh(n))


def advance(at: Moving, source: Source, t: int) -> Moving:
    """Each particle to its next point or its end, in step t, weighted by its scores on the way."""
    particles = [
        p.resumed(Segment({}, source.at(t, i))) if p.waits else replace(p, increment=0.0)
        for i, p in enumerate(at.particles)
    ]
    population = at.population.scored(np.array([p.increment for p in particles]))
    return replace(at, particles=particles, population=population)


def resample(at: Moving, policy: Resample, source: Source, t: int) -> Moving:
    """What the policy makes of them after step t."""
    ancestors, population = policy(at.population, uniforms_of(source, t))
    told = ancestry.told(at.told, at.population, policy, ancestors)
    particles = [at.particles[a] for a in ancestors.tolist()]
    return replace(at, particles=particles, population=population, told=told)


def move(
    at: Moving, step: Step, times: int, source: Source, t: int, seen: Callable[..., Any] = Prefix
) -> Moving:
    """Each particle after so many steps of a kernel, which looks at a run as `seen` shows it: those
    that are not alive to it stay."""
    n = len(at.particles)
    particles = [
        moved(p, step, times, Turns(source, 1 + t * n + i), at.tally, seen)
        if seen(p.run).alive
        else p
        for i, p in enumerate(at.particles)
    ]
    return replace(at, particles=particles)


def moved(
    particle: Particle,
    step: Step,
    times: int,
    turns: Turns,
    tally: Tally,
    seen: Callable[..., Any] = Prefix,
) -> Particle:
    """One particle after some steps."""
    trace = Trace(seen(particle.run), merged(particle.sites))
    for _ in range(times):
        trace = step(trace, turns, tally)
    shown: Any = trace.execution
    return Particle(shown.run, (None, trace.sites), particle.increment)

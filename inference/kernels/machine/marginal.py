"""Particle marginal Metropolis-Hastings over the machine's traces.

Some sites, the parameters θ, take a random walk step to θ'; all others x are drawn by sequential
Monte Carlo with θ' held. The estimate of the mass at θ', density of θ' included, is Ẑ(θ'), and the
step to θ' and to one of the particles, by weight, is accepted with

    min(1,  Ẑ(θ') q(θ | θ') / (Ẑ(θ) q(θ' | θ))).

Law: `Invariant(posterior)`, over whole traces. The target is one of θ, of all particles, and of
which of them is the trace, whose marginal is the posterior. Given the trace, and multinomial
resampling, the other particles are those of conditional sequential Monte Carlo, which is how Ẑ(θ)
is found after another kernel has moved the trace. By other schemes, the chain begins with a filter
of its own, and no other kernel may move it.

Andrieu, Doucet and Holenstein, "Particle Markov chain Monte Carlo methods" (2010), section 4.4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from ppl.inference.choices import CATEGORICAL, INDEX, VALUE
from ppl.inference.kernels.machine.conditional import Particle, Stage, Sweep
from ppl.inference.kernels.machine.coordinates import numbers, with_numbers
from ppl.inference.kernels.machine.correlated import Numbers, Place
from ppl.inference.kernels.machine.program import Selection
from ppl.inference.kernels.machine.single_site import accepts
from ppl.inference.kernels.machine.traces import Site, Trace, Turns
from ppl.inference.kernels.machine.walk import Stepped, Tuning, step_site, way_back, whole
from ppl.inference.kernels.particle import PSEUDO_MARGINAL
from ppl.inference.population import Population
from ppl.inference.resample import Resample
from ppl.inference.smc import uniforms_of
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.omega import Source
from ppl.semantics.machine.paths import step_hash

NEVER = -math.inf
#: filters at the start that may find nothing before a chain gives up
TRIES = 1_000
Sites = Mapping[int, Site]


@dataclass(eq=False)
class Marginal:
    """The steps of one chain. sweep: of the sites that are not `parameters`."""

    sweep: Sweep
    parameters: Selection
    tuning: Tuning
    policy: Resample
    #: whether the estimate of the present trace is made anew at every step
    refresh: bool = False
    correlation: float = 0.0
    #: the trace that the last step gave, and the estimate that belongs to it
    last: tuple[Trace | None, float] = (None, NEVER)
    #: the numbers that made it, and those of the last estimate
    numbers: Mapping[Place, float] = field(default_factory=dict)
    _latest: Mapping[Place, float] = field(default_factory=dict)

    def __call__(self, trace: Trace, turns: Turns, *, learns: bool = False) -> Trace:
        """The next trace, `trace` itself if the move is rejected."""
        chosen = self.parameters(trace)
        if not chosen:
            return trace
        known, here = self.last
        if known is not trace or self.refresh:
            trace, here = self.begin(trace, turns)
        source = turns.next()
        log_ratio, after, there = NEVER, None, NEVER
        steps: list[Stepped] = []
        try:
            steps = [step_site(k, trace.sites[k], self.tuning, source) for k in chosen]
            held = {s.path: self.stepped(s, source) for s in steps}
            after, there = self.estimate(held, turns)
            if after is not None:
                log_ratio = there - here + sum(way_back(s, after, self.tuning) for s in steps)
        except (ArithmeticError, ValueError):  # at an end of a support, which has no coordinate
            log_ratio = NEVER
        moves = after is not None and log_ratio > NEVER and accepts(log_ratio, source)
        if learns:
            zs = {(s.path, i): z for s in steps for i, z in zip(s.which, s.here, strict=True)}
            suited = math.log(PSEUDO_MARGINAL / math.sqrt(max(1, len(zs))))
            self.tuning.learn(zs, suited - self.tuning.log_scale if self.tuning.knows(zs) else 0.0)
        if not moves or after is None:
            self.last = trace, here
            return trace
        self.last, self.numbers = (after, there), self._latest
        return after

    def stepped(self, step: Stepped, source: Source) -> Site:
        """A parameter's site at its new value; of integers and booleans, one takes a step too."""
        value, which = step.value, whole(step.site)
        if which:
            noise = step_hash(step.path, "")
            new = list(numbers(value))
            i = which[source.draw(step_hash(noise, "site"), INDEX, (len(which),))]
            if type(new[i]) is bool:
                new[i] = new[i] != source.draw(step_hash(noise, "flip"), INDEX, (2,))
            else:
                new[i] += source.draw(step_hash(noise, "step"), INDEX, (3,)) - 1
            value = with_numbers(value, new)
        return Site(value, step.site.family, step.site.args)

    def begin(self, trace: Trace, turns: Turns) -> tuple[Trace, float]:
        """A trace of the same parameters, and an estimate that belongs to it."""
        if self.policy.scheme == "multinomial" and not self.correlation:
            return trace, self.estimate_along(trace, turns)
        if self.last[0] is not None:
            raise fail(
                "E811",
                f"`pmmh` with scheme = {self.policy.scheme!r}, correlation = {self.correlation:g} "
                "is no part of a larger kernel",
                hint="set scheme='multinomial', correlation=0",
            )
        held = {k: trace.sites[k] for k in self.parameters(trace)}
        for _ in range(TRIES):
            begun, mass = self.estimate(held, turns)
            if begun is not None:
                self.numbers = self._latest
                return begun, mass
        raise fail(
            "E895",
            f"all particles had weight zero {TRIES:,} times: a chain has nowhere to start",
            hint="take more particles",
        )

    def estimate_along(self, trace: Trace, turns: Turns) -> float:
        """Of the mass at the parameters of a trace, by particles of which one is the trace."""
        at = self.sweep.begin(trace)
        while at.waits:
            at = self.sweep.step(at, turns)
        return float(self.sweep.complete(at).log_mass)

    def estimate(self, held: Sites, turns: Turns) -> tuple[Trace | None, float]:
        """Of the mass at parameters, by particles, and one of them; none if all are dead."""
        sweep, n = self.sweep, self.sweep.particles
        first = Particle(sweep.program.start(named=True), None, 0.0)
        particles: Sequence[Particle] = [first] * n
        population = Population.fresh(n)
        source: Any = turns.source
        if self.correlation:
            source = Numbers(self.numbers, self.correlation, turns.source, turns.turn)
            self._latest = source.used
        for t in count():
            if not any(p.waits for p in particles):
                break
            step = turns.step()
            step = t if self.correlation else step
            each = enumerate(particles)
            particles = [sweep.advance(p, held, source.at(step, i)) for i, p in each]
            population = population.scored(np.array([p.increment for p in particles]))
            if not population.log_mass > NEVER:
                return None, NEVER
            if any(p.waits for p in particles):
                ancestors, population = self.policy(population, uniforms_of(source, step))
                particles = [particles[a] for a in ancestors.tolist()]
        population = sweep.complete(Stage(particles, population, (), held))
        if not population.log_mass > NEVER:
            return None, NEVER
        k = turns.next().draw(VALUE, CATEGORICAL, (tuple(population.weights.tolist()),))
        return particles[k].trace(), float(population.log_mass)

"""Conditional sequential Monte Carlo over the machine's traces: the kernel of particle Gibbs.

n particles run from suspension point to suspension point. The one in slot 0 is the *retained* one:
its choices are those of the present trace, and it is weighted, chosen as an ancestor, and copied
like any other; only slot 0 goes on along the trace, a copy of it in another slot draws its own
future. In the end one particle is drawn by its weight: the next trace. Law:
`Invariant(posterior)`, over whole traces.

*Ancestor sampling*: where the particles are resampled, the retained one's ancestor is drawn too. A
particle's past is chosen in proportion to its weight times the density of all that the present
trace draws and scores from here to its end, replayed from that particle. A past from which the
replay would make other choices, or make them between other points, has none.

*Given some sites*: only named sites are drawn. The others are held, and the density of each, given
the particle's own past, multiplies its weight. Particles that draw a site which is neither, or end
without having met all that are held, have weight zero: the kernel moves among the traces that have
just these other sites.

Andrieu, Doucet and Holenstein, "Particle Markov chain Monte Carlo methods" (2010); Lindsten, Jordan
and Schön, "Particle Gibbs with ancestor sampling" (2014).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ppl.inference.choices import ANCESTOR, CATEGORICAL, UNIFORM, VALUE
from ppl.inference.kernels.machine.program import Program, Selection
from ppl.inference.kernels.machine.traces import Site, Trace, Turns, alike, named_twice
from ppl.inference.population import Population
from ppl.semantics.machine import Execution, Suspended
from ppl.semantics.machine.omega import Source
from ppl.semantics.machine.state import Dead, Draw, Omega, State

NEVER = -math.inf
#: of effective sizes, relative to the number of particles
ROUNDING = 1e-9
#: by the hash of their paths
Sites = Mapping[int, Site]


@dataclass(frozen=True, eq=False)
class Particle:
    """A run, its sites by steps, newest first, (older, sites), and the log of what its weight was
    multiplied by in the last step. held: the sites that are given."""

    run: Suspended | Execution
    sites: Any
    increment: float
    held: Sites = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether it has not ended."""
        return isinstance(self.run, Suspended)

    def resumed(self, segment: Segment) -> Particle:
        """To its next point or its end."""
        assert isinstance(self.run, Suspended)
        run = self.run.resume(segment)
        increment = run.log_weight - self.run.log_weight + segment.log_held
        return Particle(run, (self.sites, segment.sites), increment, segment.held)

    @property
    def steps(self) -> int:
        """How many it has made."""
        return sum(1 for _ in _steps(self.sites))

    @property
    def met(self) -> set[int]:
        """The sites that it came to."""
        return set().union(*_steps(self.sites))

    def trace(self) -> Trace:
        """Of one that has ended. Raises E504 if a name was drawn twice."""
        assert isinstance(self.run, Execution)
        return Trace(self.run, merged(self.sites))


def merged(cell: Any) -> dict[int, Site]:
    """The sites of all steps, in the order of drawing. Raises E504 if a name was drawn twice."""
    steps = list(_steps(cell))
    sites = {k: site for step in reversed(steps) for k, site in step.items()}
    if len(sites) < sum(map(len, steps)):
        twice = next(k for k in sites if sum(k in step for step in steps) > 1)
        raise named_twice(sites[twice].family)
    return sites


def _steps(cell: Any) -> Iterator[Sites]:
    while cell is not None:
        cell, sites = cell
        yield sites


class Segment:
    """A source of randomness for one step of one particle. Sites `held` have their values, and
    sites of `along`, if it is given, theirs; the others are `fresh`.

    log_held: of the densities of the held ones. log_along: of those of the others, for a replay.
    """

    def __init__(self, held: Sites, fresh: Omega | None, along: Mapping[int, Site] | None = None):
        self.held, self.along, self.fresh = held, along, fresh
        self.sites: dict[int, Site] = {}
        self.log_held = self.log_along = 0.0

    def begin(self, state: State) -> Draw:
        held, along, sites = self.held, self.along, self.sites
        new = None if self.fresh is None else self.fresh.begin(state)

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            if path in sites:
                raise named_twice(family)
            old = held.get(path)
            if old is not None:
                if not alike(old, family, args):
                    raise Dead
                sites[path] = site = Site(old.value, family, args)
                self.log_held += site.log_prob(old.value)
                if self.log_held == NEVER:
                    raise Dead
                return old.value
            if along is None:
                assert new is not None
                value = new(path, family, args)
                sites[path] = Site(value, family, args)
                return value
            old = along.get(path)
            if old is None or not alike(old, family, args):
                raise Dead
            sites[path] = site = Site(old.value, family, args)
            self.log_along += site.log_prob(old.value)
            if self.log_along == NEVER:
                raise Dead
            return old.value

        return draw

    def mark(self) -> Any:
        fresh = None if self.fresh is None else self.fresh.mark()
        return len(self.sites), self.log_held, self.log_along, fresh

    def restore(self, mark: Any) -> None:
        size, self.log_held, self.log_along, fresh = mark
        while len(self.sites) > size:
            self.sites.popitem()
        if self.fresh is not None:
            self.fresh.restore(fresh)


@dataclass(frozen=True, eq=False)
class Stage:
    """Particles at their t-th points. path: the retained one at every point, and where it ended;
    moved: whether its past is no longer that of the present trace."""

    particles: Sequence[Particle]
    population: Population
    path: Sequence[Particle]
    held: Sites
    t: int = 0
    moved: bool = False

    @property
    def waits(self) -> bool:
        """Whether some particle has not ended."""
        return any(p.waits for p in self.particles)


@dataclass(frozen=True, eq=False)
class Sweep:
    """One step of the kernel, on a program and the sites that `choose` gives."""

    program: Program
    choose: Selection
    particles: int
    ancestor_sampling: bool
    threshold: float

    def __call__(self, trace: Trace, turns: Turns) -> tuple[Trace, bool]:
        """The next trace, and whether it is another."""
        at = self.begin(trace)
        while at.waits:
            at = self.step(at, turns)
        return self.end(at, trace, turns)

    def begin(self, trace: Trace) -> Stage:
        """All particles where the program begins."""
        free = set(self.choose(trace))
        held = {k: site for k, site in trace.sites.items() if k not in free}
        # names are needed to tell sites that are drawn from those that are held
        first = Particle(self.program.start(named=not self.choose.everything), None, 0.0)
        path = (first, *self.retained(first, trace.sites, held))
        return Stage([first] * self.particles, Population.fresh(self.particles), path, held)

    def step(self, at: Stage, turns: Turns) -> Stage:
        """All particles at the next points, and resampled there if that is due."""
        step, t, path, held = turns.step(), at.t + 1, at.path, at.held
        each = list(enumerate(at.particles))
        others = [self.advance(p, held, turns.source.at(step, i)) for i, p in each[1:]]
        particles = [path[t] if t < len(path) else replace(path[-1], increment=0.0), *others]
        population = at.population.scored(np.array([p.increment for p in particles]))
        after = replace(at, particles=particles, population=population, t=t)
        if not (after.waits and self.due(population)):
            return after
        ancestors, moved = [0, *self.ancestors(population, turns.source, step)], at.moved
        if self.ancestor_sampling and t + 1 < len(path):
            futures = [self.replayed(p, path[t + 1 :], held) for p in particles]
            a = self.past(population, futures, turns.source.at(step, 0))
            path = (*path[:t], particles[a], *futures[a].path)
            ancestors, moved = [a, *ancestors[1:]], moved or a != 0
        chosen = [particles[a] for a in ancestors]
        return Stage(chosen, population.levelled(), path, held, t, moved)

    def end(self, at: Stage, trace: Trace, turns: Turns) -> tuple[Trace, bool]:
        """One of the particles by weight."""
        weights = self.complete(at).weights
        k = turns.next().draw(VALUE, CATEGORICAL, (tuple(weights.tolist()),))
        if k == 0 and not at.moved:
            return trace, False
        return at.particles[k].trace(), True

    def complete(self, at: Stage) -> Population:
        """The weights of particles that have ended, of those that met all sites that are held."""
        met = [0.0 if at.held.keys() <= p.met else NEVER for p in at.particles]
        return at.population.scored(np.array(met))

    def due(self, population: Population) -> bool:
        """Whether to resample now: not to depend on how weights that are equal were rounded, which
        may tell the retained particle from others."""
        if self.threshold == 1:
            return True
        return bool(population.effective_size < (self.threshold - ROUNDING) * self.particles)

    def ancestors(
        self, population: Population, source: Source, step: int, *, slots: int = 1
    ) -> list[int]:
        """Independent draws by weight, for the slots from this one on."""
        cumulative = np.cumsum(population.weights)
        edges = cumulative[None, :-1] / cumulative[-1]
        last = int(np.flatnonzero(population.weights > 0)[-1])  # a point may be rounded up to 1
        known = lambda: edges  # noqa: E731
        each = range(slots, self.particles)
        points = [source.at(step, i).draw(ANCESTOR, UNIFORM, (known, 0)) for i in each]
        return np.searchsorted(edges[0], points, side="right").clip(max=last).tolist()

    def past(self, population: Population, futures: Sequence[Future], source: Source) -> int:
        """The retained particle's ancestor."""
        log_weights = population.log_weights + np.array([f.log_density for f in futures])
        weights = tuple(Population(log_weights).weights.tolist())
        return source.draw(ANCESTOR, CATEGORICAL, (weights,))

    def advance(self, particle: Particle, held: Sites, source: Source) -> Particle:
        """To the next point, by choices of its own."""
        if not particle.waits:
            return replace(particle, increment=0.0)
        segment = Segment(held, source)
        after = particle.resumed(segment)
        return after if self.allowed(after) else replace(after, increment=NEVER)

    def allowed(self, particle: Particle) -> bool:
        """Whether all that a step drew may be drawn."""
        if self.choose.everything or particle.increment == NEVER:
            return True
        self.program.learn(particle.run)
        paths, held = self.program.paths, particle.held
        return all(k in held or self.choose.means(paths[k]) for k in particle.sites[1])

    def retained(self, first: Particle, sites: Sites, held: Sites) -> list[Particle]:
        """Along a trace, from where the program begins to its end."""
        path = [first]
        while path[-1].waits:
            path.append(path[-1].resumed(Segment(held, None, sites)))
        return path[1:]

    def replayed(self, particle: Particle, path: Sequence[Particle], held: Sites) -> Future:
        """The steps of a path, made again from a particle."""
        again: list[Particle] = []
        total = 0.0
        for wanted in path:
            if not particle.waits:
                return NO_FUTURE
            segment = Segment(held, None, wanted.sites[1])
            particle = particle.resumed(segment)
            total += particle.increment + segment.log_along
            same = particle.waits == wanted.waits and segment.sites.keys() == wanted.sites[1].keys()
            if total == NEVER or not same:
                return NO_FUTURE
            again.append(particle)
        return Future(again, total)


@dataclass(frozen=True, eq=False)
class Future:
    """A path, and the log of the density of what it draws and scores; no path has none."""

    path: Sequence[Particle]
    log_density: float


NO_FUTURE = Future((), NEVER)

"""SMC²: particles of parameters, each with a particle filter of its own for all other choices.

Composition: at every suspension point each parameter particle's filter makes a step of `smc`, and
what its mass is multiplied by multiplies the weight. Where that is due the parameter particles are
resampled, filters and all. At planned points each of them moves, by `moves` steps of `pmmh` on the
program up to there: proposed parameters get a filter of their own. And filters may be exchanged for
larger ones, at weights times the ratio of the masses that they find. Law: `ProperlyWeighted`, for
whole traces, with any numbers of particles of either kind: a filter's mass is an unbiased estimate,
and moves leave alone the law of parameters and filters together.

When to move, how far, and how large filters are, is chosen by a *pilot*, a population of its own:
it moves where it is resampled, walks by its own spread, and doubles the filters where too few moves
are accepted. The run keeps to that plan. Moves that depended on the population that they move would
keep no law.

Chopin, Jacob and Papaspiliopoulos, "SMC²: an efficient algorithm for sequential analysis of state
space models" (2013).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.inference import ancestry
from ppl.inference.choices import CATEGORICAL, VALUE
from ppl.inference.kernels.machine.conditional import Particle, Segment, Stage, Sweep, merged
from ppl.inference.kernels.machine.coordinates import Thin, lines, numbers
from ppl.inference.kernels.machine.marginal import Marginal
from ppl.inference.kernels.machine.program import Program, Rest, Selection
from ppl.inference.kernels.machine.single_site import accepts
from ppl.inference.kernels.machine.traces import Site, Trace, Turns
from ppl.inference.kernels.machine.walk import ENOUGH, Spread, Tuning, step_site, way_back
from ppl.inference.population import Population
from ppl.inference.resample import Resample, SchemeName
from ppl.inference.settings import check_types
from ppl.inference.smc import uniforms_of
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.omega import Source

if TYPE_CHECKING:
    from ppl.inference.journal import Journal

NEVER = -math.inf
Sites = Mapping[int, Site]


@dataclass(frozen=True, kw_only=True)
class Smc2:
    """Settings: the `parameters`, by name; how many `particles` of them, and how many `states` in
    the filter of each, at first; of both kinds, the share of effective particles below which they
    are resampled, and the scheme; how many `moves` each parameter particle makes where they move;
    the share of accepted moves below which filters are doubled (0: never), and the most `states`;
    `replicas` as in `smc`.
    """

    parameters: tuple[str, ...] | str = ()
    particles: int = 100
    states: int = 100
    threshold: float = 0.5
    scheme: SchemeName = "systematic"
    moves: int = 2
    acceptance: float = 0.15
    most_states: int = 1_600
    replicas: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("particles", "states", "moves", "most_states", "replicas"):
            if getattr(self, name) < 1:
                raise fail("E811", f"{name} = {getattr(self, name)}: it must be at least 1")
        for name in ("threshold", "acceptance"):
            if not 0 <= getattr(self, name) <= 1:
                raise fail("E811", f"{name} = {getattr(self, name)}: it must be between 0 and 1")
        if not self.sites:
            raise fail(
                "E811",
                "parameters: none is named",
                hint='name the sites that are parameters: ppl.smc2(parameters="mu,sigma")',
            )

    @property
    def sites(self) -> tuple[str, ...]:
        """The names of the parameters."""
        named = self.parameters
        return tuple(s for s in (named.split(",") if isinstance(named, str) else named) if s)

    @property
    def policy(self) -> Resample:
        """Who goes on at a point, of either kind."""
        return Resample(self.scheme, self.threshold)


@dataclass(frozen=True, eq=False)
class Filter:
    """Parameters, and particles of all other choices given them."""

    held: Sites
    particles: Sequence[Particle]
    population: Population

    @property
    def waits(self) -> bool:
        """Whether some particle has not ended."""
        return any(p.waits for p in self.particles)

    @property
    def log_mass(self) -> float:
        """Of the parameters, their own density included, and what was scored so far."""
        return float(self.population.log_mass)


@dataclass(frozen=True, eq=False)
class Filters:
    """Parameter particles after t points, their weights, and how many states each filter has. told:
    of the points so far."""

    filters: Sequence[Filter]
    population: Population
    states: int
    t: int = 0
    told: ancestry.Told = None

    @property
    def waits(self) -> bool:
        """Whether some filter has not ended."""
        return any(f.waits for f in self.filters)


@dataclass(frozen=True, eq=False)
class Rejuvenation:
    """What is done at a point: moves as `tuning` says, and filters of so many `states` from then
    on."""

    tuning: Tuning
    states: int


#: by the number of the point
Plan = Mapping[int, Rejuvenation]


@dataclass(frozen=True, eq=False)
class Smc2Steps:
    """The steps of the algorithm, on a program."""

    program: Program
    settings: Smc2
    turns: Turns
    _selected: Selection = field(init=False)
    _others: Selection = field(init=False)

    def __post_init__(self) -> None:
        names = self.settings.sites
        object.__setattr__(self, "_selected", Selection(self.program, names))
        object.__setattr__(self, "_others", Rest(self.program, names))

    # ------------------------------------------------------------------------------------ filters

    def sweep(self, states: int) -> Sweep:
        """What advances the particles of a filter, parameters held."""
        return Sweep(self.program, self._others, states, False, self.settings.threshold)

    def begun(self, held: Sites, states: int) -> Filter:
        """A filter where the program begins."""
        first = Particle(self.program.start(named=True), None, 0.0)
        return Filter(held, [first] * states, Population.fresh(states))

    def advanced(self, at: Filter) -> Filter:
        """To the next point, and resampled there if that is due."""
        sweep, step = self.sweep(len(at.particles)), self.turns.step()
        source, each = self.turns.source, enumerate(at.particles)
        particles = [sweep.advance(p, at.held, source.at(step, i)) for i, p in each]
        population = at.population.scored(np.array([p.increment for p in particles]))
        if any(p.waits for p in particles):
            ancestors, population = self.settings.policy(population, uniforms_of(source, step))
            particles = [particles[a] for a in ancestors.tolist()]
        else:  # what ends without having met its parameters has no mass
            population = sweep.complete(Stage(particles, population, (), at.held))
        return Filter(at.held, particles, population)

    def filtered(self, held: Sites, states: int, t: int) -> Filter:
        """A filter after t points."""
        at = self.begun(held, states)
        for _ in range(t):
            at = self.advanced(at) if at.waits else at
        return at

    # ----------------------------------------------------------------------------------- the steps

    def begin(self) -> Filters:
        """Parameters drawn as the program draws them, which divides the weights by their density:
        filters count it."""
        n, step = self.settings.particles, self.turns.step()
        drawn = [self.drawn(self.turns.source.at(step, m)) for m in range(n)]
        priors = [sum(s.log_prob(s.value) for s in held.values()) for held in drawn]
        filters = [self.begun(held, self.settings.states) for held in drawn]
        population = Population.fresh(n).scored(-np.array(priors, float))
        return Filters(filters, population, self.settings.states)

    def drawn(self, source: Source) -> Sites:
        """The parameters that a run to the first point draws.

        Raises:
            DiagnosticError: E877, it draws none.
        """
        segment = Segment({}, source)
        first = Particle(self.program.start(named=True), None, 0.0).resumed(segment)
        self.program.learn(first.run)
        paths = self.program.paths
        held = {k: s for k, s in segment.sites.items() if self._selected.means(paths[k])}
        if not held:
            raise fail(
                "E877",
                f"`{self._selected.text}` is not drawn before the first suspension point",
                hint="parameters are drawn first, before anything is scored",
            )
        return held

    def step(self, at: Filters, plan: Plan) -> Filters:
        """Every filter to its next point; there the parameters are resampled, if that is due, and
        rejuvenated, if that is planned."""
        after = self.weighted(at)
        if not after.waits:
            return after
        after = self.resampled(after)
        planned = plan.get(after.t)
        return after if planned is None else self.rejuvenated(after, planned)[0]

    def weighted(self, at: Filters) -> Filters:
        """Every filter to its next point, and its parameters weighted by what it found on the
        way."""
        filters = [self.advanced(f) if f.waits else f for f in at.filters]
        if at.t == 0:
            for f in filters:
                self._check_laws(f)
        return self._exchanged(at, filters, t=at.t + 1)

    def _exchanged(self, at: Filters, filters: Sequence[Filter], **new: Any) -> Filters:
        """With other filters, at weights times the ratio of their masses."""
        pairs = zip(filters, (f.log_mass for f in at.filters), strict=True)
        ratios = [f.log_mass - b if b > NEVER else NEVER for f, b in pairs]
        population = at.population.scored(np.array(ratios))
        return replace(at, filters=filters, population=population, **new)

    def resampled(self, at: Filters) -> Filters:
        """Parameters, each with its filter."""
        policy, uniforms = self.settings.policy, uniforms_of(self.turns.source, self.turns.step())
        ancestors, population = policy(at.population, uniforms)
        filters = [at.filters[a] for a in ancestors.tolist()]
        told = ancestry.told(at.told, at.population, policy, ancestors)
        return replace(at, filters=filters, population=population, told=told)

    def rejuvenated(self, at: Filters, planned: Rejuvenation) -> tuple[Filters, float]:
        """Moved, and with filters as large as planned; and the share of moves accepted."""
        moved, accepted = [], 0
        for f in at.filters:
            for _ in range(self.settings.moves):
                after = self.moved(f, at.t, planned.tuning)
                f, accepted = after, accepted + (after is not f)
            moved.append(f)
        at = replace(at, filters=moved)
        if planned.states != at.states:
            larger = [self.filtered(f.held, planned.states, at.t) for f in moved]
            at = self._exchanged(at, larger, states=planned.states)
        return at, accepted / (len(moved) * self.settings.moves)

    def moved(self, at: Filter, t: int, tuning: Tuning) -> Filter:
        """One step of `pmmh` on the program up to point t: `at` itself if it is rejected."""
        if not at.log_mass > NEVER:
            return at
        source, walk = self.turns.next(), self._walk(tuning, len(at.particles))
        proposed, log_ratio = None, NEVER
        try:
            steps = [step_site(k, site, tuning, source) for k, site in at.held.items()]
            held = {s.path: walk.stepped(s, source) for s in steps}
            proposed = self.filtered(held, len(at.particles), t)
            if proposed.log_mass > NEVER:
                proposed = replace(proposed, held=self._met(proposed))
                trace: Any = Trace(None, proposed.held)  # type: ignore[arg-type]
                back = sum(way_back(s, trace, tuning) for s in steps)
                log_ratio = proposed.log_mass - at.log_mass + back
        except (ArithmeticError, ValueError):  # at an end of a support, which has no coordinate
            log_ratio = NEVER
        if proposed is None or not log_ratio > NEVER:
            return at
        return proposed if accepts(log_ratio, source) else at

    def _walk(self, tuning: Tuning, states: int) -> Marginal:
        return Marginal(self.sweep(states), self._selected, tuning, self.settings.policy)

    def _met(self, at: Filter) -> Sites:
        """The parameters, under the laws that they are drawn from there."""
        weights = np.asarray(at.population.log_weights)
        sites = merged(at.particles[int(np.argmax(weights))].sites)
        return {k: sites[k] for k in at.held}

    def _check_laws(self, at: Filter) -> None:
        """Raise E877 if a parameter's law is not the same for all particles of a filter."""
        for p in at.particles:
            for k, site in at.held.items():
                met = p.sites[1].get(k)
                if met is not None and met.log_prob(site.value) != site.log_prob(site.value):
                    raise fail(
                        "E877",
                        f"the law of `{self._selected.text}` depends on choices that are no "
                        "parameters",
                        hint="name these, too",
                    )

    # ------------------------------------------------------------------------------------ the plan

    def piloted(self, at: Filters) -> tuple[Filters, Rejuvenation | None]:
        """A step of the pilot, which chooses what is to be done at the point that it comes to."""
        at, settings = self.weighted(at), self.settings
        if not at.waits or not settings.policy.due(at.population):
            return at, None
        tuning = self.tuned(at)
        at = self.resampled(at)
        planned = Rejuvenation(tuning, at.states)
        at, accepted = self.rejuvenated(at, planned)
        if accepted < settings.acceptance and 2 * at.states <= settings.most_states:
            planned = replace(planned, states=2 * at.states)
            larger = [self.filtered(f.held, planned.states, at.t) for f in at.filters]
            at = self._exchanged(at, larger, states=planned.states)
        return at, planned

    def tuned(self, at: Filters) -> Tuning:
        """Steps as long as the parameters' spread in a population, in free coordinates, times
        2.38 / √d (Roberts, Gelman and Gilks, 1997)."""
        found: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for f, w in zip(at.filters, at.population.weights.tolist(), strict=True):
            for k, site in f.held.items() if w > 0 else ():
                try:
                    pairs = list(zip(lines(site), numbers(site.value), strict=True))
                    free = [(i, x.free(v)) for i, (x, v) in enumerate(pairs) if type(v) is float]
                except (ArithmeticError, ValueError, Thin):
                    continue
                for i, z in free:
                    found.setdefault((k, i), []).append((z, w))
        spreads = {}
        for coordinate, seen in found.items():
            z, w = np.array(seen).T
            mean = np.average(z, weights=w)
            variance = float(np.average((z - mean) ** 2, weights=w))
            spreads[coordinate] = Spread(ENOUGH, float(mean), variance * (ENOUGH - 1))
        return Tuning(math.log(2.38 / math.sqrt(max(1, len(spreads)))), ENOUGH, spreads)


def run_smc2(
    program: Program,
    settings: Smc2,
    source: Source,
    *,
    journal: Journal | None = None,
    progress: ancestry.Progress | None = None,
) -> tuple[list[Particle], Filters]:
    """One particle of each filter, drawn by weight, and the filters; from where a `journal` says
    they were, if they had begun.

    Raises:
        DiagnosticError: E877, the parameters are not drawn first; E818, there are none of these
            names.
    """
    pilot, run = (Smc2Steps(program, settings, Turns(source, k)) for k in (0, 1))
    plan, first = dict[int, Rejuvenation](), pilot
    if journal is None or journal.place is None:
        at = pilot.begin()
    else:
        is_run, turn, at, plan = journal.place
        first = run if is_run else pilot
        first.turns.turn = turn
    for steps in (pilot, run) if first is pilot else (run,):
        if steps is not first:
            at = steps.begin()
        while at.waits:
            if steps is run:
                at = steps.step(at, plan)
            else:
                at, planned = steps.piloted(at)
                plan |= {} if planned is None else {at.t: planned}
            if progress is not None:
                progress(settings.particles, settings.particles, at.t, at.told)
            if journal is not None and journal.due():
                journal.write((steps is run, steps.turns.turn, at, plan))
    return [one_of(f, run.turns.next()) for f in at.filters], at


def one_of(at: Filter, source: Source) -> Particle:
    """A filter's particle, by weight; any if none has weight."""
    weights = at.population.weights
    if not weights.sum() > 0:
        return at.particles[0]
    return at.particles[source.draw(VALUE, CATEGORICAL, (tuple(weights.tolist()),))]

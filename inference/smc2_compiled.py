"""How SMC² runs in compiled code: a pilot, which plans, and the run, which keeps to the plan.

The steps are those of `inference.smc2_lanes`; the host goes from one planned point to the next.
What the pilot chooses, and why it is a population of its own, is told in `inference.smc2`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.ancestry import genealogy, shown
from ppl.inference.checkpoint import Checkpoint, Place
from ppl.inference.kernels.xla import blocks
from ppl.inference.movers import PER_COORDINATE, Shape, shape_of
from ppl.inference.particles import compiled_policy
from ppl.inference.population import Population
from ppl.inference.schedule import Progress
from ppl.inference.smc2 import Smc2
from ppl.inference.smc2_lanes import Filters, Lanes, Sites, Told
from ppl.semantics import keys
from ppl.semantics.diagnostics import fail
from ppl.semantics.mixed import MixedDensity
from ppl.semantics.omega import Key
from ppl.semantics.xla.filtering import Filter, parts_of
from ppl.semantics.xla.mixed import rule_of
from ppl.semantics.xla.program import Bound, Data, particles

PILOT, RUN = 0, 1
#: pieces of the way at which progress is told
PIECES = 20


class Planned(NamedTuple):
    """After so many rows, moves by steps of this shape, and filters of so many `states` from then
    on."""

    rows: int
    shape: Shape
    states: int


@dataclass(frozen=True, eq=False)
class Found:
    """position: coordinates of whole traces, (N, …) by site, of weights (N,). points: what is told
    of each row (see `Posterior.points`). plan: what the pilot chose."""

    position: Mapping[str, np.ndarray]
    log_weights: np.ndarray
    points: Mapping[str, np.ndarray]
    plan: Sequence[Planned]


class Programs(NamedTuple):
    """The steps, compiled for filters of one size."""

    begin: Callable[..., Any]
    advance: Callable[..., Any]
    tune: Callable[..., Any]
    move: Callable[..., Any]
    enlarge: Callable[..., Any]
    finish: Callable[..., Any]


def compiled(own: Lanes) -> Programs:
    def tune(f: Filters, omega: Any) -> tuple[Shape, Filters]:
        weights = Population(f.log_weights).weights
        return shape_of(own.sites.vectors(f.given)[0], weights), own.resampled(f, omega)[1]

    return Programs(
        jax.jit(lambda data, omega: own.begin(data, omega)[1]),
        jax.jit(lambda *args, stops: own.advance(*args, stops=stops)[1:]),
        jax.jit(tune),
        jax.jit(lambda *args: own.rejuvenated(*args)[1:]),
        jax.jit(lambda *args: own.enlarged(*args)[1]),
        jax.jit(lambda *args: own.finish(*args)[1:]),
    )


@lru_cache(maxsize=16)
def _programs(
    bound: Bound, density: MixedDensity, sites: Sites, settings: Smc2, rows: int, states: int
) -> Programs:
    return compiled(_lanes(bound, density, sites, settings, rows, states))


def _lanes(
    bound: Bound, density: MixedDensity, sites: Sites, settings: Smc2, rows: int, states: int
) -> Lanes:
    others = frozenset(blocks.names_of(density)) - sites.names
    policy, axis = compiled_policy(settings.policy), particles(states)
    own = Filter(parts_of(bound), rows, rule_of(density), sites.names, others, axis, policy)
    return Lanes(own, sites, settings.particles, settings.policy, settings.moves)


def lanes_of(
    bound: Bound, data: Data, density: MixedDensity, sites: Sites, settings: Smc2, states: int
) -> Lanes:
    """The steps with filters of so many states.

    Raises:
        DiagnosticError: E730, the program has no loop, or one without steps; E877, the parameters
            are not drawn before it, or their laws depend on other choices.
    """
    rows = _lanes(bound, density, sites, settings, 0, states).filter.steps(data)
    return _lanes(bound, density, sites, settings, rows, states)


def sites_of(density: MixedDensity, settings: Smc2) -> Sites:
    """The parameters.

    Raises:
        DiagnosticError: E855, there are no such sites; E819, one is an element of a site.
    """
    everything = blocks.everything(density)
    block = blocks.named_block(density, settings.sites, everything)
    names = frozenset(name for part in blocks.sites_in(density, block) for name in part)
    if not blocks.whole_sites(density, block):
        raise fail(
            "E819",
            "`smc2` takes whole sites for parameters, on XLA",
            hint="name the site without an index, or use engine='machine'",
        )
    return Sites(
        tuple((s.path, s.unconstrained_shape) for s in density.sites if s.path in names),
        tuple((s.path, s.shape) for s in density.discrete if s.path in names),
    )


def run_smc2(
    bound: Bound,
    data: Data,
    density: MixedDensity,
    settings: Smc2,
    *,
    seed: int,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Found:
    """Weighted draws of whole traces. With a `checkpoint` they go on where they were when a process
    before was killed.

    Raises:
        DiagnosticError: E855, E819, E877, E730: see `sites_of` and `lanes_of`.
    """
    sites = sites_of(density, settings)
    lanes = lanes_of(bound, data, density, sites, settings, settings.states)
    programs = partial(_programs, bound, density, sites, settings, lanes.filter.rows)
    saved = checkpoint and checkpoint.begin(precision=str(jnp.result_type(float)))
    run = _Run(programs, lanes, settings, dict(data), Key(keys.key(seed)), saved, progress)
    return run.finish(run.along(run.begin()))


class _At(NamedTuple):
    """Where a run is: of the pilot, or of the RUN; its filters, of so many `states`, after t rows;
    what was told; and the plan."""

    phase: int
    states: int
    t: int
    f: Filters
    told: Told
    plan: tuple[Planned, ...]


class _Table(NamedTuple):
    """A plan as arrays, with room for every row."""

    rows: np.ndarray
    factors: np.ndarray
    states: np.ndarray

    def upto(self, n: int) -> tuple[Planned, ...]:
        found = zip(self.rows[:n], self.factors[:n], self.states[:n], strict=True)
        return tuple(Planned(int(t), Shape(jnp.asarray(x)), int(m)) for t, x, m in found)


@dataclass(frozen=True, eq=False)
class _Run:
    """programs: by the number of states. lanes: with as many as at first."""

    programs: Callable[[int], Programs]
    lanes: Lanes
    settings: Smc2
    data: Data
    root: Key
    checkpoint: Checkpoint | None
    progress: Progress | None

    @property
    def rows(self) -> int:
        return self.lanes.filter.rows

    def begin(self) -> _At:
        """Where an earlier process was, or where the pilot begins."""
        return self._saved() or self._first(PILOT, ())

    def _first(self, phase: int, plan: tuple[Planned, ...]) -> _At:
        states = self.settings.states
        f = self.programs(states).begin(self.data, self.root.enter(phase))
        return _At(phase, states, 0, f, self.lanes.untold(), plan)

    def along(self, at: _At) -> _At:
        """To the end of the run."""
        while at.phase == PILOT:
            at, due = self._advanced(at, self.rows)
            at = self._piloted(at) if due else self._first(RUN, at.plan)
        for planned in at.plan:
            if planned.rows > at.t:
                at, _ = self._advanced(at, planned.rows)
                at = self._rejuvenated(at, planned)
        return self._advanced(at, self.rows)[0]

    def finish(self, at: _At) -> Found:
        omega, own = self.root.enter(RUN), self.programs(at.states)
        position, log_weights = own.finish(self.data, at.f, omega)
        size, due, mass, ancestors = map(np.asarray, at.told)
        points = {"effective_sample_size": size, "resampled": due, "log_evidence": mass}
        points |= genealogy(list(ancestors))
        position = {k: np.asarray(u) for k, u in position.items()}
        return Found(position, np.asarray(log_weights), points, at.plan)

    def _source(self, at: _At) -> Key:
        """Of moves after t rows; rows have sources of their own."""
        return self.root.enter(at.phase).enter(self.rows + at.t)

    def _piloted(self, at: _At) -> _At:
        """Resampled and moved, by steps as long as the parameters' spread; and with larger filters
        if too few moves were accepted."""
        own, omega, settings = self.programs(at.states), self._source(at), self.settings
        shape, f = own.tune(at.f, omega)
        f, accepted = own.move(self.data, f, at.t, shape, omega)
        at, states = at._replace(f=f), at.states
        if accepted < settings.acceptance and 2 * states <= settings.most_states:
            at = self._enlarged(at, 2 * states)
        planned = Planned(at.t, shape, at.states)
        return self._noted(at._replace(plan=(*at.plan, planned)))

    def _rejuvenated(self, at: _At, planned: Planned) -> _At:
        own = self.programs(at.states)
        f, _ = own.move(self.data, at.f, at.t, planned.shape, self._source(at))
        at = at._replace(f=f)
        return self._noted(
            at if planned.states == at.states else self._enlarged(at, planned.states)
        )

    def _enlarged(self, at: _At, states: int) -> _At:
        omega, bare = self._source(at).enter(self.settings.moves), at.f._replace(at=(), seeds=())
        f = self.programs(states).enlarge(self.data, bare, at.f.masses, at.t, omega)
        return at._replace(f=f, states=states)

    def _advanced(self, at: _At, until: int) -> tuple[_At, bool]:
        """To row `until`, in pieces; the pilot, to where resampling is due."""
        omega, own, due, stops = self.root.enter(at.phase), self.programs(at.states), False, False
        stops = at.phase == PILOT
        while at.t < until and not (stops and due):
            piece = min(until, at.t + max(1, self.rows // PIECES))
            f, told, t, is_due = own.advance(
                self.data, at.f, at.told, at.t, piece, omega, stops=stops
            )
            at, due = at._replace(f=f, told=told, t=int(t)), bool(is_due)
            self._tell(at)
            if at.t < until and not (due and stops):  # else what is due there is to be done first
                at = self._noted(at)
        return at, due

    def _tell(self, at: _At) -> None:
        if self.progress is None:
            return
        size, due, mass, _ = (np.asarray(x[at.t - 1]) for x in at.told)
        row = (None, (float(size), bool(due), float(mass), None))
        phase = {"phase": ("pilot", "parameters")[at.phase]}
        done = at.t + self.rows * (at.phase == RUN)
        self.progress(done, 2 * self.rows, {**phase, **shown(row, self.settings.particles)})

    # -------------------------------------------------------------------------------- checkpoints

    def _noted(self, at: _At) -> _At:
        """Written down, at times: a file for each phase and size, whole or not at all."""
        if self.checkpoint is not None:
            state = at.f, at.told, self._table(at.plan)
            place = Place(len(at.plan), at.t, state, ())
            self.checkpoint.save(self._file(at.phase, at.states), place, full=False, now=False)
        return at

    def _saved(self) -> _At | None:
        """The place that is farthest on."""
        settings, sizes = self.settings, [self.settings.states]
        while 2 * sizes[-1] <= settings.most_states:
            sizes.append(2 * sizes[-1])
        if self.checkpoint is None:
            return None
        for phase in (RUN, PILOT):
            for states in reversed(sizes):
                if not self.checkpoint.has(self._file(phase, states)):
                    continue
                begin = self.programs(states).begin
                like = (
                    jax.eval_shape(begin, self.data, self.root),
                    self.lanes.untold(),
                    self._table(()),
                )
                place = self.checkpoint.load(self._file(phase, states), like)
                if place is not None:
                    f, told, table = place.state
                    return _At(phase, states, place.sampling, f, told, table.upto(place.warmup))
        return None

    def _file(self, phase: int, states: int) -> int:
        return phase * 10**6 + states

    def _table(self, plan: Sequence[Planned]) -> _Table:
        n, (d, _) = self.settings.particles, self.lanes.sites.sizes
        room = self.rows
        factor = (d,) if n < PER_COORDINATE * d else (d, d)
        table = _Table(*(np.zeros((room, *shape)) for shape in ((), factor, ())))
        for i, (rows, shape, states) in enumerate(plan):
            table.rows[i], table.factors[i], table.states[i] = rows, shape.factor, states
        return table

"""A program up to one of its suspension points, as a measure of the choices made so far.

Coordinates are those of `mixed`, of every choice. A prefix is replayed: the walk through the
program (`sequential`) goes to the point with all choices given, draws nothing, and is resampled
nowhere. At a step of a loop that is in the middle, so that the steps after it are not run, and
their coordinates, for which there is room, are read by nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ppl.semantics.mixed import MixedDensity
from ppl.semantics.xla.axes import Arr, Axis, spread
from ppl.semantics.xla.carries import carried, closed_form, holds_code
from ppl.semantics.xla.conditional import legal
from ppl.semantics.xla.held import Held, made_of
from ppl.semantics.xla.lineage import Lineage, moved, moving
from ppl.semantics.xla.loops import history_of
from ppl.semantics.xla.points import Decision, Front, weighted
from ppl.semantics.xla.program import NOTHING, Bound, Data, inside_loops
from ppl.semantics.xla.redraw import CHOSEN, Redraw
from ppl.semantics.xla.sequential import Alone, Loop, Result, Stop, Walk, walk
from ppl.semantics.xla.sequential_scan import Opened
from ppl.semantics.xla.state import Scope, Site, SiteRule, State, missing_where_dead
from ppl.semantics.xla.values import RValue

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Along:
    """Choices whose coordinates are given have them, and are scored by their densities; others are
    drawn, without a score. Both record their value and their coordinates."""

    base: Held

    def __call__(self, site: Site, scope: Scope, state: State) -> tuple[RValue, State]:
        quiet, u = replace(scope, record=NOTHING), scope.given.get(site.name)
        if u is not None:
            x, state = self.base(site, quiet, state)
        else:
            made, axes = made_of(site, scope)
            every = Arr(jnp.ones((), bool))
            u, state = Redraw(self.base).drawn(site, scope, state, made, axes, every)
            inner = replace(quiet, given={**scope.given, site.name: u})
            x, _ = self.base(site, inner, State())
            state = state.scored(legal(made, axes, scope))
        return x, state.with_site(site.path, (missing_where_dead(x, scope), u), site.span)


def coordinates(sites: Table, axis: Axis) -> dict[str, Arr]:
    """Of the sites that recorded them, along `axis`."""
    pairs = {k: inside_loops(v) for k, v in sites.items()}
    return {k: spread(v[1], (axis,)) for k, v in pairs.items() if isinstance(v, tuple)}


def values(sites: Table) -> dict[str, RValue]:
    """What sites came to, without coordinates."""
    pairs = {k: (v, inside_loops(v)) for k, v in sites.items()}
    return {k: pair[0] if isinstance(pair, tuple) else v for k, (v, pair) in pairs.items()}


# ----------------------------------------------------------------------------------------- replays


def _never(log_weights: Any, omega: Any, path: Any, future: Any = None) -> tuple[Any, Decision]:
    def stay() -> tuple[Any, Any]:
        return jnp.arange(log_weights.shape[0]), log_weights

    return omega, Decision(jnp.zeros(()), jnp.zeros((), bool), stay)


#: goes on at every point, with all particles as they are
PASSING = Alone(_never)


class Ended(NamedTuple):
    """A walk that has no more stops."""

    out: RValue
    state: State


At = Stop | Loop | Ended


def onward(steps: Walk, sent: Result | None = None) -> At:
    """Where a walk stops next."""
    try:
        return next(steps) if sent is None else steps.send(sent)
    except StopIteration as end:
        return Ended(*end.value)


class Replayed(NamedTuple):
    """A population at a point. log_density (n,). sites: what they recorded, of what was before a
    loop and inside it. state: the loop's, and `live`, what else of it is the particles' own."""

    log_density: Any
    sites: Table
    inside: Table
    omega: Any
    state: RValue = None
    live: Any = ()


@dataclass(frozen=True, eq=False)
class Prefixes:
    """The prefixes of a program. whole: the density of all of its choices, by the rule `base`."""

    bound: Bound
    data: Data
    base: Held
    whole: MixedDensity

    def to(
        self,
        k: int,
        rule: SiteRule,
        axis: Axis,
        given: Mapping[str, Arr],
        omega: Any,
        record: frozenset[str] = NOTHING,
    ) -> tuple[Walk, At, Scope]:
        """A walk at its stop number k, the choices before which are given."""
        env, scope = self.bound.beginning(
            self.data,
            rule=rule,
            axes=(axis,),
            given=given,
            record=record,
            smooth=rule is self.base,
            nan_is_nothing=True,
        )
        start = jnp.full(axis.size, -jnp.log(axis.size), jnp.result_type(float))
        state = State(omega, extra=Front(start, Lineage(axis)))
        mine = {name: state.extra.lineage.made(v) for name, v in env.items()}
        steps = walk(self.bound.program, mine, state, scope)
        stop = onward(steps)
        for _ in range(k):
            assert not isinstance(stop, Ended)
            stop = onward(steps, PASSING.at(stop))
        return steps, stop, scope

    def replayed(
        self, k: int, t: Any, rule: SiteRule, axis: Axis, given: Mapping[str, Arr], omega: Any
    ) -> Replayed:
        """A population at stop number k, at its step t if that is a loop."""
        _, stop, _ = self.to(k, rule, axis, given, omega)
        assert not isinstance(stop, Ended)
        if isinstance(stop, Stop):
            front, state = stop.state.extra, stop.state
            log_density = weighted(front.log_weights, state, front.lineage)
            return Replayed(log_density, front.lineage.brought(state.sites), {}, state.omega)
        return _until(*stop.opened, t)

    def density(
        self, names: frozenset[str], k: int, t: Any, alive: Mapping[str, Any]
    ) -> MixedDensity:
        """Of the coordinates `names` of the choices before a point. alive: see `Target`."""
        whole, one = self.whole, Axis(0, "particle", 1)

        def given(position: Mapping[str, Any]) -> dict[str, Arr]:
            return {name: Arr(jnp.asarray(u)[None], (one,)) for name, u in position.items()}

        def log_density(data: Data, position: Mapping[str, Any]) -> Any:
            found = replace(self, data=data).replayed(k, t, self.base, one, given(position), None)
            return found.log_density[0]

        def redraw(
            data: Data, position: Mapping[str, Any], chosen: Mapping[str, Any], omega: Any
        ) -> tuple[Any, dict[str, Any], Any]:
            masks = {f"{name}/{CHOSEN}": jnp.asarray(v) for name, v in chosen.items()}
            rule, every = Redraw(self.base), given({**position, **masks})
            found = replace(self, data=data).replayed(k, t, rule, one, every, omega)
            new = {**coordinates(found.sites, one), **coordinates(found.inside, one)}
            fresh = {
                name: _where(alive.get(name), u.data[0], position[name]) for name, u in new.items()
            }
            return found.omega, {**position, **fresh}, found.log_density[0]

        return MixedDensity(
            key=(whole.key, k),
            sites=tuple(s for s in whole.sites if s.path in names),
            log_density=log_density,
            constrain=whole.constrain,
            discrete=tuple(s for s in whole.discrete if s.path in names),
            loops={name: whole.loops[name] for name in names},
            redraw=redraw,
        )


def _where(alive: Any, new: Any, old: Any) -> Any:
    if alive is None:
        return new
    return jnp.where(jnp.reshape(alive, alive.shape + (1,) * (new.ndim - alive.ndim)), new, old)


def begun(loop: Opened, omega: Any) -> RValue:
    """The loop's state before its first step, in the form that it keeps."""
    init = carried(loop.start, loop.axes)
    if not holds_code(loop.node.carry.type):
        return init
    own, inputs = live(loop), jax.tree.map(lambda x: x[0], loop.inputs)

    def after(state: RValue) -> RValue:
        return step_of(loop, state, own, inputs, 0, omega)[0]

    return closed_form(after, init, loop.node.span)


def live(loop: Opened) -> Any:
    """What in a loop is the particles' own beside its state: of what it reads, of its elements."""
    return moving(loop.outer, loop.axis), moving(loop.inputs[:1], loop.axis)


def step_of(
    loop: Opened, state: RValue, own: Any, inputs: Any, t: Any, omega: Any
) -> tuple[RValue, State]:
    """Step t of a loop, in which what is the particles' `own` is that. inputs: of the step."""
    (element, given), here = inputs, replace(loop, follows=False)
    (element,) = moved((element,), loop.axis, [replace(a, data=a.data[t]) for a in own[1]])
    source = None if omega is None else omega.enter(t)
    return here.step(state, own[0], (element, given), None, source, None, {})


def _until(loop: Opened, state: State, t: Any) -> Replayed:
    """A loop to the end of its step t."""
    front: Front = state.extra
    before, own = front.lineage, live(loop)

    def one(carry: Any, x: Any) -> tuple[Any, Any]:
        current, weights, omega = carry
        after, end = step_of(loop, current, own, x[1], x[0], omega)
        left = None if omega is None else omega.leave(end.omega)
        return (after, weighted(weights, end, before), left), end.sites

    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        like = jax.eval_shape(one, carry, x)[1]

        def stay(carry: Any, x: Any) -> tuple[Any, Any]:
            return carry, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), like)

        return jax.lax.cond(x[0] <= t, one, stay, carry, x)

    start = begun(loop, state.omega), weighted(front.log_weights, state, before), state.omega
    inputs = jnp.arange(loop.n), loop.inputs
    (end, log_density, omega), sites = jax.lax.scan(step, start, inputs)
    inside = {name: history_of(v, loop.n) for name, v in sites.items()}
    return Replayed(log_density, before.brought(state.sites), inside, omega, end, own)

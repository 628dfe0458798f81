"""Compiled particles whose loop over data is not run from beginning to end: they go on when data
arrive, are drawn backwards from where they ended, or go on row by row for each of some parameters."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp

from ppl.inference.movers import Shape
from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.inference.smc2 import Smc2
from ppl.inference.smc2_compiled import lanes_of, sites_of
from ppl.semantics import keys
from ppl.semantics.omega import Key
from ppl.semantics.xla import backward
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.lineage import inherited
from ppl.semantics.xla.mixed import mixed_density, rule_of
from ppl.semantics.xla.program import ALL, particles
from ppl.semantics.xla.sequential import Loop
from ppl.semantics.xla.sites import draw, replayed
from ppl.semantics.xla.standing import From, Later, Standing, parts_of
from ppl.verify import Compiled
from ppl.verify.columns import RESULT
from ppl.verify.compiled import Lanes, Runs, values_of
from ppl.verify.runnable import Runnable


def particles_for(program: Any) -> int:
    """As many as have few enough paths."""
    return 3 if len(program.data["ys"]) == 2 else 2


def smoothed(program: Any, threshold: float) -> Compiled:
    """One trajectory drawn backwards through the populations of a filter, and run once more."""
    policy, n = compiled_policy(Resample("systematic", threshold)), particles_for(program)

    def run(model: Lanes, omega: Any) -> Runs:
        lanes = particles(1)
        omega, found = backward.trajectories(
            model.bound, model.data, omega, particles(n), policy, 1
        )
        given = {k: replace(v, axes=(lanes,)) for k, v in found.sites.items()}
        result, state = model.bound.execute(
            model.data, rule=replayed, omega=Key(keys.key(0)), axes=(lanes,), given=given, record=ALL
        )  # fmt: skip
        return Runs(omega, values_of(result, state, 1), jnp.reshape(found.log_mass, (1,)))

    return Compiled(run)


@dataclass(frozen=True)
class Noting(Standing):
    """Notes the source of randomness at the end of the loop. What follows is run later, when the
    loop has gone on, and by the same random numbers; here it has others."""

    sources: list[Any] = field(default_factory=list)

    def at(self, stop: Any) -> Any:
        out, state = super().at(stop)
        if isinstance(stop, Loop):
            self.sources.append(state.omega)
            state = replace(state, omega=Key(keys.key(0)))
        return out, state


def extended(program: Any, threshold: float) -> Compiled:
    """A filter of the first row that goes on with the others, and then comes to its end. Results
    are compared."""
    n = particles_for(program)
    policy, axis = compiled_policy(Resample("systematic", threshold)), particles(n)
    target = Runnable.of(program).target
    first = target.model(**{**target.values, "ys": target.values["ys"][:1]}).bound
    parts = parts_of(first)
    assert parts is not None
    cut = parts.cut

    def run(model: Lanes, omega: Any) -> Runs:
        ys = model.data["ys"]
        assert isinstance(ys, Arr)
        early, late = (
            {**model.data, "ys": replace(ys, data=x)} for x in (ys.data[:1], ys.data[1:])
        )
        shared = {"axes": (axis,), "record": ALL, "rule": draw}
        meeting = Noting(policy, True, cut.loop, cut.live, cut.keeps)
        _, end = first.execute(early, omega=omega, meeting=meeting, **shared)
        stood, (source,) = end.extra.stood, meeting.sources
        read = {p.name for p in cut.again.entry.params}
        live = tuple(name for name in cut.live if name in read)
        begins = From(stood.log_weights, stood.version)
        meeting = Standing(policy, True, cut.again_loop, live, cut.keeps, begins)
        known = {**late, **stood.live, cut.state: stood.state, cut.first: Arr(jnp.asarray(1))}
        source = Later(source, jnp.asarray(1))
        _, end = parts.again.execute(
            {k: v for k, v in known.items() if k in read}, omega=source, meeting=meeting, **shared
        )
        went = end.extra.stood
        begins = From(went.log_weights, stood.version + 1)
        outside = {k: v for k, v in stood.live.items() if k not in read}
        outside = inherited(outside, went.roots.data, axis)
        known = {**model.data, **outside, **went.live, cut.value: went.state}
        read = {p.name for p in cut.after.entry.params}
        result, end = parts.after.execute(
            {k: v for k, v in known.items() if k in read},
            omega=end.omega.source, meeting=Standing(policy, True, None, begins=begins), **shared,
        )  # fmt: skip
        values = values_of(result, end, n)
        results = {k: v for k, v in values.items() if k.startswith(RESULT)}
        return Runs(end.omega, results, end.extra.log_weights)

    return Compiled(run)


#: what is tried of SMC²: (parameter particles, states, threshold, whether they move)
PARTS = {
    "parameters": (2, 1, 1.0, False),
    "states": (1, 2, 0.9, False),
    "moves": (1, 2, 0.0, True),
}


def smc2(program: Any, part: str) -> Compiled:
    """Parameters that are resampled, states that are, or a move, and then the rest of the rows: all
    at once have too many paths."""
    n, states, threshold, moves = PARTS[part]
    settings = Smc2(parameters="c", particles=n, states=states, threshold=threshold, moves=1)
    lanes, shape = particles(n), Shape(jnp.zeros((0, 0)))

    def run(model: Lanes, omega: Any) -> Runs:
        bound, data = model.bound, model.data
        density = mixed_density(bound, data, None)
        own = lanes_of(bound, data, density, sites_of(density, settings), settings, states)
        t, told = 0, own.untold()
        omega, f = own.begin(data, omega)
        if moves:
            omega, f, told, t, _ = own.advance(data, f, told, 0, 1, omega)
            omega, f, _ = own.rejuvenated(data, f, t, shape, omega)
        omega, f, *_ = own.advance(data, f, told, t, own.filter.rows, omega)
        omega, position, log_weights = own.finish(data, f, omega)
        given = {k: Arr(u, (lanes,)) for k, u in position.items()}
        result, state = bound.execute(
            data, rule=rule_of(density), axes=(lanes,), given=given, record=ALL
        )
        return Runs(omega, values_of(result, state, n), log_weights)

    return Compiled(run)

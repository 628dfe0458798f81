"""A particle filter that is taken step by step, given the parameters of its program.

The program is cut at its last loop that scores (`passes.stepwise`): a filter begins before the
loop, goes on by one row or by several, and ends with what follows. Parameters are given, by their
coordinates, and their density counts as a score; all other sites are drawn, and recorded by theirs.
So the mass is at all times an unbiased estimate of the joint density of the parameters and what was
scored.

All of it is a pure function of one filter, to be run in lanes (`Omega.lanes`), one a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import keys
from ppl.semantics.diagnostics import fail
from ppl.semantics.omega import Key
from ppl.semantics.passes.stepwise import Stepwise, stepwise, without_steps
from ppl.semantics.xla.axes import Arr, Axis
from ppl.semantics.xla.carries import closed_form, holds_code
from ppl.semantics.xla.conditional import Conditional
from ppl.semantics.xla.held import Held
from ppl.semantics.xla.lineage import inherited
from ppl.semantics.xla.points import OWN, Policy, drawn
from ppl.semantics.xla.program import Bound, Data, particles
from ppl.semantics.xla.sequential import Alone
from ppl.semantics.xla.standing import From, Standing, Stood, Table
from ppl.semantics.xla.state import Scope, Site, State
from ppl.semantics.xla.values import (
    RValue,
    as_array,
    elements,
    length,
    map_leaves,
    spread_value,
    varies_along,
)

#: coordinates by site
Position = Mapping[str, Any]
SITES = frozenset(("sites",))


@dataclass(frozen=True)
class GivenParameters(Conditional):
    """Sites that are not moved are parameters, whose laws no particle's choices may enter."""

    def __call__(self, site: Site, scope: Scope, state: State) -> tuple[RValue, State]:
        if site.name not in self.moved:
            read = (*varies_along(site.dist), *(() if scope.mask is None else scope.mask.axes))
            if self.axis in read:
                raise fail(
                    "E877",
                    f"the law of `{site.name}` depends on choices that are no parameters",
                    span=site.span,
                    hint="name these, too",
                )
        return super().__call__(site, scope, state)


@partial(
    jax.tree_util.register_dataclass, data_fields=["live", "state", "log_weights"], meta_fields=[]
)
@dataclass(frozen=True)
class Underway:
    """A filter between two rows. live: what was bound before the loop and is still to be read.
    state: the loop's. log_weights (n,)."""

    live: Table
    state: RValue
    log_weights: Any


@partial(jax.tree_util.register_dataclass, data_fields=["source", "seeds"], meta_fields=[])
@dataclass(frozen=True)
class Rows:
    """A source for a loop that was run row by row, each in a lane with a seed (rows, …) of its own:
    it draws again what was drawn then."""

    source: Any
    seeds: Any

    def enter(self, t: Any) -> Any:
        return self.source.again(self.seeds[t]).enter(0)

    def leave(self, inner: Any) -> Rows:
        return self

    @property
    def has_room(self) -> Any:
        return self.source.has_room


@dataclass(frozen=True, eq=False)
class Filter:
    """The steps of a filter of n particles on a program cut at a loop of so many `rows`.

    base: coordinates of all sites. names: of the parameters; moved: of the others.
    """

    parts: Parts
    rows: int
    base: Held
    names: frozenset[str]
    moved: frozenset[str]
    axis: Axis
    policy: Policy

    # -------------------------------------------------------------------------------- parameters

    def parameters(self, data: Data, omega: Any) -> tuple[Any, dict[str, Any], Any]:
        """The parameters that are drawn before the loop, by the laws that they have there: the
        source, the coordinates, and their log density.

        Raises:
            DiagnosticError: E877, some are not drawn there.
        """
        one, bound = particles(1), self.parts.before
        _, state = bound.execute(
            _read_by(bound, data),
            rule=Conditional(self.base, self.moved | self.names, one, retained=False),
            omega=omega,
            axes=(one,),
            record=SITES,
        )
        found = {k: u.data[0] for k, u in state.sites.items() if k in self.names}
        if late := sorted(self.names - found.keys()):
            raise fail(
                "E877",
                f"`{late[0]}` is not drawn before the loop over data",
                hint="parameters are drawn first",
            )
        own = {k: v for k, v in state.observed.items() if k in {f"{OWN}/{name}" for name in found}}
        density, _ = drawn(State(observed=own), one)
        return state.omega, found, density[0]

    # ------------------------------------------------------------------------------------- steps

    def begin(
        self, data: Data, given: Position, omega: Any
    ) -> tuple[Any, Underway, dict[str, Any]]:
        """Before the first row: the source, the filter, and the coordinates (n, …) of what it has
        drawn."""
        bound = self.parts.before
        values, end = self._run(bound, data, omega, Alone(self.policy), given)
        *live, state = values
        cut, table = self.parts.cut, dict(zip(self.parts.cut.live, live, strict=True))
        at = Underway(table, spread_value(state, (self.axis,)), end.extra.log_weights)
        if holds_code(cut.loop.carry.type):
            after = lambda s: self.advance(data, replace(at, state=s), 0, omega)[1].state  # noqa: E731
            at = replace(at, state=closed_form(after, at.state, cut.loop.span))
        return end.omega, at, self.coordinates(end.sites)

    def steps(self, data: Data) -> int:
        """The number of rows in these data.

        Raises:
            DiagnosticError: E730, there are none.
        """
        rows = 0

        def probe(data: Data) -> Any:
            nonlocal rows
            omega = Key(keys.key(0))
            _, given, _ = self.parameters(data, omega)
            _, at, _ = self.begin(data, given, omega)
            rows = length(self.elements(data, at.live))
            return ()

        jax.eval_shape(probe, dict(data))
        if not rows:
            raise without_steps(self.parts.cut.loop)
        return rows

    def elements(self, data: Data, live: Table) -> RValue:
        """What the loop goes over."""
        found, _ = self._run(self.parts.over, {**data, **live}, None, None)
        return found

    def advance(self, data: Data, at: Underway, t: Any, omega: Any) -> tuple[Any, Underway, Stood]:
        """By row t; by all of them, if t is None."""
        cut, bound = self.parts.cut, self.parts.again
        read = {p.name for p in bound.program.entry.params}
        inside = tuple(name for name in cut.live if name in read)
        begins = From(at.log_weights, 0)
        meeting = Standing(self.policy, True, cut.again_loop, inside, False, begins)
        rows = self.elements(data, at.live)
        rows = rows if t is None else _one(rows, t)
        known = {**at.live, cut.state: at.state, cut.rows: rows}
        _, end = self._run(bound, {**data, **known}, omega, meeting)
        stood: Stood = end.extra.stood
        outside = {k: v for k, v in at.live.items() if k not in read}
        live = {**stood.live, **inherited(outside, stood.roots.data, self.axis)}
        return end.omega, Underway(live, stood.state, stood.log_weights), stood

    def finish(
        self, data: Data, at: Underway, value: RValue, omega: Any
    ) -> tuple[Any, Any, Any, dict[str, Any]]:
        """What follows the loop, whose value that is: the source, the log weights (n,), the
        particle that each goes on from, and the coordinates (n, …) of what was drawn there."""
        cut, bound = self.parts.cut, self.parts.after
        meeting = Standing(self.policy, True, None, begins=From(at.log_weights, 0))
        _, end = self._run(bound, {**data, **at.live, cut.value: value}, omega, meeting)
        front = end.extra
        return end.omega, front.log_weights, front.lineage.roots.data, self.coordinates(end.sites)

    def coordinates(self, sites: Mapping[str, RValue]) -> dict[str, Any]:
        """Of what was drawn (n, …), among sites that were recorded: others have values set."""
        return {k: u.data for k, u in sites.items() if k in self.moved}

    def _run(
        self, bound: Bound, data: Data, omega: Any, meeting: Any, given: Position | None = None
    ) -> tuple[RValue, State]:
        return bound.execute(
            _read_by(bound, data),
            rule=GivenParameters(self.base, self.moved, self.axis, retained=False),
            omega=omega,
            axes=(self.axis,),
            given={k: Arr(jnp.asarray(u)) for k, u in (given or {}).items()},
            record=SITES,
            meeting=meeting,
        )


def _read_by(bound: Bound, data: Data) -> Data:
    """The data that a part of the program reads."""
    names = {p.name for p in bound.program.entry.params} | {k for f in bound.fixed for k in f.keys}
    return {name: v for name, v in data.items() if name in names}


def _one(rows: RValue, t: Any) -> RValue:
    """The array of one row."""
    row = partial(jax.lax.dynamic_slice_in_dim, start_index=t, slice_size=1)
    items = map_leaves(lambda a: Arr(row(a.data, axis=len(a.axes)), a.axes), elements(rows))
    return as_array(items, 1)


@dataclass(frozen=True, eq=False)
class Parts:
    """A program cut at a loop (`passes.stepwise`), to be run."""

    cut: Stepwise
    before: Bound
    over: Bound
    again: Bound
    after: Bound


@lru_cache(maxsize=64)
def parts_of(bound: Bound) -> Parts:
    """Raises E730 if the program has no loop that it could be cut at."""
    cut = stepwise(bound.program)
    programs = (cut.before, cut.over, cut.again, cut.after)
    return Parts(cut, *(replace(bound, program=p) for p in programs))

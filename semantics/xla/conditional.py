"""A program run by particles of which the first goes along a given trace: conditional SMC.

Particle 0 is the *retained* one: at the moved sites it takes the coordinates that are given, where
the others draw. It is weighted, and chosen as an ancestor, like any other. Sites that are not moved
are given to all particles, and their densities, given each particle's own past, multiply weights.

For ancestor sampling, every point needs the density of what the retained trace draws and scores
from there on, had it every particle's past. That of the whole trace so made, divided by that of
the past alone, is right for any program; `retained` says where the density of one step is.

Andrieu, Doucet and Holenstein (2010); Lindsten, Jordan and Schön (2014).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics.xla.axes import Arr, Axes, Axis, narrow
from ppl.semantics.xla.held import Held, made_of
from ppl.semantics.xla.points import OWN, Ahead, Policy
from ppl.semantics.xla.program import NOTHING, Bound, Data, particles
from ppl.semantics.xla.redraw import Redraw
from ppl.semantics.xla.sequential import Alone
from ppl.semantics.xla.state import Scope, Site, State, masked, total
from ppl.semantics.xla.values import RValue


@dataclass(frozen=True)
class Conditional:
    """Moved sites are drawn by all particles but the first (by all, if none is `retained`), and
    record their coordinates. Their densities are no scores; they are recorded as observed, under
    `OWN`."""

    base: Held
    moved: frozenset[str]
    axis: Axis
    retained: bool

    def __call__(self, site: Site, scope: Scope, state: State) -> tuple[RValue, State]:
        quiet = replace(scope, record=frozenset())
        if site.name not in self.moved:
            return self.base(site, quiet, state)
        made, axes = made_of(site, scope)
        others = Arr(jnp.arange(self.axis.size) >= self.retained, (self.axis,))
        u, state = Redraw(self.base).drawn(site, scope, state, made, axes, others)
        inner = replace(quiet, given={**scope.given, site.name: u})
        x, drawn = self.base(site, inner, State())
        own = total((f.score for f in drawn.scores), (self.axis,))
        observed = {**state.observed, f"{OWN}/{site.name}": own}
        state = replace(state.scored(legal(made, axes, scope)), observed=observed)
        return x, state.with_site(site.path, u, site.span)


def legal(made: Any, axes: Axes, scope: Scope) -> Arr:
    """What a draw scores: no mass where there is no law to draw from."""
    return masked(scope, narrow(jnp.where(D.valid(made), 0.0, -jnp.inf), axes))


def sweep(
    bound: Bound,
    data: Data,
    base: Held,
    position: Mapping[str, Any],
    moved: frozenset[str],
    n: int,
    policy: Policy,
    omega: Any,
    *,
    retained: bool = True,
) -> tuple[Any, Any, dict[str, Any]]:
    """n particles run to their ends, the first along `position` if it is `retained`: the source of
    randomness, their log weights (n,), and the coordinates (n, …) of the moved sites.

    Law, if none is: `ProperlyWeighted` for the moved sites, of the measure at what is given.
    """
    axis = particles(n)
    given = {k: Arr(jnp.asarray(u)) for k, u in position.items()}

    def log_density(found: Mapping[str, Arr]) -> Any:
        _, state = bound.execute(
            data, rule=base, axes=(axis,), given={**given, **found}, record=NOTHING
        )
        return total((f.score for f in state.scores), (axis,)).data

    _, state = bound.execute(
        data,
        rule=Conditional(base, moved, axis, retained),
        omega=omega,
        axes=(axis,),
        given=given,
        record=frozenset(("sites",)),
        meeting=Alone(policy, ahead=Ahead(moved, base, log_density) if retained else None),
    )
    found = {k: u.data for k, u in state.sites.items() if k in moved}  # others are set
    return state.omega, state.extra.log_weights, found

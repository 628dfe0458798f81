"""A program's continuous sites, drawn or replayed, in the free coordinates of its density.

Law of what is drawn: the sites' own laws, observations left out. A site's coordinate is the one
that `Free` maps to the value, through the support that it was drawn under; where a site is not run,
a draw from the standard normal reference. So the coordinates have the density at temperature 0:
finite sites, which the density sums out, are drawn and forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics.xla.axes import Arr, align, elementwise, narrow, union
from ppl.semantics.xla.dists import realise
from ppl.semantics.xla.sites import Free, Result, _applier, _location_of, draw
from ppl.semantics.xla.state import Scope, Site, SiteRule, State
from ppl.semantics.xla.values import to_arr, varies_along

#: the coordinate of a draw at the end of its support, which is there by underflow only
FAR = 700.0


@dataclass(frozen=True)
class Start:
    """Draws (or makes choices by another rule) and records a continuous site as a pair: its value,
    and its coordinate for `free`.

    It records on its own account: the run's record should be empty.
    """

    free: Free
    made: SiteRule = draw

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        value, state = self.made(site, scope, state)
        axes = union(scope.axes, varies_along(site.dist))
        law = realise(site.dist, axes, _applier(scope), site.span)
        if D.is_discrete(law):
            return value, state
        x = to_arr(value)
        if site.name in self.free.noncentred:
            at = _location_of(site)
            location, scale = (to_arr(a) for a in site.dist.args[at : at + 2])
            u = elementwise(lambda v, m, s: (v - m) / s, x, location, scale)
        else:
            u = narrow(_finite(D.bijection(law).inv(align(x, axes))), axes)
        if scope.mask is not None:
            shape = (*(a.size for a in axes), *u.event_shape)
            path = (*site.path, "", "reference")
            omega, z = state.omega.draw(path, D.make("normal", (0.0, 1.0)), shape)
            state = replace(state, omega=omega)
            u = elementwise(jnp.where, scope.mask, u, Arr(z, axes))
        return value, state.with_site(site.path, (x, u), site.span)


def _finite(u: Any) -> Any:
    return jnp.where(jnp.isinf(u), jnp.sign(u) * FAR, u)

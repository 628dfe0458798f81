"""Sites of Gaussian law in coordinates of independent standard normals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import fail
from ppl.semantics.distributions.gaussian import affine
from ppl.semantics.xla.axes import align, elementwise, narrow
from ppl.semantics.xla.held import Held, depends_on_summed, made_of, summed_axes
from ppl.semantics.xla.sites import Result, _given
from ppl.semantics.xla.state import Scope, Site, State


@dataclass(frozen=True)
class Whiten:
    """The sites in `names`, Gaussian given the others, in standard coordinates: these are given,
    with `inverse`, else found. Each records its value and its other coordinate. They score nothing.

    Raises E862 for a site that is not Gaussian, or whose law depends on what is summed out.
    """

    base: Held
    names: frozenset[str]
    inverse: bool

    def holds(self, site: Site, made: Any) -> bool:
        return self.base.holds(site, made)

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        if site.name not in self.names:
            return self.base(site, scope, state)
        made, axes = made_of(site, replace(scope, smooth=False))
        form = affine(made)
        if form is None:
            raise fail(
                "E862",
                f"`{site.name}` has no Gaussian prior (it is `{site.dist.name}`), which an "
                "elliptical slice needs",
                span=site.span,
                hint="move it by another kernel: "
                f'elliptical_slice().on(…).then(random_walk().on("{site.name}"))',
            )
        summed = summed_axes(axes, scope)
        if summed:
            raise depends_on_summed(site, summed[0].name)
        u = _given(site, scope)
        other = narrow((form.value if self.inverse else form.standard)(align(u, axes)), axes)
        if scope.mask is not None:
            other = elementwise(jnp.where, scope.mask, other, u)
        x = other if self.inverse else u
        legal = narrow(jnp.where(D.valid(made), 0.0, -jnp.inf), axes)
        if scope.mask is not None:
            legal = elementwise(lambda m, s: jnp.where(m, s, 0.0), scope.mask, legal)
        return x, state.scored(legal).with_site(site.path, (u, other), site.span)

"""Values in the place of coordinates, and draws that tell their densities: what proposals that are
made in values need of the program that they change, and of the program that makes them.

A value is of a site that is always drawn: what a branch draws has no one place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import fail
from ppl.semantics.xla.axes import Arr, align, elementwise, narrow
from ppl.semantics.xla.dists import log_prob
from ppl.semantics.xla.held import Held, made_of
from ppl.semantics.xla.sites import Result, _applier, _given, _typed, draw
from ppl.semantics.xla.state import Scope, Site, State, total
from ppl.semantics.xla.summing import COUNTED

#: the step of a path at which a site's value is given
VALUE = "!value"


@dataclass(frozen=True)
class Placed:
    """Sites in `names` take the values that are given at their paths and VALUE, if any are, and
    record the coordinates of these. Score: that of `base`, without the Jacobians of `names`, so
    that it is a density of their values."""

    base: Held
    names: frozenset[str]

    def holds(self, site: Site, made: Any) -> bool:
        return self.base.holds(site, made)

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        if site.name not in self.names:
            return self.base(site, scope, state)
        _refuse_in_branch(site, scope)
        value = scope.given.get(f"{site.name}/{VALUE}")
        if value is None:
            u, inside = _given(site, scope), None
        else:
            u, inside = self._coordinate(site, scope, value)
        inner = replace(scope, given={**scope.given, site.name: u}, record=frozenset())
        plain = replace(self.base, free=replace(self.base.free, jacobian=False))
        x, scored = plain(site, inner, State())
        score = total((f.score for f in scored.scores), ())
        if inside is not None:
            score = elementwise(lambda i, s: jnp.where(i, s, -jnp.inf), inside, score)
        return x, state.scored(score).with_site(site.path, (u, u), site.span)

    def _coordinate(self, site: Site, scope: Scope, value: Arr) -> tuple[Arr, Arr | None]:
        """The coordinate of a value, and whether it has one, if that is not always so."""
        made, axes = made_of(site, scope)
        if not D.is_discrete(made):
            return narrow(D.bijection(made).inv(align(value, axes)), axes), None
        count = dict(self.base.options).get(site.name)
        if not count or site.dist.name in COUNTED:
            return Arr(jnp.asarray(value.data, int), value.axes), None
        values, _ = D.support_values(made)  # (K, *axes, *event)
        same = values == align(value, axes)
        same = jnp.all(same, axis=tuple(range(1 + len(axes), same.ndim)))
        return narrow(jnp.argmax(same, axis=0), axes), narrow(jnp.any(same, axis=0), axes)


def telling(site: Site, scope: Scope, state: State) -> Result:
    """The value that is given for the site, or else a draw; recorded with its log density, which is
    no score."""
    _refuse_in_branch(site, scope)
    if site.name in scope.given:
        given = scope.given[site.name]
        x = Arr(_typed(given.data, site), given.axes)
    else:
        x, state = draw(site, replace(scope, record=frozenset()), state)
    score = log_prob(site.dist, x, _applier(scope), site.span, checks="support")
    return x, state.with_site(site.path, (x, score), site.span)


def _refuse_in_branch(site: Site, scope: Scope) -> None:
    if scope.mask is not None:
        raise fail(
            "E879",
            f"`{site.name}` is drawn by some runs and not by others, and compiled code proposes "
            "what all of them draw",
            span=site.span,
            hint="leave the choice of the engine to the compiler: engine='auto'",
        )

"""Chosen draws made again from their laws: what proposals from the prior are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import fail
from ppl.semantics.xla.axes import Arr, Axes, align, elementwise
from ppl.semantics.xla.held import Held, depends_on_summed, made_of, summed_axes
from ppl.semantics.xla.sites import Result, _given
from ppl.semantics.xla.state import Scope, Site, State, total

#: the step of a path at which is given which draws to make again
CHOSEN = "!chosen"


@dataclass(frozen=True)
class Redraw:
    """Draws chosen (by what is given at the site's path and CHOSEN) are made again, and the site
    records its new coordinates. The score is that of `base`, without the chosen draws'.

    With `starting`, only discrete sites are drawn, where the law depends on choices that are summed
    out from the law that belongs to the first of these.
    """

    base: Held
    starting: bool = False

    def holds(self, site: Site, made: Any) -> bool:
        return self.base.holds(site, made)

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        made, axes = made_of(site, scope)
        chosen = self._chosen(site, scope, made)
        if chosen is None:
            return self.base(site, scope, state)
        if state.omega is None and self.starting:  # only the form of a loop's step is asked for
            own = tuple(a for a in axes if not a.enumerated)
            u = Arr(jnp.zeros((*_sizes(own), *self._event(site, made)), int), own)
        elif state.omega is None:
            u = _given(site, scope)
        else:
            u, state = self.drawn(site, scope, state, made, axes, chosen)
        given = {**scope.given, site.name: u}
        inner = replace(scope, given=given, record=frozenset())
        x, scored = self.base(site, inner, State())
        score = total((f.score for f in scored.scores), ())
        score = elementwise(lambda c, s: jnp.where(c, 0.0, s), chosen, score)
        return x, state.scored(score).with_site(site.path, (u, u), site.span)

    def _event(self, site: Site, made: Any) -> tuple[int, ...]:
        """The dimensions of one draw's coordinate: the number of an option is one number."""
        return () if dict(self.base.options).get(site.name) else tuple(made.event_shape)

    def _chosen(self, site: Site, scope: Scope, made: Any) -> Arr | None:
        """Which draws of a site are chosen; None if no draw of it may be."""
        if self.starting:
            return Arr(jnp.ones((), bool)) if D.is_discrete(made) else None
        return scope.given.get(f"{site.name}/{CHOSEN}")

    def drawn(
        self, site: Site, scope: Scope, state: State, made: Any, axes: Axes, chosen: Arr
    ) -> tuple[Arr, State]:
        """The site's coordinates: new ones of the chosen draws, else what is given."""
        summed = summed_axes(axes, scope)
        if summed and not self.starting:
            raise depends_on_summed(site, summed[0].name)
        if scope.mask is not None:
            scope = replace(scope, mask=first(scope.mask))
        summed, axes = summed_axes(axes), tuple(a for a in axes if not a.enumerated)
        shape = tuple(a.size for a in axes)
        live = chosen if scope.mask is None else elementwise(jnp.logical_and, chosen, scope.mask)
        omega, count = state.omega, dict(self.base.options).get(site.name)
        every = (*summed, *axes)  # enumeration axes sort first

        def draw(omega: Any, law: Any, path: tuple[str, ...], where: Arr) -> tuple[Any, Any]:
            return omega.draw(path, law, shape, where=jnp.broadcast_to(align(where, axes), shape))

        if count:
            _, log_p = D.support_values(made)
            logits = jnp.moveaxis(jnp.broadcast_to(log_p, (count, *_sizes(every))), 0, -1)
            logits = logits[(0,) * len(summed)]
            omega, u = draw(omega, D.make("categorical_logit", (logits,)), site.path, live)
        elif summed:
            law = made.expand(_sizes(every))
            u = law.sample(omega.foreign_key(site.path))[(0,) * len(summed)]
        else:
            _refuse_without_sampler(site, made)
            omega, x = draw(omega, made, site.path, live)
            u = x if D.is_discrete(made) else _finite(D.bijection(made).inv(x))
        if scope.mask is not None:
            alive = Arr(jnp.broadcast_to(align(scope.mask, axes), shape), axes)
            dead = elementwise(lambda c, m: c & ~m, chosen, alive)
            omega, other = self._reference(omega, site, jnp.shape(u), len(axes), count, dead, shape)
            u = elementwise(jnp.where, alive, Arr(u, axes), Arr(other, axes)).data
        old = scope.given.get(site.name)
        new = Arr(jnp.asarray(u, int if D.is_discrete(made) else float), axes)
        if old is not None:
            new = elementwise(jnp.where, chosen, new, old)
        return new, replace(state, omega=omega)

    def _reference(
        self,
        omega: Any,
        site: Site,
        shape: tuple[int, ...],
        lead: int,
        count: int | None,
        where: Arr,
        lanes: tuple[int, ...],
    ) -> tuple[Any, Any]:
        """Draws of the law of lanes that are not taken."""
        path, event = (*site.path, "", "reference"), len(shape) - lead
        mask = jnp.reshape(jnp.broadcast_to(align(where, where.axes), lanes), lanes + (1,) * event)
        mask = jnp.broadcast_to(mask, shape)
        if count:
            law = D.make("categorical", (jnp.full(count, 1 / count),))
            return omega.draw(path, law, shape, where=mask)
        if site.name in dict(self.base.options):
            half = D.make("geometric", (jnp.asarray(0.5),))
            omega, a = omega.draw((*path, "a"), half, shape, where=mask)
            omega, b = omega.draw((*path, "b"), half, shape, where=mask)
            return omega, a - b
        return omega.draw(path, D.make("normal", (0.0, 1.0)), shape, where=mask)


def first(arr: Arr) -> Arr:
    """The value that belongs to the first of each of the choices that are summed out."""
    summed = summed_axes(arr.axes)
    return Arr(arr.data[(0,) * len(summed)], arr.axes[len(summed) :])


def _sizes(axes: Axes) -> tuple[int, ...]:
    return tuple(a.size for a in axes)


def _finite(u: Any) -> Any:
    """A draw at the end of its support is there by underflow only."""
    return jnp.clip(u, -700.0, 700.0)


def _refuse_without_sampler(site: Site, made: Any) -> None:
    if not D.has_sampler(made):
        raise fail(
            "E801",
            f"`{site.name}` has a density but no sampler (`{site.dist.name}` is not a "
            "probability distribution)",
            span=site.span,
            hint="move it by another kernel than `prior`, or give it a proper prior",
        )

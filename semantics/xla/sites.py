"""What running a distribution means. Each rule is one reading of the same program.

- `draw`: forward simulation from Ω.
- `Given`: values from a trace; the score is their log density.
- `Free`: unconstrained coordinates, mapped through the site's current support; the score is the
  log density with log |Jacobian|. A lane that is not taken keeps a standard normal reference, so
  that the target stays normalised there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ppl.semantics import distributions as D
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.distributions.law import Checks
from ppl.semantics.jax_compat import is_concrete
from ppl.semantics.signatures import PRIMITIVES, Distribution
from ppl.semantics.xla.arrays import index
from ppl.semantics.xla.axes import Arr, align, elementwise, narrow, union
from ppl.semantics.xla.dists import log_prob, realise
from ppl.semantics.xla.state import Scope, Site, State, masked, missing_where_dead
from ppl.semantics.xla.values import Dist, RValue, cut, to_arr, varies_along

Result = tuple[RValue, State]


def _applier(scope: Scope) -> Callable[..., RValue]:
    from ppl.semantics.xla.run import apply

    return lambda f, *args: apply(f, args, scope)


def _typed(data: Any, site: Site) -> Any:
    """Draws in the dtype of their type (NumPyro draws booleans as integers)."""
    item = site.dist.type.item
    while isinstance(item, T.Array):
        item = item.item
    if item == T.BOOL:
        return jnp.asarray(data, bool)
    kind = float if T.is_real(item) else int
    return jnp.asarray(data, jnp.result_type(kind))


def _recorded(state: State, site: Site, x: RValue, scope: Scope) -> State:
    if "sites" not in scope.record:
        return state
    return state.with_site(site.path, missing_where_dead(x, scope), site.span)


def draw(site: Site, scope: Scope, state: State) -> Result:
    """Forward simulation: law of the site given what came before.

    The score is unchanged, but where the parameters are illegal (a negative scale): there is no
    law to draw from then, so the lane has no mass.
    """
    axes = union(scope.axes, varies_along(site.dist))
    made = realise(site.dist, axes, _applier(scope), site.span)
    if not D.has_sampler(made):
        raise fail(
            "E801",
            f"`{site.name}` has a density but no sampler (`{site.dist.name}` is not a "
            "probability distribution)",
            span=site.span,
            hint="use a method that needs only the density, such as nuts, or give a proper prior",
        )
    where = None if scope.mask is None else align(scope.mask, axes)
    omega, data = state.omega.draw(site.path, made, tuple(a.size for a in axes), where=where)
    x = Arr(_typed(data, site), axes)
    state = replace(state, omega=omega)
    legal = D.valid(made)
    if not (is_concrete(legal) and bool(np.all(np.asarray(legal)))):
        state = state.scored(masked(scope, narrow(jnp.where(legal, 0.0, -jnp.inf), axes)))
    return x, _recorded(state, site, x, scope)


def _given(site: Site, scope: Scope) -> Any:
    if site.name not in scope.given:
        raise fail(
            "E802",
            f"no value is given for `{site.name}`, or one of another size",
            span=site.span,
            hint="give every site a value, an array over the loops around it first",
        )
    return scope.given[site.name]


def given(site: Site, scope: Scope, state: State) -> Result:
    """The value from the trace, scored by its density."""
    x = _given(site, scope)
    score = masked(scope, log_prob(site.dist, x, _applier(scope), site.span))
    return x, _recorded(state.scored(score), site, x, scope)


def replayed(site: Site, scope: Scope, state: State) -> Result:
    """The value given for the site if there is one of its size, else a fresh draw. No score.

    A draw that is missing (the run did not make it) is made now.
    """
    fresh, drawn = draw(site, scope, state)
    if site.name not in scope.given:
        return fresh, drawn
    x = scope.given[site.name]
    if x.event_shape != fresh.event_shape:
        return fresh, drawn
    given = Arr(_typed(x.data, site), x.axes)
    if jnp.issubdtype(x.dtype, jnp.floating):
        k = len(x.axes)
        events = tuple(range(k, k + x.event_rank))
        missing = Arr(jnp.any(jnp.isnan(x.data), axis=events), x.axes)
        given = elementwise(jnp.where, missing, fresh, given)
    return given, _recorded(state, site, given, scope)


@dataclass(frozen=True)
class Free:
    """Unconstrained coordinates.

    With `jacobian=False` the density is with respect to the site's own coordinates. The sites in
    `noncentred`, of location-scale families, have the standardised value as their coordinate:
    x = location + scale * u. The measure is the same, in coordinates that do not depend on the
    scale, which samplers find easier when data say little about each element.
    """

    jacobian: bool = True
    noncentred: frozenset[str] = frozenset()

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        u = _given(site, scope)
        own = cut(u, scope.mask) if scope.smooth and scope.mask is not None else u
        if site.name in self.noncentred:
            x, score = self._standardised(site, own, scope)
        else:
            x, score = self._mapped(site, own, scope)
        if scope.mask is not None:
            reference = elementwise(lambda v: -0.5 * (v**2 + jnp.log(2 * jnp.pi)), u)
            k = len(u.axes)
            rest = tuple(range(k, k + u.event_rank))
            reference = Arr(jnp.sum(reference.data, axis=rest), u.axes)
            score = elementwise(jnp.where, scope.mask, score, reference)
        return x, _recorded(state.scored(score), site, x, scope)

    def _mapped(self, site: Site, u: Arr, scope: Scope) -> tuple[Arr, Arr]:
        axes = union(scope.axes, u.axes, varies_along(site.dist))
        made = realise(site.dist, axes, _applier(scope), site.span, checks=_checks(scope))
        to_support = D.bijection(made)
        position = align(u, axes)
        x = to_support(position)
        score = made.log_prob(x)
        if self.jacobian:
            score = score + to_support.log_abs_det_jacobian(position, x)
        return narrow(x, axes), narrow(score, axes)

    def _standardised(self, site: Site, u: Arr, scope: Scope) -> tuple[Arr, Arr]:
        at = _location_of(site)
        location, scale = (to_arr(a) for a in site.dist.args[at : at + 2])
        args = (*site.dist.args[:at], 0.0, 1.0, *site.dist.args[at + 2 :])
        standard = Dist(site.dist.name, args, site.dist.type)
        x = elementwise(lambda m, s, v: m + s * v, location, scale, u)
        score = log_prob(standard, u, _applier(scope), site.span, checks=_checks(scope))
        if not self.jacobian:
            logs = elementwise(lambda s, v: jnp.log(s) + 0 * v, scale, u)
            k = len(logs.axes)
            logs = Arr(jnp.sum(logs.data, axis=tuple(range(k, k + logs.event_rank))), logs.axes)
            score = elementwise(jnp.subtract, score, logs)
        return x, score


def _checks(scope: Scope) -> Checks:
    return "none" if scope.smooth else "all"


def _location_of(site: Site) -> int:
    """The place of the location among the arguments, the scale following it. Raises E809."""
    row = PRIMITIVES.get(site.dist.name)
    if not isinstance(row, Distribution) or row.noise != "location-scale" or row.kind == "plain":
        raise fail(
            "E809",
            f"`{site.name}` cannot be non-centred: `{site.dist.name}` is no location-scale family",
            span=site.span,
            hint="normal, student_t, cauchy, logistic, gumbel and double_exponential are",
        )
    return row.params.index("mu")


def unlisted(site: Site, scope: Scope, state: State) -> Result:
    """Refuses a site whose values cannot be listed."""
    raise fail(
        "E807",
        f"`{site.name}` has infinitely many values (`{site.dist.name}`), so there is no exact sum",
        span=site.span,
        hint="use nuts, importance or smc",
    )


@dataclass(frozen=True)
class Found:
    """A continuous site met while discovering a program's coordinates."""

    family: str
    span: Span | None


@dataclass
class Discover:
    """Finds the free coordinates: every site takes the image of 0, and records (value, 0).

    Only for abstract evaluation; `found` maps paths to what is known of the site.
    """

    found: dict[str, Found] = field(default_factory=dict)

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        axes = union(scope.axes, varies_along(site.dist))
        made = realise(site.dist, axes, _applier(scope), site.span)
        if D.is_discrete(made):
            raise fail(
                "E803",
                f"`{site.name}` is discrete, and this method needs continuous random choices",
                span=site.span,
                hint="use exact, importance or smc, or let the site be summed out",
            )
        # one coordinate for all options of the summed choices that the law depends on
        own = tuple(a for a in axes if not a.enumerated)
        batch = tuple(a.size for a in own)
        u = Arr(jnp.zeros((*batch, *D.unconstrained_shape(made)), jnp.result_type(float)), own)
        x = D.bijection(made)(align(u, axes))
        self.found[site.name] = Found(site.dist.name, site.span)
        shown = Arr(jnp.zeros((*batch, *jnp.shape(x)[len(axes) :]), x.dtype), own)
        return narrow(x, axes), state.with_site(site.path, (shown, u), site.span)


def holds(rule: Any, site: Site, made: Any) -> bool:
    """Whether a rule has a coordinate for a discrete site (`mixed.Held`), so that it is not
    summed."""
    decide = getattr(rule, "holds", None)
    return decide is not None and decide(site, made)


@dataclass(frozen=True)
class Chosen:
    """Finite sites take the option whose number the trace gives; others are treated by `rest`."""

    rest: Any

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        axes = union(scope.axes, varies_along(site.dist))
        made = realise(site.dist, axes, _applier(scope), site.span)
        if not D.is_discrete(made) or holds(self.rest, site, made):
            return self.rest(site, scope, state)
        option = scope.given[site.name]
        values, _ = D.support_values(made)
        table = narrow(jnp.moveaxis(jnp.asarray(values), 0, -1), axes)
        x = index(table, option)
        out = Arr(_typed(x.data, site), x.axes)
        return out, _recorded(state, site, out, scope)

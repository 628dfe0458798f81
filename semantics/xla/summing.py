"""Finite discrete sites summed out: a reading of the program over enumeration axes.

A summed site is a position along a fresh enumeration axis, so it passes through calls, closures,
gathers and branches like any other value. What mentions it becomes a factor over its axis, and
`elimination` sums it. A scan whose state is summed becomes a chain: the body runs once, with time
as a plate, from a state that is a position along an in-axis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.xla.axes import (
    Arr,
    Axes,
    Axis,
    Coupled,
    elementwise,
    narrow,
    open_event,
    position,
    rename,
    union,
)
from ppl.semantics.xla.dists import realise
from ppl.semantics.xla.elimination import Chain
from ppl.semantics.xla.sites import _applier, holds
from ppl.semantics.xla.state import Scope, Site, SiteRule, State
from ppl.semantics.xla.values import (
    RValue,
    elements,
    leaves,
    length,
    varies_along,
)

Result = tuple[RValue, State]


@dataclass(frozen=True)
class Summed:
    """What summing threads through a run: how many axes exist, and the chains met."""

    count: int = 0
    chains: tuple[Chain, ...] = ()
    sites: tuple[tuple[str, Axis], ...] = ()

    def fresh(self, name: str, size: int, plates: Axes) -> tuple[Axis, Summed]:
        axis = Axis(-1 - self.count, name, size, plates)
        return axis, replace(self, count=self.count + 1)


#: a score to add to each option of a site is given at the site's path and this step; the gradient
#: of the log evidence with respect to a zero one is the site's marginal law
NUDGE = "!"


def plates_of(scope: Scope) -> Axes:
    return tuple(a for a in scope.axes if a.order > 0)


def plate_of(over: RValue, name: str, scope: Scope) -> Axis:
    """The plate of a loop over an array: the one that its elements still belong to, if they carry
    summed choices of it, else a fresh one.

    Raises Coupled if that plate is open: every element would meet every other.
    """
    found = next((a.closed[0] for a in leaves(elements(over)) if a.closed), None)
    if found is None:
        return scope.fresh_plate("/".join((*scope.path, name)), length(over))
    if found in scope.axes:
        raise Coupled(found)
    return found


def _at(error: DiagnosticError, site: Site) -> DiagnosticError:
    """What says why values cannot be listed, with the site whose values they are."""
    (problem,) = error.diagnostics
    message = f"`{site.name}` cannot be summed out: {problem.message}"
    return DiagnosticError(replace(problem, message=message, span=site.span))


@dataclass(frozen=True)
class Summing:
    """Sum out finite discrete sites, treat the others by `rest`, and those that it holds."""

    rest: SiteRule

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        dims = union(scope.axes, varies_along(site.dist))
        checks = "support" if scope.smooth else "all"
        made = realise(site.dist, dims, _applier(scope), site.span, checks=checks)
        if not D.is_discrete(made) or holds(self.rest, site, made):
            return self.rest(site, scope, state)
        if not D.is_finite(made):
            raise fail(
                "E803",
                f"`{site.name}` is discrete without a bound (`{site.dist.name}`), so it cannot be "
                "summed out for a gradient method",
                span=site.span,
                hint="use importance, smc or mcmc, or truncate it: `truncate(d, 0, 50)`",
            )
        try:
            values, log_p = D.support_values(made)  # (K, *batch, *event), (K, *batch)
        except DiagnosticError as error:
            raise _at(error, site) from None
        if values.ndim > log_p.ndim:
            raise fail(
                "E803",
                f"`{site.name}` draws whole arrays, which are not summed out",
                span=site.span,
                hint="draw the elements one by one: `for`",
            )
        summed: Summed = state.extra
        axis, summed = summed.fresh(site.name, values.shape[0], plates_of(scope))
        summed = replace(summed, sites=(*summed.sites, (site.name, axis)))
        score = rename(narrow(log_p, (axis, *dims)), {})
        nudge = scope.given.get(f"{site.name}/{NUDGE}")
        if nudge is not None:
            score = elementwise(jnp.add, score, open_event(nudge, axis))
        if scope.mask is not None:
            score = elementwise(
                lambda m, s: jnp.where(m, s, -jnp.log(axis.size)), scope.mask, score
            )
        return self._value(site, values, axis, dims), replace(state.scored(score), extra=summed)

    def _value(self, site: Site, values: Any, axis: Axis, dims: Axes) -> Arr:
        from ppl.semantics.xla.sites import _typed

        counts = site.dist.name in COUNTED
        typed = _typed(values, site)
        if counts:
            return position(axis, 0, like=typed)
        return rename(narrow(typed, (axis, *dims)), {})


#: families whose k-th value is k
COUNTED = (
    "bernoulli", "bernoulli_logit", "categorical", "categorical_logit", "ordered_logistic",
    "ordered_probit", "binomial", "binomial_logit", "beta_binomial",
)  # fmt: skip

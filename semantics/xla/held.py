"""Free coordinates, and discrete choices held beside them instead of summed out.

To be used under `Summing`, which sums out the finite choices that are not held. A lane that is not
taken keeps a reference law, so that the measure stays normalised there: standard normal for free
coordinates, uniform for the number of an option, two-sided geometric for integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError, Span, fail
from ppl.semantics.xla.arrays import index
from ppl.semantics.xla.axes import Arr, Axes, elementwise, narrow, union
from ppl.semantics.xla.dists import log_prob, realise
from ppl.semantics.xla.sites import Discover, Free, _applier, _given, _recorded, _typed
from ppl.semantics.xla.state import Scope, Site, State
from ppl.semantics.xla.summing import COUNTED
from ppl.semantics.xla.values import RValue, varies_along

Result = tuple[RValue, State]

#: draws of whole arrays are numbered by their values up to so many, else held as they are
ARRAYS = 256


def made_of(site: Site, scope: Scope) -> tuple[Any, Axes]:
    axes = union(scope.axes, varies_along(site.dist))
    checks = "support" if scope.smooth else "all"
    return realise(site.dist, axes, _applier(scope), site.span, checks=checks), axes


def _options(made: Any) -> int | None:
    """How many values there are, if they can be numbered."""
    if not D.is_finite(made):
        return None
    try:
        values, _ = D.support_values(made)
    except DiagnosticError:
        return None
    count = int(values.shape[0])
    return count if not made.event_shape or count <= ARRAYS else None


def _rest(arr: Arr) -> tuple[int, ...]:
    return tuple(range(len(arr.axes), jnp.ndim(arr.data)))


def _total(arr: Arr) -> Arr:
    """The sum over event dimensions."""
    return Arr(jnp.sum(arr.data, axis=_rest(arr)), arr.axes)


# ---------------------------------------------------------------------------------- coordinates


@dataclass(frozen=True)
class Held:
    """Coordinates: of continuous sites as `free` has them, of the discrete ones in `options` the
    number of the value, or the value itself where there is no number of options."""

    options: tuple[tuple[str, int | None], ...] = ()
    free: Free = Free()

    def holds(self, site: Site, made: Any) -> bool:
        return site.name in dict(self.options)

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        options = dict(self.options)
        if site.name not in options:
            return self.free(site, scope, state)
        chosen, count = _given(site, scope), options[site.name]
        x, score = _option(site, chosen, scope) if count else _integer(site, chosen, scope)
        if scope.mask is not None:
            reference = _uniform(chosen, count) if count else _two_sided(chosen)
            score = elementwise(jnp.where, scope.mask, score, reference)
        return x, _recorded(state.scored(score), site, x, scope)


def _option(site: Site, chosen: Arr, scope: Scope) -> tuple[Arr, Arr]:
    made, axes = made_of(site, scope)
    values, log_p = D.support_values(made)  # (K, *axes, *event), (K, *axes)
    count, lead = log_p.shape[0], len(axes)
    inside = elementwise(lambda k: (k >= 0) & (k < count), chosen)
    at = elementwise(lambda k: jnp.clip(k, 0, count - 1), chosen)
    score = index(narrow(jnp.moveaxis(log_p, 0, lead), axes), at)
    score = elementwise(lambda i, s: jnp.where(i, s, -jnp.inf), inside, score)
    if site.dist.name in COUNTED:
        return Arr(_typed(at.data, site), at.axes), score
    x = index(narrow(jnp.moveaxis(values, 0, lead), axes), at)
    return Arr(_typed(x.data, site), x.axes), score


def _integer(site: Site, chosen: Arr, scope: Scope) -> tuple[Arr, Arr]:
    x = Arr(_typed(chosen.data, site), chosen.axes)
    checks = "support" if scope.smooth else "all"
    return x, log_prob(site.dist, x, _applier(scope), site.span, checks=checks)


def _uniform(chosen: Arr, count: int) -> Arr:
    return elementwise(
        lambda k: jnp.where((k >= 0) & (k < count), -math.log(count), -jnp.inf), chosen
    )


def _two_sided(chosen: Arr) -> Arr:
    """The difference of two geometric numbers of success probability 1/2."""
    return _total(elementwise(lambda k: -math.log(3) - jnp.abs(k) * math.log(2), chosen))


@dataclass(frozen=True)
class FoundChoice:
    """A held site met while discovering, and how many options it has."""

    options: int | None
    family: str
    span: Span | None
    joint: bool


@dataclass
class DiscoverMixed:
    """Finds the coordinates, as `Discover` does: discrete sites at the paths `names` or below them
    (None: all) are held, and those that have no list of values."""

    names: tuple[str, ...] | None
    continuous: Discover = field(default_factory=Discover)
    discrete: dict[str, FoundChoice] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)

    def holds(self, site: Site, made: Any) -> bool:
        named = self.names is None or any(is_at(site.name, n) for n in self.names)
        return named or bool(made.event_shape) or _options(made) is None

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        made, axes = made_of(site, scope)
        self.ranks[site.name] = len(made.event_shape)
        if not D.is_discrete(made):
            return self.continuous(site, scope, state)
        options = _options(made)
        own = tuple(a for a in axes if not a.enumerated)
        shape = tuple(a.size for a in own)
        event = () if options else tuple(made.event_shape)
        value = jnp.zeros((*shape, *made.event_shape), int)
        shown, u = Arr(value, own), Arr(jnp.zeros((*shape, *event), int), own)
        self.discrete[site.name] = FoundChoice(
            options, site.dist.name, site.span, not options and D.is_joint(made)
        )
        x = Arr(_typed(value, site), own)
        return x, state.with_site(site.path, (shown, u), site.span)


def is_at(path: str, name: str) -> bool:
    """Whether a site's path is a name's, or below it."""
    return path == name or path.startswith(name + "/")


def summed_axes(axes: Axes, scope: Scope | None = None) -> Axes:
    """The enumeration axes among these, and among those that decide whether a site is run."""
    mask = () if scope is None or scope.mask is None else scope.mask.axes
    return tuple(a for a in union(axes, mask) if a.enumerated)


def depends_on_summed(site: Site, name: str) -> DiagnosticError:
    return fail(
        "E862",
        f"the law of `{site.name}` depends on `{name}`, which is summed out, so that it has no one "
        "law to propose from",
        span=site.span,
        hint=f'hold `{name}` by naming it in a kernel: gibbs().on("{name}")',
    )

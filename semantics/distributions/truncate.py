"""Truncation: a law on the line given that it falls within bounds."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, ExpandedDistribution, Independent

from ppl.semantics.diagnostics import fail
from ppl.semantics.distributions.family import ends
from ppl.semantics.distributions.finite import support_values
from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.mixture import Mixture
from ppl.semantics.distributions.queries import is_finite, valid
from ppl.semantics.distributions.supports import Integers, Interval
from ppl.semantics.distributions.transformed import Transformed
from ppl.semantics.functions.casts import real
from ppl.semantics.functions.elementwise import log_diff_exp
from ppl.semantics.functions.reductions import logsumexp
from ppl.semantics.jax_compat import is_concrete

#: log P(X < lower), log P(X <= upper), and of their complements
Tails = tuple[Array, Array, Array, Array]


def _between(tails: Tails) -> Array:
    """log P(lower <= X <= upper), from the smaller tails."""
    below, upto, above, beyond = tails
    right = above < below
    return jnp.minimum(
        log_diff_exp(jnp.where(right, above, upto), jnp.where(right, beyond, below)), 0.0
    )


class Truncated(Law):
    """`base` given lower <= x <= upper. Masses come from the tail where they are accurate; those of
    a finite base are sums over its support.

    range: the least and greatest value there can be, of counts between bounds that are known while
    tracing: they are finitely many, whatever the base.
    """

    name = "truncate"
    pytree_data_fields = ("base", "lower", "upper")
    pytree_aux_fields = ("by_sums", "range")

    def __init__(self, base: Law, lower: ArrayLike, upper: ArrayLike):
        self.base = base
        self.by_sums = is_finite(base)
        self.range = _known_range(base, lower, upper)
        lower, upper = real(lower), real(upper)
        if base.is_discrete:
            lower, upper = jnp.ceil(lower), jnp.floor(upper)
        self.lower, self.upper = lower, upper
        super().__init__(jnp.broadcast_shapes(base.batch_shape, lower.shape, upper.shape))

    @property
    def is_finite(self) -> bool:  # type: ignore[override]
        return self.by_sums or self.range is not None

    @property
    def support(self) -> Interval | Integers:
        low, high = ends(self.base.support)
        make = Integers if self.base.is_discrete else Interval
        return make(jnp.maximum(low, self.lower), jnp.minimum(high, self.upper))

    @property
    def valid(self) -> Array:
        # a comparison has no derivatives to trace; what is known while compiling stays known
        held: Truncated = jax.tree.map(
            lambda x: x if is_concrete(x) else jax.lax.stop_gradient(x), self
        )
        return valid(self.base) & (self.lower <= self.upper) & (held._log_mass() > -jnp.inf)

    def _tails(self) -> Tails:
        low = self.lower - 1 if self.base.is_discrete else self.lower
        return (
            self.base.log_cdf(low),
            self.base.log_cdf(self.upper),
            self.base.log_sf(low),
            self.base.log_sf(self.upper),
        )

    def _log_mass(self) -> Array:
        if self.by_sums:
            return logsumexp(self._atoms()[1], (0,))
        return _between(self._tails())

    def _atoms(self) -> tuple[Array, Array]:
        """The values of a finite base, and their log weights, -infinity outside the bounds."""
        values, log_p = support_values(self.base.expand(self.batch_shape))
        return values, jnp.where((values >= self.lower) & (values <= self.upper), log_p, -jnp.inf)

    def _log_density(self, x: Array) -> Array:
        return self.base.log_prob(x) - self._log_mass()

    def _draw(self, key: Array, shape: tuple[int, ...]) -> Array:
        if self.by_sums:
            values, log_p = self._atoms()
            index = jax.random.categorical(key, log_p, axis=0, shape=shape)
            extra = len(shape) - (values.ndim - 1)
            values = values.reshape((values.shape[0],) + (1,) * extra + values.shape[1:])
            values = jnp.broadcast_to(values, (values.shape[0], *shape))
            return jnp.take_along_axis(values, index[None], axis=0)[0]
        tails = self._tails()
        dtype = jnp.result_type(self.lower, *tails)
        u = jax.random.uniform(key, shape, dtype, minval=jnp.finfo(dtype).tiny)
        return self._at(jnp.log(u), jnp.log1p(-u), tails)

    @property
    def has_cdf(self) -> bool:
        return self.base.has_cdf and not self.by_sums

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        return self._at(log_p, log_q, self._tails())

    def _at(self, log_p: Array, log_q: Array, tails: Tails) -> Array:
        """The quantile, given the tails of the base."""
        below, _, _, beyond = tails
        mass = _between(tails)
        x = self.base.quantile(
            jnp.logaddexp(below, log_p + mass), jnp.logaddexp(beyond, log_q + mass)
        )
        low, high = ends(self.support)
        clipped = jnp.clip(x, low, high)
        return clipped.astype(int) if self.base.is_discrete else clipped

    def log_cdf(self, x: Any) -> Array:
        return self._part(x, True)

    def log_sf(self, x: Any) -> Array:
        return self._part(x, False)

    def _part(self, x: Any, below_x: bool) -> Array:
        """log of the share of the mass on one side of x."""
        x = real(x)
        low, high = ends(self.support)
        x = jnp.floor(x) if self.base.is_discrete else x
        at = jnp.clip(x, low, high)
        bounds = (
            (self.lower, at) if below_x else (at + 1 if self.base.is_discrete else at, self.upper)
        )
        share = Truncated(self.base, *bounds)._log_mass() - self._log_mass()
        empty, full = (x < low, x >= high) if below_x else (x >= high, x < low)
        return jnp.where(empty, -jnp.inf, jnp.where(full, 0.0, jnp.minimum(share, 0.0)))


def _known_range(base: Law, lower: ArrayLike, upper: ArrayLike) -> tuple[int, int] | None:
    if not base.is_discrete:
        return None
    low, high = ends(base.support)
    if not all(map(is_concrete, (lower, upper, low, high))):
        return None
    first = np.maximum(np.ceil(np.asarray(lower)), np.asarray(low))
    last = np.minimum(np.floor(np.asarray(upper)), np.asarray(high))
    if not first.size or not last.size or not np.all(np.isfinite(first) & np.isfinite(last)):
        return None
    return int(first.min()), int(max(last.max(), first.min()))


def truncate(
    base: Distribution, lower: ArrayLike = -jnp.inf, upper: ArrayLike = jnp.inf
) -> Distribution:
    """`base` given lower <= x <= upper, renormalised; weight 0 where that has no probability.

    Commutes with the other combinators: a truncated mixture is a mixture of truncated components, a
    truncated transform the transform of a truncated base. Raises E721 where there is no
    distribution function.
    """
    if isinstance(base, ExpandedDistribution):
        return truncate(base.base_dist, lower, upper).expand(base.batch_shape)
    if isinstance(base, Independent):
        k = base.reinterpreted_batch_ndims
        bounds = (jnp.asarray(b)[(...,) + (None,) * k] for b in (lower, upper))
        return truncate(base.base_dist, *bounds).to_event(k)  # type: ignore[return-value]
    if isinstance(base, Mixture) and not base.is_finite:
        return _truncate_mixture(base, real(lower), real(upper))
    if isinstance(base, Transformed):
        return _truncate_transformed(base, real(lower), real(upper))
    if not (isinstance(base, Law) and base.event_dim == 0 and (base.has_cdf or base.is_finite)):
        name = base.name if isinstance(base, Law) else type(base).__name__
        raise fail(
            "E721",
            f"`{name}` cannot be truncated: it has no distribution function that can be computed",
            hint="condition on the bounds instead: `condition x >= lower`",
        )
    return Truncated(base, lower, upper)


def _truncate_mixture(base: Mixture, lower: Array, upper: Array) -> Distribution:
    if isinstance(base.components, tuple):
        parts: Any = tuple(truncate(d, lower, upper) for d in base.components)
    else:
        parts = truncate(base.components, lower[..., None], upper[..., None])
    out = Mixture(base.weights, parts)
    masses = out.each(_mass)
    out.weights = base.weights * masses
    total = jnp.sum(out.weights, -1, keepdims=True)
    out.ok = base.ok & (total[..., 0] > 0)
    out.weights = jnp.where(total > 0, out.weights / jnp.where(total > 0, total, 1.0), base.weights)
    return out


def _mass(dist: Distribution) -> Array:
    assert isinstance(dist, Truncated)
    return jnp.exp(dist._log_mass())


def _truncate_transformed(base: Transformed, lower: Array, upper: Array) -> Distribution:
    image = base.support
    low, high = jnp.maximum(lower, image.lower), jnp.minimum(upper, image.upper)
    at_ends = ends(base.base.support)
    rising = base._rising()
    # an end of the image comes from an end of the base, where `backward` may not be evaluated
    first, last = (jnp.where(rising, *at_ends), jnp.where(rising, at_ends[1], at_ends[0]))
    inner = image.feasible_like(low)
    x_low = jnp.where(
        low > image.lower, base.backward(jnp.where(low > image.lower, low, inner)), first
    )
    x_high = jnp.where(
        high < image.upper, base.backward(jnp.where(high < image.upper, high, inner)), last
    )
    bounded = truncate(base.base, jnp.minimum(x_low, x_high), jnp.maximum(x_low, x_high))
    return Transformed(bounded, base.forward, base.backward)  # type: ignore[arg-type]

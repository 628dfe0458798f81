"""The law of a monotone function of a draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.distributions import Distribution, Independent

from ppl.semantics.distributions.family import ends
from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.queries import has_sampler, valid
from ppl.semantics.distributions.supports import Interval
from ppl.semantics.functions.casts import real

Elementwise = Callable[[Array], Array]


class Transformed(Law):
    """The law of forward(X), X from a continuous base on the line."""

    name = "transform"
    pytree_data_fields = ("base",)
    pytree_aux_fields = ("forward", "backward")

    def __init__(self, base: Law, forward: Elementwise, backward: Elementwise):
        self.base, self.forward, self.backward = base, forward, backward
        super().__init__(base.batch_shape)

    @property
    def has_sampler(self) -> bool:  # type: ignore[override]
        return has_sampler(self.base)

    @property
    def valid(self) -> Array:
        return valid(self.base)

    def _slope(self, x: Array) -> Array:
        return jax.jvp(self.forward, (x,), (jnp.ones_like(x),))[1]

    @property
    def support(self) -> Interval:
        """Between the images of the base's ends, which are evaluated at infinity if need be."""
        dtype = jnp.result_type(float)
        images = [self.forward(jnp.asarray(e, dtype)) for e in ends(self.base.support)]
        rising = self._rising()
        low, high = jnp.where(rising, images[0], images[1]), jnp.where(rising, images[1], images[0])
        return Interval(
            jnp.where(jnp.isnan(low), -jnp.inf, low), jnp.where(jnp.isnan(high), jnp.inf, high)
        )

    def _rising(self) -> Array:
        inner = self.base.support.feasible_like(jnp.zeros(self.batch_shape))
        return self._slope(jax.lax.stop_gradient(inner)) > 0

    def _log_density(self, y: Array) -> Array:
        x = self.backward(y)
        return self.base.log_prob(x) - jnp.log(jnp.abs(self._slope(x)))

    def _draw(self, key: Array, shape: tuple[int, ...]) -> Array:
        return self.forward(self.base.expand(shape).sample(key))

    @property
    def has_cdf(self) -> bool:
        return isinstance(self.base, Law) and self.base.has_cdf

    def log_cdf(self, x: Any) -> Array:
        return self._tail(x, self.base.log_cdf, self.base.log_sf, -jnp.inf, 0.0)

    def log_sf(self, x: Any) -> Array:
        return self._tail(x, self.base.log_sf, self.base.log_cdf, 0.0, -jnp.inf)

    def _tail(self, y: Any, rising: Elementwise, falling: Elementwise, below: float, above: float):
        y = real(y)
        support = self.support
        inside = support(y)
        safe = jax.lax.stop_gradient(support.feasible_like(y))
        x = self.backward(jnp.where(inside, y, safe))
        out = jnp.where(self._rising(), rising(x), falling(x))
        return jnp.where(inside, out, jnp.where(y < support.lower, below, above))

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        rising = self._rising()
        return self.forward(
            self.base.quantile(jnp.where(rising, log_p, log_q), jnp.where(rising, log_q, log_p))
        )


def transform(base: Distribution, forward: Elementwise, backward: Elementwise) -> Distribution:
    """The law of forward(x), x ~ base: forward strictly monotone, backward its inverse."""
    if isinstance(base, Independent):
        inner = transform(base.base_dist, forward, backward)
        return inner.to_event(base.reinterpreted_batch_ndims)  # type: ignore[return-value]
    return Transformed(base, forward, backward)  # type: ignore[arg-type]

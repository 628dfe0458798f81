"""Point masses."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.supports import Point


class Dirac(Law):
    """The distribution that always gives `value`; its density counts points."""

    name = "dirac"
    is_finite = True
    pytree_data_fields = ("value",)

    def __init__(self, value: ArrayLike, event_dim: int = 0):
        self.value = jnp.asarray(value)
        split = self.value.ndim - event_dim
        super().__init__(self.value.shape[:split], self.value.shape[split:])

    @property
    def support(self) -> Point:
        return Point(self.value, self.event_dim)

    @property
    def has_cdf(self) -> bool:
        return self.event_dim == 0

    def _draw(self, key: Array, shape: tuple[int, ...]) -> Array:
        return jnp.broadcast_to(self.value, (*shape, *self.event_shape))

    def _log_density(self, x: Array) -> Array:
        return jnp.zeros(x.shape[: x.ndim - self.event_dim], jnp.result_type(float))

    def log_cdf(self, x: Any) -> Array:
        return jnp.where(jnp.asarray(x) >= self.value, 0.0, -jnp.inf)

    def log_sf(self, x: Any) -> Array:
        return jnp.where(jnp.asarray(x) >= self.value, -jnp.inf, 0.0)

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        return jnp.broadcast_to(
            self.value, jnp.broadcast_shapes(jnp.shape(log_p), self.batch_shape)
        )


def dirac(x: ArrayLike, event_dim: int = 0) -> Dirac:
    """Always `x`, whose last `event_dim` dimensions are one event."""
    return Dirac(x, event_dim)

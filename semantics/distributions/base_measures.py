"""Base measures: Lebesgue measure on a set. A density that is 0 inside, and no sampler."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array
from numpyro.distributions import constraints

from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.supports import Interval, Ordered, Simplex


class BaseMeasure(Law):
    """Lebesgue measure on `support`."""

    has_sampler = False
    pytree_data_fields = ("_support", "ok")
    pytree_aux_fields = ("name",)

    def __init__(
        self,
        name: str,
        support: constraints.Constraint,
        ok: Any = True,
        *,
        batch_shape: tuple[int, ...] = (),
        event_shape: tuple[int, ...] = (),
    ):
        self.name, self._support, self.ok = name, support, jnp.asarray(ok)
        super().__init__(batch_shape, event_shape)

    @property
    def support(self) -> constraints.Constraint:
        return self._support

    @property
    def valid(self) -> Array:
        return self.ok

    def _log_density(self, x: Array) -> Array:
        return jnp.zeros(x.shape[: x.ndim - self.event_dim], x.dtype)


def flat(lower: Any = -jnp.inf, upper: Any = jnp.inf) -> BaseMeasure:
    """Lebesgue measure on [lower, upper]; elements of the bounds may be infinite."""
    shape = jnp.broadcast_shapes(jnp.shape(lower), jnp.shape(upper))
    return BaseMeasure("flat", Interval(lower, upper), jnp.less(lower, upper), batch_shape=shape)


def flat_ordered(n: int, lower: Any = -jnp.inf, upper: Any = jnp.inf) -> BaseMeasure:
    """Lebesgue measure on increasing vectors of n elements within [lower, upper]."""
    shape = jnp.broadcast_shapes(jnp.shape(lower), jnp.shape(upper))
    return BaseMeasure(
        "flat_ordered",
        Ordered(lower, upper),
        jnp.less(lower, upper),
        batch_shape=shape,
        event_shape=(n,),
    )


def flat_simplex(n: int) -> BaseMeasure:
    """Lebesgue measure on the first n - 1 coordinates of the simplex; its mass is 1 / (n - 1)!."""
    return BaseMeasure("flat_simplex", Simplex(), event_shape=(n,))


BASE_MEASURES = {"flat": flat, "flat_ordered": flat_ordered, "flat_simplex": flat_simplex}

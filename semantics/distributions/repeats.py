"""Independent repeats and products of one distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.transforms import Transform, biject_to

from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.queries import has_sampler, is_discrete, is_finite, valid
from ppl.semantics.distributions.supports import Tree


class Repeats(Law):
    """n independent draws: events (n, *E) over the base's batch."""

    name = "iid"
    pytree_data_fields = ("base",)
    pytree_aux_fields = ("n",)

    def __init__(self, base: Distribution, n: int):
        self.base, self.n = base, n
        super().__init__(base.batch_shape, (n, *base.event_shape))

    def _leading(self, x: Array) -> Array:
        return jnp.moveaxis(jnp.asarray(x), -1 - self.base.event_dim, 0)

    @property
    def has_sampler(self) -> bool:  # type: ignore[override]
        return has_sampler(self.base)

    @property
    def is_finite(self) -> bool:  # type: ignore[override]
        return is_finite(self.base)

    @property
    def is_discrete(self) -> bool:
        return is_discrete(self.base)

    @property
    def valid(self) -> Array:
        return valid(self.base)

    @property
    def support(self) -> constraints.Constraint:
        return Repeated(self.base.support)

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        lead = self._leading(value)
        shape = jnp.broadcast_shapes(
            lead.shape[1 : lead.ndim - self.base.event_dim], self.batch_shape
        )
        total = jnp.sum(self.base.log_prob(lead), 0) if self.n else jnp.zeros(shape)
        return jnp.broadcast_to(total, shape)

    def _draw(self, key: Array, shape: tuple[int, ...]) -> Array:
        draws = self.base.expand(shape).sample(key, (self.n,))
        return jnp.moveaxis(draws, 0, len(shape))


class Repeated(Tree, constraints.Constraint):
    """Every element, along the dimension before the base's event dimensions, is in the base."""

    fields = ("base",)

    def __init__(self, base: constraints.Constraint):
        self.base = base

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return 1 + self.base.event_dim

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self.base.is_discrete

    def __call__(self, x: Any) -> Array:
        return jnp.all(self.base(jnp.moveaxis(jnp.asarray(x), -self.event_dim, 0)), 0)

    def feasible_like(self, prototype: Any) -> Array:
        lead = jnp.moveaxis(jnp.asarray(prototype), -self.event_dim, 0)
        return jnp.moveaxis(self.base.feasible_like(lead), 0, -self.event_dim)


class RepeatedBijection(Tree, Transform):
    """A bijection applied along one more dimension, whose batch dimensions come after it."""

    fields = ("base",)

    def __init__(self, base: Transform):
        self.base = base

    @property
    def domain(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, 1 + self.base.domain.event_dim)

    @property
    def codomain(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, 1 + self.base.codomain.event_dim)

    def _lift(self, f: Callable[..., Array], x: Array, before: int, after: int) -> Array:
        return jnp.moveaxis(f(jnp.moveaxis(x, -1 - before, 0)), 0, -1 - after)

    def __call__(self, x: Any) -> Array:
        return self._lift(self.base, x, self.base.domain.event_dim, self.base.codomain.event_dim)

    def _inverse(self, y: Any) -> Array:
        return self._lift(
            self.base._inverse, y, self.base.codomain.event_dim, self.base.domain.event_dim
        )

    def log_abs_det_jacobian(self, x: Any, y: Any, intermediates: Any = None) -> Array:
        x = jnp.moveaxis(x, -1 - self.base.domain.event_dim, 0)
        y = jnp.moveaxis(y, -1 - self.base.codomain.event_dim, 0)
        return jnp.sum(self.base.log_abs_det_jacobian(x, y), 0)

    def forward_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._shape(self.base.forward_shape, shape, self.base.domain.event_dim)

    def inverse_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._shape(self.base.inverse_shape, shape, self.base.codomain.event_dim)

    def _shape(self, f, shape: tuple[int, ...], event_dim: int) -> tuple[int, ...]:
        split = len(shape) - event_dim
        return (*shape[:split], *f(shape[split:]))


biject_to.register(Repeated, lambda c: RepeatedBijection(biject_to(c.base)))


def iid(base: Distribution, n: int) -> Distribution:
    """n independent draws from `base`, as one draw of shape (n, *event)."""
    return Repeats(base, n)


def product(base: Distribution, k: int) -> Distribution:
    """The last k batch dimensions as independent parts of one draw."""
    return base.to_event(k)  # type: ignore[return-value]

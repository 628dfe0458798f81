"""What every distribution of the language has in common.

A `Law` is a NumPyro `Distribution` with these guarantees:

- `log_prob` is -infinity outside the support, where a parameter is out of range or NaN, and at
  poles of the density; it is never NaN, and gradients inside the support are finite;
- `valid` says where the parameters are legal. A sampler still returns something where they are not
  (a draw at stand-in parameters), so that whoever draws must give it weight 0;
- laws on the line have `log_cdf` and `log_sf`, each accurate in its own tail, and `quantile`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.distributions import Distribution, constraints

from ppl.semantics.diagnostics import fail
from ppl.semantics.distributions.supports import covers_everything

Checks = Literal["all", "support", "none"]


class Law(Distribution):
    """Base class. Subclasses give `_draw`, `_log_density`, `support`."""

    arg_constraints: dict[str, Any] = {}
    pytree_data_fields: tuple[str, ...] = ()
    pytree_aux_fields: tuple[str, ...] = ()
    #: whether draws can be made: false for base measures and what is built on them
    has_sampler: bool = True
    #: whether the support is finite, so that it can be enumerated
    is_finite: bool = False
    #: what messages call it
    name: str = "distribution"
    #: what `log_prob` checks: parameters and support, the support only (parameters out of range
    #: then give NaN or -infinity), or nothing (the caller knows that the point is inside)
    checks: Checks = "all"

    def __init__(self, batch_shape: tuple[int, ...] = (), event_shape: tuple[int, ...] = ()):
        super().__init__(batch_shape, event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        raise NotImplementedError

    @property
    def is_discrete(self) -> bool:
        return self.support.is_discrete

    @property
    def has_enumerate_support(self) -> bool:
        return self.is_finite

    @property
    def valid(self) -> Array:
        """Whether the parameters are legal, of a shape that broadcasts to the batch shape."""
        return jnp.ones((), bool)

    def expand(self, batch_shape: Sequence[int]) -> Distribution:
        """The same law with a larger batch: parameters broadcast, draws are independent."""
        out = copy.copy(self)
        shape = tuple(batch_shape)
        assert jnp.broadcast_shapes(shape, self.batch_shape) == shape
        out._batch_shape = shape
        return out

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        if not self.has_sampler:
            raise fail(
                "E720",
                f"`{self.name}` has a density but no sampler",
                hint="use a method that needs only the density, such as nuts, or a proper prior",
            )
        assert key is not None
        return self._draw(key, (*sample_shape, *self.batch_shape))

    def _draw(self, key: Array, shape: tuple[int, ...]) -> Array:
        """Draws of shape (*shape, *event_shape); `shape` ends with the batch shape."""
        raise NotImplementedError

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        """log density at `value` (*sample, *batch, *event); see the module for what holds."""
        value = jnp.asarray(value)
        if self.checks != "all":
            return self._unguarded(value)
        batch = value.shape[: value.ndim - self.event_dim]
        shape = jnp.broadcast_shapes(batch, self.batch_shape)
        support = self.support
        inside = support(value) & self.valid
        mask = inside[(...,) + (None,) * self.event_dim]
        whole = jnp.broadcast_to(value, jnp.broadcast_shapes(value.shape, mask.shape))
        stand_in = jax.lax.stop_gradient(support.feasible_like(whole))
        density = self._log_density(jnp.where(mask, whole, stand_in.astype(whole.dtype)))
        density = jnp.where(inside & (density < jnp.inf), density, -jnp.inf)
        return jnp.broadcast_to(density, shape)

    def _unguarded(self, value: Array) -> Array:
        """log density without stand-ins, for whoever treats NaN as impossible, as samplers do."""
        density = self._log_density(value)
        if self.checks == "support" and not covers_everything(self.support, value):
            density = jnp.where(self.support(value), density, -jnp.inf)
        shape = jnp.broadcast_shapes(jnp.shape(density), self.batch_shape)
        return jnp.broadcast_to(density, shape)

    def _log_density(self, x: Array) -> Array:
        """The log density at `x`, which is inside the support."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Array:
        from ppl.semantics.distributions.finite import support_values

        return support_values(self)[0]

    # ------------------------------------------------------------------------ laws on the line

    @property
    def has_cdf(self) -> bool:
        return False

    def log_cdf(self, x: Array) -> Array:
        """log P(X <= x)."""
        raise _no_cdf(self.name)

    def log_sf(self, x: Array) -> Array:
        """log P(X > x)."""
        raise _no_cdf(self.name)

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        """The smallest x with P(X <= x) >= p, given log p and log(1 - p), both accurate."""
        raise _no_cdf(self.name)

    def cdf(self, value: Any) -> Array:
        return jnp.exp(self.log_cdf(value))

    def icdf(self, q: Any) -> Array:
        q = jnp.asarray(q)
        return self.quantile(jnp.log(q), jnp.log1p(-q))


def _no_cdf(name: str):
    return fail(
        "E721",
        f"`{name}` has no distribution function that can be computed",
        hint="`truncate` needs one; use a distribution on the line, or `condition` on the bounds",
    )

"""Mixtures: an index drawn with given probabilities, then that component."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, constraints

from ppl.semantics.diagnostics import fail
from ppl.semantics.distributions.family import KINDS, ends
from ppl.semantics.distributions.invert import invert
from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.queries import has_sampler, is_discrete, is_finite, valid
from ppl.semantics.distributions.supports import Integers, Interval, Point, Tree
from ppl.semantics.functions.casts import real


def log_weighted_sum(weights: Array, log_terms: Array) -> Array:
    """log Σ w_k exp(t_k) over the last axis; differentiable in weights that are 0."""
    weights, log_terms = jnp.broadcast_arrays(weights, log_terms)
    top = jnp.max(jnp.where(weights > 0, log_terms, -jnp.inf), -1, keepdims=True)
    top = jax.lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0.0))
    total = jnp.sum(weights * jnp.exp(jnp.minimum(log_terms - top, 300.0)), -1)
    some = total > 0
    return jnp.where(some, jnp.log(jnp.where(some, total, 1.0)) + top[..., 0], -jnp.inf)


class Mixture(Law):
    """An index drawn with probabilities proportional to `weights`, then that component.

    `components` is one distribution whose last batch dimension is the index, or a tuple of them.
    """

    name = "mixture"
    pytree_data_fields = ("weights", "ok", "components")

    def __init__(self, weights: ArrayLike, components: Distribution | tuple[Distribution, ...]):
        weights = real(weights)
        kind = KINDS["weights"]
        self.ok = jax.lax.stop_gradient(kind.ok(weights))
        weights = jnp.where(self.ok[..., None], weights, 1.0)
        self.weights = weights / jnp.sum(weights, -1, keepdims=True)
        self.components = components
        if isinstance(components, tuple):
            batches = [d.batch_shape for d in components]
            event = components[0].event_shape
        else:
            batches, event = [components.batch_shape[:-1]], components.event_shape
        super().__init__(jnp.broadcast_shapes(weights.shape[:-1], *batches), event)

    @property
    def size(self) -> int:
        return self.weights.shape[-1]

    def each(self, f: Callable[[Distribution], Array], event_dim: int = 0) -> Array:
        """f of every component, stacked along a last axis before `event_dim` dimensions."""
        if isinstance(self.components, tuple):
            parts = jnp.broadcast_arrays(*map(f, self.components))
            return jnp.stack(parts, axis=-1 - event_dim)
        return f(self.components)

    def _widened(self, x: Array) -> Array:
        """`x` with a dimension for the index where the components are one distribution."""
        return (
            x if isinstance(self.components, tuple) else jnp.expand_dims(x, x.ndim - self.event_dim)
        )

    @property
    def _parts(self) -> tuple[Distribution, ...]:
        return self.components if isinstance(self.components, tuple) else (self.components,)

    @property
    def has_sampler(self) -> bool:  # type: ignore[override]
        return all(map(has_sampler, self._parts))

    @property
    def is_finite(self) -> bool:  # type: ignore[override]
        return all(map(is_finite, self._parts))

    @property
    def is_discrete(self) -> bool:
        return is_discrete(self._parts[0])

    @property
    def valid(self) -> Array:
        used = jnp.where(self.weights > 0, self.each(valid), True)
        return self.ok & jnp.all(used, -1)

    @property
    def support(self) -> constraints.Constraint:
        """The hull of the components' supports."""
        supports = [d.support for d in self._parts]
        if all(isinstance(s, (Interval, Integers)) for s in supports):
            known_ends = [ends(s) for s in supports]
            if isinstance(self.components, tuple):
                low = _reduce(jnp.minimum, [e[0] for e in known_ends])
                high = _reduce(jnp.maximum, [e[1] for e in known_ends])
            else:
                low, high = known_ends[0]
                low = jnp.min(low, -1) if jnp.ndim(low) else low
                high = jnp.max(high, -1) if jnp.ndim(high) else high
            return (
                type(supports[0])(low, high)
                if type(supports[0]) in (Interval, Integers)
                else supports[0]
            )
        if any(isinstance(s, Point) for s in supports):
            return Anything(self.event_dim)
        return supports[0]

    def _log_density(self, x: Array) -> Array:
        wide = self._widened(x)
        return log_weighted_sum(self.weights, self.each(lambda d: d.log_prob(wide)))

    def _draw(self, key: Array, shape: tuple[int, ...]) -> Array:
        first, second = jax.random.split(key)
        index = jax.random.categorical(first, jnp.log(self.weights), axis=-1, shape=shape)
        if isinstance(self.components, tuple):
            keys = jax.random.split(second, self.size)
            parts = [d.expand(shape).sample(k) for d, k in zip(self.components, keys, strict=True)]
            draws = jnp.stack(parts, len(shape))
        else:
            draws = self.components.expand((*shape, self.size)).sample(second)
        index = index.reshape((*shape, 1) + (1,) * self.event_dim)
        return jnp.squeeze(jnp.take_along_axis(draws, index, axis=len(shape)), len(shape))

    @property
    def has_cdf(self) -> bool:
        return all(isinstance(d, Law) and d.has_cdf for d in self._parts)

    def log_cdf(self, x: Any) -> Array:
        wide = self._widened(jnp.asarray(x))
        return log_weighted_sum(self.weights, self.each(lambda d: d.log_cdf(wide)))  # type: ignore[attr-defined]

    def log_sf(self, x: Any) -> Array:
        wide = self._widened(jnp.asarray(x))
        return log_weighted_sum(self.weights, self.each(lambda d: d.log_sf(wide)))  # type: ignore[attr-defined]

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        if not self.has_cdf:
            return super().quantile(log_p, log_q)
        x = invert(self, log_p, log_q)
        return x.astype(int) if self.is_discrete else x


class Anything(Tree, constraints.Constraint):
    """Every discrete value: where a mixture of point masses lives."""

    is_discrete = True
    static = ("event_dim",)

    def __init__(self, event_dim: int):
        self.event_dim = event_dim

    def __call__(self, x: Any) -> Array:
        return jnp.all(x == x, axis=tuple(range(-self.event_dim, 0)))

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.zeros_like(prototype)


def _reduce(f: Callable[[Any, Any], Any], xs: Sequence[Any]) -> Any:
    out = xs[0]
    for x in xs[1:]:
        out = f(out, x)
    return out


def mixture(weights: ArrayLike, component: Distribution) -> Distribution:
    """Mixture along the last batch dimension of `component`; weights (…, K) are normalised."""
    return Mixture(weights, component)


def mixture_general(weights: ArrayLike, components: Sequence[Distribution]) -> Distribution:
    """Mixture of separate distributions over one space, all discrete or all continuous.

    Raises E722 otherwise: a point mass has no density with respect to Lebesgue measure.
    """
    kinds = {is_discrete(d) for d in components}
    if len(kinds) > 1:
        raise fail(
            "E722",
            "a mixture of discrete and continuous components has no density",
            hint="draw the index first, and take either branch with `if`",
        )
    return Mixture(weights, tuple(components))

"""Distributions made of distributions: point masses, mixtures, repeats, transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, Independent, constraints
from numpyro.distributions.transforms import Transform, biject_to

from ppl.semantics.diagnostics import fail
from ppl.semantics.distributions.family import KINDS, ends
from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.queries import has_sampler, is_discrete, is_finite, valid
from ppl.semantics.distributions.supports import Integers, Interval, Point, Tree
from ppl.semantics.functions.casts import real


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
        return jnp.broadcast_to(self.value, jnp.broadcast_shapes(jnp.shape(log_p), self.batch_shape))


def dirac(x: ArrayLike, event_dim: int = 0) -> Dirac:
    """Always `x`, whose last `event_dim` dimensions are one event."""
    return Dirac(x, event_dim)


# ----------------------------------------------------------------------------------------- mixture


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
        return x if isinstance(self.components, tuple) else jnp.expand_dims(x, x.ndim - self.event_dim)

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
            return type(supports[0])(low, high) if type(supports[0]) in (Interval, Integers) else supports[0]
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
        from ppl.semantics.distributions.invert import invert

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


# ------------------------------------------------------------------------------------------ repeats


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
        shape = jnp.broadcast_shapes(lead.shape[1 : lead.ndim - self.base.event_dim], self.batch_shape)
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


# --------------------------------------------------------------------------------------- transforms

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

"""Quantiles where no formula is known, by bisection on the more accurate tail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ppl.semantics.distributions.bijections import IntervalBijection


def invert(law: Any, log_p: Array, log_q: Array) -> Array:
    """x with log_cdf(x) = log_p, equivalently log_sf(x) = log_q; for a discrete law, the smallest
    x with log_cdf(x) >= log_p.

    Continuous: bisection in unconstrained coordinates to the last bit, then one Newton step, which
    makes the result differentiable in the parameters and in p (implicit differentiation).
    """
    shape = jnp.broadcast_shapes(jnp.shape(log_p), jnp.shape(log_q), law.batch_shape)
    log_p, log_q = jnp.broadcast_to(log_p, shape), jnp.broadcast_to(log_q, shape)
    frozen, p, q = jax.lax.stop_gradient((law, log_p, log_q))
    lower_half = p < q

    def too_low(x: Array) -> Array:
        return jnp.where(lower_half, frozen.log_cdf(x) < p, frozen.log_sf(x) > q)

    if law.is_discrete:
        first = jnp.broadcast_to(jnp.asarray(frozen.support.lower, p.dtype), shape)
        return bisect(too_low, first - 1, whole=True)
    to_support = IntervalBijection(frozen.support)
    x = to_support(bisect(lambda t: too_low(to_support(t)), jnp.full(shape, -jnp.inf, p.dtype)))
    log_pdf = frozen.log_prob(x)
    cdf, sf = law.log_cdf(x), law.log_sf(x)
    step = jnp.where(
        lower_half,
        (log_p - cdf) * jnp.exp(jax.lax.stop_gradient(cdf) - log_pdf),
        (sf - log_q) * jnp.exp(jax.lax.stop_gradient(sf) - log_pdf),
    )
    return x + jnp.where(jnp.isfinite(step), step, 0.0)


def bisect(too_low: Callable[[Array], Array], low: Array, *, whole: bool = False) -> Array:
    """Where the predicate turns from true to false, elementwise, to the last bit.

    `low` is where it is known to be true, -infinity if nowhere; a bracket is found by doubling. If
    `whole`, the first integer where it is false. One call of the predicate, which compiles once.
    """
    high = jnp.full_like(low, jnp.inf)
    start = jnp.where(jnp.isfinite(low), low, 0.0)

    def next_point(low: Array, high: Array) -> Array:
        up = jnp.where(whole, 2 * (low - start) + start + 1, jnp.maximum(2 * low, 1.0))
        down = jnp.minimum(2 * high, -1.0)
        middle = jnp.where(jnp.isfinite(low) & jnp.isfinite(high), low + (high - low) / 2, 0.0)
        point = jnp.where(jnp.isinf(high), jnp.where(jnp.isinf(low), 0.0, up), middle)
        point = jnp.where(jnp.isinf(low) & jnp.isfinite(high), down, point)
        return jnp.floor(point) if whole else point

    def go_on(state) -> Array:
        low, high, n = state
        point = next_point(low, high)
        return (n < 400) & jnp.any((point > low) & (point < high) & (jnp.abs(point) < 1e30))

    def halve(state):
        low, high, n = state
        point = next_point(low, high)
        up = too_low(point)
        return jnp.where(up, point, low), jnp.where(up, high, point), n + 1

    low, high, _ = jax.lax.while_loop(go_on, halve, (low, high, 0))
    return high if whole else jnp.where(jnp.isfinite(low), low, high)

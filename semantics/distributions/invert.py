"""Quantiles where no formula is known, by bisection on the more accurate tail."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ppl.semantics.distributions.bijections import IntervalBijection


def invert(law: Any, log_p: Array, log_q: Array) -> Array:
    """x with log_cdf(x) = log_p, equivalently log_sf(x) = log_q; for a discrete law, the smallest.

    Continuous: bisection in unconstrained coordinates to the last bit, then one Newton step, which
    makes the result differentiable in the parameters and in p (implicit differentiation).
    """
    log_p, log_q = jnp.broadcast_arrays(log_p, log_q)
    if law.is_discrete:
        return _invert_discrete(law, log_p, log_q)
    to_support = IntervalBijection(law.support)
    frozen = jax.lax.stop_gradient(law)
    p, q = jax.lax.stop_gradient((log_p, log_q))
    lower_half = p < q

    def too_low(t: Array) -> Array:
        x = to_support(t)
        return jnp.where(lower_half, frozen.log_cdf(x) < p, frozen.log_sf(x) > q)

    shape = jnp.broadcast_shapes(log_p.shape, law.batch_shape)
    low, high = _bracket(too_low, jnp.zeros(shape, log_p.dtype))
    t = _bisect(too_low, low, high)
    x = jax.lax.stop_gradient(to_support(t))
    log_pdf = law.log_prob(x)
    cdf, sf = law.log_cdf(x), law.log_sf(x)
    step = jnp.where(
        lower_half,
        (log_p - cdf) * jnp.exp(jax.lax.stop_gradient(cdf - log_pdf)),
        (sf - log_q) * jnp.exp(jax.lax.stop_gradient(sf - log_pdf)),
    )
    return x + jnp.where(jnp.isfinite(step), step, 0.0)


def _invert_discrete(law: Any, log_p: Array, log_q: Array) -> Array:
    law = jax.lax.stop_gradient(law)
    lower_half = log_p < log_q
    first = jnp.asarray(law.support.lower, log_p.dtype)

    def too_low(k: Array) -> Array:
        return jnp.where(lower_half, law.log_cdf(k) < log_p, law.log_sf(k) > log_q)

    shape = jnp.broadcast_shapes(log_p.shape, law.batch_shape)
    start = jnp.broadcast_to(first, shape)

    def widen(state):
        step, high = state
        return 2 * step, jnp.where(too_low(high), start + 2 * step, high)

    step = jnp.ones((), log_p.dtype)
    _, high = jax.lax.while_loop(
        lambda s: jnp.any(too_low(s[1])) & (s[0] < 2.0**60), widen, (step, start)
    )

    def halve(state):
        low, high = state
        middle = jnp.floor((low + high) / 2)
        up = too_low(middle)
        return jnp.where(up, middle, low), jnp.where(up, high, middle)

    _, high = jax.lax.while_loop(lambda s: jnp.any(s[1] - s[0] > 1), halve, (start - 1, high))
    return high


def _bracket(too_low, zero: Array) -> tuple[Array, Array]:
    """(low, high) around the root, by doubling from [-1, 1]."""

    def widen(state):
        low, high = state
        return jnp.where(too_low(low), low, 2 * low), jnp.where(too_low(high), 2 * high, high)

    def go_on(state):
        low, high = state
        unfinished = ~too_low(low) | too_low(high)
        return jnp.any(unfinished & (high < 1e30) & (low > -1e30))

    return jax.lax.while_loop(go_on, widen, (zero - 1, zero + 1))


def _bisect(too_low, low: Array, high: Array) -> Array:
    """The root to the last bit, or as far as a bracket of unknown size allows in 200 halvings."""

    def halve(state):
        low, high, n = state
        middle = low + (high - low) / 2
        up = too_low(middle)
        return jnp.where(up, middle, low), jnp.where(up, high, middle), n + 1

    def go_on(state):
        low, high, n = state
        middle = low + (high - low) / 2
        return (n < 200) & jnp.any((middle > low) & (middle < high))

    return jax.lax.while_loop(go_on, halve, (low, high, 0))[0]

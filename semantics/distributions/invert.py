"""Quantiles where no formula is known, by search on the more accurate tail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ppl.semantics.distributions.bijections import IntervalBijection

#: turns of a search; numbers beyond which it does not look
TURNS, FAR = 400, 1e30


def invert(law: Any, log_p: Array, log_q: Array) -> Array:
    """x with log_cdf(x) = log_p, equivalently log_sf(x) = log_q; for a discrete law, the smallest
    x with log_cdf(x) >= log_p.

    Continuous: a root in unconstrained coordinates, then one Newton step, which makes the result
    differentiable in the parameters and in p (implicit differentiation).
    """
    shape = jnp.broadcast_shapes(jnp.shape(log_p), jnp.shape(log_q), law.batch_shape)
    log_p, log_q = jnp.broadcast_to(log_p, shape), jnp.broadcast_to(log_q, shape)
    frozen, p, q = jax.lax.stop_gradient((law, log_p, log_q))
    lower_half = p < q

    def excess(x: Array) -> Array:
        """Below zero where x is too low."""
        return jnp.where(lower_half, frozen.log_cdf(x) - p, q - frozen.log_sf(x))

    if law.is_discrete:
        first = jnp.broadcast_to(jnp.asarray(frozen.support.lower, p.dtype), shape)
        return first_whole(lambda k: ~(excess(k) < 0), first)
    to_support = IntervalBijection(frozen.support)
    x = to_support(root(lambda t: excess(to_support(t)), jnp.zeros(shape, p.dtype)))
    log_pdf = frozen.log_prob(x)
    cdf, sf = law.log_cdf(x), law.log_sf(x)
    step = jnp.where(
        lower_half,
        (log_p - cdf) * jnp.exp(jax.lax.stop_gradient(cdf) - log_pdf),
        (sf - log_q) * jnp.exp(jax.lax.stop_gradient(sf) - log_pdf),
    )
    return x + jnp.where(jnp.isfinite(step), step, 0.0)


def first_whole(reached: Callable[[Array], Array], first: Array) -> Array:
    """The first whole number from `first` on of which the predicate, false and then true, is true,
    elementwise: by doubling, then bisection."""
    low, high = first - 1, jnp.full_like(first, jnp.inf)

    def point(low: Array, high: Array) -> Array:
        return jnp.floor(jnp.where(jnp.isinf(high), 2 * low - first + 3, low + (high - low) / 2))

    def go_on(state: Any) -> Array:
        low, high, n = state
        k = point(low, high)
        return (n < TURNS) & jnp.any((k > low) & (k < high) & (k < FAR))

    def halve(state: Any) -> Any:
        low, high, n = state
        k = point(low, high)
        there = reached(k)
        return jnp.where(there, low, k), jnp.where(there, k, high), n + 1

    return jax.lax.while_loop(go_on, halve, (low, high, 0))[1]


class _Bracket(NamedTuple):
    """A root is between low and high; `last` is the end that was given up last, beyond the newest.
    Each with the function there. An end that is not known is infinite."""

    low: Array
    high: Array
    last: Array
    below: Array
    above: Array
    beyond: Array
    rose: Array
    turn: Array


def root(f: Callable[[Array], Array], zeros: Array) -> Array:
    """Where an increasing function is zero, elementwise, to three quarters of the digits: a bracket
    by doubling, then inverse quadratic interpolation where it is safe, bisection elsewhere. f is
    called at one place, so that it compiles once.

    Chandrupatla, A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear
    function without using derivatives, Advances in Engineering Software 28(3), 1997.
    """
    epsilon, infinite = jnp.finfo(zeros.dtype).eps, zeros + jnp.inf

    def point(s: _Bracket) -> Array:
        doubled = jnp.where(s.rose, jnp.maximum(2 * s.low, 1.0), jnp.minimum(2 * s.high, -1.0))
        newest, opposite = (jnp.where(s.rose, *ends) for ends in ((s.low, s.high), (s.high, s.low)))
        fn, fo = (jnp.where(s.rose, *fs) for fs in ((s.below, s.above), (s.above, s.below)))
        width = s.high - s.low
        x, y = (newest - opposite) / (s.last - opposite), (fn - fo) / (s.beyond - fo)
        smooth = (y**2 < x) & ((1 - y) ** 2 < 1 - x)
        t = fn / (fo - fn) * s.beyond / (fo - s.beyond)
        t += (s.last - newest) / (opposite - newest) * fn / (s.beyond - fn) * fo / (s.beyond - fo)
        least = _near(s, epsilon) / width
        t = jnp.where(smooth, jnp.clip(t, least, 1 - least), 0.5)
        inside = newest + t * (opposite - newest)
        known = jnp.isfinite(width)
        return jnp.where(s.turn == 0, 0.0, jnp.where(known, inside, doubled))

    def go_on(s: _Bracket) -> Array:
        looks = jnp.isinf(s.high - s.low) & (jnp.where(s.rose, s.low, -s.high) < FAR)
        wide = jnp.isfinite(s.high - s.low) & (s.high - s.low > 2 * _near(s, epsilon))
        return (s.turn < TURNS) & jnp.any(looks | wide | (s.turn == 0))

    def narrow(s: _Bracket) -> _Bracket:
        x = point(s)
        value = f(x)
        low = value < 0
        return _Bracket(
            jnp.where(low | (value == 0), x, s.low),
            jnp.where(low, s.high, x),
            jnp.where(low, s.low, s.high),
            jnp.where(low, value, s.below),
            jnp.where(low, s.above, value),
            jnp.where(low, s.below, s.above),
            low,
            s.turn + 1,
        )

    start = _Bracket(-infinite, infinite, infinite, -infinite, infinite, infinite, zeros > 0, 0)
    s = jax.lax.while_loop(go_on, narrow, start)
    lower = jnp.isfinite(s.low) & ((-s.below < s.above) | jnp.isinf(s.high))
    return jnp.where(lower, s.low, s.high)


def _near(s: _Bracket, epsilon: Any) -> Array:
    """How near is near enough: what is left, Newton's step squares."""
    return epsilon**0.75 * jnp.maximum(jnp.abs(s.low), jnp.abs(s.high)) + epsilon**4

"""Special functions that JAX lacks, or differentiates in too few arguments."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
from jax import Array

lgamma = jsp.gammaln

_HALF_LOG_2PI = 0.9189385332046727

#: terms of the continued fraction; even and odd terms together converge in O(sqrt(max(a, b)))
_TERMS = 400


def stirling_error(x: Array) -> Array:
    """lgamma(x) - ((x - 1/2) log x - x + log(2π)/2), by its asymptotic series, for x >= 8."""
    y = 1 / (x * x)
    series = 1.0 / 156 - y * (3617.0 / 122400)
    for coefficient in (691 / 360360, 1 / 1188, 1 / 1680, 1 / 1260, 1 / 360, 1 / 12):
        series = coefficient - y * series
    return series / x


def lbeta(a: Array, b: Array) -> Array:
    """log of the beta function, for a, b > 0.

    The larger argument is raised to at least 8 by its recurrence, where its gamma function and the
    sum's cancel within Stirling's formula (Didonato and Morris 1992). JAX's `betaln` has relative
    errors of 1e-6 for arguments of about ten.
    """
    a, b = _broadcast(a, b)
    p, q = jnp.minimum(a, b), jnp.maximum(a, b)
    small = q < 8
    low = jnp.where(small, q, 1.0)
    rise = jnp.ones_like(p)
    for i in range(8):
        rise = rise * ((low + p + i) / (low + i))
    shift = jnp.where(small, jnp.log(jnp.where(small, rise, 1.0)), 0.0)
    q = jnp.where(small, q + 8, q)
    total = p + q
    cancelled = stirling_error(q) - stirling_error(total)
    return lgamma(p) + p - (q - 0.5) * jnp.log1p(p / q) - p * jnp.log(total) + cancelled + shift


@jax.custom_jvp
def betainc(a: Array, b: Array, x: Array) -> Array:
    """Regularised incomplete beta function I_x(a, b), differentiable in all three arguments."""
    return jsp.betainc(*_broadcast(a, b, x))


@betainc.defjvp
def _betainc_jvp(primals, tangents):
    a, b, x = _broadcast(*primals)
    ta, tb, tx = tangents
    da, db = _betainc_parameter_derivatives(a, b, x)
    inner = (x > 0) & (x < 1)
    safe = jnp.where(inner, x, 0.5)
    density = jnp.exp((a - 1) * jnp.log(safe) + (b - 1) * jnp.log1p(-safe) - lbeta(a, b))
    dx = jnp.where(inner, density, 0.0)
    return betainc(a, b, x), da * ta + db * tb + dx * tx


def _betainc_parameter_derivatives(a: Array, b: Array, x: Array) -> tuple[Array, Array]:
    """(dI/da, dI/db): forward derivatives of the continued fraction DLMF 8.17.22.

    The fraction converges fast for x < (a + 1) / (a + b + 2); on the other side I_x(a, b) =
    1 - I_{1-x}(b, a) is used, whose derivatives are the same with a minus sign.
    """
    inner = (x > 0) & (x < 1)
    x = jnp.where(inner, x, 0.5)
    flip = x > (a + 1) / (a + b + 2)
    p, q = jnp.where(flip, b, a), jnp.where(flip, a, b)
    y = jnp.where(flip, 1 - x, x)
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    _, dp = jax.jvp(lambda s: _continued_fraction(s, q, y), (p,), (one,))
    _, dq = jax.jvp(lambda s: _continued_fraction(p, s, y), (q,), (one,))
    da = jnp.where(inner, jnp.where(flip, -dq, dp), zero)
    db = jnp.where(inner, jnp.where(flip, -dp, dq), zero)
    return da, db


def _continued_fraction(a: Array, b: Array, x: Array) -> Array:
    """I_x(a, b) by the modified Lentz algorithm (Thompson and Barnett 1986)."""
    tiny = jnp.finfo(x.dtype).tiny ** 0.5
    eps = jnp.finfo(x.dtype).eps

    def guard(v: Array) -> Array:
        return jnp.where(jnp.abs(v) < tiny, tiny, v)

    def go_on(state) -> Array:
        m, *_, moved = state
        return (m <= _TERMS) & jnp.any(moved > eps)

    def step(state):
        m, c, d, f, _ = state
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / guard(1 + even * d)
        c = guard(1 + even / c)
        f = f * c * d
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / guard(1 + odd * d)
        c = guard(1 + odd / c)
        return m + 1, c, d, f * c * d, jnp.abs(c * d - 1)

    d0 = 1 / guard(1 - (a + b) * x / (a + 1))
    start = (jnp.ones((), x.dtype), jnp.ones_like(x), d0, d0, jnp.ones_like(x))
    f = jax.lax.while_loop(go_on, step, start)[3]
    return f * jnp.exp(a * jnp.log(x) + b * jnp.log1p(-x) - lbeta(a, b)) / a


def _broadcast(*xs: Array) -> tuple[Array, ...]:
    dtype = jnp.result_type(*xs)
    return tuple(jnp.broadcast_arrays(*(jnp.asarray(x, dtype) for x in xs)))


@jax.custom_jvp
def log_ndtri(log_p: Array) -> Array:
    """x with log Phi(x) = log_p, for log_p <= 0, also where p underflows.

    Far in the tail: Newton steps on log Phi from the first term of its asymptotic expansion.
    """
    far = log_p < -20.0
    near_p = jnp.exp(jnp.where(far, -1.0, log_p))
    deep = jnp.where(far, log_p, -20.0)
    x = -jnp.sqrt(-2 * deep - jnp.log(-2 * deep) - 2 * _HALF_LOG_2PI)
    for _ in range(4):
        x = x - (jsp.log_ndtr(x) - deep) * jnp.exp(jsp.log_ndtr(x) - _log_normal(x))
    x = jnp.where(log_p == -jnp.inf, -jnp.inf, x)
    return jnp.where(far, x, jsp.ndtri(near_p))


@log_ndtri.defjvp
def _log_ndtri_jvp(primals, tangents):
    (log_p,), (t,) = primals, tangents
    x = log_ndtri(log_p)
    return x, jnp.exp(log_p - _log_normal(x)) * t


def _log_normal(x: Array) -> Array:
    return -0.5 * x * x - _HALF_LOG_2PI

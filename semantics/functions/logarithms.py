"""Logarithms in double precision by polynomials, and what rests on them.

XLA's of doubles call the C library on CPUs, for one number after the other; these are vectorised
together with what surrounds them. In single precision XLA's own are.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from ppl.semantics.functions.casts import real

# (log(1 + f) - f + f²/2) / f³ for √½ <= 1 + f <= √2, interpolated at Chebyshev's nodes
_SERIES = (
    0.3333333333333333,
    -0.24999999999998596,
    0.20000000000003482,
    -0.16666666667365992,
    0.14285714285634818,
    -0.12499999898432576,
    0.11111111008787179,
    -0.10000006590426393,
    0.09090921076038966,
    -0.08333110642999564,
    0.07691741139835176,
    -0.07146922611081985,
    0.06680348247882924,
    -0.06213325491398715,
    0.05706613674459082,
    -0.05635857394607171,
    0.06362025303018654,
    -0.05959173018943104,
    0.027053075892336406,
)
_LN2_HIGH = 6.93147180369123816490e-01  # 32 bits: whole multiples are exact
_LN2_LOW = 1.90821492927058770002e-10


def polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """Its value, constant term first. In four sums side by side: one after the other, processors
    would wait for each term."""
    square = x * x
    a, b, c, d = (_horner(coefficients[i::4], square * square) for i in range(4))
    return (a + b * x) + (c + d * x) * square


def _horner(coefficients: Sequence[float], x: Array) -> Array:
    total = jnp.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def _combined(k: Array, f: Array) -> Array:
    """k log 2 + log(1 + f)."""
    square = f * f
    rest = k * _LN2_LOW + square * (f * polynomial(_SERIES, f) - 0.5)
    return k * _LN2_HIGH + (f + rest)


def log_of_normal(x: Array) -> Array:
    """log x of positive doubles that are neither infinite nor subnormal, to one unit in the last
    place. Not to be differentiated."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int64)
    exponent = bits - 0x3FE6A09E667F3BCD >> 52  # of x / √½
    f = jax.lax.bitcast_convert_type(bits - (exponent << 52), jnp.float64) - 1.0
    # the integer as the last bits of 1.5 * 2^52: there is no instruction for many at once
    shifted = jax.lax.bitcast_convert_type(exponent + 0x4338000000000000, jnp.float64)
    return _combined(shifted - 1.5 * 2.0**52, f)


@jax.jit
def _log1p_of_share(x: Array) -> Array:
    """log(1 + x) for 0 <= x <= 1, to one unit in the last place."""
    if x.dtype != jnp.float64:
        return jnp.log1p(x)
    halve = x > 0.41421356237309503  # then (1 + x) / 2 - 1 is exact, as x is else
    return _combined(jnp.where(halve, 1.0, 0.0), jnp.where(halve, 0.5 * (x - 1.0), x))


@jax.custom_jvp
def _sigmoid(x: Array) -> Array:
    small = jnp.exp(-jnp.abs(x))
    return jnp.where(x < 0, small, 1.0) / (1.0 + small)


@_sigmoid.defjvp
def _sigmoid_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    out = _sigmoid(x)
    return out, out * _sigmoid(-x) * t


@jax.custom_jvp
def _softplus(x: Array) -> Array:
    out = jnp.maximum(x, 0.0) + _log1p_of_share(jnp.exp(-jnp.abs(x)))
    # that far out the rest is rounded off; and the selection keeps XLA from running a sum of these
    # as one kernel after the other, as it does with plain arithmetic
    return jnp.where(x < 40.0, out, x)


@_softplus.defjvp
def _softplus_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return _softplus(x), _sigmoid(x) * t


def softplus(x: ArrayLike) -> Array:
    """log(1 + e^x), of reals."""
    return _softplus(real(x))


def log_sigmoid(x: ArrayLike) -> Array:
    """log(1 / (1 + e^-x)), of reals."""
    return -_softplus(-real(x))

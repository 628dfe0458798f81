"""Standard normal numbers, one for each word of random bits.

The radius and the angle of Box and Muller (1958), z = √(-2 log u) sin(π v / 2) for u uniform in
(0, 1) and v in (-1, 1), of one word: (w / 2ᵇ, G w / 2ᵇ mod 1), w < 2ᵇ, are the points of a lattice
in the square, which G / 2ᵇ, next to the golden ratio, spreads as evenly as there is (Niederreiter,
"Random Number Generation and Quasi-Monte Carlo Methods", 1992, section 5.1). So z keeps the
resolution of the word near 0, up to 1e-15, and in its tails, up to 8.5 (1e-9 and 6.7 in single
precision).

Written without divisions and calls: one loop together with the generator of the bits, which
compilers vectorise. The quantile, which rests on either, takes two to three times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics.functions.logarithms import log_of_normal, polynomial

Array = Any

#: odd, next to 2ᵇ times the golden ratio; no partial quotient of G / 2ᵇ is above 3, and 5
GOLDEN = {32: 0x9E3778C1, 64: 0x9E3779B97F4A5C13}

# sin(π v / 2) / v as a function of v², interpolated at Chebyshev's nodes of [0, 1]
_SINE = (
    1.5707963267948966,
    -0.6459640975062463,
    0.07969262624616705,
    -0.0046817541353186476,
    0.0001604411847870968,
    -3.5988432342295587e-06,
    5.692172698478116e-08,
    -6.688003632156792e-10,
    6.064254026315552e-12,
    -4.2502807923692647e-14,
)
_SINE_SINGLE = (
    1.570796326768066,
    -0.645964095574125,
    0.07969260368557585,
    -0.004681657707277992,
    0.00016025459023725092,
    -3.431788991798387e-06,
)


def standard_normals(key: Array, shape: Sequence[int], dtype: Any = None) -> Array:
    """Independent standard normals, of the scope's precision if no other is asked for. Law: that of
    (`normals_of` w) for words w uniform over all there are."""
    real = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    return normals_of(jax.random.bits(key, shape, f"uint{8 * real.itemsize}"))


@jax.jit
def normals_of(words: Array) -> Array:
    """The number of each word: `uint64` in double precision, `uint32` in single."""
    width = 8 * words.dtype.itemsize
    angle = words * words.dtype.type(GOLDEN[width])
    if width == 64:
        u, v = 2.0 - _from_one(words), 2.0 * _from_one(angle) - 3.0
        return jnp.sqrt(-2.0 * log_of_normal(u)) * (v * polynomial(_SINE, v * v))
    signed = jax.lax.bitcast_convert_type(angle, jnp.int32)
    u, v = (words + 0.5) * 2.0**-32, (signed + 0.5) * 2.0**-31
    return jnp.sqrt(-2.0 * jnp.log(u)) * (v * polynomial(_SINE_SINGLE, v * v))


def _from_one(words: Array) -> Array:
    """The upper 51 bits of each word, and half of one more, as a number in (1, 2)."""
    bits = words >> np.uint64(12) | np.uint64(0x3FF0000000000001)
    return jax.lax.bitcast_convert_type(bits, jnp.float64)

"""Casts between kinds and ranges of numbers.

A checked cast gives its value together with whether it is legal, element by element, since nothing
can be raised where the value is known. Where it is not legal, the value is some legal stand-in.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def real(x: ArrayLike) -> Array:
    """`x` in floating point: unchanged if it already is, else in the default precision."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def integer(x: ArrayLike) -> Array:
    """`x` as an integer array, towards zero."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.integer) else x.astype(int)


def _checked(legal: Callable[[Array], Array], stand_in: float, to: Callable[[ArrayLike], Array]):
    def cast(x: ArrayLike) -> tuple[Array, Array]:
        x = jnp.asarray(x)
        ok = legal(x)
        return to(jnp.where(ok, x, jnp.asarray(stand_in, x.dtype))), ok

    return cast


def _whole(x: Array) -> Array:
    return jnp.isfinite(x) & (x == jnp.floor(x))


#: the checked casts of `signatures.COERCIONS`: x -> (value, whether the cast is legal)
CHECKED: dict[str, Callable[[ArrayLike], tuple[Array, Array]]] = {
    "checked_int": _checked(_whole, 0, integer),
    "checked_nat": _checked(lambda x: _whole(x) & (x >= 0), 0, integer),
    "checked_pos": _checked(lambda x: x >= 0, 1, real),
    "checked_prob": _checked(lambda x: (x >= 0) & (x <= 1), 0, real),
}

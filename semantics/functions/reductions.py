"""Reductions over given axes. Empty sums are 0, empty products 1, empty extrema ±infinity."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from ppl.semantics.functions.casts import integer, real
from ppl.semantics.functions.elementwise import sqrt

Axes = tuple[int, ...]


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def logsumexp(xs: Array, axes: Axes) -> Array:
    """log of the sum of exponentials over `axes`; -infinity, with zero gradient, if all are."""
    top = jnp.max(xs, axis=axes, keepdims=True, initial=-jnp.inf)
    shift = jnp.where(jnp.isfinite(top), top, 0.0)
    total = jnp.sum(jnp.exp(xs - shift), axis=axes, keepdims=True)
    return jnp.squeeze(jnp.log(total) + shift, axis=axes)


@logsumexp.defjvp
def _logsumexp_jvp(axes: Axes, primals, tangents):
    (xs,), (t,) = primals, tangents
    out = logsumexp(xs, axes)
    # the weights exp(x - out) are at most 1; out = -inf is shifted away, where they are all 0
    shift = jnp.expand_dims(jnp.where(jnp.isfinite(out), out, 0.0), _nonnegative(axes, xs.ndim))
    return out, jnp.sum(jnp.exp(xs - shift) * t, axis=axes)


def _nonnegative(axes: Axes, ndim: int) -> Axes:
    return tuple(a % ndim for a in axes)


def _kept(xs: Array) -> Array:
    return xs if jnp.issubdtype(xs.dtype, jnp.floating) else integer(xs)


def _variance(xs: Array, axes: Axes) -> Array:
    return jnp.var(real(xs), axis=axes, ddof=1)


def _extremum(f: Callable[..., Array], sign: int) -> Callable[[Array, Axes], Array]:
    def reduce(xs: Array, axes: Axes) -> Array:
        xs = _kept(xs)
        if jnp.issubdtype(xs.dtype, jnp.floating):
            worst = -sign * jnp.inf
        else:
            info = jnp.iinfo(xs.dtype)
            worst = info.min if sign > 0 else info.max
        empty = any(xs.shape[a] == 0 for a in axes)
        # `initial` is only for the empty case: it would take a share of the gradient in ties
        return f(xs, axis=axes, initial=worst) if empty else f(xs, axis=axes)

    return reduce


REDUCTIONS: dict[str, Callable[[Array, Axes], Array]] = {
    "sum": lambda xs, axes: jnp.sum(_kept(xs), axis=axes),
    "prod": lambda xs, axes: jnp.prod(_kept(xs), axis=axes),
    "mean": lambda xs, axes: jnp.mean(real(xs), axis=axes),
    "var": _variance,
    "sd": lambda xs, axes: sqrt(_variance(xs, axes)),
    "minimum": _extremum(jnp.min, -1),
    "maximum": _extremum(jnp.max, 1),
    "logsumexp": lambda xs, axes: logsumexp(real(xs), axes),
    "any": lambda xs, axes: jnp.any(xs, axis=axes),
    "all": lambda xs, axes: jnp.all(xs, axis=axes),
    "count": lambda xs, axes: jnp.sum(xs, axis=axes, dtype=int),
}

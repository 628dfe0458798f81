"""Means, covariances and factors of covariances of weighted rows."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

Array = Any

#: what variances are held above where all rows have collapsed
SMALLEST = 1e-18


def moments(x: Array, weights: Array) -> tuple[Array, Array]:
    """Mean (d,) and covariance (d, d) of rows x (n, d) with normalised weights (n,)."""
    mean = weights @ x
    centred = x - mean
    return mean, (centred * weights[:, None]).T @ centred


def deviations(variances: Array, ridge: float) -> Array:
    """Standard deviations, of variances raised by `ridge` of themselves."""
    return jnp.sqrt(variances * (1 + ridge) + SMALLEST)


def factor(covariance: Array, ridge: float) -> Array:
    """The lower triangular factor of a covariance whose variances are raised by `ridge` of
    themselves; the diagonal of standard deviations where there is none, as where fewer rows than
    coordinates are left in effect."""
    scales = deviations(jnp.diag(covariance), ridge)
    one = jnp.eye(len(scales))
    correlations = covariance * (1 - one) / (scales[:, None] * scales) + (1 + ridge) * one
    found = scales[:, None] * jnp.linalg.cholesky(correlations)
    return jnp.where(jnp.all(jnp.isfinite(found)), found, jnp.diag(scales))

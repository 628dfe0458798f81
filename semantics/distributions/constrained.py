"""Laws of covariance matrices, and of vectors that sum to zero.

Densities of symmetric matrices are with respect to the lower triangle, diagonal included; those of
vectors in a hyperplane with respect to area in it.
"""

from __future__ import annotations

from math import log, pi

import jax
import jax.numpy as jnp
from jax import Array

from ppl.semantics.distributions.family import Family
from ppl.semantics.distributions.normals import standard_normals
from ppl.semantics.functions.casts import real
from ppl.semantics.functions.special import lgamma


def _log_det(factor: Array) -> Array:
    """log of the determinant of factor factor'."""
    return 2 * jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), -1)


def _solve(factor: Array, b: Array) -> Array:
    """factor⁻¹ b, over broadcasting batches of matrices."""
    batch = jnp.broadcast_shapes(factor.shape[:-2], b.shape[:-2])
    factor, b = (jnp.broadcast_to(m, (*batch, *m.shape[-2:])) for m in (factor, b))
    return jax.scipy.linalg.solve_triangular(factor, b, lower=True)


def _square(m: Array) -> Array:
    """Sum of the squares of all elements."""
    return jnp.sum(m * m, (-2, -1))


def _log_constant(nu: Array, n: int) -> Array:
    """log of 2^(nu n / 2) and the multivariate gamma function of nu / 2."""
    steps = jnp.arange(n, dtype=nu.dtype)
    gammas = jnp.sum(lgamma(0.5 * (nu[..., None] - steps)), -1)
    return 0.5 * nu * n * log(2) + 0.25 * n * (n - 1) * log(pi) + gammas


def _wishart_log_density(x, nu, scale):
    n, root = x.shape[-1], jnp.linalg.cholesky(x)
    return (
        0.5 * (nu - n - 1) * _log_det(root)
        - 0.5 * _square(_solve(scale, root))
        - 0.5 * nu * _log_det(scale)
        - _log_constant(nu, n)
    )


def _inv_wishart_log_density(x, nu, scale):
    n, root = x.shape[-1], jnp.linalg.cholesky(x)
    return (
        -0.5 * (nu + n + 1) * _log_det(root)
        - 0.5 * _square(_solve(root, scale))
        + 0.5 * nu * _log_det(scale)
        - _log_constant(nu, n)
    )


def _standard_factor(key: Array, shape: tuple[int, ...], nu: Array, n: int) -> Array:
    """The Cholesky factor of a Wishart(nu, identity) matrix (Bartlett 1933): normals below square
    roots of chi-squares."""
    first, second = jax.random.split(key)
    nu = jnp.broadcast_to(nu, shape)[..., None] - jnp.arange(n, dtype=nu.dtype)
    chi = jnp.sqrt(2 * jax.random.gamma(first, 0.5 * nu, dtype=nu.dtype))
    below = jnp.tril(standard_normals(second, (*shape, n, n), nu.dtype), -1)
    return below + chi[..., None] * jnp.eye(n, dtype=nu.dtype)


def _symmetric(factor: Array) -> Array:
    return factor @ jnp.swapaxes(factor, -1, -2)


def _wishart_sample(key, shape, nu, scale):
    return _symmetric(scale @ _standard_factor(key, shape, nu, scale.shape[-1]))


def _inv_wishart_sample(key, shape, nu, scale):
    standard = _standard_factor(key, shape, nu, scale.shape[-1])
    return _symmetric(jnp.swapaxes(_solve(standard, jnp.swapaxes(scale, -1, -2)), -1, -2))


def _wishart(log_density, sample) -> Family:
    return Family(
        ("pos", "factor"),
        log_density,
        sample,
        canonical=lambda nu, scale: (nu, jnp.linalg.cholesky(real(scale))),
        legal=lambda nu, factor: nu > factor.shape[-1] - 1,
        event=lambda nu, factor: factor.shape[-2:],
    )


def _zero_sum_log_density(x, n, sigma):
    z = x / sigma[..., None]
    return -0.5 * jnp.sum(z * z, -1) - (n - 1) * (jnp.log(sigma) + 0.5 * log(2 * pi))


def _zero_sum_sample(key, shape, n, sigma):
    z = standard_normals(key, (*shape, n), sigma.dtype)
    return sigma[..., None] * (z - jnp.mean(z, -1, keepdims=True))


CONSTRAINED: dict[str, Family] = {
    "wishart": _wishart(_wishart_log_density, _wishart_sample),
    "inv_wishart": _wishart(_inv_wishart_log_density, _inv_wishart_sample),
    "zero_sum_normal": Family(
        ("pos",),
        _zero_sum_log_density,
        _zero_sum_sample,
        event=lambda n, sigma: (n,),
        statics=1,
    ),
}

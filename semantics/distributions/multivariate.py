"""Families over vectors and matrices.

Densities of simplices are with respect to all coordinates but the last, those of correlation
matrices and factors with respect to the strictly lower triangle.
"""

from __future__ import annotations

from dataclasses import replace
from math import log, pi

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import xlogy
from numpyro.distributions import LKJCholesky

from ppl.semantics.distributions.family import Family
from ppl.semantics.distributions.normals import standard_normals
from ppl.semantics.functions.arrays import solve_triangular
from ppl.semantics.functions.casts import real
from ppl.semantics.functions.special import lbeta, lgamma


def _log_diagonal(factor: Array) -> Array:
    return jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), -1)


def _apply(matrix: Array, vector: Array) -> Array:
    return jnp.einsum("...ij,...j->...i", matrix, vector)


def _whiten(factor: Array, centred: Array) -> Array:
    """factor⁻¹ centred, with as many batch dimensions on both."""
    extra = centred.ndim - 1 - (factor.ndim - 2)
    if extra < 0:
        centred = centred.reshape((1,) * -extra + centred.shape)
    factor = factor.reshape((1,) * max(extra, 0) + factor.shape)
    return solve_triangular(factor, centred)


def _vector(mu: Array, *_: Array) -> tuple[int, ...]:
    return mu.shape[-1:]


def _standard_normals(key: Array, shape: tuple[int, ...], mu: Array, factor: Array) -> Array:
    return standard_normals(key, (*shape, mu.shape[-1]), jnp.result_type(mu, factor))


_by_factor = Family(
    ("vector", "factor"),
    lambda x, mu, factor: (
        -0.5 * jnp.sum(jnp.square(_whiten(factor, x - mu)), -1)
        - _log_diagonal(factor)
        - 0.5 * x.shape[-1] * log(2 * pi)
    ),
    lambda key, shape, mu, factor: mu + _apply(factor, _standard_normals(key, shape, mu, factor)),
    event=_vector,
)


def _transposed_solve(factor: Array, z: Array) -> Array:
    """factor⁻ᵀ z."""
    reversed_ = jnp.swapaxes(jnp.flip(factor, (-2, -1)), -1, -2)
    return jnp.flip(_whiten(reversed_, jnp.flip(z, -1)), -1)


#: parametrised by the Cholesky factor of the precision
_by_precision = Family(
    ("vector", "factor"),
    lambda x, mu, factor: (
        -0.5 * jnp.sum(jnp.square(_apply(jnp.swapaxes(factor, -1, -2), x - mu)), -1)
        + _log_diagonal(factor)
        - 0.5 * x.shape[-1] * log(2 * pi)
    ),
    lambda key, shape, mu, factor: (
        mu + _transposed_solve(factor, _standard_normals(key, shape, mu, factor))
    ),
    event=_vector,
)


def _student_log_density(x, nu, mu, factor):
    n = x.shape[-1]
    square = jnp.sum(jnp.square(_whiten(factor, x - mu)), -1)
    return (
        -_log_gamma_ratio(nu, n)
        - 0.5 * n * jnp.log(nu * pi)
        - _log_diagonal(factor)
        - 0.5 * (nu + n) * jnp.log1p(square / nu)
    )


def _log_gamma_ratio(nu: Array, n: int) -> Array:
    """log Γ(ν/2) - log Γ((ν + n)/2), through the beta function, which does not cancel."""
    half = jnp.asarray(0.5 * n, nu.dtype)
    return lbeta(0.5 * nu, half) - lgamma(half)


def _student_sample(key, shape, nu, mu, factor):
    first, second = jax.random.split(key)
    chi = 2 * jax.random.gamma(second, 0.5 * nu, shape, nu.dtype)
    z = _apply(factor, _standard_normals(first, shape, mu, factor))
    return mu + z * jnp.sqrt(nu / chi)[..., None]


def _dirichlet_sample(key, shape, alpha):
    logs = jax.random.loggamma(key, alpha, (*shape, alpha.shape[-1]), alpha.dtype)
    # coordinates too small for the precision are rounded up: 0 would be a pole of the density
    return jnp.maximum(jax.nn.softmax(logs, -1), jnp.finfo(alpha.dtype).tiny)


def _multivariate_beta(alpha: Array) -> Array:
    return jnp.sum(lgamma(alpha), -1) - lgamma(jnp.sum(alpha, -1))


_dirichlet = Family(
    ("pos_vector",),
    lambda x, alpha: jnp.sum(xlogy(alpha - 1, x), -1) - _multivariate_beta(alpha),
    _dirichlet_sample,
    event=lambda alpha: alpha.shape[-1:],
)


def _multinomial_log_density(x, n, p):
    p = p / jnp.sum(p, -1, keepdims=True)
    coefficient = lgamma(real(n).astype(x.dtype) + 1) - jnp.sum(lgamma(x + 1), -1)
    return coefficient + jnp.sum(xlogy(x, p), -1)


def _multinomial_sample(key, shape, n, p):
    """Successive binomials, each given what is left."""
    left = jnp.broadcast_to(n, shape).astype(int)
    rest = jnp.flip(jnp.cumsum(jnp.flip(p, -1), -1), -1)
    counts = []
    for i, k in enumerate(jax.random.split(key, max(p.shape[-1] - 1, 1))[: p.shape[-1] - 1]):
        share = jnp.clip(p[..., i] / jnp.where(rest[..., i] > 0, rest[..., i], 1), 0, 1)
        rare = jnp.minimum(share, 1 - share)
        drawn = jax.random.binomial(k, left.astype(p.dtype), rare, shape, p.dtype).astype(int)
        counts.append(jnp.where(share <= 0.5, drawn, left - drawn))
        left = left - counts[-1]
    return jnp.stack([*counts, left], -1)


_multinomial = Family(
    ("nat", "weights"),
    _multinomial_log_density,
    _multinomial_sample,
    event=lambda n, p: p.shape[-1:],
)


def _dirichlet_multinomial_log_density(x, n, alpha):
    total = jnp.sum(alpha, -1)
    n = real(n).astype(x.dtype)
    terms = jnp.where(
        x > 0, jnp.log(jnp.where(x > 0, x, 1.0)) + lbeta(alpha, jnp.where(x > 0, x, 1.0)), 0.0
    )
    safe = jnp.where(n > 0, n, 1.0)
    return jnp.where(n > 0, jnp.log(safe) + lbeta(total, safe), 0.0) - jnp.sum(terms, -1)


def _dirichlet_multinomial_sample(key, shape, n, alpha):
    first, second = jax.random.split(key)
    return _multinomial_sample(second, shape, n, _dirichlet_sample(first, shape, alpha))


_dirichlet_multinomial = Family(
    ("nat", "pos_vector"),
    _dirichlet_multinomial_log_density,
    _dirichlet_multinomial_sample,
    event=lambda n, alpha: alpha.shape[-1:],
)

# --------------------------------------------------------------------------- correlation matrices


def _lkj_log_constant(n: int, eta: Array) -> Array:
    """log of ∫ det(R)^(eta - 1) dR (Lewandowski, Kurowicka and Joe 2009, equation 16)."""
    total = jnp.zeros_like(eta)
    for k in range(1, n):
        b = eta + 0.5 * (n - k - 1)
        total = total + (2 * eta - 2 + n - k) * (n - k) * log(2.0) + (n - k) * lbeta(b, b)
    return total


def _lkj_cholesky_log_density(x, n, eta):
    diagonal = jnp.log(jnp.diagonal(x, axis1=-2, axis2=-1))[..., 1:]
    powers = n - jnp.arange(2, n + 1) + 2 * eta[..., None] - 2
    return jnp.sum(powers * diagonal, -1) - _lkj_log_constant(n, eta)


def _lkj_cholesky_sample(key, shape, n, eta):
    if n == 1:
        return jnp.ones((*shape, 1, 1), eta.dtype)
    eta = jnp.broadcast_to(eta, shape)
    return LKJCholesky(n, eta, sample_method="onion", validate_args=False).sample(key)


def _lkj_log_density(x, n, eta):
    return 2 * (eta - 1) * _log_diagonal(jnp.linalg.cholesky(x)) - _lkj_log_constant(n, eta)


def _lkj_sample(key, shape, n, eta):
    factor = _lkj_cholesky_sample(key, shape, n, eta)
    product = factor @ jnp.swapaxes(factor, -1, -2)
    return jnp.where(jnp.eye(n, dtype=bool), 1.0, product)


_lkj_corr_cholesky = Family(
    ("pos",),
    _lkj_cholesky_log_density,
    _lkj_cholesky_sample,
    event=lambda n, eta: (n, n),
    statics=1,
)

MULTIVARIATE: dict[str, Family] = {
    "multi_normal": replace(
        _by_factor, canonical=lambda mu, sigma: (mu, jnp.linalg.cholesky(real(sigma)))
    ),
    "multi_normal_prec": replace(
        _by_precision, canonical=lambda mu, omega: (mu, jnp.linalg.cholesky(real(omega)))
    ),
    "multi_normal_cholesky": replace(
        _by_factor, canonical=lambda mu, factor: (mu, jnp.tril(real(factor)))
    ),
    "multi_student_t": Family(
        ("pos", "vector", "factor"),
        _student_log_density,
        _student_sample,
        canonical=lambda nu, mu, factor: (nu, mu, jnp.tril(real(factor))),
        event=lambda nu, mu, factor: mu.shape[-1:],
    ),
    "dirichlet": _dirichlet,
    "multinomial": _multinomial,
    "dirichlet_multinomial": _dirichlet_multinomial,
    "lkj_corr_cholesky": _lkj_corr_cholesky,
    "lkj_corr": replace(_lkj_corr_cholesky, log_density=_lkj_log_density, sample=_lkj_sample),
}

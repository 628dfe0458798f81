"""Changes of variables, and continuous distributions: right ones, and wrong ones."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from ppl.verify import Bijection, Distribution


def softmax_centred(x):
    """R^n to the simplex without its last coordinate, and the stated log determinant."""
    y = jnp.append(x, 0.0)
    return jax.nn.softmax(y)[:-1]


WRONG_MAPS = {
    "log Jacobian at the transformed value": Bijection(jnp.exp, lambda x: jnp.sum(jnp.exp(x))),
    "log Jacobian summed and then added per element": Bijection(
        jnp.exp, lambda x: x.size * jnp.sum(x)
    ),
    "softmax-centred log determinant": Bijection(
        softmax_centred, lambda x: jnp.sum(jax.nn.log_softmax(jnp.append(x, 0.0))[:-1])
    ),
    "an inverse that is none": Bijection(
        lambda x: 2.5 * x, lambda x: 3 * jnp.log(2.5), lambda y: 2.5 * y
    ),
}

COVARIANCE = np.array([[1.9, 0.8], [0.8, 0.7]])
MEAN = np.array([0.4, -1.0])


def normals(root):
    """Two normal numbers by a square root of their covariance."""
    return lambda rng: MEAN + root @ rng.normal(size=2)


def density(covariance):
    return stats.multivariate_normal(MEAN, covariance).logpdf


def tail(rng, *, above=0.5):
    return stats.norm.isf(rng.random() * stats.norm.sf(above))


def squared(y):
    """The log density of the square of a gamma(2.5) number."""
    return stats.gamma(2.5).logpdf(np.sqrt(y)) - np.log(2 * np.sqrt(y))


GAMMA = stats.gamma(2.5, scale=0.6)
LAWS = {
    "normal": Distribution(lambda rng: rng.normal(3, 0.2), stats.norm(3, 0.2).logpdf),
    "gamma": Distribution(lambda rng: rng.gamma(2.5, 0.6), GAMMA.logpdf, low=0),
    "beta": Distribution(lambda rng: rng.beta(0.5, 3), stats.beta(0.5, 3).logpdf, low=0, high=1),
    "truncated": Distribution(tail, stats.truncnorm(0.5, np.inf).logpdf, low=0.5),
    "squared": Distribution(lambda rng: rng.gamma(2.5) ** 2, squared, low=0),
    "two normals": Distribution(normals(np.linalg.cholesky(COVARIANCE)), density(COVARIANCE)),
}
WRONG_LAWS = {
    "rate passed as scale": Distribution(lambda rng: rng.gamma(2.5, 1 / 0.6), GAMMA.logpdf, low=0),
    "truncated but not renormalised, continuous": Distribution(tail, stats.norm.logpdf, low=0.5),
    "Jacobian at the back-transformed value": Distribution(
        lambda rng: rng.gamma(2.5) ** 2,
        lambda y: stats.gamma(2.5).logpdf(np.sqrt(y)) - np.log(2 * y),
        low=0,
    ),
    "transform applied on the wrong side": Distribution(
        lambda rng: 2.5 * rng.normal() + 1,
        lambda y: stats.norm.logpdf(2.5 * y + 1) + np.log(2.5),
    ),
    "no Jacobian": Distribution(
        lambda rng: rng.gamma(2.5) ** 2, lambda y: stats.gamma(2.5).logpdf(np.sqrt(y)), low=0
    ),
    "variance for deviation": Distribution(
        lambda rng: rng.normal(3, 0.5**2), stats.norm(3, 0.5).logpdf
    ),
    "inverse of a Cholesky for the Cholesky of an inverse": Distribution(
        normals(np.linalg.inv(np.linalg.cholesky(np.linalg.inv(COVARIANCE)))), density(COVARIANCE)
    ),
    "axes of two numbers swapped": Distribution(
        lambda rng: normals(np.linalg.cholesky(COVARIANCE))(rng)[::-1], density(COVARIANCE)
    ),
    "the sign of the correlation": Distribution(
        normals(np.linalg.cholesky(COVARIANCE)), density(COVARIANCE * [[1, -1], [-1, 1]])
    ),
}

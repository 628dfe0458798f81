"""Mixtures of multivariate Student t laws, as proposals that are fitted to weighted draws.

A fit is one step of expectation-maximisation that starts from the mixture before it (Cappé, Douc,
Guillin, Marin and Robert, "Adaptive importance sampling in general mixture classes", 2008): each
draw belongs to the components in proportion to their densities there, and each component takes the
moments of what belongs to it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import gammaln, logsumexp

from ppl.inference.moments import factor, moments
from ppl.semantics import distributions as D

Array = Any
Omega = Any

#: degrees of freedom: tails that cover what moments miss. The variance is ν / (ν - 2) times scale²
NU = 5
#: what is added to variances, as a share of them; of all draws, where a component has few
RIDGE, SHRINKAGE = 1e-6, 0.02


class StudentMixture(NamedTuple):
    """shares (k,), locations (k, d), scales (k, d, d): lower triangular factors."""

    shares: Array
    locations: Array
    scales: Array


def log_density(q: StudentMixture, x: Array) -> Array:
    """At rows of x (n, d)."""
    return logsumexp(_by_component(q, x), axis=0)


def _by_component(q: StudentMixture, x: Array) -> Array:
    """log (share times density) of every component at rows of x, (k, n)."""
    d = x.shape[1]
    constant = gammaln((NU + d) / 2) - gammaln(NU / 2) - d / 2 * math.log(NU * math.pi)

    def one(share: Array, location: Array, scale: Array) -> Array:
        z = solve_triangular(scale, (x - location).T, lower=True)
        volume = jnp.sum(jnp.log(jnp.diag(scale)))
        return (
            jnp.log(share)
            + constant
            - volume
            - (NU + d) / 2 * jnp.log1p(jnp.sum(z**2, axis=0) / NU)
        )

    return jax.vmap(one)(*q)


def draw(omega: Omega, q: StudentMixture, n: int) -> tuple[Omega, Array]:
    """n independent draws, (n, d)."""
    d = q.locations.shape[1]
    law = D.make("categorical", (q.shares / jnp.sum(q.shares),))
    omega, k = omega.draw(("", "component"), law, (n,))
    standard = D.make("normal", (0.0, 1.0))
    omega, z = omega.draw(("", "proposal"), standard, (n, d))
    omega, v = omega.draw(("", "tail"), standard, (n, NU))
    spread = jnp.einsum("nij,nj->ni", q.scales[k], z)
    return omega, q.locations[k] + spread / jnp.sqrt(jnp.mean(v**2, axis=1))[:, None]


def started(x: Array, weights: Array, at: Array) -> StudentMixture:
    """Components around rows `at` (k,) of x, which is weighted (n,)."""
    k, d = at.shape[0], x.shape[1]
    mean, covariance = moments(x, weights)
    locations = mean[None] if k == 1 else x[at]
    scale = _scale(covariance) * k ** (-1 / d)
    return StudentMixture(jnp.full(k, 1 / k), locations, jnp.broadcast_to(scale, (k, d, d)))


def fitted(q: StudentMixture, x: Array, weights: Array) -> StudentMixture:
    """A step of expectation-maximisation from q, on rows of x with normalised weights (n,)."""
    parts = _by_component(q, x)
    belongs = jnp.exp(parts - logsumexp(parts, axis=0)) * weights
    mass = jnp.sum(belongs, axis=1)
    _, whole = moments(x, weights)

    def one(belongs: Array, mass: Array) -> tuple[Array, Array]:
        mean, covariance = moments(x, belongs / jnp.maximum(mass, 1e-12))
        return mean, _scale((1 - SHRINKAGE) * covariance + SHRINKAGE * whole)

    locations, scales = jax.vmap(one)(belongs, mass)
    few = mass < 1e-6  # nothing belongs to it: it stays where it is, with a share that can grow
    return StudentMixture(
        jnp.maximum(mass, 1e-3) / jnp.sum(jnp.maximum(mass, 1e-3)),
        jnp.where(few[:, None], q.locations, locations),
        jnp.where(few[:, None, None], q.scales, scales),
    )


def _scale(covariance: Array) -> Array:
    """The factor of the scale of a t law with this covariance."""
    return factor(covariance, RIDGE) * math.sqrt((NU - 2) / NU)

"""Gaussian laws as affine images of independent standard normals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import solve_triangular
from numpyro.distributions import Distribution, ExpandedDistribution, Independent

from ppl.semantics.distributions.family import Member
from ppl.semantics.distributions.repeats import Repeats


class Affine(NamedTuple):
    """`value(u)` has the law if u is standard normal, of the same shape; `standard` undoes it."""

    value: Callable[[Any], Array]
    standard: Callable[[Any], Array]


def affine(dist: Distribution) -> Affine | None:
    """A Gaussian law's; None if the law is another."""
    match dist:
        case Independent() | ExpandedDistribution():
            return affine(dist.base_dist)
        case Repeats():
            inner, at = affine(dist.base), -1 - dist.base.event_dim
            return inner and Affine(*(_along(f, at) for f in inner))
        case Member(name="normal", parameters=(mu, sigma)):
            return Affine(lambda u: mu + sigma * u, lambda x: (x - mu) / sigma)
        case Member(name="multi_normal" | "multi_normal_cholesky", parameters=(mu, factor)):
            return Affine(
                lambda u: mu + jnp.einsum("...ij,...j->...i", factor, u),
                lambda x: _solve(factor, x - mu, transposed=False),
            )
        case Member(name="multi_normal_prec", parameters=(mu, factor)):
            return Affine(
                lambda u: mu + _solve(factor, u, transposed=True),
                lambda x: jnp.einsum("...ji,...j->...i", factor, x - mu),
            )
    return None


def _along(f: Callable[[Any], Array], axis: int) -> Callable[[Any], Array]:
    return lambda x: jnp.moveaxis(f(jnp.moveaxis(x, axis, 0)), 0, axis)


def _solve(factor: Array, x: Array, *, transposed: bool) -> Array:
    batch = jnp.broadcast_shapes(factor.shape[:-2], x.shape[:-1])
    factor = jnp.broadcast_to(factor, (*batch, *factor.shape[-2:]))
    x = jnp.broadcast_to(x, (*batch, x.shape[-1]))
    return solve_triangular(factor, x[..., None], lower=True, trans=int(transposed))[..., 0]

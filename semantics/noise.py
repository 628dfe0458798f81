"""Noise maps: a draw as a fixed function of parameters and of noise that does not depend on them.

They are the causal reading of a distribution. A counterfactual replays the noise of what was seen
under other parameters: `push(other, noise_of(dist, x, key))`. The map is part of a row of the
table of signatures:

- *quantile*, and *location-scale* on the line (the same map there, since it is increasing): the
  noise is the quantile level, held as the logarithms of both tails;
- *location-scale* of vectors: the standardised vector, by the Cholesky factor;
- *gumbel-max*: one Gumbel per category, the drawn one being the largest after adding log
  probabilities (Oberst and Sontag 2019).

Noise is determined by the draw where the law is continuous, and drawn given it where it is
discrete.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.distributions import Distribution, ExpandedDistribution, Independent

from ppl.semantics.diagnostics import fail
from ppl.semantics.distributions.family import Member
from ppl.semantics.distributions.finite import support_values
from ppl.semantics.distributions.point import Dirac
from ppl.semantics.signatures import PRIMITIVES
from ppl.semantics.signatures import Distribution as Row

Noise = Any


def kind_of(dist: Distribution) -> str:
    """The noise map of a distribution. Raises E725 if it declares none."""
    base = _base(dist)
    if isinstance(base, Dirac):
        return "none"
    row = PRIMITIVES.get(base.name) if isinstance(base, Member) else None
    if isinstance(row, Row) and row.noise is not None:
        return (
            "vector" if base.event_dim else "gumbel-max" if row.noise == "gumbel-max" else "level"
        )
    name = getattr(base, "name", type(base).__name__)
    raise fail(
        "E725",
        f"`{name}` declares no noise map, so its counterfactuals are not determined",
        hint="write it as a deterministic function of distributions that have one",
    )


def noise_of(dist: Distribution, x: Array, key: Array) -> Noise:
    """Noise that `push` maps to `x`: abduction. Random, given x, where the law is discrete."""
    law = _base(dist)
    x = jnp.asarray(x)
    match kind_of(dist):
        case "none":
            return ()
        case "vector":
            return _standardised(law, x)
        case "gumbel-max":
            return _gumbels_given(law, x.astype(int), key)
    if not law.is_discrete:
        return law.log_cdf(x), law.log_sf(x)
    below, above = law.log_cdf(x - 1), law.log_sf(x)
    share = jax.random.uniform(
        key, jnp.shape(below), below.dtype, minval=jnp.finfo(below.dtype).tiny
    )
    mass = law.log_prob(x)
    return jnp.logaddexp(below, jnp.log(share) + mass), jnp.logaddexp(
        above, jnp.log1p(-share) + mass
    )


def push(dist: Distribution, noise: Noise) -> Array:
    """The draw that `noise` gives under the parameters of `dist`."""
    law = _base(dist)
    match kind_of(dist):
        case "none":
            return law.value
        case "vector":
            return _destandardised(law, noise)
        case "gumbel-max":
            index = jnp.argmax(noise + _log_probabilities(law), axis=-1)
            return index == 1 if law.name.startswith("bernoulli") else index
    return law.quantile(*noise)


def _base(dist: Distribution) -> Any:
    """Through NumPyro's wrappers, which leave the parameters' batch dimensions in place."""
    while isinstance(dist, (Independent, ExpandedDistribution)):
        dist = dist.base_dist
    return dist


def _standardised(law: Member, x: Array) -> Array:
    mu, factor = law.parameters
    centred = (x - mu)[..., None]
    if law.name == "multi_normal_prec":
        return jnp.matmul(jnp.swapaxes(factor, -1, -2), centred)[..., 0]
    batch = jnp.broadcast_shapes(factor.shape[:-2], centred.shape[:-2])
    factor = jnp.broadcast_to(factor, (*batch, *factor.shape[-2:]))
    centred = jnp.broadcast_to(centred, (*batch, *centred.shape[-2:]))
    return jax.scipy.linalg.solve_triangular(factor, centred, lower=True)[..., 0]


def _destandardised(law: Member, z: Array) -> Array:
    mu, factor = law.parameters
    if law.name != "multi_normal_prec":
        return mu + jnp.matmul(factor, z[..., None])[..., 0]
    batch = jnp.broadcast_shapes(factor.shape[:-2], z.shape[:-1])
    factor = jnp.broadcast_to(factor, (*batch, *factor.shape[-2:]))
    z = jnp.broadcast_to(z, (*batch, z.shape[-1]))[..., None]
    return mu + jax.scipy.linalg.solve_triangular(factor, z, lower=True, trans="T")[..., 0]


def _log_probabilities(law: Member) -> Array:
    """(*batch, K)."""
    return jnp.moveaxis(support_values(law)[1], 0, -1)


def _gumbels_given(law: Member, x: Array, key: Array) -> Array:
    """Gumbels whose shifted maximum is at x: the maximum is a standard Gumbel whatever x is, and
    the others are Gumbels truncated below it (Maddison, Tarlow and Minka 2014)."""
    log_p = _log_probabilities(law)
    first, second = jax.random.split(key)
    shape = jnp.broadcast_shapes(x.shape, log_p.shape[:-1])
    top = jax.random.gumbel(first, (*shape, 1), log_p.dtype)
    u = jax.random.uniform(
        second, (*shape, log_p.shape[-1]), log_p.dtype, minval=jnp.finfo(log_p.dtype).tiny
    )
    # Gumbel at location l truncated to (-∞, top]: -log(e^-top - e^-l log u) + … in one piece
    others = -jnp.logaddexp(-top, jnp.log(-jnp.log(u)) - log_p)
    chosen = jnp.arange(log_p.shape[-1]) == x[..., None]
    shifted = jnp.where(chosen, top, others)
    # an impossible category has no shifted value: its noise is a Gumbel of its own
    free = -jnp.log(-jnp.log(u))
    return jnp.where(log_p > -jnp.inf, shifted - jnp.where(log_p > -jnp.inf, log_p, 0.0), free)

"""Further discrete families: counts by the logarithm of their mean, inflated, and drawn without
replacement; ordered categories that a normal variable falls into."""

from __future__ import annotations

from math import log, pi

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
from jax import Array

from ppl.semantics import keys
from ppl.semantics.distributions.discrete import at, poisson
from ppl.semantics.distributions.family import Family
from ppl.semantics.distributions.normals import standard_normals
from ppl.semantics.functions.casts import real
from ppl.semantics.functions.elementwise import log1m_exp, log_choose
from ppl.semantics.functions.logarithms import softplus
from ppl.semantics.functions.special import betainc, lbeta, lgamma

# ------------------------------------------------------------------- by the logarithm of the mean

_poisson_log = Family(
    ("real",),
    lambda k, eta: k * eta - jnp.exp(eta) - lgamma(k + 1),
    lambda key, shape, eta: keys.poisson(key, jnp.exp(eta), shape),
    log_cdf=lambda k, eta: poisson.log_cdf(k, jnp.exp(eta)),
    log_sf=lambda k, eta: poisson.log_sf(k, jnp.exp(eta)),
    legal=lambda eta: jnp.exp(eta) < jnp.inf,
)


def _neg_binomial_log_density(k, eta, phi):
    """C(k + phi - 1, k) (phi / (phi + mu))^phi (mu / (phi + mu))^k at mu = e^eta."""
    odds = eta - jnp.log(phi)  # of a count rather than of an end
    coefficient = -lbeta(phi, k + 1) - jnp.log(phi + k)
    return coefficient - phi * softplus(odds) - k * softplus(-odds)


def _neg_binomial_log_cdf(k, eta, phi):
    return jnp.log(betainc(phi, k + 1, jax.nn.sigmoid(jnp.log(phi) - eta)))


def _neg_binomial_log_sf(k, eta, phi):
    return jnp.log(betainc(k + 1, phi, jax.nn.sigmoid(eta - jnp.log(phi))))


def _neg_binomial_sample(key, shape, eta, phi):
    first, second = jax.random.split(key)
    rate = jnp.exp(eta) * jax.random.gamma(first, phi, shape, jnp.result_type(eta, phi)) / phi
    return keys.poisson(second, rate, shape)


_neg_binomial_2_log = Family(
    ("real", "pos"),
    _neg_binomial_log_density,
    _neg_binomial_sample,
    log_cdf=_neg_binomial_log_cdf,
    log_sf=_neg_binomial_log_sf,
    legal=lambda eta, phi: jnp.exp(eta) < jnp.inf,
)

# --------------------------------------------------------------------------- more zeros than that


def _inflated_log_density(k, gate, eta, phi):
    zero = -phi * softplus(eta - jnp.log(phi))
    # log(gate + (1 - gate) e^zero), without losing e^zero where gate = 0
    moderate = (zero > -30) | (gate == 0)
    near = zero + jnp.log1p(gate * jnp.expm1(jnp.minimum(-zero, 80.0)))
    far = jnp.log(jnp.where(moderate, 1.0, gate + (1 - gate) * jnp.exp(zero)))
    rest = jnp.log1p(-gate) + _neg_binomial_log_density(k, eta, phi)
    return jnp.where(k == 0, jnp.where(moderate, near, far), rest)


def _inflated_sample(key, shape, gate, eta, phi):
    first, second = jax.random.split(key)
    zero = jax.random.bernoulli(first, gate, shape)
    return jnp.where(zero, 0, _neg_binomial_sample(second, shape, eta, phi))


_zero_inflated_neg_binomial = Family(
    ("prob", "real", "pos"),
    _inflated_log_density,
    _inflated_sample,
    log_cdf=lambda k, gate, *p: jnp.log(gate + (1 - gate) * jnp.exp(_neg_binomial_log_cdf(k, *p))),
    log_sf=lambda k, gate, *p: jnp.log1p(-gate) + _neg_binomial_log_sf(k, *p),
    canonical=lambda gate, mu, phi: (gate, jnp.log(mu), phi),
)

# ---------------------------------------------------------------------------- without replacement


def _hypergeometric_log_density(k, draws, a, b):
    draws, a, b = (real(n).astype(k.dtype) for n in (draws, a, b))
    return log_choose(a, k) + log_choose(b, draws - k) - log_choose(a + b, draws)


def _hypergeometric_sample(key, shape, draws, a, b):
    """An urn: of `a` special ones among a + b, how many are among the draws, and the other way
    round, which is the same law and as many steps as the smaller of the two."""
    steps, special = jnp.minimum(draws, a), jnp.maximum(draws, a)
    total = a + b

    def draw(i: Array, k: Array) -> Array:
        u = jax.random.uniform(jax.random.fold_in(key, i), shape)
        hit = u * (total - i) < special - k
        return k + (hit & (i < steps))

    return jax.lax.fori_loop(0, jnp.max(steps, initial=0), draw, jnp.zeros(shape, int))


_hypergeometric = Family(
    ("nat", "nat", "nat"),
    _hypergeometric_log_density,
    _hypergeometric_sample,
    legal=lambda draws, a, b: draws <= a + b,
)

# ----------------------------------------------------------------------------- ordered categories


def _log_normal_between(lower: Array, upper: Array) -> Array:
    """log(Phi(upper) - Phi(lower)), lower < upper, by a series where they are so close that the
    difference would cancel."""
    middle, width = 0.5 * (lower + upper), upper - lower
    close = width * (1 + jnp.abs(middle)) < 0.3
    m, h = (jnp.square(jnp.where(close, x, 0.0)) for x in (middle, width))
    hermite = (m - 1, m * (m - 6) + 3, m * (m * (m - 15) + 45) - 15)
    series = h / 24 * (hermite[0] + h / 80 * (hermite[1] + h / 168 * hermite[2]))
    slab = -0.5 * m - 0.5 * log(2 * pi) + jnp.log(jnp.where(close, width, 1.0)) + jnp.log1p(series)
    # in the tail that both are nearer to
    near, far = jnp.where(middle > 0, -lower, upper), jnp.where(middle > 0, -upper, lower)
    near, far = jnp.where(close, 1.0, near), jnp.where(close, -1.0, far)
    top = jsp.log_ndtr(near)
    return jnp.where(close, slab, top + log1m_exp(jsp.log_ndtr(far) - top))


def _ordered_probit_log_density(k, eta, cuts):
    last = cuts.shape[-1]
    above, below = k < last, k > 0
    inner = above & below
    upper = jnp.where(above, at(cuts, jnp.minimum(k, last - 1)) - eta, 1.0)
    lower = jnp.where(below, at(cuts, jnp.maximum(k - 1, 0)) - eta, 0.0)
    between = _log_normal_between(jnp.where(inner, lower, 0.0), jnp.where(inner, upper, 1.0))
    ends = jnp.where(
        above, jsp.log_ndtr(upper), jnp.where(below, jsp.log_ndtr(-lower), jnp.zeros_like(upper))
    )
    return jnp.where(inner, between, ends)


def _ordered_probit_sample(key, shape, eta, cuts):
    latent = eta + standard_normals(key, shape, jnp.result_type(eta, cuts))
    return jnp.sum(latent[..., None] > cuts, axis=-1, dtype=int)


COUNTS: dict[str, Family] = {
    "poisson_log": _poisson_log,
    "neg_binomial_2_log": _neg_binomial_2_log,
    "zero_inflated_neg_binomial": _zero_inflated_neg_binomial,
    "hypergeometric": _hypergeometric,
    "ordered_probit": Family(
        ("real", "increasing"), _ordered_probit_log_density, _ordered_probit_sample
    ),
}

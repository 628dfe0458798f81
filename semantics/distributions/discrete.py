"""Discrete families: counts, indices and booleans.

Points reach the densities as reals. Where a probability of 0 or 1 is legal, the density takes the
logarithm of what the outcome selects, so that gradients stay finite.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
from jax import Array
from jax.scipy.special import xlog1py, xlogy

from ppl.semantics import keys
from ppl.semantics.distributions.family import Family
from ppl.semantics.functions.casts import real
from ppl.semantics.functions.elementwise import log1m_exp, log_choose
from ppl.semantics.functions.logarithms import log_sigmoid
from ppl.semantics.functions.reductions import logsumexp
from ppl.semantics.functions.special import betainc, lbeta, lgamma


def _dtype(*parameters: Array):
    return jnp.result_type(*parameters)


# ------------------------------------------------------------------------------------- booleans


def _bernoulli_log_density(x, p):
    return jnp.where(
        x == 1, jnp.log(jnp.where(x == 1, p, 0.5)), jnp.log1p(-jnp.where(x == 1, 0.5, p))
    )


_bernoulli = Family(
    ("prob",),
    _bernoulli_log_density,
    lambda key, shape, p: jax.random.bernoulli(key, p, shape),
    log_table=lambda p: jnp.stack([jnp.log1p(-p), jnp.log(p)]),
)

_bernoulli_logit = Family(
    ("real",),
    lambda x, odds: log_sigmoid(jnp.where(x == 1, odds, -odds)),
    lambda key, shape, odds: jax.random.logistic(key, shape, _dtype(odds)) < odds,
    log_table=lambda odds: jnp.stack([log_sigmoid(-odds), log_sigmoid(odds)]),
)

# --------------------------------------------------------------------------------------- counts


def _binomial_sample(key, shape, n, p):
    # drawn for the rarer outcome, which the sampler is most accurate for
    rare = jnp.minimum(p, 1 - p)
    k = jax.random.binomial(key, real(n).astype(_dtype(p)), rare, shape, _dtype(p)).astype(int)
    return jnp.where(p <= 0.5, k, n - k)


def _binomial_log_density(k, n, p):
    return log_choose(real(n).astype(k.dtype), k) + xlogy(k, p) + xlog1py(n - k, -p)


_binomial = Family(
    ("nat", "prob"),
    _binomial_log_density,
    _binomial_sample,
    log_cdf=lambda k, n, p: jnp.log(betainc(n - k, k + 1, 1 - p)),
    log_sf=lambda k, n, p: jnp.log(betainc(k + 1, n - k, p)),
)

_binomial_logit = Family(
    ("nat", "real"),
    lambda k, n, odds: (
        log_choose(real(n).astype(k.dtype), k)
        + k * log_sigmoid(odds)
        + (n - k) * log_sigmoid(-odds)
    ),
    lambda key, shape, n, odds: _binomial_sample(key, shape, n, jax.nn.sigmoid(odds)),
    log_cdf=lambda k, n, odds: jnp.log(betainc(n - k, k + 1, jax.nn.sigmoid(-odds))),
    log_sf=lambda k, n, odds: jnp.log(betainc(k + 1, n - k, jax.nn.sigmoid(odds))),
)


def _beta_binomial_sample(key, shape, n, a, b):
    first, second = jax.random.split(key)
    return _binomial_sample(second, shape, n, jax.random.beta(first, a, b, shape, _dtype(a, b)))


_beta_binomial = Family(
    ("nat", "pos", "pos"),
    lambda k, n, a, b: (
        log_choose(real(n).astype(k.dtype), k) + lbeta(k + a, n - k + b) - lbeta(a, b)
    ),
    _beta_binomial_sample,
)


def _discrete_uniform_quantile(lp, lq, lo, hi):
    count = hi - lo + 1.0
    low = jnp.ceil(jnp.exp(lp) * count) - 1
    high = jnp.ceil(count - jnp.exp(lq) * count) - 1
    return lo + jnp.clip(jnp.where(lp < lq, low, high), 0, count - 1)


_discrete_uniform = Family(
    ("int", "int"),
    lambda k, lo, hi: -jnp.log(hi - lo + jnp.ones_like(k)),
    lambda key, shape, lo, hi: jax.random.randint(key, shape, lo, hi + 1),
    log_cdf=lambda k, lo, hi: jnp.log((k - lo + 1) / (hi - lo + 1.0)),
    log_sf=lambda k, lo, hi: jnp.log((hi - k) / (hi - lo + 1.0)),
    quantile=_discrete_uniform_quantile,
    legal=lambda lo, hi: lo <= hi,
)


def _poisson_log_density(k, rate):
    return xlogy(k, rate) - rate - lgamma(k + 1)


poisson = Family(
    ("nonneg",),
    _poisson_log_density,
    lambda key, shape, rate: keys.poisson(key, rate, shape),
    log_cdf=lambda k, rate: jnp.log(jsp.gammaincc(k + 1, rate)),
    log_sf=lambda k, rate: jnp.log(jsp.gammainc(k + 1, rate)),
)

_geometric = Family(
    ("positive_prob",),
    lambda k, p: jnp.log(p) + xlog1py(k, -p),
    log_sf=lambda k, p: (k + 1) * jnp.log1p(-p),
    quantile=lambda lp, lq, p: jnp.where(
        p < 1, jnp.maximum(jnp.ceil(lq / jnp.log1p(-jnp.where(p < 1, p, 0.5))) - 1, 0), 0
    ),
)


def _neg_binomial_sample(key, shape, alpha, beta):
    first, second = jax.random.split(key)
    rate = jax.random.gamma(first, alpha, shape, _dtype(alpha)) / beta
    return keys.poisson(second, rate, shape)


def _neg_binomial_log_density(k, alpha, beta):
    """C(k + alpha - 1, k) (beta / (1 + beta))^alpha (1 + beta)^-k."""
    coefficient = -lbeta(alpha, k + 1) - jnp.log(alpha + k)
    return coefficient - alpha * jnp.log1p(1 / beta) - k * jnp.log1p(beta)


_neg_binomial = Family(
    ("pos", "pos"),
    _neg_binomial_log_density,
    _neg_binomial_sample,
    log_cdf=lambda k, a, b: jnp.log(betainc(a, k + 1, b / (1 + b))),
    log_sf=lambda k, a, b: jnp.log(betainc(k + 1, a, 1 / (1 + b))),
)


def _zero_inflated_log_density(k, gate, rate):
    rest = jnp.log1p(-gate) + _poisson_log_density(k, rate)
    # log(gate + (1 - gate) e^-rate), without losing e^-rate where gate = 0
    moderate = (rate < 30) | (gate == 0)
    near = -rate + jnp.log1p(gate * jnp.expm1(jnp.minimum(rate, 80.0)))
    far = jnp.log(jnp.where(moderate, 1.0, gate + (1 - gate) * jnp.exp(-rate)))
    return jnp.where(k == 0, jnp.where(moderate, near, far), rest)


def _zero_inflated_sample(key, shape, gate, rate):
    first, second = jax.random.split(key)
    zero = jax.random.bernoulli(first, gate, shape)
    return jnp.where(zero, 0, keys.poisson(second, rate, shape))


_zero_inflated_poisson = Family(
    ("prob", "nonneg"),
    _zero_inflated_log_density,
    _zero_inflated_sample,
    log_cdf=lambda k, gate, rate: jnp.log(gate + (1 - gate) * jsp.gammaincc(k + 1, rate)),
    log_sf=lambda k, gate, rate: jnp.log1p(-gate) + jnp.log(jsp.gammainc(k + 1, rate)),
)

# -------------------------------------------------------------------------------------- indices


def at(vector: Array, k: Array) -> Array:
    """vector[..., k], over broadcasting batches."""
    batch = jnp.broadcast_shapes(vector.shape[:-1], k.shape)
    vector = jnp.broadcast_to(vector, (*batch, vector.shape[-1]))
    index = jnp.broadcast_to(k, batch).astype(int)[..., None]
    return jnp.take_along_axis(vector, index, axis=-1)[..., 0]


def _categorical_sample(key, shape, logits):
    return jax.random.categorical(key, logits, axis=-1, shape=shape)


_categorical = Family(
    ("weights",),
    lambda k, p: jnp.log(at(p, k)) - jnp.log(jnp.sum(p, -1)),
    lambda key, shape, p: _categorical_sample(key, shape, jnp.log(p)),
    log_table=lambda p: jnp.moveaxis(jnp.log(p) - jnp.log(jnp.sum(p, -1, keepdims=True)), -1, 0),
)

_categorical_logit = Family(
    ("logits",),
    lambda k, odds: at(odds, k) - logsumexp(odds, (-1,)),
    _categorical_sample,
    log_table=lambda odds: jnp.moveaxis(odds - logsumexp(odds, (-1,))[..., None], -1, 0),
)


def _ordered_logistic_log_density(k, eta, cuts):
    """log(sigmoid(cuts[k] - eta) - sigmoid(cuts[k-1] - eta)), factored so that nothing cancels."""
    last = cuts.shape[-1]
    above, below = k < last, k > 0
    upper = jnp.where(above, at(cuts, jnp.minimum(k, last - 1)) - eta, 0.0)
    lower = jnp.where(below, at(cuts, jnp.maximum(k - 1, 0)) - eta, 0.0)
    inner = above & below
    gap = log1m_exp(jnp.where(inner, lower - upper, -1.0))
    return (
        jnp.where(above, log_sigmoid(upper), 0.0)
        + jnp.where(below, log_sigmoid(-lower), 0.0)
        + jnp.where(inner, gap, 0.0)
    )


def _ordered_logistic_sample(key, shape, eta, cuts):
    latent = eta + jax.random.logistic(key, shape, _dtype(eta, cuts))
    return jnp.sum(latent[..., None] > cuts, axis=-1, dtype=int)


_ordered_logistic = Family(
    ("real", "increasing"), _ordered_logistic_log_density, _ordered_logistic_sample
)

DISCRETE: dict[str, Family] = {
    "bernoulli": _bernoulli,
    "bernoulli_logit": _bernoulli_logit,
    "binomial": _binomial,
    "binomial_logit": _binomial_logit,
    "beta_binomial": _beta_binomial,
    "discrete_uniform": _discrete_uniform,
    "poisson": poisson,
    "geometric": _geometric,
    "neg_binomial": _neg_binomial,
    "neg_binomial_2": replace(
        _neg_binomial, canonical=lambda mu, phi: (phi, jnp.asarray(phi) / jnp.asarray(mu))
    ),
    "zero_inflated_poisson": _zero_inflated_poisson,
    "categorical": _categorical,
    "categorical_logit": _categorical_logit,
    "ordered_logistic": _ordered_logistic,
}

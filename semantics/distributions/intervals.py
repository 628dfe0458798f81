"""Continuous families on intervals and on the circle: see `line` for how they are written."""

from __future__ import annotations

from dataclasses import replace
from math import log, pi

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
from jax.scipy.special import xlog1py, xlogy
from numpyro.distributions import VonMises

from ppl.semantics.distributions.family import Family
from ppl.semantics.distributions.standard import dtype
from ppl.semantics.functions.elementwise import log1m_exp
from ppl.semantics.functions.special import betainc, lbeta


def _uniform_quantile(lp, lq, lo, hi):
    width = hi - lo
    return jnp.where(lp < lq, lo + jnp.exp(lp) * width, hi - jnp.exp(lq) * width)


_uniform = Family(
    ("real", "real"),
    lambda x, lo, hi: -jnp.log(hi - lo) + jnp.zeros_like(x),
    log_cdf=lambda x, lo, hi: jnp.log((x - lo) / (hi - lo)),
    log_sf=lambda x, lo, hi: jnp.log((hi - x) / (hi - lo)),
    quantile=_uniform_quantile,
    legal=lambda lo, hi: lo < hi,
)

_log_uniform = Family(
    ("pos", "pos"),
    lambda x, lo, hi: -jnp.log(x) - jnp.log(jnp.log(hi / lo)),
    log_cdf=lambda x, lo, hi: jnp.log(jnp.log(x / lo) / jnp.log(hi / lo)),
    log_sf=lambda x, lo, hi: jnp.log(jnp.log(hi / x) / jnp.log(hi / lo)),
    quantile=lambda lp, lq, lo, hi: jnp.exp(_uniform_quantile(lp, lq, jnp.log(lo), jnp.log(hi))),
    legal=lambda lo, hi: lo < hi,
)


def _beta_sample(key, shape, a, b):
    shapes = jnp.stack([jnp.broadcast_to(a, shape), jnp.broadcast_to(b, shape)])
    logs = jax.random.loggamma(key, shapes, dtype=dtype(a, b))
    draws = jax.nn.sigmoid(logs[0] - logs[1])
    info = jnp.finfo(draws.dtype)
    return jnp.clip(draws, info.tiny, 1 - info.epsneg)


_beta = Family(
    ("pos", "pos"),
    lambda x, a, b: xlogy(a - 1, x) + xlog1py(b - 1, -x) - lbeta(a, b),
    _beta_sample,
    log_cdf=lambda x, a, b: jnp.log(betainc(a, b, x)),
    log_sf=lambda x, a, b: jnp.log(betainc(b, a, 1 - x)),
)

_kumaraswamy = Family(
    ("pos", "pos"),
    lambda x, a, b: jnp.log(a * b) + xlogy(a - 1, x) + (b - 1) * log1m_exp(a * jnp.log(x)),
    log_sf=lambda x, a, b: b * log1m_exp(a * jnp.log(x)),
    quantile=lambda lp, lq, a, b: jnp.exp(log1m_exp(lq / b) / a),
)


def _von_mises_log_density(x, mu, kappa):
    chord = jnp.sin(0.5 * (x - mu))
    return -2 * kappa * chord * chord - log(2 * pi) - jnp.log(jsp.i0e(kappa))


def _von_mises_sample(key, shape, mu, kappa):
    mu, kappa = jnp.broadcast_to(mu, shape), jnp.broadcast_to(kappa, shape)
    return VonMises(mu, kappa, validate_args=False).sample(key)


INTERVALS: dict[str, Family] = {
    "log_uniform": _log_uniform,
    "beta": _beta,
    "beta_proportion": replace(
        _beta, canonical=lambda mu, kappa: (mu * kappa, (1 - jnp.asarray(mu)) * kappa)
    ),
    "kumaraswamy": _kumaraswamy,
    "uniform": _uniform,
    "von_mises": Family(("real", "pos"), _von_mises_log_density, _von_mises_sample),
}

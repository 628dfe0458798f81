"""Continuous families of positive numbers: see `line` for how they are written."""

from __future__ import annotations

from dataclasses import replace
from math import log, pi

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
from jax.scipy.special import xlogy

from ppl.semantics.distributions.family import Family
from ppl.semantics.distributions.line import LINE
from ppl.semantics.distributions.standard import LOG2, dtype, location_scale, rate, scale
from ppl.semantics.functions.elementwise import power, sqrt
from ppl.semantics.functions.special import lgamma, log_ndtri

_exponential = Family((), lambda y: -y, log_sf=lambda y: -y, quantile=lambda lp, lq: -lq)


def _gamma_sample(key, shape, a):
    # draws too small for the precision are rounded up: 0 would be a pole of the density
    draws = jnp.exp(jax.random.loggamma(key, a, shape, dtype(a)))
    return jnp.maximum(draws, jnp.finfo(draws.dtype).tiny)


_gamma = Family(
    ("pos",),
    lambda y, a: xlogy(a - 1, y) - y - lgamma(a),
    _gamma_sample,
    log_cdf=lambda y, a: jnp.log(jsp.gammainc(a, y)),
    log_sf=lambda y, a: jnp.log(jsp.gammaincc(a, y)),
)

_inv_gamma = Family(
    ("pos",),
    lambda y, a: -(a + 1) * jnp.log(y) - 1 / y - lgamma(a),
    lambda key, shape, a: 1 / _gamma_sample(key, shape, a),
    log_cdf=lambda y, a: jnp.log(jsp.gammaincc(a, 1 / y)),
    log_sf=lambda y, a: jnp.log(jsp.gammainc(a, 1 / y)),
)

_weibull = Family(
    ("pos",),
    lambda z, k: jnp.log(k) + xlogy(k - 1, z) - power(z, k),
    log_sf=lambda z, k: -power(z, k),
    quantile=lambda lp, lq, k: power(-lq, 1 / k),
)

_frechet = Family(
    ("pos",),
    lambda z, a: jnp.log(a) - (a + 1) * jnp.log(z) - power(z, -a),
    log_cdf=lambda z, a: -power(z, -a),
    quantile=lambda lp, lq, a: power(-lp, -1 / a),
)

_rayleigh = Family(
    (),
    lambda z: jnp.log(z) - 0.5 * z * z,
    log_sf=lambda z: -0.5 * z * z,
    quantile=lambda lp, lq: sqrt(-2 * lq),
)

_gompertz = Family(
    ("pos",),
    lambda y, c: jnp.log(c) + y - c * jnp.expm1(y),
    log_sf=lambda y, c: -c * jnp.expm1(y),
    quantile=lambda lp, lq, c: jnp.log1p(-lq / c),
)

_levy = Family(
    (),
    lambda y: -0.5 * log(2 * pi) - 1.5 * jnp.log(y) - 0.5 / y,
    log_cdf=lambda y: LOG2 + jsp.log_ndtr(-1 / jnp.sqrt(y)),
    log_sf=lambda y: jnp.log(jsp.erf(1 / jnp.sqrt(2 * y))),
    quantile=lambda lp, lq: (
        1
        / jnp.square(
            jnp.where(
                lp < lq,
                log_ndtri(jnp.minimum(lp, -LOG2) - LOG2),
                2**0.5 * jsp.erfinv(jnp.exp(jnp.minimum(lq, -LOG2))),
            )
        )
    ),
)

_pareto = Family(
    ("pos", "pos"),
    lambda x, low, a: jnp.log(a) - jnp.log(x) - a * jnp.log(x / low),
    log_sf=lambda x, low, a: -a * jnp.log(x / low),
    quantile=lambda lp, lq, low, a: low * jnp.exp(-lq / a),
)


def _lognormal() -> Family:
    normal = LINE["normal"]
    return Family(
        normal.kinds,
        lambda x, m, s: normal.log_density(jnp.log(x), m, s) - jnp.log(x),
        log_cdf=lambda x, m, s: normal.log_cdf(jnp.log(x), m, s),
        log_sf=lambda x, m, s: normal.log_sf(jnp.log(x), m, s),
        quantile=lambda lp, lq, m, s: jnp.exp(normal.quantile(lp, lq, m, s)),
    )


HALF_LINE: dict[str, Family] = {
    "lognormal": _lognormal(),
    "exponential": rate(_exponential),
    "gamma": rate(_gamma),
    "inv_gamma": scale(_inv_gamma),
    "chi_square": replace(scale(_gamma), canonical=lambda nu: (0.5 * jnp.asarray(nu), 2.0)),
    "weibull": scale(_weibull),
    "frechet": scale(_frechet),
    "rayleigh": scale(_rayleigh),
    "pareto": _pareto,
    "gompertz": rate(_gompertz),
    "levy": location_scale(_levy),
}

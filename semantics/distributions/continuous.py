"""Continuous families on the line.

Each is written once in its natural coordinate, both tails accurate. A location-scale family is its
standard member; truncation, transformation and noise maps all rest on the tails and quantiles here.
Parametrisations are Stan's where Stan has the family.
"""

from __future__ import annotations

from dataclasses import replace
from math import log, pi

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
from jax import Array
from jax.nn import softplus
from jax.scipy.special import xlog1py, xlogy
from numpyro.distributions import VonMises

from ppl.semantics.distributions.family import Family
from ppl.semantics.functions.elementwise import log1m_exp, power, sqrt
from ppl.semantics.functions.special import betainc, lbeta, lgamma, log_ndtri

LOG2 = log(2.0)


def location_scale(standard: Family, at: int = 0) -> Family:
    """Insert a location and a scale as parameters `at` and `at + 1` of a standard family."""

    def shapes(p):
        return (*p[:at], *p[at + 2 :])

    def z(x, p):
        return (x - p[at]) / p[at + 1]

    def wrap(f, back=False):
        if f is None:
            return None
        if back:
            return lambda log_p, log_q, *p: p[at] + p[at + 1] * f(log_p, log_q, *shapes(p))
        return lambda x, *p: f(z(x, p), *shapes(p))

    def sample(key, shape, *p):
        return p[at] + p[at + 1] * standard.sample(key, shape, *shapes(p))

    return replace(
        standard,
        kinds=(*standard.kinds[:at], "real", "pos", *standard.kinds[at:]),
        log_density=lambda x, *p: standard.log_density(z(x, p), *shapes(p)) - jnp.log(p[at + 1]),
        sample=standard.sample and sample,
        log_cdf=wrap(standard.log_cdf),
        log_sf=wrap(standard.log_sf),
        quantile=wrap(standard.quantile, back=True),
    )


def _scale(standard: Family) -> Family:
    """Append a scale to the parameters of a standard family on the positive half-line."""
    n = len(standard.kinds)

    def wrap(f):
        return f and (lambda x, *p: f(x / p[n], *p[:n]))

    return replace(
        standard,
        kinds=(*standard.kinds, "pos"),
        log_density=lambda x, *p: standard.log_density(x / p[n], *p[:n]) - jnp.log(p[n]),
        sample=standard.sample
        and (lambda key, shape, *p: p[n] * standard.sample(key, shape, *p[:n])),
        log_cdf=wrap(standard.log_cdf),
        log_sf=wrap(standard.log_sf),
        quantile=standard.quantile
        and (lambda lp, lq, *p: p[n] * standard.quantile(lp, lq, *p[:n])),
    )


def _rate(standard: Family) -> Family:
    """As `_scale`, with one over the scale."""
    scaled = _scale(standard)
    return replace(scaled, canonical=lambda *p: (*p[:-1], 1 / jnp.asarray(p[-1])))


def _dtype(*parameters: Array):
    return jnp.result_type(*parameters)


# ---------------------------------------------------------------------------- symmetric families


def _normal_log_density(z):
    return -0.5 * z * z - 0.5 * log(2 * pi)


_normal = Family(
    (),
    _normal_log_density,
    # five times as fast as the quantile, which is accurate far out in both tails
    sample=lambda key, shape: jax.random.normal(key, shape, jnp.result_type(float)),
    log_cdf=jsp.log_ndtr,
    log_sf=lambda z: jsp.log_ndtr(-z),
    quantile=lambda lp, lq: jnp.where(lp < lq, 1, -1) * log_ndtri(jnp.minimum(lp, lq)),
)

_half_normal = Family(
    (),
    lambda z: _normal_log_density(z) + LOG2,
    sample=lambda key, shape: jnp.abs(jax.random.normal(key, shape, jnp.result_type(float))),
    log_cdf=lambda z: jnp.log(jsp.erf(z / 2**0.5)),
    log_sf=lambda z: LOG2 + jsp.log_ndtr(-z),
    quantile=lambda lp, lq: jnp.where(
        lp < lq,
        2**0.5 * jsp.erfinv(jnp.exp(jnp.minimum(lp, -LOG2))),
        -log_ndtri(jnp.minimum(lq, -LOG2) - LOG2),
    ),
)


def _cauchy_log_density(z):
    return -log(pi) - jnp.log1p(z * z)


_cauchy = Family(
    (),
    _cauchy_log_density,
    log_cdf=lambda z: jnp.log(jnp.arctan2(1.0, -z) / pi),
    log_sf=lambda z: jnp.log(jnp.arctan2(1.0, z) / pi),
    quantile=lambda lp, lq: jnp.where(lp < lq, -1, 1) / jnp.tan(pi * jnp.exp(jnp.minimum(lp, lq))),
)

_half_cauchy = Family(
    (),
    lambda z: _cauchy_log_density(z) + LOG2,
    log_cdf=lambda z: jnp.log(2 / pi * jnp.arctan2(z, 1.0)),
    log_sf=lambda z: jnp.log(2 / pi * jnp.arctan2(1.0, z)),
    quantile=lambda lp, lq: jnp.where(
        lp < lq,
        jnp.tan(pi / 2 * jnp.exp(jnp.minimum(lp, lq))),
        1 / jnp.tan(pi / 2 * jnp.exp(jnp.minimum(lp, lq))),
    ),
)


def _t_log_density(z, nu):
    return -0.5 * (nu + 1) * jnp.log1p(z * z / nu) - 0.5 * jnp.log(nu) - lbeta(0.5, 0.5 * nu)


@jax.custom_jvp
def _log_t_tail(z, nu):
    """log P(T > z), z >= 0."""
    square = z * z
    x = nu / (nu + square)
    outer = 0.5 * betainc(0.5 * nu, 0.5, x)
    inner = 0.5 - 0.5 * betainc(0.5, 0.5 * nu, square / (nu + square))
    return jnp.log(jnp.where(square > nu, outer, inner))


@_log_t_tail.defjvp
def _log_t_tail_jvp(primals, tangents):
    (z, nu), (dz, dnu) = primals, tangents
    out = _log_t_tail(z, nu)
    square = z * z
    x = nu / (nu + square)
    _, by_nu = jax.jvp(
        lambda n: 0.5 * betainc(0.5 * n, 0.5, n / (n + square)), (nu,), (jnp.ones_like(nu),)
    )
    del x
    slope = jnp.exp(_t_log_density(z, nu) - out)
    return out, -slope * dz + by_nu * jnp.exp(-out) * dnu


def _t_sf(z, nu):
    z, nu = jnp.broadcast_arrays(z, nu)
    tail = _log_t_tail(jnp.abs(z), nu)
    return jnp.where(z >= 0, tail, jnp.log1p(-jnp.exp(tail)))


def _t_sample(key, shape, nu):
    return jax.random.t(key, nu, shape, _dtype(nu))


def _half_t_log_cdf(z, nu):
    """log P(|T| <= z), without cancelling for small z."""
    square = z * z
    near = square < nu
    inner = betainc(0.5, 0.5 * nu, jnp.where(near, square / (nu + square), 0.5))
    return jnp.where(near, jnp.log(inner), log1m_exp(jnp.minimum(LOG2 + _t_sf(z, nu), 0.0)))


_student_t = Family(
    ("pos",), _t_log_density, _t_sample, log_cdf=lambda z, nu: _t_sf(-z, nu), log_sf=_t_sf
)
_half_student_t = Family(
    ("pos",),
    lambda z, nu: LOG2 + _t_log_density(z, nu),
    lambda *a: jnp.abs(_t_sample(*a)),
    log_cdf=_half_t_log_cdf,
    log_sf=lambda z, nu: LOG2 + _t_sf(z, nu),
)

_laplace = Family(
    (),
    lambda z: -LOG2 - jnp.abs(z),
    log_cdf=lambda z: jnp.where(
        z < 0, jnp.minimum(z, 0) - LOG2, jnp.log1p(-0.5 * jnp.exp(-jnp.maximum(z, 0)))
    ),
    log_sf=lambda z: jnp.where(
        z > 0, -jnp.maximum(z, 0) - LOG2, jnp.log1p(-0.5 * jnp.exp(jnp.minimum(z, 0)))
    ),
    quantile=lambda lp, lq: jnp.where(lp < lq, lp + LOG2, -lq - LOG2),
)


def _asymmetric_laplace() -> Family:
    """Scale kappa below the mode and 1/kappa above it (Kotz, Kozubowski and Podgorski 2001)."""

    def log_halves(kappa):  # of the mass below and above the mode
        square = kappa * kappa
        return -jnp.log1p(1 / square), -jnp.log1p(square)

    def log_cdf(z, kappa):
        below, above = log_halves(kappa)
        low = below + jnp.minimum(z, 0) / kappa
        return jnp.where(z < 0, low, jnp.log1p(-jnp.exp(above - jnp.maximum(z, 0) * kappa)))

    def log_sf(z, kappa):
        below, above = log_halves(kappa)
        high = above - jnp.maximum(z, 0) * kappa
        return jnp.where(z > 0, high, jnp.log1p(-jnp.exp(below + jnp.minimum(z, 0) / kappa)))

    def quantile(lp, lq, kappa):
        below, above = log_halves(kappa)
        return jnp.where(lp < below, kappa * (lp - below), (above - lq) / kappa)

    def log_density(z, kappa):
        return -jnp.where(z < 0, -z / kappa, z * kappa) - jnp.log(kappa + 1 / kappa)

    return Family(("pos",), log_density, log_cdf=log_cdf, log_sf=log_sf, quantile=quantile)


_logistic = Family(
    (),
    lambda z: -softplus(z) - softplus(-z),
    log_cdf=lambda z: -softplus(-z),
    log_sf=lambda z: -softplus(z),
    quantile=lambda lp, lq: lp - lq,
)

_gumbel = Family(
    (),
    lambda z: -z - jnp.exp(-z),
    log_cdf=lambda z: -jnp.exp(-z),
    quantile=lambda lp, lq: -jnp.log(-lp),
)

# ---------------------------------------------------------------------- on the positive half-line


_exponential = Family((), lambda y: -y, log_sf=lambda y: -y, quantile=lambda lp, lq: -lq)


def _gamma_sample(key, shape, a):
    # draws too small for the precision are rounded up: 0 would be a pole of the density
    draws = jnp.exp(jax.random.loggamma(key, a, shape, _dtype(a)))
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
    normal = location_scale(_normal)
    return Family(
        normal.kinds,
        lambda x, m, s: normal.log_density(jnp.log(x), m, s) - jnp.log(x),
        log_cdf=lambda x, m, s: normal.log_cdf(jnp.log(x), m, s),
        log_sf=lambda x, m, s: normal.log_sf(jnp.log(x), m, s),
        quantile=lambda lp, lq, m, s: jnp.exp(normal.quantile(lp, lq, m, s)),
    )


# ------------------------------------------------------------------------------------ on intervals


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
    logs = jax.random.loggamma(key, shapes, dtype=_dtype(a, b))
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


CONTINUOUS: dict[str, Family] = {
    "normal": location_scale(_normal),
    "half_normal": _scale(_half_normal),
    "lognormal": _lognormal(),
    "student_t": location_scale(_student_t, at=1),
    "half_student_t": _scale(_half_student_t),
    "cauchy": location_scale(_cauchy),
    "half_cauchy": _scale(_half_cauchy),
    "double_exponential": location_scale(_laplace),
    "asymmetric_laplace": location_scale(_asymmetric_laplace()),
    "logistic": location_scale(_logistic),
    "gumbel": location_scale(_gumbel),
    "exponential": _rate(_exponential),
    "gamma": _rate(_gamma),
    "inv_gamma": _scale(_inv_gamma),
    "chi_square": replace(_scale(_gamma), canonical=lambda nu: (0.5 * jnp.asarray(nu), 2.0)),
    "weibull": _scale(_weibull),
    "frechet": _scale(_frechet),
    "rayleigh": _scale(_rayleigh),
    "pareto": _pareto,
    "gompertz": _rate(_gompertz),
    "levy": location_scale(_levy),
    "log_uniform": _log_uniform,
    "beta": _beta,
    "beta_proportion": replace(
        _beta, canonical=lambda mu, kappa: (mu * kappa, (1 - jnp.asarray(mu)) * kappa)
    ),
    "kumaraswamy": _kumaraswamy,
    "uniform": _uniform,
    "von_mises": Family(("real", "pos"), _von_mises_log_density, _von_mises_sample),
}

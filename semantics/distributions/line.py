"""Continuous families on the line, and halves of symmetric ones.

Each is written once in its natural coordinate, both tails accurate. A location-scale family is its
standard member; truncation, transformation and noise maps all rest on the tails and quantiles here.
Parametrisations are Stan's where Stan has the family.
"""

from __future__ import annotations

from math import log, pi

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp

from ppl.semantics.distributions.family import Family
from ppl.semantics.distributions.normals import standard_normals
from ppl.semantics.distributions.standard import LOG2, dtype, location_scale, scale
from ppl.semantics.functions.elementwise import log1m_exp
from ppl.semantics.functions.logarithms import softplus
from ppl.semantics.functions.special import betainc, lbeta, log_ndtri


def _normal_log_density(z):
    return -0.5 * z * z - 0.5 * log(2 * pi)


_normal = Family(
    (),
    _normal_log_density,
    sample=standard_normals,
    log_cdf=jsp.log_ndtr,
    log_sf=lambda z: jsp.log_ndtr(-z),
    quantile=lambda lp, lq: jnp.where(lp < lq, 1, -1) * log_ndtri(jnp.minimum(lp, lq)),
)

_half_normal = Family(
    (),
    lambda z: _normal_log_density(z) + LOG2,
    sample=lambda key, shape: jnp.abs(standard_normals(key, shape)),
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
    first, second = jax.random.split(key)
    half = jnp.broadcast_to(0.5 * nu, shape)
    gamma = jax.random.gamma(second, half, shape, dtype(nu))
    return standard_normals(first, shape, dtype(nu)) * jnp.sqrt(half / gamma)


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

LINE: dict[str, Family] = {
    "normal": location_scale(_normal),
    "half_normal": scale(_half_normal),
    "student_t": location_scale(_student_t, at=1),
    "half_student_t": scale(_half_student_t),
    "cauchy": location_scale(_cauchy),
    "half_cauchy": scale(_half_cauchy),
    "double_exponential": location_scale(_laplace),
    "asymmetric_laplace": location_scale(_asymmetric_laplace()),
    "logistic": location_scale(_logistic),
    "gumbel": location_scale(_gumbel),
}

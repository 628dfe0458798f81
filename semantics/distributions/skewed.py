"""Further continuous families: skewed ones, the hyperbolic secant, inverse chi-squares.

As in `line`, each is a standard member in its natural coordinate, both tails accurate.
"""

from __future__ import annotations

from dataclasses import replace
from math import log, pi

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
from jax import Array
from jax.scipy.special import xlogy

from ppl.semantics.distributions.family import Family
from ppl.semantics.distributions.half_line import HALF_LINE
from ppl.semantics.distributions.normals import standard_normals
from ppl.semantics.distributions.standard import location_scale
from ppl.semantics.functions.elementwise import log1m_exp
from ppl.semantics.functions.logarithms import softplus

_HALF_LOG_2PI = 0.5 * log(2 * pi)


def _normals(key: Array, shape: tuple[int, ...], like: Array) -> tuple[Array, Array]:
    first, second = jax.random.split(key)
    dtype = jnp.result_type(like)
    return standard_normals(first, shape, dtype), standard_normals(second, shape, dtype)


# ----------------------------------------------------------------------------- the skew normal


def _skew_sample(key, shape, alpha):
    """Azzalini, "A class of distributions which includes the normal ones" (1985): a normal, and the
    size of another in proportion alpha."""
    x, y = _normals(key, shape, alpha)
    scale = jnp.hypot(1.0, alpha)
    return alpha / scale * jnp.abs(x) + y / scale


_skew_normal = Family(
    ("real",),
    lambda z, alpha: log(2.0) - 0.5 * z * z - _HALF_LOG_2PI + jsp.log_ndtr(alpha * z),
    _skew_sample,
)

# ----------------------------------------------- the sum of a normal and an exponential variable


def _tail(t: Array) -> tuple[Array, Array]:
    """log Phi(-t) for t <= 15, and log Phi(-t) + t^2 / 2 for every t: where the two terms would
    cancel, by the asymptotic series."""
    far = t > 15
    near = jnp.minimum(t, 15.0)
    square = jnp.square(jnp.maximum(t, 15.0))
    series, term = jnp.zeros_like(t), jnp.ones_like(t)
    for n in range(1, 11):
        term = term * (1 - 2 * n) / square
        series = series + term
    asymptotic = jnp.log1p(series) - 0.5 * jnp.log(square) - _HALF_LOG_2PI
    direct = jsp.log_ndtr(-near)
    return direct, jnp.where(far, asymptotic, direct + 0.5 * near * near)


def _overshoot(z: Array, k: Array) -> tuple[Array, Array]:
    """log of e^(k^2 / 2 - k z) Phi(z - k), which is the density over k, in units of the normal; and
    log Phi(z - k) + (z - k)^2 / 2."""
    direct, ratio = _tail(k - z)
    return jnp.where(z > k, k * (0.5 * k - z) + direct, ratio - 0.5 * z * z), ratio


def _exp_mod_tails(z, k):
    """(log_cdf, log_sf): Phi(z) less the overshoot, and Phi(-z) with it."""
    _, mills = _tail(jnp.abs(z))
    normal = mills - 0.5 * z * z  # log Phi(-|z|)
    over, ratio = _overshoot(z, k)
    # to the left both terms have the factor e^(-z^2 / 2)
    below = normal + log1m_exp(jnp.where(z < 0, jnp.minimum(ratio - mills, 0.0), -1.0))
    above = jnp.logaddexp(jnp.where(z < 0, log1m_exp(normal), normal), over)
    return jnp.where(z < 0, below, log1m_exp(jnp.minimum(above, 0.0))), above


def _exp_mod_sample(key, shape, k):
    first, second = jax.random.split(key)
    dtype = jnp.result_type(k)
    return standard_normals(first, shape, dtype) + jax.random.exponential(second, shape, dtype) / k


#: in units of the normal, of which k is the rate
_exp_mod_normal = replace(
    location_scale(
        Family(
            ("pos",),
            lambda z, k: jnp.log(k) + _overshoot(z, k)[0],
            _exp_mod_sample,
            log_cdf=lambda z, k: _exp_mod_tails(z, k)[0],
            log_sf=lambda z, k: _exp_mod_tails(z, k)[1],
        )
    ),
    canonical=lambda mu, sigma, rate: (mu, sigma, jnp.asarray(sigma) * rate),
)

# ------------------------------------------------------------------------------------- others


def _secant_log_cdf(z):
    """log(2/pi atan(e^z)), which is log(2/pi) + z far to the left."""
    far = z < -20
    return log(2 / pi) + jnp.where(far, z, jnp.log(jnp.arctan(jnp.exp(jnp.where(far, 0.0, z)))))


def _secant_quantile(lp, lq):
    low = jnp.minimum(lp, lq)
    far = low < -20
    z = jnp.where(far, low + log(pi / 2), jnp.log(jnp.tan(pi / 2 * jnp.exp(low))))
    return jnp.where(lp < lq, z, -z)


_secant = Family(
    (),
    lambda z: log(2 / pi) - jnp.logaddexp(z, -z),
    log_cdf=lambda z: _secant_log_cdf(jnp.minimum(z, 700.0)),
    log_sf=lambda z: _secant_log_cdf(jnp.minimum(-z, 700.0)),
    quantile=_secant_quantile,
)


def _logs(y: Array, alpha: Array, beta: Array) -> Array:
    return beta * (jnp.log(y) - jnp.log(alpha))


_loglogistic = Family(
    ("pos", "pos"),
    lambda y, a, b: jnp.log(b) - jnp.log(a) + xlogy(b - 1, y / a) - 2 * softplus(_logs(y, a, b)),
    log_cdf=lambda y, a, b: -softplus(-_logs(y, a, b)),
    log_sf=lambda y, a, b: -softplus(_logs(y, a, b)),
    quantile=lambda lp, lq, a, b: a * jnp.exp((lp - lq) / b),
)


def _scaled_inv_chi_square(nu, s):
    half = 0.5 * jnp.asarray(nu)
    return half, half * s * jnp.abs(s)  # a negative scale stays illegal


_inv_gamma = HALF_LINE["inv_gamma"]

SKEWED: dict[str, Family] = {
    "skew_normal": location_scale(_skew_normal),
    "exp_mod_normal": _exp_mod_normal,
    "soft_laplace": location_scale(_secant),
    "loglogistic": _loglogistic,
    "inv_chi_square": replace(_inv_gamma, canonical=lambda nu: (0.5 * jnp.asarray(nu), 0.5)),
    "scaled_inv_chi_square": replace(_inv_gamma, canonical=_scaled_inv_chi_square),
}

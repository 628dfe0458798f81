"""Further continuous families: skewed ones, the hyperbolic secant, inverse chi-squares."""

from __future__ import annotations

import math
from math import atan, exp, hypot, inf, log, log1p, pi, tan

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions import samplers
from ppl.semantics.machine.distributions.family import Family, finite, positive
from ppl.semantics.machine.distributions.half_line import inv_gamma
from ppl.semantics.machine.distributions.standard import (
    HALF_LOG_2PI,
    LOG2,
    location_scale,
    moved,
    on_half_line,
    on_line,
    standard,
)
from ppl.semantics.machine.omega import Generator

# ----------------------------------------------------------------------------- the skew normal


def _skew_draw(u: float, z: int, alpha: float) -> float:
    """Azzalini, "A class of distributions which includes the normal ones" (1985)."""
    size, other = abs(special.inv_Phi(u)), samplers.standard_normal(Generator(z))
    return (alpha * size + other) / hypot(1.0, alpha)


_skew_normal = moved(
    "skew_normal",
    standard(
        lambda z, alpha: LOG2 - 0.5 * z * z - HALF_LOG_2PI + special.log_Phi(alpha * z),
        draw=_skew_draw,
    ),
    lambda m, s, alpha: (m, s, (alpha,)),
    lambda m, s, alpha: finite(m) and positive(s) and finite(alpha),
    on_line,
)

# ----------------------------------------------- the sum of a normal and an exponential variable


def _log_mills(t: float) -> float:
    """log Phi(-t) + t^2 / 2, whose two terms cancel for large t: by the asymptotic series there."""
    if t <= 15:
        return special.log_Phi(-t) + 0.5 * t * t
    series, term = 0.0, 1.0
    for n in range(1, 11):
        term *= (1 - 2 * n) / (t * t)
        series += term
    return log1p(series) - log(t) - HALF_LOG_2PI


def _log_overshoot(z: float, k: float) -> float:
    """log of e^(k^2 / 2 - k z) Phi(z - k): of the density over k, in units of the normal."""
    if z > k:
        return k * (0.5 * k - z) + special.log_Phi(z - k)
    return -0.5 * z * z + _log_mills(k - z)


def _exp_mod_log_sf(z: float, k: float) -> float:
    return special.log_add_exp(special.log_Phi(-z), _log_overshoot(z, k))


def _exp_mod_log_cdf(z: float, k: float) -> float:
    if z < 0:
        return special.log_Phi(z) + special.log1m_exp(_log_mills(k - z) - _log_mills(-z))
    return special.log1m_exp(min(_exp_mod_log_sf(z, k), 0.0))


_exp_mod_normal = moved(
    "exp_mod_normal",
    standard(
        lambda z, k: log(k) + _log_overshoot(z, k),
        log_cdf=_exp_mod_log_cdf,
        log_sf=_exp_mod_log_sf,
        draw=lambda u, z, k: special.inv_Phi(u) - log(Generator(z).uniform()) / k,
    ),
    lambda m, s, rate: (m, s, (s * rate,)),
    lambda m, s, rate: finite(m) and positive(s) and positive(rate),
    on_line,
)

# ------------------------------------------------------------------------------------- others


def _secant_log_cdf(z: float) -> float:
    """log(2/pi atan(e^z)), which is log(2/pi) + z far to the left."""
    return log(2 / pi) + (z if z < -20 else log(atan(special.safe_exp(z))))


def _secant_quantile(lp: float, lq: float) -> float:
    low = min(lp, lq)
    z = low + log(pi / 2) if low < -20 else log(tan(pi / 2 * exp(low)))
    return z if lp < lq else -z


_secant = standard(
    lambda z: log(2 / pi) - special.log_add_exp(z, -z),
    log_cdf=_secant_log_cdf,
    log_sf=lambda z: _secant_log_cdf(-z),
    quantile=_secant_quantile,
)


def _logs(y: float, a: float, b: float) -> float:
    return b * (special.safe_log(y) - log(a))


def _loglogistic_density(y: float, a: float, b: float) -> float:
    edge = special.xlogy(b - 1, y / a)
    return log(b) - log(a) + edge - (2 * special.softplus(_logs(y, a, b)) if y > 0 else 0.0)


_loglogistic = Family(
    "loglogistic",
    _loglogistic_density,
    lambda u, z, a, b: a * exp((log(u) - log1p(-u)) / b),
    lambda a, b: positive(a) and positive(b),
    on_half_line,
    log_cdf=lambda y, a, b: -special.softplus(-_logs(y, a, b)) if y > 0 else -inf,
    log_sf=lambda y, a, b: -special.softplus(_logs(y, a, b)) if y > 0 else 0.0,
    quantile=lambda lp, lq, a, b: a * math.exp((lp - lq) / b),
)

SKEWED: dict[str, Family] = {
    f.name: f
    for f in (
        _skew_normal,
        _exp_mod_normal,
        location_scale("soft_laplace", _secant),
        _loglogistic,
        moved(
            "inv_chi_square",
            inv_gamma,
            lambda nu: (0.0, 0.5, (0.5 * nu,)),
            positive,
            on_half_line,
        ),
        moved(
            "scaled_inv_chi_square",
            inv_gamma,
            lambda nu, s: (0.0, 0.5 * nu * s * s, (0.5 * nu,)),
            lambda nu, s: positive(nu) and positive(s),
            on_half_line,
        ),
    )
}

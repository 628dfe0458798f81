"""Continuous families on the line; parametrisations are the table's.

A location-scale family is its standard member. Each is drawn by its quantile where that is simple,
so that a draw is a monotone function of one uniform number, as counterfactuals want.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from math import exp, expm1, inf, log, log1p, pi, sqrt, tan
from statistics import NormalDist
from typing import Any

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions import samplers
from ppl.semantics.machine.distributions.family import Family, finite, nonnegative, positive
from ppl.semantics.machine.distributions.standard import (
    in_unit,
    location_scale,
    moved,
    on_half_line,
    on_line,
    one_minus,
    rate_family,
    scale_family,
    standard,
)
from ppl.semantics.machine.omega import Generator
from ppl.semantics.machine.state import Dead

LOG2 = log(2.0)
HALF_LOG_2PI = 0.5 * log(2 * pi)
_normal_quantile = NormalDist().inv_cdf


# ---------------------------------------------------------------------------- symmetric families


def normal_quantile(lp: float, lq: float) -> float:
    """By whichever tail is the smaller."""
    return special.inv_log_Phi(lp) if lp < lq else -special.inv_log_Phi(lq)


def _normal() -> Family:
    def quick(u: float, z: int, m: float, s: float) -> float:
        if 0 < s < inf and -inf < m < inf:
            return m + s * _normal_quantile(u)
        raise Dead

    def density(x: float, m: float, s: float) -> float:
        z = (x - m) / s
        return -0.5 * z * z - HALF_LOG_2PI - log(s)

    def quick_log_prob(x: float, m: float, s: float) -> float:
        if 0 < s < inf and -inf < m < inf and -inf < x < inf:
            z = (x - m) / s
            return -0.5 * z * z - HALF_LOG_2PI - log(s)
        return -inf

    return Family(
        "normal",
        density,
        lambda u, z, m, s: m + s * _normal_quantile(u),
        lambda m, s: 0 < s < inf and -inf < m < inf,
        on_line,
        log_cdf=lambda x, m, s: special.log_Phi((x - m) / s),
        log_sf=lambda x, m, s: special.log_Phi((m - x) / s),
        quantile=lambda lp, lq, m, s: m + s * normal_quantile(lp, lq),
        quick=quick,
        quick_log_prob=quick_log_prob,
    )


def _half_normal_quantile(lp: float, lq: float) -> float:
    # z = -Phi^-1(q / 2); near 0 through p: Phi(z) = (1 + p) / 2
    return _normal_quantile(0.5 + 0.5 * exp(lp)) if lp < lq else -special.inv_log_Phi(lq - LOG2)


_half_normal = standard(
    lambda z: -0.5 * z * z - HALF_LOG_2PI + LOG2,
    log_cdf=lambda z: special.safe_log(math.erf(z / sqrt(2))),
    log_sf=lambda z: LOG2 + special.log_Phi(-z),
    quantile=_half_normal_quantile,
)


def _cauchy_quantile(lp: float, lq: float) -> float:
    return (-1 if lp < lq else 1) / tan(pi * exp(min(lp, lq)))


_cauchy = standard(
    lambda z: -log(pi) - log1p(z * z),
    log_cdf=lambda z: log(math.atan2(1, -z) / pi),
    log_sf=lambda z: log(math.atan2(1, z) / pi),
    quantile=_cauchy_quantile,
)


def _half_cauchy_quantile(lp: float, lq: float) -> float:
    t = tan(pi / 2 * exp(min(lp, lq)))
    return t if lp < lq else 1 / t


_half_cauchy = standard(
    lambda z: LOG2 - log(pi) - log1p(z * z),
    log_cdf=lambda z: special.safe_log(2 / pi * math.atan2(z, 1)),
    log_sf=lambda z: log(2 / pi * math.atan2(1, z)),
    quantile=_half_cauchy_quantile,
)


def _t_density(z: float, nu: float) -> float:
    return -0.5 * (nu + 1) * log1p(z * z / nu) - 0.5 * log(nu) - special.lbeta(0.5, 0.5 * nu)


def _t_log_sf(z: float, nu: float) -> float:
    square = z * z
    if square > nu:
        tail = 0.5 * special.inc_beta(0.5 * nu, 0.5, nu / (nu + square))
    else:
        tail = 0.5 - 0.5 * special.inc_beta(0.5, 0.5 * nu, square / (nu + square))
    return special.safe_log(tail) if z >= 0 else log1p(-tail)


def _t_draw(u: float, z: int, nu: float) -> float:
    g = Generator(z)
    return _normal_quantile(u) * sqrt(0.5 * nu) * exp(-0.5 * samplers.log_gamma(g, 0.5 * nu))


_t = standard(_t_density, log_cdf=lambda z, nu: _t_log_sf(-z, nu), log_sf=_t_log_sf, draw=_t_draw)
_half_t = standard(
    lambda z, nu: LOG2 + _t_density(z, nu),
    log_sf=lambda z, nu: LOG2 + _t_log_sf(z, nu),
    draw=lambda u, z, nu: abs(_t_draw(u, z, nu)),
)


def _student_t(name: str, standard: dict[str, Any]) -> Family:
    return moved(
        name,
        standard,
        lambda nu, m, s: (m, s, (nu,)),
        lambda nu, m, s: positive(nu) and finite(m) and positive(s),
        on_line,
    )


_laplace = standard(
    lambda z: -LOG2 - abs(z),
    log_cdf=lambda z: z - LOG2 if z < 0 else log1p(-0.5 * exp(-z)),
    log_sf=lambda z: -z - LOG2 if z > 0 else log1p(-0.5 * exp(z)),
    quantile=lambda lp, lq: lp + LOG2 if lp < lq else -lq - LOG2,
)


def _halves(kappa: float) -> tuple[float, float]:
    """Logarithms of the mass below and above the mode."""
    return -log1p(1 / (kappa * kappa)), -log1p(kappa * kappa)


def _asymmetric_quantile(lp: float, lq: float, kappa: float) -> float:
    below, above = _halves(kappa)
    return kappa * (lp - below) if lp < below else (above - lq) / kappa


_asymmetric_laplace = standard(
    lambda z, k: -(-z / k if z < 0 else z * k) - log(k + 1 / k),
    log_cdf=lambda z, k: _halves(k)[0] + z / k if z < 0 else log1p(-exp(_halves(k)[1] - z * k)),
    log_sf=lambda z, k: _halves(k)[1] - z * k if z > 0 else log1p(-exp(_halves(k)[0] + z / k)),
    quantile=_asymmetric_quantile,
)

_logistic = standard(
    lambda z: -special.softplus(z) - special.softplus(-z),
    log_cdf=lambda z: -special.softplus(-z),
    log_sf=lambda z: -special.softplus(z),
    quantile=lambda lp, lq: lp - lq,
)

_gumbel = standard(
    lambda z: -z - exp(-z), log_cdf=lambda z: -exp(-z), quantile=lambda lp, lq: -log(-lp)
)

# ----------------------------------------------------------------------- on the positive half-line

_exponential = standard(lambda y: -y, log_sf=lambda y: -y, quantile=lambda lp, lq: -lq)


def _exponential_sample(u: float, z: int, rate: float) -> float:
    if 0 < rate < inf:
        return -log1p(-u) / rate
    raise Dead


_gamma = standard(
    lambda y, a: special.xlogy(a - 1, y) - y - math.lgamma(a),
    log_cdf=lambda y, a: special.safe_log(special.gamma_p(a, y)),
    log_sf=lambda y, a: special.safe_log(special.gamma_q(a, y)),
    draw=lambda u, z, a: samplers.gamma(Generator(z), a),
)

inv_gamma = standard(
    lambda y, a: -(a + 1) * log(y) - 1 / y - math.lgamma(a),
    log_cdf=lambda y, a: special.safe_log(special.gamma_q(a, 1 / y)) if y > 0 else -inf,
    log_sf=lambda y, a: special.safe_log(special.gamma_p(a, 1 / y)) if y > 0 else 0.0,
    draw=lambda u, z, a: 1 / samplers.gamma(Generator(z), a),
)

_weibull = standard(
    lambda z, k: log(k) + special.xlogy(k - 1, z) - z**k,
    log_sf=lambda z, k: -(z**k),
    quantile=lambda lp, lq, k: (-lq) ** (1 / k),
)

_frechet = standard(
    lambda z, a: log(a) - (a + 1) * log(z) - z**-a,
    log_cdf=lambda z, a: -(z**-a) if z > 0 else -inf,
    quantile=lambda lp, lq, a: (-lp) ** (-1 / a),
)

_rayleigh = standard(
    lambda z: log(z) - 0.5 * z * z,
    log_sf=lambda z: -0.5 * z * z,
    quantile=lambda lp, lq: sqrt(-2 * lq),
)

_gompertz = standard(
    lambda y, c: log(c) + y - c * expm1(y),
    log_sf=lambda y, c: -c * expm1(y),
    quantile=lambda lp, lq, c: log1p(-lq / c),
)

_levy = standard(
    lambda y: -HALF_LOG_2PI - 1.5 * log(y) - 0.5 / y,
    log_cdf=lambda y: LOG2 + special.log_Phi(-1 / sqrt(y)) if y > 0 else -inf,
    log_sf=lambda y: special.safe_log(math.erf(1 / sqrt(2 * y))) if y > 0 else 0.0,
    quantile=lambda lp, lq: (
        1
        / (special.inv_log_Phi(lp - LOG2) if lp < lq else _normal_quantile(0.5 + 0.5 * exp(lq)))
        ** 2
    ),
)


def _lognormal() -> Family:
    def density(x: float, m: float, s: float) -> float:
        y = log(x)
        z = (y - m) / s
        return -0.5 * z * z - HALF_LOG_2PI - log(s) - y

    def z(x: float, m: float, s: float) -> float:
        return (special.safe_log(x) - m) / s

    return Family(
        "lognormal",
        density,
        lambda u, _, m, s: exp(m + s * _normal_quantile(u)),
        lambda m, s: finite(m) and positive(s),
        on_half_line,
        log_cdf=lambda x, m, s: special.log_Phi(z(x, m, s)),
        log_sf=lambda x, m, s: special.log_Phi(-z(x, m, s)),
        quantile=lambda lp, lq, m, s: exp(m + s * normal_quantile(lp, lq)),
    )


def _pareto() -> Family:
    def log_sf(x: float, low: float, a: float) -> float:
        return -a * log(x / low) if x > low else 0.0

    return Family(
        "pareto",
        lambda x, low, a: log(a) - log(x) - a * log(x / low),
        lambda u, z, low, a: low * exp(-log1p(-u) / a),
        lambda low, a: positive(low) and positive(a),
        lambda x, low, a: low <= x < inf,
        log_cdf=one_minus(log_sf),
        log_sf=log_sf,
        quantile=lambda lp, lq, low, a: low * exp(-lq / a),
    )


# ------------------------------------------------------------------------------------ on intervals


def _between(lp: float, lq: float, lo: float, hi: float) -> float:
    return lo + exp(lp) * (hi - lo) if lp < lq else hi - exp(lq) * (hi - lo)


_uniform = Family(
    "uniform",
    lambda x, lo, hi: -log(hi - lo),
    lambda u, z, lo, hi: lo + u * (hi - lo),
    lambda lo, hi: -inf < lo < hi < inf,
    lambda x, lo, hi: lo <= x <= hi,
    log_cdf=lambda x, lo, hi: special.safe_log(min(max((x - lo) / (hi - lo), 0.0), 1.0)),
    log_sf=lambda x, lo, hi: special.safe_log(min(max((hi - x) / (hi - lo), 0.0), 1.0)),
    quantile=_between,
)

_log_uniform = Family(
    "log_uniform",
    lambda x, lo, hi: -log(x) - log(log(hi / lo)),
    lambda u, z, lo, hi: exp(log(lo) + u * log(hi / lo)),
    lambda lo, hi: 0 < lo < hi < inf,
    lambda x, lo, hi: lo <= x <= hi,
    log_cdf=lambda x, lo, hi: special.safe_log(log(x / lo) / log(hi / lo)),
    log_sf=lambda x, lo, hi: special.safe_log(log(hi / x) / log(hi / lo)),
    quantile=lambda lp, lq, lo, hi: exp(_between(lp, lq, log(lo), log(hi))),
)


def _beta(name: str, shapes: Callable[..., tuple[float, float]]) -> Family:
    def density(x: float, *args: float) -> float:
        a, b = shapes(*args)
        return special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.lbeta(a, b)

    def log_cdf(x: float, *args: float) -> float:
        return special.safe_log(special.inc_beta(*shapes(*args), x))

    def log_sf(x: float, *args: float) -> float:
        a, b = shapes(*args)
        return special.safe_log(special.inc_beta(b, a, 1 - x))

    return Family(
        name,
        density,
        lambda u, z, *args: samplers.beta(Generator(z), *shapes(*args)),
        lambda *args: all(map(positive, shapes(*args))),
        in_unit,
        log_cdf=log_cdf,
        log_sf=log_sf,
    )


_kumaraswamy = Family(
    "kumaraswamy",
    lambda x, a, b: (
        log(a * b) + special.xlogy(a - 1, x) + (b - 1) * special.log1m_exp(a * special.safe_log(x))
    ),
    lambda u, z, a, b: exp(special.log1m_exp(log1p(-u) / b) / a),
    lambda a, b: positive(a) and positive(b),
    in_unit,
    log_cdf=lambda x, a, b: special.log1m_exp(b * special.log1m_exp(a * special.safe_log(x))),
    log_sf=lambda x, a, b: b * special.log1m_exp(a * special.safe_log(x)),
    quantile=lambda lp, lq, a, b: exp(special.log1m_exp(lq / b) / a),
)


def _von_mises_density(x: float, mu: float, kappa: float) -> float:
    chord = math.sin(0.5 * (x - mu))
    return -2 * kappa * chord * chord - log(2 * pi) - log(special.bessel_i0e(kappa))


_von_mises = Family(
    "von_mises",
    _von_mises_density,
    lambda u, z, mu, kappa: samplers.von_mises(Generator(z), mu, kappa),
    lambda mu, kappa: finite(mu) and nonnegative(kappa),
    lambda x, mu, kappa: -pi <= x <= pi,
)

_gamma_rate = rate_family("gamma", _gamma)

CONTINUOUS: dict[str, Family] = {
    f.name: f
    for f in (
        _normal(),
        scale_family("half_normal", _half_normal),
        _lognormal(),
        _student_t("student_t", _t),
        scale_family("half_student_t", _half_t),
        location_scale("cauchy", _cauchy),
        scale_family("half_cauchy", _half_cauchy),
        location_scale("double_exponential", _laplace),
        location_scale("asymmetric_laplace", _asymmetric_laplace),
        location_scale("logistic", _logistic),
        location_scale("gumbel", _gumbel),
        replace(rate_family("exponential", _exponential), quick=_exponential_sample),
        _gamma_rate,
        scale_family("inv_gamma", inv_gamma),
        moved("chi_square", _gamma, lambda nu: (0.0, 2.0, (0.5 * nu,)), positive, on_half_line),
        scale_family("weibull", _weibull),
        scale_family("frechet", _frechet),
        scale_family("rayleigh", _rayleigh),
        _pareto(),
        rate_family("gompertz", _gompertz),
        moved(
            "levy",
            _levy,
            lambda m, c: (m, c, ()),
            lambda m, c: finite(m) and positive(c),
            lambda x, m, c: m <= x < inf,
        ),
        _log_uniform,
        _beta("beta", lambda a, b: (a, b)),
        _beta("beta_proportion", lambda mu, kappa: (mu * kappa, (1 - mu) * kappa)),
        _kumaraswamy,
        _uniform,
        _von_mises,
    )
}

"""Continuous families on the line, and halves of symmetric ones; parametrisations are the table's.

A location-scale family is its standard member. Each is drawn by its quantile where that is simple,
so that a draw is a monotone function of one uniform number, as counterfactuals want.
"""

from __future__ import annotations

import math
from math import exp, inf, log, log1p, pi, sqrt, tan
from statistics import NormalDist
from typing import Any

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions import samplers
from ppl.semantics.machine.distributions.family import Family, finite, positive
from ppl.semantics.machine.distributions.standard import (
    HALF_LOG_2PI,
    LOG2,
    location_scale,
    moved,
    on_line,
    scale_family,
    standard,
)
from ppl.semantics.machine.omega import Generator
from ppl.semantics.machine.state import Dead

quick_normal = NormalDist().inv_cdf


def normal_quantile(lp: float, lq: float) -> float:
    """By whichever tail is the smaller."""
    return special.inv_log_Phi(lp) if lp < lq else -special.inv_log_Phi(lq)


def _normal() -> Family:
    def quick(u: float, z: int, m: float, s: float) -> float:
        if 0 < s < inf and -inf < m < inf:
            return m + s * quick_normal(u)
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
        lambda u, z, m, s: m + s * quick_normal(u),
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
    return quick_normal(0.5 + 0.5 * exp(lp)) if lp < lq else -special.inv_log_Phi(lq - LOG2)


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
    return quick_normal(u) * sqrt(0.5 * nu) * exp(-0.5 * samplers.log_gamma(g, 0.5 * nu))


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

LINE: dict[str, Family] = {
    f.name: f
    for f in (
        _normal(),
        scale_family("half_normal", _half_normal),
        _student_t("student_t", _t),
        scale_family("half_student_t", _half_t),
        location_scale("cauchy", _cauchy),
        scale_family("half_cauchy", _half_cauchy),
        location_scale("double_exponential", _laplace),
        location_scale("asymmetric_laplace", _asymmetric_laplace),
        location_scale("logistic", _logistic),
        location_scale("gumbel", _gumbel),
    )
}

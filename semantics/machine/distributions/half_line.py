"""Continuous families of positive numbers: see `line` for how they are written."""

from __future__ import annotations

import math
from dataclasses import replace
from math import exp, expm1, inf, log, log1p, sqrt

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions import samplers
from ppl.semantics.machine.distributions.family import Family, finite, positive
from ppl.semantics.machine.distributions.line import normal_quantile, quick_normal
from ppl.semantics.machine.distributions.standard import (
    HALF_LOG_2PI,
    LOG2,
    moved,
    on_half_line,
    one_minus,
    rate_family,
    scale_family,
    standard,
)
from ppl.semantics.machine.omega import Generator
from ppl.semantics.machine.state import Dead

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
        1 / (special.inv_log_Phi(lp - LOG2) if lp < lq else quick_normal(0.5 + 0.5 * exp(lq))) ** 2
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
        lambda u, _, m, s: exp(m + s * quick_normal(u)),
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


HALF_LINE: dict[str, Family] = {
    f.name: f
    for f in (
        _lognormal(),
        replace(rate_family("exponential", _exponential), quick=_exponential_sample),
        rate_family("gamma", _gamma),
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
    )
}

"""Continuous families on intervals and on the circle: see `line` for how they are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import exp, inf, log, log1p, pi

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions import samplers
from ppl.semantics.machine.distributions.family import Family, finite, nonnegative, positive
from ppl.semantics.machine.distributions.standard import (
    in_unit,
)
from ppl.semantics.machine.omega import Generator


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

INTERVALS: dict[str, Family] = {
    f.name: f
    for f in (
        _log_uniform,
        _beta("beta", lambda a, b: (a, b)),
        _beta("beta_proportion", lambda mu, kappa: (mu * kappa, (1 - mu) * kappa)),
        _kumaraswamy,
        _uniform,
        _von_mises,
    )
}

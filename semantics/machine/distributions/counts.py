"""Further discrete families: counts by the logarithm of their mean, inflated, and drawn without
replacement; ordered categories that a normal variable falls into."""

from __future__ import annotations

import math
from math import comb, exp, inf, log

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions import samplers
from ppl.semantics.machine.distributions.discrete import count, listed
from ppl.semantics.machine.distributions.family import (
    Family,
    Options,
    finite,
    positive,
    probability,
    whole,
)
from ppl.semantics.machine.omega import Generator

# ------------------------------------------------------------------- by the logarithm of the mean

_LARGEST = 709.7  # exponents beyond it overflow


def _mean(eta: float) -> bool:
    return -inf < eta < _LARGEST


_poisson_log = Family(
    "poisson_log",
    lambda k, eta: k * eta - exp(eta) - math.lgamma(k + 1),
    lambda u, z, eta: samplers.poisson(u, Generator(z), exp(eta)),
    _mean,
    count,
    log_cdf=lambda k, eta: special.safe_log(special.gamma_q(k + 1, exp(eta))) if k >= 0 else -inf,
    log_sf=lambda k, eta: special.safe_log(special.gamma_p(k + 1, exp(eta))) if k >= 0 else 0.0,
    discrete=True,
)


def _density(k: int, eta: float, phi: float) -> float:
    """C(k + phi - 1, k) (phi / (phi + mu))^phi (mu / (phi + mu))^k at mu = e^eta."""
    odds = eta - log(phi)  # of a count rather than of an end
    coefficient = -special.lbeta(phi, k + 1) - log(phi + k)
    return coefficient - phi * special.softplus(odds) - k * special.softplus(-odds)


def _draw(u: float, z: int, eta: float, phi: float) -> int:
    g = Generator(z)
    return samplers.poisson(u, g, exp(eta) * samplers.gamma(g, phi) / phi)


def _log_cdf(k: float, eta: float, phi: float) -> float:
    if k < 0:
        return -inf
    return special.safe_log(special.inc_beta(phi, k + 1, special.sigmoid(log(phi) - eta)))


def _log_sf(k: float, eta: float, phi: float) -> float:
    if k < 0:
        return 0.0
    return special.safe_log(special.inc_beta(k + 1, phi, special.sigmoid(eta - log(phi))))


_neg_binomial_2_log = Family(
    "neg_binomial_2_log",
    _density,
    _draw,
    lambda eta, phi: _mean(eta) and positive(phi),
    count,
    log_cdf=_log_cdf,
    log_sf=_log_sf,
    discrete=True,
)

# --------------------------------------------------------------------------- more zeros than that


def _inflated_density(k: int, gate: float, mu: float, phi: float) -> float:
    if k == 0:
        zero = -phi * special.softplus(log(mu) - log(phi))
        return special.safe_log(gate + (1 - gate) * exp(zero)) if gate else zero
    return special.log1m(gate) + _density(k, log(mu), phi)


def _inflated_log_cdf(k: float, gate: float, mu: float, phi: float) -> float:
    if k < 0:
        return -inf
    return special.safe_log(gate + (1 - gate) * exp(_log_cdf(k, log(mu), phi)))


_zero_inflated_neg_binomial = Family(
    "zero_inflated_neg_binomial",
    _inflated_density,
    lambda u, z, gate, mu, phi: (
        0 if u < gate else _draw(Generator(z ^ 1).uniform(), z, log(mu), phi)
    ),
    lambda gate, mu, phi: probability(gate) and positive(mu) and positive(phi),
    count,
    log_cdf=_inflated_log_cdf,
    log_sf=lambda k, gate, mu, phi: (
        special.log1m(gate) + _log_sf(k, log(mu), phi) if k >= 0 else 0.0
    ),
    discrete=True,
)

# ---------------------------------------------------------------------------- without replacement


def _hypergeometric_draw(u: float, z: int, n: int, a: int, b: int) -> int:
    """An urn: of `a` special ones among a + b, how many are among n draws, and the other way
    round, which is the same law and as many steps as the smaller of the two."""
    steps, left, g, k = min(n, a), max(n, a), Generator(z), 0
    for i in range(steps):
        k += g.uniform() * (a + b - i) < left - k
    return k


def _hypergeometric_values(n: int, a: int, b: int) -> Options:
    lo, hi = max(0, n - b), min(n, a)
    ways = [(lo + i, comb(a, lo + i) * comb(b, n - lo - i)) for i in listed(hi - lo + 1)]
    total = comb(a + b, n)
    return [(k, w / total) for k, w in ways]


_hypergeometric = Family(
    "hypergeometric",
    lambda k, n, a, b: (
        special.log_choose(a, k) + special.log_choose(b, n - k) - special.log_choose(a + b, n)
    ),
    _hypergeometric_draw,
    lambda n, a, b: all(whole(x) and x >= 0 for x in (n, a, b)) and n <= a + b,
    lambda k, n, a, b: whole(k) and max(0, n - b) <= k <= min(n, a),
    values=_hypergeometric_values,
    discrete=True,
)

# ----------------------------------------------------------------------------- ordered categories


def _log_normal_between(lower: float, upper: float) -> float:
    """log(Phi(upper) - Phi(lower)), lower < upper, by a series where they are so close that the
    difference would cancel."""
    middle, width = 0.5 * (lower + upper), upper - lower
    if width * (1 + abs(middle)) < 0.3:
        m, h = middle * middle, width * width
        series = m * (m - 6) + 3 + h / 168 * (m * (m * (m - 15) + 45) - 15)
        series = h / 24 * (m - 1 + h / 80 * series)
        return -0.5 * m - 0.5 * log(2 * math.pi) + log(width) + math.log1p(series)
    near, far = (-lower, -upper) if middle > 0 else (upper, lower)  # in the tail nearer to both
    return special.log_diff_exp(special.log_Phi(near), special.log_Phi(far))


def _ordered_density(k: int, eta: float, cuts: tuple[float, ...]) -> float:
    k = int(k)
    lower = cuts[k - 1] - eta if k > 0 else -inf
    upper = cuts[k] - eta if k < len(cuts) else inf
    if upper == inf:
        return special.log_Phi(-lower) if lower > -inf else 0.0
    return special.log_Phi(upper) if lower == -inf else _log_normal_between(lower, upper)


def _ordered_draw(u: float, z: int, eta: float, cuts: tuple[float, ...]) -> int:
    latent = eta + special.inv_Phi(u)
    return sum(latent > c for c in cuts)


_ordered_probit = Family(
    "ordered_probit",
    _ordered_density,
    _ordered_draw,
    lambda eta, cuts: (
        finite(eta)
        and all(map(finite, cuts))
        and all(a < b for a, b in zip(cuts, cuts[1:], strict=False))
    ),
    lambda k, eta, cuts: 0 <= k <= len(cuts) and whole(k),
    values=lambda eta, cuts: [
        (k, exp(_ordered_density(k, eta, cuts))) for k in range(len(cuts) + 1)
    ],
    discrete=True,
)

COUNTS: dict[str, Family] = {
    f.name: f
    for f in (
        _poisson_log,
        _neg_binomial_2_log,
        _zero_inflated_neg_binomial,
        _hypergeometric,
        _ordered_probit,
    )
}

"""Discrete families: booleans and counts.

`values` are arithmetic on the arguments as they come, so that they are exact on fractions.
"""

from __future__ import annotations

import math
from math import inf, log, log1p
from typing import Any

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions import samplers
from ppl.semantics.machine.distributions.family import (
    MAX_VALUES,
    Family,
    nonnegative,
    positive,
    probability,
    too_many,
    whole,
)
from ppl.semantics.machine.omega import Generator
from ppl.semantics.machine.state import Dead


def _bool(x: Any, *_: Any) -> bool:
    return x == 0 or x == 1


def count(k: Any, *_: Any) -> bool:
    return k >= 0 and whole(k)


def _up_to(k: Any, n: int, *_: Any) -> bool:
    return 0 <= k <= n and whole(k)


def _trials(n: Any) -> bool:
    return n >= 0 and whole(n)


def listed(n: int) -> range:
    if n > MAX_VALUES:
        raise too_many(n)
    return range(n)


# ------------------------------------------------------------------------------------- booleans


def _bernoulli_sample(u: float, z: int, p: float) -> bool:
    if 0 <= p <= 1:
        return u < p
    raise Dead


_bernoulli = Family(
    "bernoulli",
    lambda x, p: special.safe_log(p) if x else special.log1m(p),
    lambda u, z, p: u < p,
    probability,
    _bool,
    values=lambda p: ((False, 1 - p), (True, p)),
    discrete=True,
    quick=_bernoulli_sample,
)

_bernoulli_logit = Family(
    "bernoulli_logit",
    lambda x, logit: -special.softplus(-logit if x else logit),
    lambda u, z, logit: u < special.sigmoid(logit),
    lambda logit: logit == logit,
    _bool,
    values=lambda logit: ((False, special.sigmoid(-logit)), (True, special.sigmoid(logit))),
    discrete=True,
)

# --------------------------------------------------------------------------------------- counts


def _binomial_density(k: int, n: int, p: float) -> float:
    return special.log_choose(n, k) + special.xlogy(k, p) + special.xlog1py(n - k, -p)


_binomial = Family(
    "binomial",
    _binomial_density,
    lambda u, z, n, p: samplers.binomial(u, Generator(z), n, p),
    lambda n, p: _trials(n) and probability(p),
    _up_to,
    values=lambda n, p: [(k, math.comb(n, k) * p**k * (1 - p) ** (n - k)) for k in listed(n + 1)],
    log_cdf=lambda k, n, p: _binomial_cdf(k, n, p),
    log_sf=lambda k, n, p: _binomial_sf(k, n, p),
    discrete=True,
)


def _binomial_cdf(k: float, n: int, p: float) -> float:
    if k < 0:
        return -inf
    return 0.0 if k >= n else special.safe_log(special.inc_beta(n - k, k + 1, 1 - p))


def _binomial_sf(k: float, n: int, p: float) -> float:
    if k < 0:
        return 0.0
    return -inf if k >= n else special.safe_log(special.inc_beta(k + 1, n - k, p))


def _binomial_logit_density(k: int, n: int, logit: float) -> float:
    down, up = special.softplus(-logit), special.softplus(logit)
    return special.log_choose(n, k) - special.times(k, down) - special.times(n - k, up)


_binomial_logit = Family(
    "binomial_logit",
    _binomial_logit_density,
    lambda u, z, n, logit: samplers.binomial(u, Generator(z), n, special.sigmoid(logit)),
    lambda n, logit: _trials(n) and logit == logit,
    _up_to,
    values=lambda n, logit: [
        (k, math.exp(_binomial_logit_density(k, n, logit))) for k in listed(n + 1)
    ],
    discrete=True,
)


def _beta_binomial_density(k: int, n: int, a: float, b: float) -> float:
    return special.log_choose(n, k) + special.lbeta(k + a, n - k + b) - special.lbeta(a, b)


def _beta_binomial_draw(u: float, z: int, n: int, a: float, b: float) -> int:
    g = Generator(z)
    return samplers.binomial(u, g, n, samplers.beta(g, a, b))


_beta_binomial = Family(
    "beta_binomial",
    _beta_binomial_density,
    _beta_binomial_draw,
    lambda n, a, b: _trials(n) and positive(a) and positive(b),
    _up_to,
    values=lambda n, a, b: [
        (k, math.exp(_beta_binomial_density(k, n, a, b))) for k in listed(n + 1)
    ],
    discrete=True,
)


def _discrete_uniform_quantile(lp: float, lq: float, lo: int, hi: int) -> int:
    count = hi - lo + 1
    k = math.ceil(math.exp(lp) * count) if lp < lq else math.ceil(count - math.exp(lq) * count)
    return lo + min(max(k - 1, 0), count - 1)


_discrete_uniform = Family(
    "discrete_uniform",
    lambda k, lo, hi: -log(hi - lo + 1),
    lambda u, z, lo, hi: lo + min(int(u * (hi - lo + 1)), hi - lo),
    lambda lo, hi: lo <= hi,
    lambda k, lo, hi: lo <= k <= hi and whole(k),
    values=lambda lo, hi: [(lo + i, 1 / (hi - lo + 1)) for i in listed(hi - lo + 1)],
    log_cdf=lambda k, lo, hi: special.safe_log(min(max((k - lo + 1) / (hi - lo + 1), 0.0), 1.0)),
    log_sf=lambda k, lo, hi: special.safe_log(min(max((hi - k) / (hi - lo + 1), 0.0), 1.0)),
    quantile=_discrete_uniform_quantile,
    discrete=True,
)


def _poisson_density(k: int, rate: float) -> float:
    return special.xlogy(k, rate) - rate - math.lgamma(k + 1)


_poisson = Family(
    "poisson",
    _poisson_density,
    lambda u, z, rate: samplers.poisson(u, Generator(z), rate),
    nonnegative,
    count,
    log_cdf=lambda k, rate: special.safe_log(special.gamma_q(k + 1, rate)) if k >= 0 else -inf,
    log_sf=lambda k, rate: special.safe_log(special.gamma_p(k + 1, rate)) if k >= 0 else 0.0,
    discrete=True,
)


def _geometric_quantile(lp: float, lq: float, p: float) -> int:
    return max(math.ceil(lq / log1p(-p)) - 1, 0) if p < 1 else 0


_geometric = Family(
    "geometric",
    lambda k, p: log(p) + special.xlog1py(k, -p),
    lambda u, z, p: _geometric_quantile(log(u), log1p(-u), p),
    lambda p: 0 < p <= 1,
    count,
    log_cdf=lambda k, p: special.log1m_exp((k + 1) * special.log1m(p)) if k >= 0 else -inf,
    log_sf=lambda k, p: (k + 1) * special.log1m(p) if k >= 0 else 0.0,
    quantile=_geometric_quantile,
    discrete=True,
)


def _neg_binomial(name: str, shapes: Any) -> Family:
    """C(k + alpha - 1, k) (beta / (1 + beta))^alpha (1 + beta)^-k."""

    def density(k: int, *args: float) -> float:
        alpha, beta = shapes(*args)
        coefficient = -special.lbeta(alpha, k + 1) - log(alpha + k)
        return coefficient - alpha * log1p(1 / beta) - k * log1p(beta)

    def draw(u: float, z: int, *args: float) -> int:
        alpha, beta = shapes(*args)
        g = Generator(z)
        return samplers.poisson(u, g, samplers.gamma(g, alpha) / beta)

    def log_cdf(k: float, *args: float) -> float:
        a, b = shapes(*args)
        return special.safe_log(special.inc_beta(a, k + 1, b / (1 + b))) if k >= 0 else -inf

    def log_sf(k: float, *args: float) -> float:
        a, b = shapes(*args)
        return special.safe_log(special.inc_beta(k + 1, a, 1 / (1 + b))) if k >= 0 else 0.0

    return Family(
        name,
        density,
        draw,
        lambda *args: all(map(positive, args)),
        count,
        log_cdf=log_cdf,
        log_sf=log_sf,
        discrete=True,
    )


def _zero_inflated_density(k: int, gate: float, rate: float) -> float:
    if k == 0:
        return special.safe_log(gate + (1 - gate) * math.exp(-rate)) if gate else -rate
    return special.log1m(gate) + _poisson_density(k, rate)


def _zero_inflated_draw(u: float, z: int, gate: float, rate: float) -> int:
    g = Generator(z)
    return 0 if u < gate else samplers.poisson(g.uniform(), g, rate)


_zero_inflated = Family(
    "zero_inflated_poisson",
    _zero_inflated_density,
    _zero_inflated_draw,
    lambda gate, rate: probability(gate) and nonnegative(rate),
    count,
    log_cdf=lambda k, gate, rate: (
        special.safe_log(gate + (1 - gate) * special.gamma_q(k + 1, rate)) if k >= 0 else -inf
    ),
    log_sf=lambda k, gate, rate: (
        special.log1m(gate) + special.safe_log(special.gamma_p(k + 1, rate)) if k >= 0 else 0.0
    ),
    discrete=True,
)

DISCRETE: dict[str, Family] = {
    f.name: f
    for f in (
        _bernoulli,
        _bernoulli_logit,
        _binomial,
        _binomial_logit,
        _beta_binomial,
        _discrete_uniform,
        _poisson,
        _geometric,
        _neg_binomial("neg_binomial", lambda alpha, beta: (alpha, beta)),
        _neg_binomial("neg_binomial_2", lambda mu, phi: (phi, phi / mu)),
        _zero_inflated,
    )
}

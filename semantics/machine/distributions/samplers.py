"""Exact samplers of the families that are not drawn by inverting their distribution function."""

from __future__ import annotations

import math
from statistics import NormalDist

from ppl.semantics.machine.omega import Generator

_inverse = NormalDist().inv_cdf
TINY = 2.2250738585072014e-308


def standard_normal(g: Generator) -> float:
    return _inverse(g.uniform())


def log_gamma(g: Generator, shape: float) -> float:
    """The logarithm of a gamma(shape, 1) draw.

    Marsaglia and Tsang, "A simple method for generating gamma variables" (2000); shapes below 1 by
    their power of a uniform, in logarithms so that nothing underflows.
    """
    boost = 0.0
    if shape < 1:
        boost = math.log(g.uniform()) / shape
        shape += 1
    d = shape - 1 / 3
    c = 1 / math.sqrt(9 * d)
    while True:
        x = standard_normal(g)
        v = (1 + c * x) ** 3
        if v <= 0:
            continue
        if math.log(g.uniform()) < 0.5 * x * x + d - d * v + d * math.log(v):
            return math.log(d * v) + boost


def gamma(g: Generator, shape: float) -> float:
    """A gamma(shape, 1) draw; one too small for the precision is rounded up: 0 is a pole."""
    return max(math.exp(log_gamma(g, shape)), TINY)


def beta(g: Generator, a: float, b: float) -> float:
    x, y = log_gamma(g, a), log_gamma(g, b)
    ratio = y - x
    p = 1 / (1 + math.exp(ratio)) if ratio < 700 else math.exp(-ratio)
    return min(max(p, TINY), 1 - 2.0**-53)


def poisson_by_search(u: float, rate: float) -> int:
    """The smallest k with P(X <= k) >= u, for rates that are not large."""
    k, p = 0, math.exp(-rate)
    left = u - p
    while left > 0 and p > 0:
        k += 1
        p *= rate / k
        left -= p
    return k


def poisson(u: float, g: Generator, rate: float) -> int:
    """Ahrens and Dieter (1974): a gamma time at which a known number of events has happened."""
    if rate < 30:
        return poisson_by_search(u, rate)
    m = int(0.875 * rate)
    x = gamma(g, m)
    if x > rate:
        return binomial(g.uniform(), g, m - 1, rate / x)
    return m + poisson(g.uniform(), g, rate - x)


def binomial(u: float, g: Generator, n: int, p: float) -> int:
    """Order statistics halve n until the count is small (Relles 1972), then a search."""
    base = 0
    while n * min(p, 1 - p) > 30:
        i = (n + 1) // 2
        b = beta(g, i, n + 1 - i)
        if b <= p:
            base, n, p = base + i, n - i, (p - b) / (1 - b)
        else:
            n, p = i - 1, p / b
        u = g.uniform()
    if p > 0.5:
        return base + n - binomial_by_search(u, n, 1 - p)
    return base + binomial_by_search(u, n, p)


def binomial_by_search(u: float, n: int, p: float) -> int:
    if n == 0 or p <= 0:
        return 0
    k, mass, odds = 0, math.exp(n * math.log1p(-p)), p / (1 - p)
    left = u - mass
    while left > 0 and k < n:
        k += 1
        mass *= odds * (n - k + 1) / k
        left -= mass
    return k


def von_mises(g: Generator, mu: float, kappa: float) -> float:
    """Best and Fisher, "Efficient simulation of the von Mises distribution" (1979)."""
    if kappa < 1e-8:
        return math.pi * (2 * g.uniform() - 1)
    tau = 1 + math.sqrt(1 + 4 * kappa * kappa)
    rho = (tau - math.sqrt(2 * tau)) / (2 * kappa)
    r = (1 + rho * rho) / (2 * rho)
    while True:
        z = math.cos(math.pi * g.uniform())
        f = (1 + r * z) / (r + z)
        c = kappa * (r - f)
        u = g.uniform()
        if c * (2 - c) > u or math.log(c / u) + 1 >= c:
            break
    turn = math.acos(min(1.0, max(-1.0, f)))
    x = mu + (turn if g.uniform() > 0.5 else -turn)
    return math.remainder(x, 2 * math.pi)

"""Scalar special functions on Python floats, total: no argument raises, impossible ones give NaN.

What the `math` module lacks comes from SciPy, imported when first needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from math import exp, expm1, inf, log, log1p
from statistics import NormalDist
from typing import Any

_LOG2 = log(2.0)
_inv_normal = NormalDist().inv_cdf


@cache
def _scipy(name: str) -> Callable[..., Any]:
    import scipy.special

    function = getattr(scipy.special, name)
    return lambda *args: float(function(*args))


def safe_log(x: float) -> float:
    """log x; -infinity at 0, NaN below."""
    return log(x) if x > 0 else -inf if x == 0 else math.nan


def log1m(p: float) -> float:
    """log(1 - p)."""
    return log1p(-p) if p < 1 else -inf if p == 1 else math.nan


def safe_exp(x: float) -> float:
    """e^x, infinite instead of an overflow."""
    return exp(x) if x < 709.7 else inf if x == x else x


def times(a: float, b: float) -> float:
    """a b, with 0 · ∞ = 0."""
    return a * b if a else 0.0


def xlogy(a: float, x: float) -> float:
    """a log x, 0 for a = 0."""
    return a * safe_log(x) if a else 0.0


def xlog1py(a: float, x: float) -> float:
    """a log(1 + x), 0 for a = 0."""
    if not a:
        return 0.0
    return a * log1p(x) if x > -1 else -a * inf


def log1m_exp(x: float) -> float:
    """log(1 - e^x) for x <= 0 (Mächler 2012); NaN above."""
    if x > -_LOG2:
        return safe_log(-expm1(x)) if x <= 0 else math.nan
    return log1p(-exp(x))


def log_add_exp(a: float, b: float) -> float:
    """log(e^a + e^b)."""
    high, low = (a, b) if a > b else (b, a)
    if high == low or high == -inf:
        return high + _LOG2
    return high + log1p(exp(low - high)) if high < inf else high


def log_diff_exp(a: float, b: float) -> float:
    """log(e^a - e^b) for a >= b; NaN below."""
    if a == b:
        return -inf
    return a + log1m_exp(b - a) if b > -inf else a


def log_sum_exp(xs: Sequence[float]) -> float:
    """log of the sum of exponentials; -infinity of nothing."""
    top = max(xs, default=-inf)
    if not -inf < top < inf:
        return top
    return top + log(math.fsum(exp(x - top) for x in xs))


def softplus(x: float) -> float:
    """log(1 + e^x)."""
    return x + log1p(exp(-x)) if x > 0 else log1p(exp(x))


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x)."""
    if x >= 0:
        return 1 / (1 + exp(-x))
    y = exp(x)
    return y / (1 + y)


def lbeta(a: float, b: float) -> float:
    """log of the beta function."""
    return _scipy("betaln")(a, b)


def log_choose(n: float, k: float) -> float:
    """log of the binomial coefficient; -infinity unless 0 <= k <= n."""
    if not 0 <= k <= n:
        return -inf
    if type(n) is int and type(k) is int and n <= 1000:
        return log(math.comb(n, k))
    return -log1p(n) - lbeta(n - k + 1, k + 1)


def gamma_p(a: float, x: float) -> float:
    return _scipy("gammainc")(a, x)


def gamma_q(a: float, x: float) -> float:
    return _scipy("gammaincc")(a, x)


def inc_beta(a: float, b: float, x: float) -> float:
    return _scipy("betainc")(a, b, x)


def bessel_i0e(x: float) -> float:
    return _scipy("i0e")(x)


def bessel_i1e(x: float) -> float:
    return _scipy("i1e")(x)


def digamma(x: float) -> float:
    return _scipy("digamma")(x)


def trigamma(x: float) -> float:
    return _scipy("polygamma")(1, x)


def erf_inv(x: float) -> float:
    return _scipy("erfinv")(x)


def lgamma(x: float) -> float:
    """log |Γ(x)|; infinite at its poles."""
    return math.lgamma(x) if x > 0 or x != math.floor(x) else inf


def Phi(x: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def inv_Phi(p: float) -> float:
    """The standard normal quantile."""
    if 0 < p < 1:
        return _inv_normal(p)
    return -inf if p == 0 else inf if p == 1 else math.nan


def log_Phi(x: float) -> float:
    """log Phi(x), accurate in the tails."""
    if x > -1:
        return log1p(-0.5 * math.erfc(x / math.sqrt(2)))
    if x > -30:
        return log(0.5 * math.erfc(-x / math.sqrt(2)))
    return _scipy("log_ndtr")(x)


def inv_log_Phi(lp: float) -> float:
    """x with log Phi(x) = lp, also where e^lp underflows."""
    return _inv_normal(exp(lp)) if -600 < lp < 0 else _scipy("ndtri_exp")(lp)


def invert(
    log_cdf: Callable[[float], float],
    log_sf: Callable[[float], float],
    lp: float,
    lq: float,
    low: float,
    high: float,
    discrete: bool,
) -> Any:
    """The smallest x in (low, high] with P(X <= x) >= e^lp, by bisection to full precision."""

    def reached(x: float) -> bool:
        return log_cdf(x) >= lp if lp < lq else log_sf(x) <= lq

    step = 1.0
    if low == -inf:
        low = -1.0 if high == inf else high - 1
        while reached(low):
            low, step = low - step, 2 * step
    if high == inf:
        high, step = low + 1, 1.0
        while not reached(high):
            high, step = high + step, 2 * step
    while True:
        middle = (low + high) // 2 if discrete else 0.5 * (low + high)
        if not low < middle < high:
            break
        if reached(middle):
            high = middle
        else:
            low = middle
    return int(high) if discrete else high

"""Every scalar family with asymmetric parameters and an independent reference.

`args` have shape (3, 1), one row per parameter set; references are scipy's, by its own parameters,
or closed forms written out here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special as sp
import scipy.stats as st


@dataclass(frozen=True)
class Scalar:
    args: tuple[Any, ...]
    points: Any  # (3, m), inside the support
    logpdf: Callable[..., Any]
    cdf: Callable[..., Any]
    outside: tuple[float, ...] = ()
    logcdf: Callable[..., Any] | None = None
    logsf: Callable[..., Any] | None = None


def _frozen(make, args, points, outside=(), discrete=False) -> Scalar:
    return Scalar(
        args,
        points,
        lambda x, *a: (make(*a).logpmf if discrete else make(*a).logpdf)(x),
        lambda x, *a: make(*a).cdf(x),
        outside,
        lambda x, *a: make(*a).logcdf(x),
        lambda x, *a: make(*a).logsf(x),
    )


def col(*xs: float):
    return np.array(xs, float)[:, None]


def icol(*xs: int):
    return np.array(xs)[:, None]


LINE = np.array([-37.0, -2.3, -0.4, 0.1, 1.7, 4.2, 55.0])
HALF = np.array([1e-6, 0.03, 0.4, 1.1, 2.9, 7.3, 31.0])
UNIT = np.array([1e-7, 0.02, 0.31, 0.5, 0.77, 0.98, 1 - 1e-7])
COUNTS = np.array([0, 1, 2, 3, 7, 19, 60])
MU, SIGMA = col(0.3, -1.2, 2.0), col(0.7, 1.9, 3.1)
A, B = col(0.6, 2.3, 7.5), col(1.4, 0.8, 3.3)

_T = np.linspace(-4.2, 2.2, 12_001)


def _log_mean_over_exponential(f, z, rate):
    """log E e^f(z - S), S exponential: a double-exponential rule over S."""
    z, rate = np.broadcast_arrays(z, rate)
    s = np.exp(np.pi / 2 * np.sinh(_T))
    log_ds = np.log(s * np.pi / 2 * np.cosh(_T) * (_T[1] - _T[0]))
    rate = rate[..., None]
    return sp.logsumexp(np.log(rate) - rate * s + f(z[..., None] - s) + log_ds, axis=-1)


CONTINUOUS: dict[str, Scalar] = {
    "normal": _frozen(st.norm, (MU, SIGMA), LINE),
    "half_normal": _frozen(lambda s: st.halfnorm(scale=s), (SIGMA,), HALF, (-0.5,)),
    "lognormal": _frozen(
        lambda m, s: st.lognorm(s, scale=np.exp(m)), (MU, SIGMA), HALF, (-1.0, 0.0)
    ),
    "student_t": _frozen(lambda nu, m, s: st.t(nu, m, s), (A, MU, SIGMA), LINE),
    "half_student_t": Scalar(
        (A, SIGMA),
        HALF,
        lambda x, nu, s: np.log(2) + st.t(nu, 0, s).logpdf(x),
        lambda x, nu, s: 1 - 2 * st.t(nu, 0, s).sf(x),
        (-0.1,),
        None,
        lambda x, nu, s: np.log(2) + st.t(nu, 0, s).logsf(x),
    ),
    "cauchy": _frozen(st.cauchy, (MU, SIGMA), LINE),
    "half_cauchy": _frozen(lambda s: st.halfcauchy(scale=s), (SIGMA,), HALF, (-2.0,)),
    "double_exponential": _frozen(st.laplace, (MU, SIGMA), LINE),
    "asymmetric_laplace": _frozen(
        lambda m, s, k: st.laplace_asymmetric(k, m, s), (MU, SIGMA, A), LINE
    ),
    "logistic": _frozen(st.logistic, (MU, SIGMA), LINE),
    "soft_laplace": Scalar(
        (MU, SIGMA),
        LINE,
        lambda x, m, s: st.hypsecant(m, s).logpdf(x),
        lambda x, m, s: st.hypsecant(m, s).cdf(x),
        (),
        lambda x, m, s: st.hypsecant(m, s).logcdf(x),
        lambda x, m, s: st.hypsecant(-m, s).logcdf(-x),
    ),
    "skew_normal": Scalar(
        (MU, SIGMA, col(1.7, -0.6, 8.0)),
        LINE,
        lambda x, m, s, a: np.log(2) + st.norm(m, s).logpdf(x) + sp.log_ndtr(a * (x - m) / s),
        lambda x, m, s, a: st.skewnorm(a, m, s).cdf(x),
    ),
    "exp_mod_normal": Scalar(
        (MU, SIGMA, B),
        LINE,
        lambda x, m, s, r: st.exponnorm(1 / (s * r), m, s).logpdf(x),
        lambda x, m, s, r: st.exponnorm(1 / (s * r), m, s).cdf(x),
        (),
        lambda x, m, s, r: _log_mean_over_exponential(sp.log_ndtr, (x - m) / s, s * r),
        lambda x, m, s, r: _log_mean_over_exponential(
            lambda z: sp.log_ndtr(-z), (x - m) / s, s * r
        ),
    ),
    "gumbel": _frozen(st.gumbel_r, (MU, SIGMA), LINE[1:]),
    "exponential": _frozen(lambda r: st.expon(scale=1 / r), (A,), HALF, (-0.1,)),
    "gamma": _frozen(lambda a, r: st.gamma(a, scale=1 / r), (A, B), HALF, (-0.1,)),
    "inv_gamma": _frozen(lambda a, b: st.invgamma(a, scale=b), (A, B), HALF[1:], (-0.1, 0.0)),
    "chi_square": _frozen(st.chi2, (A,), HALF, (-0.1,)),
    "inv_chi_square": _frozen(
        lambda nu: st.invgamma(nu / 2, scale=0.5), (A,), HALF[1:], (-0.1, 0.0)
    ),
    "scaled_inv_chi_square": _frozen(
        lambda nu, s: st.invgamma(nu / 2, scale=nu / 2 * s**2), (A, B), HALF[1:], (-0.1, 0.0)
    ),
    "loglogistic": _frozen(lambda a, b: st.fisk(b, scale=a), (A, B), HALF, (-0.1,)),
    "weibull": _frozen(lambda k, s: st.weibull_min(k, scale=s), (A, B), HALF, (-0.1,)),
    "frechet": Scalar(
        (A, B),
        HALF[2:],
        lambda x, k, s: np.log(k / s) - (k + 1) * np.log(x / s) - (x / s) ** -k,
        lambda x, k, s: np.exp(-((x / s) ** -k)),
        (-0.1, 0.0),
        lambda x, k, s: -((x / s) ** -k),
        lambda x, k, s: np.log(-np.expm1(-((x / s) ** -k))),
    ),
    "rayleigh": _frozen(lambda s: st.rayleigh(scale=s), (SIGMA,), HALF, (-0.1, 0.0)),
    "pareto": _frozen(
        lambda m, a: st.pareto(a, scale=m),
        (col(0.3, 1.2, 2.5), A),
        col(0.3, 1.2, 2.5) + HALF,
        (0.2,),
    ),
    "gompertz": _frozen(lambda c, r: st.gompertz(c, scale=1 / r), (A, B), HALF[:-1], (-0.1,)),
    "levy": _frozen(st.levy, (MU, SIGMA), MU + HALF[1:], (-5.0,)),
    "log_uniform": _frozen(
        st.loguniform,
        (col(0.1, 1.0, 2.0), col(0.9, 8.0, 50.0)),
        col(0.1, 1.0, 2.0) + UNIT * col(0.8, 7.0, 48.0),
        (0.01, 60.0, -1.0),
    ),
    "beta": _frozen(st.beta, (A, B), UNIT, (-0.1, 1.1)),
    "beta_proportion": _frozen(
        lambda m, k: st.beta(m * k, (1 - m) * k),
        (col(0.2, 0.55, 0.9), col(1.3, 4.0, 20.0)),
        UNIT,
        (-0.1, 1.1),
    ),
    "kumaraswamy": Scalar(
        (A, B),
        UNIT,
        lambda x, a, b: np.log(a * b) + (a - 1) * np.log(x) + (b - 1) * np.log1p(-(x**a)),
        lambda x, a, b: -np.expm1(b * np.log1p(-(x**a))),
        (-0.1, 1.1),
        None,
        lambda x, a, b: b * np.log1p(-(x**a)),
    ),
    "uniform": _frozen(
        lambda lo, hi: st.uniform(lo, hi - lo),
        (col(-1.0, 0.0, 2.0), col(0.5, 7.0, 2.25)),
        col(-1.0, 0.0, 2.0) + UNIT * col(1.5, 7.0, 0.25),
        (-1.5, 8.0),
    ),
    "von_mises": Scalar(
        (MU, SIGMA),
        np.array([-3.1, -1.3, -0.2, 0.4, 1.9, 3.0]),
        lambda x, m, k: k * np.cos(x - m) - np.log(2 * np.pi * sp.i0(k)),
        lambda x, m, k: st.vonmises(k, m).cdf(x) - st.vonmises(k, m).cdf(-np.pi),
        (-3.3, 3.3),
    ),
}

P = col(0.17, 0.5, 0.92)
ODDS = col(-1.3, 0.2, 2.1)
N = icol(3, 9, 25)
UPTO = np.array([[0, 1, 2, 3], [0, 3, 5, 9], [0, 4, 17, 25]])
BAD_COUNTS = (-1.0, 0.5, 2.25)


def _zip_logpmf(k, gate, rate):
    rest = np.log1p(-gate) + st.poisson(rate).logpmf(k)
    return np.where(k == 0, np.log(gate + (1 - gate) * np.exp(-rate)), rest)


def _nb2(mu, phi):
    return st.nbinom(phi, phi / (phi + mu))


def _zinb_logpmf(k, gate, mu, phi):
    rest = np.log1p(-gate) + _nb2(mu, phi).logpmf(k)
    return np.where(k == 0, np.log(gate + (1 - gate) * _nb2(mu, phi).pmf(0)), rest)


DISCRETE: dict[str, Scalar] = {
    "hypergeometric": _frozen(
        lambda n, a, b: st.hypergeom(a + b, a, n),
        (icol(3, 9, 25), icol(5, 7, 40), icol(4, 6, 17)),
        np.array([[0, 1, 2, 3], [3, 5, 6, 7], [8, 15, 19, 25]]),
        (*BAD_COUNTS, 26.0),
        True,
    ),
    "poisson_log": _frozen(
        lambda eta: st.poisson(np.exp(eta)), (col(-0.9, 1.2, 2.8),), COUNTS, BAD_COUNTS, True
    ),
    "neg_binomial_2_log": _frozen(
        lambda eta, phi: _nb2(np.exp(eta), phi), (col(-0.5, 0.8, 2.0), B), COUNTS, BAD_COUNTS, True
    ),
    "zero_inflated_neg_binomial": Scalar(
        (P, A, B),
        COUNTS,
        _zinb_logpmf,
        lambda k, g, m, phi: g + (1 - g) * _nb2(m, phi).cdf(k),
        BAD_COUNTS,
        lambda k, g, m, phi: np.log(g + (1 - g) * _nb2(m, phi).cdf(k)),
        lambda k, g, m, phi: np.log1p(-g) + _nb2(m, phi).logsf(k),
    ),
    "bernoulli": _frozen(st.bernoulli, (P,), np.array([0, 1]), (2.0, -1.0, 0.5), True),
    "bernoulli_logit": _frozen(
        lambda odds: st.bernoulli(sp.expit(odds)), (ODDS,), np.array([0, 1]), (2.0, -1.0, 0.5), True
    ),
    "binomial": _frozen(st.binom, (N, P), UPTO, (*BAD_COUNTS, 26.0), True),
    "binomial_logit": _frozen(
        lambda n, odds: st.binom(n, sp.expit(odds)), (N, ODDS), UPTO, (*BAD_COUNTS, 26.0), True
    ),
    "beta_binomial": _frozen(st.betabinom, (N, A, B), UPTO, (*BAD_COUNTS, 26.0), True),
    "discrete_uniform": _frozen(
        lambda lo, hi: st.randint(lo, hi + 1),
        (icol(-2, 0, 5), icol(1, 6, 9)),
        np.array([[-2, 0, 1], [0, 2, 6], [5, 8, 9]]),
        (-3.0, 10.0, 5.5),
        True,
    ),
    "poisson": _frozen(st.poisson, (col(0.4, 3.2, 17.0),), COUNTS, BAD_COUNTS, True),
    "geometric": _frozen(lambda p: st.geom(p, loc=-1), (P,), COUNTS, BAD_COUNTS, True),
    "neg_binomial": _frozen(
        lambda a, b: st.nbinom(a, b / (1 + b)), (A, B), COUNTS, BAD_COUNTS, True
    ),
    "neg_binomial_2": _frozen(
        lambda m, phi: st.nbinom(phi, phi / (phi + m)), (A, B), COUNTS, BAD_COUNTS, True
    ),
    "zero_inflated_poisson": Scalar(
        (P, col(0.4, 3.2, 37.0)),
        COUNTS,
        _zip_logpmf,
        lambda k, g, r: g + (1 - g) * st.poisson(r).cdf(k),
        BAD_COUNTS,
        lambda k, g, r: np.log(g + (1 - g) * st.poisson(r).cdf(k)),
        lambda k, g, r: np.log1p(-g) + st.poisson(r).logsf(k),
    ),
}

SCALAR = CONTINUOUS | DISCRETE

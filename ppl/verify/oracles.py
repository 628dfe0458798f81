"""Posteriors and evidence in closed form: what a method has to find.

Conjugate families, and the linear-Gaussian state space model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Oracle:
    """posterior: of the parameter, a distribution of `scipy.stats`. log_evidence: of the data."""

    posterior: Any
    log_evidence: float


def normal_mean(y: Array, *, mean: float, sd: float, noise: float) -> Oracle:
    """mu ~ normal(mean, sd); y_i ~ normal(mu, noise)."""
    from scipy import stats

    y = np.asarray(y, float)
    precision = 1 / sd**2 + len(y) / noise**2
    centre = (mean / sd**2 + y.sum() / noise**2) / precision
    covariance = noise**2 * np.eye(len(y)) + sd**2
    log = stats.multivariate_normal(np.full(len(y), mean), covariance).logpdf(y)
    return Oracle(stats.norm(centre, precision**-0.5), float(log))


def bernoulli_rate(y: Array, *, a: float, b: float) -> Oracle:
    """p ~ beta(a, b); y_i ~ bernoulli(p)."""
    from scipy import special, stats

    n, k = len(y), int(np.sum(y))
    log = special.betaln(a + k, b + n - k) - special.betaln(a, b)
    return Oracle(stats.beta(a + k, b + n - k), float(log))


def poisson_rate(y: Array, *, shape: float, rate: float) -> Oracle:
    """r ~ gamma(shape, rate); y_i ~ poisson(r)."""
    from scipy import special, stats

    y = np.asarray(y)
    after, sharper = shape + y.sum(), rate + len(y)
    log = special.gammaln(after) - special.gammaln(shape) - special.gammaln(y + 1).sum()
    log = log + shape * np.log(rate) - after * np.log(sharper)
    return Oracle(stats.gamma(after, scale=1 / sharper), float(log))


@dataclass(frozen=True)
class Filtered:
    """means (T, d) and covariances (T, d, d) of each state given the data up to it; smoothed, given
    all data."""

    log_evidence: float
    means: Array
    covariances: Array
    smoothed_means: Array
    smoothed_covariances: Array


def kalman(
    y: Array,
    *,
    mean: Array,
    covariance: Array,
    transition: Array,
    process: Array,
    observation: Array,
    noise: Array,
) -> Filtered:
    """x_1 ~ N(mean, covariance); x_t ~ N(transition x, process); y_t ~ N(observation x_t, noise).

    y (T, k); vectors and matrices of d and k. Kalman (1960); Rauch, Tung and Striebel (1965).
    """
    y = np.atleast_2d(np.asarray(y, float).T).T
    a, q, h, r = (
        np.atleast_2d(np.asarray(m, float)) for m in (transition, process, observation, noise)
    )
    m, p = np.atleast_1d(np.asarray(mean, float)), np.atleast_2d(np.asarray(covariance, float))
    total, filtered, predicted = 0.0, [], []
    for t, row in enumerate(y):
        if t:
            m, p = a @ m, a @ p @ a.T + q
        predicted.append((m, p))
        spread = h @ p @ h.T + r
        off, gain = row - h @ m, np.linalg.solve(spread, h @ p).T
        total -= 0.5 * (
            off @ np.linalg.solve(spread, off) + np.linalg.slogdet(2 * np.pi * spread)[1]
        )
        m, p = m + gain @ off, p - gain @ h @ p
        filtered.append((m, p))
    smoothed = [filtered[-1]]
    for (m, p), (ahead, wide) in zip(filtered[-2::-1], predicted[:0:-1], strict=True):
        back = np.linalg.solve(wide, a @ p).T
        later, later_p = smoothed[-1]
        smoothed.append((m + back @ (later - ahead), p + back @ (later_p - wide) @ back.T))
    means, covariances = (np.array(x) for x in zip(*filtered, strict=True))
    after, after_p = (np.array(x) for x in zip(*smoothed[::-1], strict=True))
    return Filtered(float(total), means, covariances, after, after_p)

"""Linear-Gaussian state-space models in matrices: the Kalman filter and the Rauch-Tung-Striebel
smoother, written down from the textbook (Särkkä, Bayesian Filtering and Smoothing, 2013)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Smoothed:
    """log p(y), and the mean (T, d) and covariance (T, d, d) of each state given all of y."""

    log_evidence: float
    mean: np.ndarray
    cov: np.ndarray


def smoothed(y, start, start_cov, move, drift, noise, see, offset, error) -> Smoothed:
    """x[0] ~ N(start, start_cov); x[t] = move x[t-1] + drift + N(0, noise), from t = 1 on;
    y[t] = see[t] x[t] + offset + N(0, error[t]), for y[1], …, y[T]. All but `y`, `see` and `error`
    are the same at each step."""
    m, p, total = np.asarray(start, float), np.asarray(start_cov, float), 0.0
    filtered, predicted = [], []
    for t, v in enumerate(y):
        m, p = move @ m + drift, move @ p @ move.T + noise
        predicted.append((m, p))
        h, r = np.atleast_2d(see[t]), np.atleast_2d(error[t])
        s = h @ p @ h.T + r
        gap = np.atleast_1d(v) - h @ m - offset
        total += stats.multivariate_normal(np.zeros(len(gap)), s).logpdf(gap)
        gain = p @ h.T @ np.linalg.inv(s)
        m, p = m + gain @ gap, p - gain @ s @ gain.T
        filtered.append((m, p))
    means, covs = [filtered[-1][0]], [filtered[-1][1]]
    for t in range(len(y) - 2, -1, -1):
        (m, p), (m1, p1) = filtered[t], predicted[t + 1]
        g = p @ move.T @ np.linalg.pinv(p1)
        means.append(m + g @ (means[-1] - m1))
        covs.append(p + g @ (covs[-1] - p1) @ g.T)
    return Smoothed(total, np.array(means[::-1]), np.array(covs[::-1]))

"""Expectations by zero-variance control variates: regression on functions of the score.

At draws u of a density π with score s = ∇ log π, and for a polynomial P, the function
ΔP(u) + ∇P(u) · s(u) has mean 0 under π. What is left of f after regression on such functions has
the same mean and less variance: none at all where π is Gaussian and f a polynomial of P's degree.

Mira, Solgi and Imparato, "Zero variance Markov chain Monte Carlo for Bayesian estimators" (2013).
The coefficients come from the same draws, so that the estimate has a bias of order 1 / draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Adjusted(NamedTuple):
    """mean (m,) of every function, and what the regression leaves of it at each draw (n, m)."""

    mean: np.ndarray
    residual: np.ndarray


def controls(u: np.ndarray, score: np.ndarray, degree: int) -> np.ndarray:
    """Functions of mean 0 at draws u (n, d) with these scores (n, d), as columns (n, k): those of
    all monomials of degree 1, k = d, or of degrees 1 and 2, k = d (d + 3) / 2."""
    if degree == 1:
        return score
    d = u.shape[1]
    i, j = np.triu_indices(d)
    pairs = u[:, i] * score[:, j] + u[:, j] * score[:, i] + 2.0 * (i == j)
    return np.concatenate([score, pairs], axis=1)


def adjusted(f: np.ndarray, control: np.ndarray, weights: np.ndarray) -> Adjusted:
    """Means of the columns of f (n, m) under weights that sum to 1 (n,), by weighted least squares
    on the controls (n, k) and a constant."""
    root = np.sqrt(weights)[:, None]
    scale = np.sqrt(weights @ control**2)
    design = np.column_stack([np.ones(len(f)), control / np.where(scale > 0, scale, 1.0)])
    level = weights @ f  # close to the answer, so that the constant is not lost in rounding
    coefficients, *_ = np.linalg.lstsq(root * design, root * (f - level), rcond=None)
    return Adjusted(level + coefficients[0], f - level - design @ coefficients)

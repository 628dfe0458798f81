"""Particle Gibbs, with and without ancestor sampling, and particle marginal Metropolis-Hastings
against the Kalman smoother: means, variances and covariances of successive states."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.convergence import convergence
from tests.oracles.kalman import smoothed

TARGET = ppl.compile("""
model linear(ys: [real]) {
  a ~ normal(0.5, 1)
  xs ~ scan x = a for y in ys {
    x ~ normal(0.9 * x - 0.2, 0.7)
    observe y ~ normal(x, 0.5)
    return x
  }
  return xs
}
""").linear
YS = [0.3, -0.2, 1.9, 1.4, 0.6]


def known():
    """E[f | ys] for a, the x's, their squares, and products of neighbours. The state is a pair of a
    number and the one before it, so that the smoother knows them together."""
    move, drift = np.array([[0.9, 0.0], [1.0, 0.0]]), np.array([-0.2, 0.0])
    noise, see = np.diag([0.49, 0.0]), np.array([[1.0, 0.0]])
    start, start_cov = np.array([0.5, 0.0]), np.diag([1.0, 0.0])
    of = smoothed(YS, start, start_cov, move, drift, noise, [see] * 5, 0.0, [0.25] * 5)
    mean = [of.mean[0][1], *of.mean[:, 0]]
    var = [of.cov[0][1, 1], *of.cov[:, 0, 0]]
    cross = of.cov[:, 0, 1] + of.mean[:, 0] * of.mean[:, 1]
    return np.concatenate([mean, np.square(mean) + var, cross])


@pytest.mark.parametrize(
    "method",
    [
        ppl.pgibbs(particles=10, chains=2, draws=3_000, warmup=20),
        ppl.pgibbs(particles=25, ancestor_sampling=False, chains=2, draws=3_000, warmup=20),
        ppl.pmmh(parameters="a", particles=10, chains=2, draws=3_000, warmup=300),
    ],
    ids=["ancestor sampling", "none", "pmmh"],
)
def test_states_are_as_the_kalman_smoother_says(method):
    """|z| of 17 numbers below 5: false alarms 1e-5 a method, had the seed been random. The standard
    errors are so small that an error of a third of a standard deviation would be seen."""
    found = ppl.infer(TARGET(ys=YS), method, seed=4, progress=False)
    x = np.concatenate([found["a"][..., None], found["xs"]], axis=-1)
    f = np.concatenate([x, x**2, x[..., 1:] * x[..., :-1]], axis=-1)
    error = f.std(axis=(0, 1)) / np.sqrt(convergence(f).ess_bulk)
    assert np.all(5 * error < f.std(axis=(0, 1)) / 3)
    assert np.all(np.abs(f.mean(axis=(0, 1)) - known()) < 5 * error)

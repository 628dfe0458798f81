"""A posterior over lines, by the normal equations of linear regression: the random function is
Gaussian everywhere. Logistic regression by quadrature on a grid."""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from scipy.stats import multivariate_normal, norm

from tests.known_answers.case import Case, traits

X = np.array([-1.0, 0.5, 1.0, 2.5, 3.0])
Y = np.array([-1.4, 0.9, 1.1, 4.2, 5.6])
NEW = 4.0


def line_given(x, y, *, prior, noise):
    """Mean and covariance of (a, b) for y ~ normal(a + b x, noise), and the evidence."""
    design, prior = np.stack([np.ones(len(x)), x], 1), np.diag(np.square(prior))
    cov = design @ prior @ design.T + noise**2 * np.eye(len(x))
    gain = prior @ design.T @ np.linalg.inv(cov)
    return gain @ y, prior - gain @ design @ prior, multivariate_normal(cov=cov).pdf(y)


MEAN, COV, EVIDENCE = line_given(X, Y, prior=(2.0, 1.5), noise=1.8)
AT_NEW = MEAN[0] + MEAN[1] * NEW
SQUARE_AT_NEW = AT_NEW**2 + np.array([1, NEW]) @ COV @ np.array([1, NEW])

DOSE, DIED = np.array([-1.5, -0.5, 0.2, 1.0, 2.0]), np.array([0, 0, 1, 0, 1])


def logistic():
    grid = np.linspace(-12, 12, 961)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    p = expit(a[..., None] + b[..., None] * DOSE)
    density = norm.pdf(a, 0, 1.5) * norm.pdf(b, 0, 1) * np.prod(np.where(DIED, p, 1 - p), -1)
    total = density.sum()
    means = [(density * v).sum() / total for v in (a, b, expit(a + b * 1.5))]
    return total * (grid[1] - grid[0]) ** 2, means


LOGISTIC_EVIDENCE, (A, B, RISK) = logistic()

CASES = (
    Case(
        name="a random line",
        source="""
model main(x: [real], y: [real]) {
  f ~ line()
  for (xi, yi) in zip(x, y) { observe yi ~ normal(f(xi), 1.8) }
  return f
}
fn line() -> measure[real -> real] {
  a ~ normal(0, 2)
  b ~ normal(0, 1.5)
  return fn (x) => a + b * x
}
""",
        data={"x": X, "y": Y},
        traits=traits("smooth gaussian"),
        evidence=EVIDENCE,
        means={
            "f(0)": (lambda f: f(0.0), MEAN[0]),
            "f(1) - f(0)": (lambda f: f(1.0) - f(0.0), MEAN[1]),
            "f(4)": (lambda f: f(NEW), AT_NEW),
            "f(4)^2": (lambda f: np.square(f(NEW)), SQUARE_AT_NEW),
        },
    ),
    Case(
        name="logistic regression",
        source="""
model main(dose: [real], died: [bool]) {
  a ~ normal(0, 1.5)
  b ~ normal(0, 1)
  observe died ~ bernoulli_logit(a + b * dose)
  return {a, b}
}
""",
        data={"dose": DOSE, "died": DIED.astype(bool)},
        traits=traits("smooth"),
        evidence=LOGISTIC_EVIDENCE,
        means={
            "a": (lambda r: r["a"], A),
            "b": (lambda r: r["b"], B),
            "risk": (lambda r: expit(r["a"] + r["b"] * 1.5), RISK),
        },
    ),
)

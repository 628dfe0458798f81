"""Posteriors over functions with a Poisson process of change points, from piece to piece constant or
linear (Vákár, Kammar and Staton, "A domain theory for statistical probabilistic programming", 2019).

Exact: the gap between two neighbouring points holds a change with probability 1 - exp(-rate · gap),
independently of the other gaps. Given which gaps do, the runs of points between changes are
independent, and each is Gaussian. The new point is one of the points, without an observation.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.stats import multivariate_normal

from tests.known_answers.case import Case, traits

X = np.array([0.0, 0.7, 1.1, 2.0])
Y = np.array([0.2, 0.6, 1.9, 2.3])
NEW, RATE, NOISE = 1.6, 0.8, 1.2


def posterior(kernel) -> tuple[float, float, float]:
    """The evidence, and E f(NEW) and E f(NEW)² given the data."""
    points = np.sort(np.append(X, NEW))
    seen = points != NEW
    change = 1 - np.exp(-RATE * np.diff(points))
    total = np.zeros(3)
    for pattern in product((False, True), repeat=len(change)):
        piece = np.concatenate([[0], np.cumsum(pattern)])
        cov = np.where(piece[:, None] == piece, kernel(points[:, None], points), 0.0)
        data = cov[np.ix_(seen, seen)] + NOISE**2 * np.eye(len(X))
        row = cov[~seen][:, seen] @ np.linalg.inv(data)
        mean = (row @ Y).item()
        square = mean**2 + (cov[~seen][:, ~seen] - row @ cov[~seen][:, seen].T).item()
        mass = np.prod(np.where(pattern, change, 1 - change)) * multivariate_normal(cov=data).pdf(Y)
        total += mass * np.array([1.0, mean, square])
    return total[0], total[1] / total[0], total[2] / total[0]


SOURCE = """
## The number of the piece that x lies in: how many gaps fit before it.
fn piece_of(gap: nat -> pos, k: nat, left: real) -> nat {{
  if left < gap(k) {{ k }} else {{ piece_of(gap, k + 1, left - gap(k)) }}
}}
fn piecewise(rate: pos) -> measure[real -> real] {{
  gap ~ mem(fn (k: nat) => exponential(rate))
{pieces}
}}
model main(x: [real], y: [real]) {{
  f ~ piecewise(0.8)
  for (xi, yi) in zip(x, y) {{ observe yi ~ normal(f(xi), 1.2) }}
  return f
}}
"""
CONSTANT = """  level ~ mem(fn (k: nat) => normal(0, 1.5))
  return fn (x) => level(piece_of(gap, 0, x))"""
LINEAR = """  level ~ mem(fn (k: nat) => normal(0, 1))
  slope ~ mem(fn (k: nat) => normal(0, 1))
  return fn (x) => {
    let k = piece_of(gap, 0, x)
    level(k) + slope(k) * x
  }"""


def case(name: str, pieces: str, kernel) -> Case:
    evidence, mean, square = posterior(kernel)
    return Case(
        name=name,
        source=SOURCE.format(pieces=pieces),
        data={"x": X, "y": Y},
        traits=traits("machine"),
        evidence=evidence,
        means={
            "f(1.6)": (lambda f: f(NEW), mean),
            "f(1.6)^2": (lambda f: np.square(f(NEW)), square),
        },
    )


CASES = (
    case("a piecewise constant function", CONSTANT, lambda s, t: 1.5**2 + 0 * s * t),
    case("a piecewise linear function", LINEAR, lambda s, t: 1 + s * t),
)

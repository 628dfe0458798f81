"""A continuous choice whose law depends on a discrete one: given the kind the model is Gaussian, so
the posterior is a mixture of three Gaussians by Bayes' rule."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from tests.known_answers.case import Case, traits

KINDS, CENTRE, SPREAD = (
    np.array([0.2, 0.5, 0.3]),
    np.array([-1.0, 0.5, 3.0]),
    np.array([1.0, 0.6, 2.0]),
)
SEEN, NOISE = 1.4, 1.1
TOTAL = SPREAD**2 + NOISE**2
MASS = KINDS * norm.pdf(SEEN, CENTRE, np.sqrt(TOTAL))
MEANS = CENTRE + SPREAD**2 / TOTAL * (SEEN - CENTRE)
POSTERIOR = MASS / MASS.sum()

CASES = (
    Case(
        name="a mean of unknown kind",
        source="""
model main(seen: real) {
  kind ~ categorical([0.2, 0.5, 0.3])
  x ~ normal([-1, 0.5, 3][kind], [1, 0.6, 2][kind])
  observe seen ~ normal(x, 1.1)
  return {kind, x}
}
""",
        data={"seen": SEEN},
        traits=traits("smooth"),
        evidence=MASS.sum(),
        means={
            "x": (lambda r: r["x"], POSTERIOR @ MEANS),
            "kind 1": (lambda r: r["kind"] == 1, POSTERIOR[1]),
            "x of kind 2": (lambda r: r["x"] * (r["kind"] == 2), POSTERIOR[2] * MEANS[2]),
        },
    ),
)

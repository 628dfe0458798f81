"""A normal of unknown precision: Gamma(a, b) becomes Gamma(a + n/2, b + Σ y²/2), and the evidence is
the ratio of their normalisers times (2π)^(-n/2)."""

from __future__ import annotations

import math

from tests.known_answers.case import Case, traits

Y = [0.3, -1.7, 0.8, 2.1]
A, B = 2.5, 1.5
SHAPE, RATE = A + len(Y) / 2, B + sum(y * y for y in Y) / 2
CASES = (
    Case(
        name="a gamma precision",
        source="""
model main(y: [real]) {
  precision ~ gamma(2.5, 1.5)
  observe y ~ normal(0, 1 / sqrt(precision))
  return precision
}
""",
        data={"y": Y},
        traits=traits("smooth"),
        evidence=math.exp(
            A * math.log(B)
            - math.lgamma(A)
            + math.lgamma(SHAPE)
            - SHAPE * math.log(RATE)
            - len(Y) / 2 * math.log(2 * math.pi)
        ),
        means={
            "precision": (lambda p: p, SHAPE / RATE),
            "1/precision": (lambda p: 1 / p, RATE / (SHAPE - 1)),
        },
    ),
)

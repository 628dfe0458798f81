"""Beta-Bernoulli: after h heads and t tails Beta(a, b) is Beta(a + h, b + t), and the evidence is
B(a + h, b + t) / B(a, b)."""

from __future__ import annotations

import math
from fractions import Fraction as F

from tests.known_answers.case import Case, traits

TOSSES = [True, True, False, True, False, True, True]
A, B = 2, 3
HEADS, TAILS = sum(TOSSES), len(TOSSES) - sum(TOSSES)


def beta_function(a: int, b: int) -> F:
    return F(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))


N = A + B + len(TOSSES)
MEAN = F(A + HEADS, N)
CASES = (
    Case(
        name="a coin of unknown bias",
        source="""
model main(tosses: [bool]) {
  p ~ beta(2, 3)
  for t in tosses { observe t ~ bernoulli(p) }
  return p
}
""",
        data={"tosses": TOSSES},
        traits=traits("smooth"),
        evidence=beta_function(A + HEADS, B + TAILS) / beta_function(A, B),
        means={
            "p": (lambda p: p, MEAN),
            "p^2": (lambda p: p**2, MEAN * F(A + HEADS + 1, N + 1)),
        },
    ),
)

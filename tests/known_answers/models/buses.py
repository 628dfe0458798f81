"""Is it a weekend, when four buses came in an hour? (Staton, "Commutative semantics for
probabilistic programming", 2017.) Two terms of Bayes' rule."""

from __future__ import annotations

import math

from tests.known_answers.case import Case, normalised, traits


def poisson(k: int, rate: float) -> float:
    return math.exp(-rate) * rate**k / math.factorial(k)


LAW, EVIDENCE = normalised([(True, 2 / 7 * poisson(4, 3)), (False, 5 / 7 * poisson(4, 10))])
CASES = (
    Case(
        name="bus arrivals",
        source="""
model main(buses: nat) {
  weekend ~ bernoulli(2/7)
  let rate = if weekend { 3 } else { 10 }
  observe buses ~ poisson(rate)
  return weekend
}
""",
        data={"buses": 4},
        traits=traits("finite summed"),
        law=LAW,
        evidence=EVIDENCE,
    ),
)

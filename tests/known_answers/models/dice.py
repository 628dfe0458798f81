"""Two dice given their sum, by enumeration; one of them is loaded."""

from __future__ import annotations

from fractions import Fraction as F

from tests.known_answers.case import Case, normalised, traits

LOADED = [F(1, 21) * k for k in range(1, 7)]
LAW, EVIDENCE = normalised(
    ((a, b), F(1, 6) * LOADED[b - 1]) for a in range(1, 7) for b in range(1, 7) if a + b == 9
)
CASES = (
    Case(
        name="two dice given their sum",
        source="""
model main(total: nat) {
  a ~ discrete_uniform(1, 6)
  b ~ categorical([1/21, 2/21, 3/21, 4/21, 5/21, 6/21])
  condition a + b + 1 == total
  return (a, b + 1)
}
""",
        data={"total": 9},
        traits=traits("finite rational"),
        law=LAW,
        evidence=EVIDENCE,
    ),
)

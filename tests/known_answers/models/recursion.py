"""Recursion and loops of random length."""

from __future__ import annotations

import math
from fractions import Fraction as F

from tests.known_answers.case import Case, normalised, traits

HEADS, _ = normalised(
    (k, F(math.comb(n, k), 3) * F(1, 4) ** k * F(3, 4) ** (n - k))
    for n in (1, 2, 3)
    for k in range(n + 1)
)


def walks(at: int = 0, steps: int = 0, mass: F = F(1)):
    """From 0 to 3 by steps of 1 or 2, each of which halves the mass."""
    if at >= 3:
        yield steps, mass
        return
    for step, p in ((1, F(3, 4)), (2, F(1, 4))):
        yield from walks(at + step, steps + 1, mass * p / 2)


WALKS, WALK_EVIDENCE = normalised(walks())

CASES = (
    Case(
        name="trials until a success, recursively",
        source="""
fn trials(p: prob) -> measure[nat] {
  x ~ bernoulli(p)
  if x { return 0 } else { n ~ trials(p); return n + 1 }
}
model main() { trials(0.3) }
""",
        traits=traits("machine"),
        evidence=1.0,
        law={k: 0.3 * 0.7**k for k in range(200)},
        means={"n": (lambda n: n, 0.7 / 0.3)},
    ),
    Case(
        name="a loop of random length",
        source="""
model main() {
  n ~ discrete_uniform(1, 3)
  xs ~ for i in range(n as nat) { bernoulli(0.25) }
  return count(xs)
}
""",
        traits=traits("finite rational machine"),
        evidence=F(1),
        law=HEADS,
    ),
    Case(
        name="a walk scored at every step",
        source="""
fn walk(at: nat) -> measure[nat] {
  if at >= 3 { return 0 } else {
    two ~ bernoulli(0.25)
    factor log(0.5)
    checkpoint
    n ~ walk(at + (if two { 2 } else { 1 }))
    return n + 1
  }
}
model main() { walk(0) }
""",
        traits=traits("finite rational machine"),
        evidence=WALK_EVIDENCE,
        law=WALKS,
    ),
)

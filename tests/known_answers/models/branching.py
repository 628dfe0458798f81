"""A latent count whose rate is found by a recursive function (Wood, van de Meent and Mansinghka, "A new
approach to probabilistic programming inference", 2014). Two sums, over r and over the extra draw."""

from __future__ import annotations

import math

from tests.known_answers.case import Case, normalised, traits


def poisson(k: int, rate: float) -> float:
    return math.exp(k * math.log(rate) - rate - math.lgamma(k + 1)) if rate > 0 else float(k == 0)


FIBS = [0, 1]
while len(FIBS) < 13:
    FIBS.append(FIBS[-1] + FIBS[-2])


def likelihood(r: int) -> float:
    if r > 4:
        return poisson(6, 6)
    return sum(poisson(k, 4) * poisson(6, FIBS[3 * r] + k) for k in range(150))


LAW, EVIDENCE = normalised((r, poisson(r, 4) * likelihood(r)) for r in range(60))
MEAN = sum(r * p for r, p in LAW.items())
assert abs(math.log(EVIDENCE) + 2.586107) < 1e-6 and abs(MEAN - 5.088364) < 1e-6, "as published"

CASES = (
    Case(
        name="branching",
        source="""
fn fib(n: nat) -> nat { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }
model main(y: nat) {
  r ~ poisson(4)
  l ~ if r > 4 { return 6 } else { k ~ poisson(4); return fib(3 * r) + k }
  observe y ~ poisson(l)
  return r
}
""",
        data={"y": 6},
        traits=traits("machine"),
        law=LAW,
        evidence=EVIDENCE,
        means={"r": (lambda r: r, MEAN)},
    ),
)

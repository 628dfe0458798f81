"""A population that is counted several times; its size has a law without a bound, cut at both ends."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import stats

from tests.known_answers.case import Case, normalised, traits

SEEN = [3, 4, 2]
RESIDENTS, VISITORS = range(2, 10), range(5)
CUT = stats.poisson.cdf(9, 6.5) - stats.poisson.cdf(1, 6.5), 1 - 0.7**5


def mass(n: int, k: int) -> float:
    prior = stats.poisson.pmf(n, 6.5) * 0.3 * 0.7**k / np.prod(CUT)
    return float(prior * np.prod(stats.binom.pmf(SEEN, n + k, 0.4)))


LAW, EVIDENCE = normalised(((n, k), mass(n, k)) for n, k in product(RESIDENTS, VISITORS))
CASES = (
    Case(
        name="capture and recapture",
        source="""
model main(seen: [nat]) {
  n ~ truncate(poisson(6.5), 2, 9)
  k ~ truncate(geometric(0.3), upper=4)
  for v in seen { observe v ~ binomial(n + k, 0.4) }
  return (n, k)
}
""",
        data={"seen": SEEN},
        traits=traits("finite summed"),
        law=LAW,
        evidence=EVIDENCE,
    ),
)

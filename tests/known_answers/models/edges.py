"""Models at the edge: nothing random, nothing to loop over, a single element, a single possibility."""

from __future__ import annotations

import math
from fractions import Fraction as F

from scipy.stats import norm

from tests.known_answers.case import Case, traits

#: everything there is to do with an array, besides a draw that makes the posterior no point mass
NONE = """
model main(ys: [real], ks: [nat]) {
  plate ~ for y in ys { z ~ bernoulli(0.3); observe y ~ normal(indicator(z), 1); return z }
  states ~ scan z = 1 for y in ys {
    z ~ categorical([0.3, 0.7])
    observe y ~ normal(z, 1)
    return z
  }
  last ~ fold z = 2 for y in ys { z ~ categorical([0.3, 0.7]); return z }
  let sums = fold s = 0 for k in ks { s + k }
  let steps = scan s = 5 for k in ks { s + k }
  observe ys ~ normal(0, 1)
  tosses ~ iid(len(ks), bernoulli(0.5))
  x ~ categorical([0.2, 0.5, 0.3])
  return {x, sizes: [len(plate), len(states), len(steps), len(tosses), sum(ks), sums, last,
                     len([k + x for k in ks]), prod(ks)]}
}
"""
SIZES = (0, 0, 0, 0, 0, 0, 2, 0, 1)
#: the same loops under a gradient method
NONE_SMOOTH = """
model main(ys: [real]) {
  a ~ normal(1, 2)
  plate ~ for y in ys { t ~ normal(a, 1); observe y ~ normal(t, 1); return t }
  states ~ scan z = 1 for y in ys {
    z ~ categorical([0.3, 0.7])
    observe y ~ normal(z, 1)
    return z
  }
  walk ~ scan h = a for y in ys { h ~ normal(h, 1); return h }
  observe ys ~ normal(a, 1)
  observe 0.4 ~ normal(a, 1)
  return {a, size: len(plate) + len(states) + len(walk)}
}
"""
ONE = [0.4]
P1 = 0.3 * norm.pdf(0.4, 1, 1) / (0.3 * norm.pdf(0.4, 1, 1) + 0.7 * norm.pdf(0.4, 0, 1))

CASES = (
    Case(
        name="nothing random",
        source="model main() { return (3, {a: [true, false]}) }",
        traits=traits("finite rational summed"),
        evidence=F(1),
        law={(3, (("a", (True, False)),)): F(1)},
    ),
    Case(
        name="nothing but observations",
        source="model main(ys: [bool]) { observe ys ~ bernoulli(0.25); return 2 }",
        data={"ys": [True, False, False]},
        traits=traits("finite rational summed"),
        evidence=F(9, 64),
        law={2: F(1)},
    ),
    Case(
        name="no elements",
        source=NONE,
        data={"ys": [], "ks": []},
        traits=traits("finite rational"),
        evidence=F(1),
        law={(("sizes", SIZES), ("x", x)): p for x, p in enumerate((F(1, 5), F(1, 2), F(3, 10)))},
    ),
    Case(
        name="no elements to move",
        source=NONE_SMOOTH,
        data={"ys": []},
        traits=traits("gaussian"),
        evidence=norm.pdf(0.4, 1, math.sqrt(5)),
        means={"a": (lambda r: r["a"], (1 + 4 * 0.4) / 5)},
    ),
    Case(
        name="one element",
        source="""
model main(ys: [real]) {
  zs ~ for y in ys { z ~ bernoulli(0.3); observe y ~ normal(indicator(z), 1); return z }
  states ~ scan s = 2 for y in ys { s ~ categorical([0.3, 0.7]); return s }
  return (zs, states)
}
""",
        data={"ys": ONE},
        traits=traits("finite summed"),
        evidence=0.3 * norm.pdf(0.4, 1, 1) + 0.7 * norm.pdf(0.4, 0, 1),
        law={
            ((z,), (s,)): (P1 if z else 1 - P1) * q
            for z in (False, True)
            for s, q in enumerate((0.3, 0.7))
        },
    ),
    Case(
        name="one possibility",
        source="""
model main() {
  a ~ categorical([1])
  b ~ categorical([0, 1, 0])
  c ~ bernoulli(1)
  d ~ discrete_uniform(2, 2)
  e ~ categorical([0.2, 0.3, 0.5])
  condition e == 1
  return (a, b, c, d, e)
}
""",
        traits=traits("finite rational"),
        evidence=F(3, 10),
        law={(0, 1, True, 2, 1): F(1)},
    ),
)

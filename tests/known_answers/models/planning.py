"""Distributions asked for their values: what an agent expects of its acts, and of its later self
(Evans, Stuhlmüller, Salvatier and Filan, *Modeling agents with probabilistic programs*, 2017), and
densities as numbers. The agent by recursion over its decision process; the densities in fractions.
"""

from __future__ import annotations

from fractions import Fraction as F
from math import comb, exp, log

from tests.known_answers.case import Case, normalised, traits

AGENT = """
## One step to the left or right, which fails now and then; a prize lies at 3.
fn value(at: int, a: int, left: nat) -> real {
  let now = if at == 3 { 1.5 } else { 0 }
  if left == 0 { now } else {
    let later = normalize({
      moves ~ bernoulli(0.8)
      let to = if moves { at + a } else { at }
      b ~ act(to, left - 1)
      return (to, b)
    }, exact)
    now + expectation(later, fn (v: (int, int)) => value(v.0, v.1, left - 1))
  }
}
fn act(at: int, left: nat) -> dist[int] {
  normalize({
    right ~ bernoulli(0.4)
    let a = if right { 1 } else { -1 }
    factor 2 * value(at, a, left)
    return a
  }, exact)
}
model main(at: int, left: nat) { a ~ act(at, left); return {a, lp: log_prob(act(at, left), a)} }
"""


def value(at, a, left):
    now = 1.5 if at == 3 else 0.0
    if left == 0:
        return now
    later = 0.0
    for to, p in ((at + a, 0.8), (at, 0.2)):
        later += sum(p * q * value(to, b, left - 1) for b, q in act(to, left - 1).items())
    return now + later


def act(at, left):
    return normalised((a, p * exp(2 * value(at, a, left))) for a, p in ((1, 0.4), (-1, 0.6)))[0]


ACT = act(1, 3)
assert ACT[1] > 0.6 > ACT[-1], "it goes where the prize is"

MIXED, EVIDENCE = normalised(
    (x, F(1 + x, 6) * comb(3, 2) * F(1 + x, 5) ** 2 * F(4 - x, 5) * (F(9, 10) if x else F(3, 10)))
    for x in range(3)
)

CASES = (
    Case(
        name="an agent that plans",
        source=AGENT,
        data={"at": 1, "left": 3},
        traits=traits("finite machine"),
        means={
            "goes right": (lambda r: r["a"] == 1, ACT[1]),
            "entropy": (lambda r: -r["lp"], -sum(p * log(p) for p in ACT.values())),
        },
        evidence=1.0,
    ),
    Case(
        name="densities as values",
        source="""
        model main() {
          x ~ categorical([1/6, 2/6, 3/6])
          let d = if x == 0 { bernoulli(3/10) } else { bernoulli(9/10) }
          factor log_prob(binomial(3, (1 + x) / 5), 2)
          factor log_prob(d, true)
          return x
        }
        """,
        traits=traits("finite rational summed"),
        law=MIXED,
        evidence=EVIDENCE,
    ),
)

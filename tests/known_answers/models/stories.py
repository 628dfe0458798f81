"""Classics of the literature on agents, contests and contagion, each with its answer by brute force.

Two people who meet by guessing where the other goes (Stuhlmüller and Goodman, *Reasoning about
reasoning by nested conditioning*, 2014) have a closed form: every level multiplies by the prior once
more. The tug of war of Church's tutorial (Goodman and Tenenbaum, *Probabilistic models of
cognition*) is summed over all strengths and all laziness, the epidemic over its paths, in fractions.
"""

from __future__ import annotations

import itertools
from fractions import Fraction as F
from math import comb

from tests.known_answers.case import Case, normalised, traits

MEETING = """
fn place() { b ~ bernoulli(0.55); return b }
fn alice(depth: nat) -> dist[bool] {
  normalize({ a ~ place(); b ~ bob(depth - 1); condition a == b; return a })
}
fn bob(depth: nat) -> dist[bool] {
  normalize({
    b ~ place()
    if depth > 0 { a ~ alice(depth); condition a == b }
    return b
  })
}
model main() { a ~ alice(10); return a }
"""
MET, _ = normalised((b, F(p, 100) ** 20) for b, p in ((True, 55), (False, 45)))

TUG = """
## Strong people win, but for their being lazy in a match; `results` are of (winner, loser).
model main(results: [(text, text)]) {
  strength ~ mem(fn (who: text) => categorical([0.2, 0.5, 0.3]))
  for (winner, loser) in results {
    a ~ bernoulli(1 / 3)
    b ~ bernoulli(1 / 4)
    condition effort(strength(winner), a) > effort(strength(loser), b)
  }
  return (strength("bob"), strength("sue"))
}
fn effort(strength: nat, lazy_now: bool) { if lazy_now { strength / 2 } else { strength } }
"""
RESULTS = [("bob", "mary"), ("bob", "sue")]


def contests():
    """(strengths of bob and sue, mass), over all strengths and all laziness."""
    prior = (F(1, 5), F(1, 2), F(3, 10))
    names = ("bob", "mary", "sue")
    for strengths in itertools.product(range(3), repeat=3):
        of: dict[str, int] = dict(zip(names, strengths, strict=True))
        mass = F(1)
        for s in strengths:
            mass *= prior[s]
        for winner, loser in RESULTS:
            mass *= sum(
                p * q
                for x, p in ((F(of[winner], 2), F(1, 3)), (F(of[winner]), F(2, 3)))
                for y, q in ((F(of[loser], 2), F(1, 4)), (F(of[loser]), F(3, 4)))
                if x > y
            )
        yield (of["bob"], of["sue"]), mass


STRONG, WON = normalised(contests())

EPIDEMIC = """
## Of four people one is ill; every day some fall ill and some get well, half of the ill are seen.
model main(seen: [nat]) {
  contagion ~ categorical([0.3, 0.4, 0.3])
  let p = [1 / 10, 3 / 10, 6 / 10][contagion]
  days ~ scan (well, ill) = (3, 1) for n in seen {
    fall ~ binomial(well, 1 - (1 - p)^ill)
    recover ~ binomial(ill, 2 / 5)
    let now = (ill + fall - recover) as nat
    observe n ~ binomial(now, 1 / 2)
    return ((well - fall) as nat, now)
  }
  return (contagion, days[-1].1)
}
"""
SEEN = [1, 2, 1]


def binomial(n, p, k):
    return comb(n, k) * p**k * (1 - p) ** (n - k) if 0 <= k <= n else F(0)


def outbreaks():
    """((contagion, how many are ill in the end), mass), over all paths."""
    for c, (prior, p) in enumerate(zip((3, 4, 3), (1, 3, 6), strict=True)):
        states = {(3, 1): F(prior, 10)}
        for n in SEEN:
            after = {}
            for (well, ill), mass in states.items():
                for fall, recover in itertools.product(range(well + 1), range(ill + 1)):
                    m = mass * binomial(well, 1 - F(10 - p, 10) ** ill, fall)
                    m *= binomial(ill, F(2, 5), recover)
                    now = ill + fall - recover
                    key = (well - fall, now)
                    after[key] = after.get(key, 0) + m * binomial(now, F(1, 2), n)
            states = after
        yield from (((c, ill), mass) for (_, ill), mass in states.items())


SPREAD, NOTICED = normalised(outbreaks())

CASES = (
    Case(
        name="two who want to meet",
        source=MEETING,
        traits=traits("finite rational machine"),
        law=MET,
        evidence=F(1),
    ),
    Case(
        name="tug of war",
        source=TUG,
        data={"results": RESULTS},
        traits=traits("finite rational machine"),
        law=STRONG,
        evidence=WON,
    ),
    Case(
        name="an epidemic",
        source=EPIDEMIC,
        data={"seen": SEEN},
        traits=traits("finite rational"),
        law=SPREAD,
        evidence=NOTICED,
    ),
)

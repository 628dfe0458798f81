"""Infinite random objects of which finitely much is asked: memoised functions, lists, Poisson
processes."""

from __future__ import annotations

import math
from fractions import Fraction as F
from itertools import product

from tests.known_answers.case import Case, normalised, traits

FIRST, _ = normalised(
    ((sum(bits), sum(bits[:2])), math.prod(F(1, 4) if b else F(3, 4) for b in bits))
    for bits in product((0, 1), repeat=3)
)
RATE, END, SEEN = 1.5, 2.0, 2
ARRIVALS, ARRIVED = normalised(
    (
        n,
        math.exp(-RATE * END)
        * (RATE * END) ** n
        / math.factorial(n)
        * math.comb(n, SEEN)
        * 0.6**SEEN
        * 0.4 ** (n - SEEN),
    )
    for n in range(SEEN, 80)
)

CASES = (
    Case(
        name="memoised flips",
        source="""
model main() {
  f ~ mem(fn (k: nat) => bernoulli(0.5))
  return indicator(f(3)) + indicator(f(7)) + 3 * indicator(f(3) != f(3))
}
""",
        traits=traits("finite rational machine"),
        evidence=F(1),
        law={0: F(1, 4), 1: F(1, 2), 2: F(1, 4)},
    ),
    Case(
        name="the first elements of an infinite list",
        source="""
type stream = More(nat, stream)
fn coins(k: nat) -> measure[stream] {
  x ~ bernoulli(0.25)
  rest ~ lazy(coins(k + 1))
  return More(indicator(x), rest)
}
fn take(s: stream, n: nat) -> nat {
  match s { More(x, rest) => if n == 0 { 0 } else { x + take(rest, n - 1) } }
}
model main() { s ~ coins(0); return (take(s, 3), take(s, 2)) }
""",
        traits=traits("finite rational machine"),
        evidence=F(1),
        law=FIRST,
    ),
    # the number of arrivals until time t is Poisson, and each is seen with probability 0.6
    Case(
        name="a Poisson process drawn lazily",
        source="""
type arrivals = Next(real, arrivals)
fn process(rate: pos, from_: real) -> measure[arrivals] {
  gap ~ exponential(rate)
  rest ~ lazy(process(rate, from_ + gap))
  return Next(from_ + gap, rest)
}
fn number(s: arrivals, end: real) -> nat {
  match s { Next(t, rest) => if t > end { 0 } else { 1 + number(rest, end) } }
}
model main(seen: nat) {
  s ~ process(1.5, 0)
  let n = number(s, 2)
  observe seen ~ binomial(n, 0.6)
  return n
}
""",
        data={"seen": SEEN},
        traits=traits("machine"),
        law=ARRIVALS,
        evidence=ARRIVED,
        means={"n": (lambda n: n, SEEN + RATE * END * 0.4)},
    ),
)
assert abs(sum(n * p for n, p in ARRIVALS.items()) - (SEEN + RATE * END * 0.4)) < 1e-12

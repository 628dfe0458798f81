"""Program induction: which expression gave these outputs? By listing the expressions."""

from __future__ import annotations

import math
from fractions import Fraction as F

from tests.known_answers.case import Case, normalised, traits

SOURCE = """
type expr = Num(nat) | X | Add(expr, expr) | Mul(expr, expr)
fn random(depth: nat) -> measure[expr] {
  kind ~ categorical(if depth == 0 { [0.5, 0.5, 0, 0] } else { [0.3, 0.3, 0.25, 0.15] })
  match kind {
    0 => { n ~ categorical([0.4, 0.6]); return Num(n) }
    1 => return X
    2 => { l ~ random(depth - 1); r ~ random(depth - 1); return Add(l, r) }
    _ => { l ~ random(depth - 1); r ~ random(depth - 1); return Mul(l, r) }
  }
}
fn value(e: expr, x: nat) -> nat {
  match e {
    Num(n) => n
    X => x
    Add(l, r) => value(l, x) + value(r, x)
    Mul(l, r) => value(l, x) * value(r, x)
  }
}
model main(xs: [nat], ys: [nat], new: nat) {
  e ~ random(2)
  for (x, y) in zip(xs, ys) { observe y ~ binomial(value(e, x) + 1, 0.75) }
  return value(e, new)
}
"""
XS, YS, NEW = (1, 2, 3), (2, 4, 5), 7


def expressions(depth: int):
    """(values at XS and NEW, probability)."""
    points = (*XS, NEW)
    leaf = (F(3, 10), F(3, 10)) if depth else (F(1, 2), F(1, 2))
    for n, p in enumerate((F(2, 5), F(3, 5))):
        yield (n,) * len(points), leaf[0] * p
    yield points, leaf[1]
    if depth:
        below, _ = normalised(expressions(depth - 1))
        for a, p in below.items():
            for b, q in below.items():
                yield tuple(x + y for x, y in zip(a, b, strict=True)), F(1, 4) * p * q
                yield tuple(x * y for x, y in zip(a, b, strict=True)), F(3, 20) * p * q


def binomial(k: int, n: int) -> F:
    return math.comb(n, k) * F(3, 4) ** k * F(1, 4) ** (n - k) if k <= n else F(0)


def joint():
    for values, p in expressions(2):
        for y, v in zip(YS, values, strict=False):
            p *= binomial(y, v + 1)
        yield values[-1], p


LAW, EVIDENCE = normalised(joint())

CASES = (
    Case(
        name="program induction",
        source=SOURCE,
        data={"xs": XS, "ys": YS, "new": NEW},
        traits=traits("finite rational machine"),
        law=LAW,
        evidence=EVIDENCE,
    ),
)

"""Dirichlet processes, Chinese restaurants and relations: sums over partitions.

The mass of a partition into blocks of sizes n_k is α^K Π (n_k - 1)! / (α (α + 1) … (α + n - 1))
(Antoniak, 1974); given it, the data of blocks are independent and conjugate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction as F
from itertools import product

import numpy as np
from scipy.stats import multivariate_normal

from tests.known_answers.case import Case, normalised, traits


def partitions(n: int) -> Iterator[tuple[int, ...]]:
    """Labels of n elements, numbered as they first occur."""
    for labels in product(range(n), repeat=n):
        if all(k <= max((-1, *labels[:i])) + 1 for i, k in enumerate(labels)):
            yield labels


def mass(labels: tuple[int, ...], alpha):
    sizes = [labels.count(k) for k in set(labels)]
    ordered = math.prod(math.factorial(s - 1) for s in sizes)
    return alpha ** len(sizes) * ordered / math.prod(alpha + i for i in range(len(labels)))


assert sum(mass(z, F(3, 2)) for z in partitions(4)) == 1

STICKS = """
fn pick(stick: nat -> prob, k: nat) -> measure[nat] {
  stop ~ bernoulli(stick(k))
  if stop { return k } else { pick(stick, k + 1) }
}
"""
#: a restaurant in which every seating is remembered: tables by customer
RESTAURANT = """
fn seat(tables: [nat], alpha: pos, n: nat) -> measure[[nat]] {
  if n == 0 { return tables } else {
    let open = max(tables) + 1
    let sizes = [1.0 * count([t == k for t in tables]) for k in range(open)]
    t ~ categorical([w / (len(tables) + alpha) for w in concat(sizes, [alpha])])
    seat(concat(tables, [t]), alpha, n - 1)
  }
}
"""
TABLES, _ = normalised((max(z) + 1, mass(z, F(3, 2))) for z in partitions(6))
assert sum(k * p for k, p in TABLES.items()) == sum(F(3, 2) / (F(3, 2) + i) for i in range(6))

POINTS = np.array([-1.3, 0.4, 2.1, -0.8])


def mixture():
    """Centres normal(0, 2), noise 1.4."""
    for z in partitions(len(POINTS)):
        same = np.array(z)[:, None] == np.array(z)
        cov = 4.0 * same + 1.4**2 * np.eye(len(POINTS))
        yield z, mass(z, 1.5) * multivariate_normal(cov=cov).pdf(POINTS)


MIXTURE, MIXTURE_EVIDENCE = normalised(mixture())

#: who of three people likes whom
LIKES = [[True, True, False], [True, False, False], [False, False, True]]


def relation():
    """Each pair of kinds has its own Beta(1, 2) rate of likings."""
    for z in partitions(3):
        like = F(1)
        for a, b in product(set(z), repeat=2):
            told = [LIKES[i][j] for i in range(3) for j in range(3) if (z[i], z[j]) == (a, b)]
            h, t = sum(told), len(told) - sum(told)
            like *= F(2 * math.factorial(h) * math.factorial(t + 1), math.factorial(h + t + 2))
        yield z, mass(z, F(1)) * like


RELATION, RELATION_EVIDENCE = normalised(relation())

CASES = (
    Case(
        name="two draws of a Dirichlet process share their atom",
        source=STICKS
        + """
model main(alpha: pos) {
  stick ~ mem(fn (k: nat) => beta(1, alpha))
  atom ~ mem(fn (k: nat) => normal(0, 1))
  a ~ pick(stick, 0)
  b ~ pick(stick, 0)
  return atom(a) == atom(b)
}
""",
        data={"alpha": 2.5},
        traits=traits("machine"),
        evidence=1.0,
        law={True: 1 / 3.5, False: 2.5 / 3.5},
    ),
    Case(
        name="tables of a Chinese restaurant",
        source=RESTAURANT
        + "model main(alpha: pos) { z ~ seat([0], alpha, 5); return max(z) + 1 }\n",
        data={"alpha": 1.5},
        traits=traits("finite rational machine"),
        evidence=F(1),
        law=TABLES,
    ),
    Case(
        name="a Chinese restaurant mixture",
        source=RESTAURANT
        + """
model main(y: [real]) {
  z ~ seat([0], 1.5, len(y) - 1)
  centre ~ mem(fn (k: nat) => normal(0, 2))
  for (v, k) in zip(y, z) { observe v ~ normal(centre(k), 1.4) }
  return z
}
""",
        data={"y": POINTS},
        traits=traits("machine"),
        evidence=MIXTURE_EVIDENCE,
        law=MIXTURE,
    ),
    Case(
        name="an infinite relational model",
        source=STICKS
        + """
model main(likes: [[bool]]) {
  stick ~ mem(fn (k: nat) => beta(1, 1))
  kind ~ mem(fn (i: nat) => pick(stick, 0))
  rate ~ mem(fn (kinds: (nat, nat)) => beta(1, 2))
  for (i, row) in enumerate(likes) {
    for (j, told) in enumerate(row) { observe told ~ bernoulli(rate((kind(i), kind(j)))) }
  }
  return (kind(0) == kind(1), kind(0) == kind(2), kind(1) == kind(2))
}
""",
        data={"likes": LIKES},
        traits=traits("machine"),
        evidence=float(RELATION_EVIDENCE),
        law={(z[0] == z[1], z[0] == z[2], z[1] == z[2]): float(p) for z, p in RELATION.items()},
    ),
)

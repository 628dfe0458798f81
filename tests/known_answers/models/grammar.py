"""Prefix probabilities of a probabilistic context-free grammar: the words do not depend on the
tree's shape, and the law of the number of words is a recursion over depths."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction as F

from tests.known_answers.case import Case, normalised, traits

SOURCE = """
type tree = Leaf(nat) | Node(tree, tree)
fn sentence(p: prob, q: prob, depth: nat) -> measure[tree] {
  split ~ bernoulli(p)
  if split and depth > 0 {
    l ~ sentence(p, q, depth - 1)
    r ~ sentence(p, q, depth - 1)
    return Node(l, r)
  } else { w ~ bernoulli(q); return Leaf(indicator(w)) }
}
fn first(t: tree) -> nat { match t { Leaf(w) => w, Node(l, _) => first(l) } }
fn size(t: tree) -> nat { match t { Leaf(_) => 1, Node(l, r) => size(l) + size(r) } }
model main(word: nat) {
  t ~ sentence(0.4, 0.3, 2)
  condition first(t) == word
  return size(t)
}
"""


def sizes(depth: int) -> dict[int, F]:
    """The law of the number of words."""
    if depth == 0:
        return {1: F(1)}
    out: defaultdict[int, F] = defaultdict(F)
    out[1] += F(3, 5)
    for a, p in sizes(depth - 1).items():
        for b, q in sizes(depth - 1).items():
            out[a + b] += F(2, 5) * p * q
    return dict(out)


LAW, EVIDENCE = normalised((n, F(3, 10) * p) for n, p in sizes(2).items())

CASES = (
    Case(
        name="the first word of a sentence",
        source=SOURCE,
        data={"word": 1},
        traits=traits("finite rational machine"),
        law=LAW,
        evidence=EVIDENCE,
    ),
)

"""Rational speech acts: "some" is taken to mean "not all" (Goodman and Stuhlmüller, "Knowledge and
implicature", 2013). Bayes' rule at every level, in fractions: a matrix of utterances and states is
normalised by rows (listeners) and columns (speakers) in turn."""

from __future__ import annotations

from fractions import Fraction as F

from tests.known_answers.case import Case, normalised, traits

SOURCE = """
## States 0 to 3 of three objects; the utterances none, some, all.
fn meaning(u: nat, s: nat) -> bool {
  match u { 0 => s == 0, 1 => s > 0, _ => s == 3 }
}
fn state() { categorical([0.25, 0.25, 0.25, 0.25]) }
fn listener0(u: nat) -> dist[nat] {
  normalize({ s ~ state(); condition meaning(u, s); return s }, exact)
}
fn speaker1(s: nat) -> dist[nat] {
  normalize({ u ~ categorical([1/3, 1/3, 1/3]); observe s ~ listener0(u); return u }, exact)
}
fn listener1(u: nat) -> dist[nat] {
  normalize({ s ~ state(); observe u ~ speaker1(s); return s }, exact)
}
fn speaker2(s: nat) -> dist[nat] {
  normalize({ u ~ categorical([0.5, 0.2, 0.3]); observe s ~ listener1(u); return u }, exact)
}
"""
MEANING = [[s == 0 for s in range(4)], [s > 0 for s in range(4)], [s == 3 for s in range(4)]]


def listener(says):
    """P(s | u) by Bayes from P(u | s)."""
    return [[F(says[u][s]) / sum(map(F, says[u])) for s in range(4)] for u in range(3)]


def speaker(hears, prior):
    """P(u | s) from P(s | u)."""
    mass = [[prior[u] * hears[u][s] for s in range(4)] for u in range(3)]
    return [[mass[u][s] / sum(mass[v][s] for v in range(3)) for s in range(4)] for u in range(3)]


SPEAKER1 = speaker(listener(MEANING), [F(1, 3)] * 3)
LISTENER1 = listener(SPEAKER1)
SPEAKER2 = speaker(LISTENER1, [F(1, 2), F(1, 5), F(3, 10)])
SOME, EVIDENCE = normalised((s, F(1, 4) * SPEAKER1[1][s]) for s in range(4))
assert SOME == {1: F(4, 9), 2: F(4, 9), 3: F(1, 9)}, "as published"

CASES = (
    Case(
        name="scalar implicature",
        source=SOURCE + "model main(u: nat) { s ~ state(); observe u ~ speaker1(s); return s }\n",
        data={"u": 1},
        traits=traits("finite rational machine"),
        law=SOME,
        evidence=EVIDENCE,
    ),
    Case(
        name="a speaker to a listener who reasons",
        source=SOURCE + "model main(s: nat) { u ~ speaker2(s); return u }\n",
        data={"s": 3},
        traits=traits("finite rational machine"),
        law={u: SPEAKER2[u][3] for u in range(3) if SPEAKER2[u][3]},
        evidence=F(1),
    ),
)

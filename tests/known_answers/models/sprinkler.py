"""The wet lawn (Pearl, Probabilistic Reasoning in Intelligent Systems, 1988), by enumeration."""

from __future__ import annotations

from fractions import Fraction as F
from itertools import product

from tests.known_answers.case import Case, normalised, traits

SOURCE = """
model main(trust: prob) {{
  rain ~ bernoulli(0.2)
  sprinkler ~ bernoulli(if rain {{ 0.01 }} else {{ 0.4 }})
  let p = match_(rain, sprinkler)
  wet ~ bernoulli(p)
  {evidence}
  return (rain, sprinkler)
}}
fn match_(rain: bool, sprinkler: bool) -> prob {{
  if rain and sprinkler {{ 0.99 }} else if rain {{ 0.8 }} else if sprinkler {{ 0.9 }} else {{ 0.05 }}
}}
"""
WET = {(1, 1): F(99, 100), (1, 0): F(4, 5), (0, 1): F(9, 10), (0, 0): F(1, 20)}


def joint(trust: F):
    """A report that the lawn is wet is right with probability `trust`."""
    for rain, sprinkler, wet in product((0, 1), repeat=3):
        p = F(1, 5) if rain else F(4, 5)
        on = F(1, 100) if rain else F(2, 5)
        p *= on if sprinkler else 1 - on
        p *= WET[rain, sprinkler] if wet else 1 - WET[rain, sprinkler]
        yield (bool(rain), bool(sprinkler)), p * (trust if wet else 1 - trust)


def case(name: str, words: str, evidence: str, trust: F) -> Case:
    law, mass = normalised(joint(trust))
    return Case(
        name=name,
        source=SOURCE.format(evidence=evidence),
        data={"trust": float(trust)},
        traits=traits(words),
        law=law,
        evidence=mass,
    )


CASES = (
    case("sprinkler, hard evidence", "finite rational", "condition wet", F(1)),
    case(
        "sprinkler, soft evidence",
        "finite rational summed",
        "observe true ~ bernoulli(if wet { trust } else { 1 - trust })",
        F(7, 10),
    ),
)

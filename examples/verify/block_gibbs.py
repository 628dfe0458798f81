"""Gibbs over a block: two sites are drawn together from their law given all others.

The weights of the pairs are joint densities. A first version takes the scores alone, as if the
sites' own probabilities did not matter: right under a uniform prior, and there alone.
"""

from __future__ import annotations

from itertools import product
from math import exp

from ppl.verify import Kernel, Reversible, categorical, check

PROGRAM = """
model triangle() {
  a ~ categorical([0.2, 0.5, 0.3])
  b ~ bernoulli([0.7, 0.15, 0.4][a])
  c ~ bernoulli(if b { 0.8 } else { 0.1 + 0.2 * a })
  factor log(if b == c { 0.9 } else { 0.2 + 0.1 * a })
  return (a, b, c)
}
"""

VALUES = list(product((0, 1, 2), (False, True)))


def gibbs(model, state, omega, *, joint):
    """A draw of a and b given c. `replay` gives the joint density; the prior's is taken out again
    by hand if only the scores are to count."""
    states = [model.replay({**state.trace, ("a",): a, ("b",): b}) for a, b in VALUES]
    w = [exp(s.log_weight) / (1 if joint else prior(s)) for s in states]
    return states[categorical(omega, "block", [x / sum(w) for x in w])]


def prior(state):
    """The probability of a and b."""
    a, b, _ = state.result
    p = (0.7, 0.15, 0.4)[a]
    return (0.2, 0.5, 0.3)[a] * (p if b else 1 - p)


def wrong(model, state, omega):
    return gibbs(model, state, omega, joint=False)


def right(model, state, omega):
    return gibbs(model, state, omega, joint=True)


if __name__ == "__main__":
    print(check(Kernel(wrong), PROGRAM, Reversible()), end="\n\n")
    print(check(Kernel(right), PROGRAM, Reversible()))

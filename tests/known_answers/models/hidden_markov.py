"""A hidden Markov model of three states, by summing over all paths in fractions."""

from __future__ import annotations

import math
from fractions import Fraction as F
from itertools import product

import numpy as np

from tests.known_answers.case import Case, normalised, traits

START = [F(1, 2), F(1, 5), F(3, 10)]
MOVE = [[F(7, 10), F(1, 5), F(1, 10)], [F(1, 4), F(1, 2), F(1, 4)], [F(1, 10), F(3, 10), F(3, 5)]]
SAY = [[F(9, 10), F(1, 10)], [F(2, 5), F(3, 5)], [F(1, 5), F(4, 5)]]
HEARD = [0, 1, 1, 0]


def joint():
    for path in product(range(3), repeat=len(HEARD)):
        steps = [START[path[0]], *(MOVE[a][b] for a, b in zip(path, path[1:], strict=False))]
        yield (
            path,
            math.prod(steps) * math.prod(SAY[z][w] for z, w in zip(path, HEARD, strict=True)),
        )


LAW, EVIDENCE = normalised(joint())
SMOOTHED = np.array(
    [[float(sum(p for path, p in LAW.items() if path[t] == k)) for k in range(3)] for t in range(4)]
)
CASES = (
    Case(
        name="a hidden Markov model",
        source="""
model main(heard: [nat]) {
  let move = [[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.1, 0.3, 0.6]]
  let say = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]
  first ~ categorical([0.5, 0.2, 0.3])
  observe heard[0] ~ categorical(say[first])
  zs ~ scan z = first for w in heard[1:len(heard)] {
    z ~ categorical(move[z])
    observe w ~ categorical(say[z])
    return z
  }
  return concat([first], zs)
}
""",
        data={"heard": HEARD},
        traits=traits("finite rational summed"),
        law=LAW,
        evidence=EVIDENCE,
        means={
            f"state {k}": (lambda zs, k=k: np.asarray(zs) == k, SMOOTHED[:, k]) for k in range(3)
        },
        marginals={"first": SMOOTHED[0], "zs/z": SMOOTHED[1:]},
    ),
)

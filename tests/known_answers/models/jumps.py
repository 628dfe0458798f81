"""A chain in continuous time, drawn jump by jump, and looked at three times: executions reach an
observation after different numbers of draws. Exact: the forward recursion with matrix exponentials."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm

from tests.known_answers.case import Case, traits

RATES = np.array([[-1.1, 0.8, 0.3], [0.5, -0.9, 0.4], [0.2, 1.3, -1.5]])
EMIT = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]])
TIMES, SEEN = [0.5, 1.7, 2.0], [1, 0, 2]


def forward() -> tuple[float, np.ndarray]:
    """The evidence, and the law of the last state."""
    law, time = np.array([1.0, 0.0, 0.0]), 0.0
    for t, y in zip(TIMES, SEEN, strict=True):
        law, time = law @ expm(RATES * (t - time)) * EMIT[:, y], t
    return law.sum(), law / law.sum()


EVIDENCE, LAST = forward()

CASES = (
    Case(
        name="a chain in continuous time",
        source="""
model main(times: [real], seen: [nat]) {
  stay ~ exponential(1.1)
  run(times, seen, 0, 0, stay)
}
## The last state of a chain that is in state z until a jump, when i observations have been made.
fn run(times: [real], seen: [nat], i: nat, z: nat, jump: real) -> measure[nat] {
  if i == len(times) { return z } else if times[i] < jump {
    observe seen[i] ~ categorical([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]][z])
    run(times, seen, i + 1, z, jump)
  } else {
    next ~ categorical([[0, 8/11, 3/11], [5/9, 0, 4/9], [2/15, 13/15, 0]][z])
    stay ~ exponential([1.1, 0.9, 1.5][next])
    run(times, seen, i, next, jump + stay)
  }
}
""",
        data={"times": TIMES, "seen": SEEN},
        traits=traits(""),
        evidence=EVIDENCE,
        law=dict(enumerate(LAST)),
    ),
)

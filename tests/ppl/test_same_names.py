"""Both engines show draws, observations and scores under the same names, in the same shapes."""

from __future__ import annotations

import numpy as np
import pytest

import ppl

TEXT = """
model arrays(w: [real], counts: [[nat]], y: [real]) {
  theta ~ for _ in range(3) { normal(0, 1) }
  pairs ~ for _ in range(2) { iid(3, normal(0, 1)) }
  grid ~ for _ in range(2) { for _ in range(3) { normal(0, 1) } }
  p ~ dirichlet([1, 2, 3])
  observe w ~ normal(theta[0], [1, 2])
  observe counts ~ poisson(exp(theta[1]))
  for v in y { observe v ~ normal(theta[2], p[0]) }
  return theta
}
"""
#: a random function that nobody asks for sends the program to the machine
UNASKED = "f ~ mem(fn (k: nat) => normal(0, 1))"
DATA = {"w": [0.2, 0.8], "counts": [[1, 0, 2], [2, 2, 1]], "y": [0.3, -1.0, 0.5, 0.1]}


def shapes(draws) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(v) for name, v in draws.items()}


@pytest.fixture(scope="module")
def both():
    texts = TEXT, TEXT.replace("return theta", f"{UNASKED}\n  return theta")
    models = [ppl.compile(text).arrays for text in texts]
    assert [m.engine.name for m in models] == ["xla", "machine"]
    method = ppl.importance(particles=7)
    return [ppl.infer(m(**DATA), method, seed=1, progress=False) for m in models]


def test_draws(both):
    xla, machine = (shapes(p.named) for p in both)
    assert xla == machine
    assert machine == {
        "theta": (1, 7, 3),
        "pairs": (1, 7, 2, 3),
        "grid": (1, 7, 2, 3),
        "p": (1, 7, 3),
    }


@pytest.mark.parametrize("what", ["predict", "log_likelihood"])
def test_observations(both, what):
    made = [getattr(p, what)() for p in both]
    xla, machine = (shapes(getattr(m, "draws", m)) for m in made)
    assert xla == machine == {"w": (1, 7, 2), "counts": (1, 7, 2, 3), "y": (1, 7, 4)}


def test_an_array_is_predicted_by_independent_draws_of_its_elements(both):
    counts = both[1].predict(seed=3)["counts"]
    assert (counts != counts[..., :1, :1]).any()

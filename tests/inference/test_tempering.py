"""Tempered particles, and moves of them, are properly weighted for whole traces: exactly, by tapes."""

from __future__ import annotations

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl import kernels
from ppl.inference import moving, tempering
from ppl.inference.kernels.machine.program import Program
from ppl.inference.kernels.machine.steps import step_of
from ppl.inference.population import Population
from ppl.inference.resample import Resample
from ppl.verify import ProperlyWeighted, Sampler, check

MODELS = ppl.compile("""
model three() {
  a ~ categorical([0.2, 0.5, 0.3])
  factor log([0.3, 1.7, 0.8][a])
  b ~ if a == 1 { bernoulli(0.35) } else { return false }
  condition not (a == 2 and b)
  factor log(if b { 0.4 } else { 1.1 })
  return (a, b)
}
model impossible() {
  a ~ categorical([0.2, 0.5, 0.3])
  condition a != 1
  factor log([0.3, 1.0, 1.9][a])
  return a
}
""")
LADDER = (0.0, 0.3, 0.7, 1.0)


def subject(n, ladder=LADDER, *, target=lambda s: s, threshold=1.0):
    policy = Resample("systematic", threshold)

    def run(model, omega):
        program = Program(model.machine, model.data, model.run, model.run, named=True)
        at = tempering.forward(program, n, omega)
        for k, (t, s) in enumerate(pairwise(ladder)):
            at = tempering.temper(at, t, s)
            if s < 1:
                at = moving.resample(at, policy, omega, k)
                own, seen = tempering.tempered(program, target(s))
                at = moving.move(at, step_of(kernels.gibbs(), own), 1, omega, k, seen)
        return list(zip(at.runs, at.population.log_weights.tolist(), strict=True))

    return Sampler(run)


@pytest.mark.parametrize(
    ("model", "n", "settings"),
    [
        (MODELS.three(), 1, {}),
        (MODELS.three(), 2, {"ladder": (0.0, 0.4, 1.0), "threshold": 0.9}),
        (MODELS.impossible(), 3, {"ladder": (0.0, 0.4, 1.0)}),
    ],
    ids=["three temperatures", "two particles", "three particles"],
)
def test_tempered_particles_are_properly_weighted(model, n, settings):
    verdict = check(subject(n, **settings), model, ProperlyWeighted())
    assert verdict.ok, verdict
    assert verdict.report.paths > 20


def test_moves_towards_the_last_measure_instead_of_the_present_one_are_found():
    wrong = subject(1, target=lambda _: 1.0)
    assert check(wrong, MODELS.impossible(), ProperlyWeighted()).outcome == "FAIL"


@pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])
def test_weights_of_any_library(xp):
    scores = xp.asarray([-1.5, 0.25, -xp.inf])
    weights = Population(xp.log(xp.asarray([0.5, 0.3, 0.2])))
    found = tempering.between(weights, scores, 0.2, 0.6).log_weights
    expected = [np.log(0.5) - 0.6, np.log(0.3) + 0.1, -np.inf]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)

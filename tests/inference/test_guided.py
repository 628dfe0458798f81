"""Guided sequential Monte Carlo is properly weighted for whole traces: exactly, by tapes that
enumerate what the guide draws, the model's other draws, and the resampling."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.inference import guided
from ppl.inference.guided import Following, spawn_guided, step_guided
from ppl.inference.resample import Resample
from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify import ProperlyWeighted, Sequential, check

MODELS = ppl.compile("""
model hidden(ys: [bool]) {
  p ~ bernoulli(0.35)
  xs ~ scan x = 0 for y in ys {
    x ~ categorical([[0.35, 0.65, 0], [0, 0.3, 0.7], [1, 0, 0]][x])
    observe y ~ bernoulli([0.15, 0.7, if p { 0.4 } else { 0.9 }][x])
    return x
  }
  return (p, xs)
}

# it looks at the data, proposes what cannot be, helps itself, and leaves `p` to the model
model leads(ys: [bool]) {
  xs ~ scan x = 0 for y in ys {
    help ~ bernoulli(if y { 0.8 } else { 1 })
    x ~ categorical(if help { [[0.2, 0.8, 0], [0, 0.1, 0.9], [1, 0, 0]][x] } else { [0.3, 0.3, 0.4] })
    return x
  }
  return xs
}
model ahead(ys: [bool]) {
  xs ~ scan x = 0 for y in ys {
    x ~ categorical([[0.2, 0.8, 0], [0, 0.4, 0.6], [1, 0, 0]][x])
    factor log([0.3, 0.9, 0.6][x])
    return x
  }
  return xs
}
""")
YS = [False, True]


def subject(name, *, n=3, threshold=1.0, step=step_guided):
    guide = MODELS[name](ys=YS).machine
    start = guide.start(guide.bind(MODELS[name](ys=YS).plain))
    policy = Resample("systematic", threshold)
    return Sequential(
        lambda model: spawn_guided(model.start(), start, n), lambda at, o, t: step(at, policy, o, t)
    )


@pytest.mark.parametrize(
    ("name", "n", "threshold"), [("leads", 2, 0.9), ("ahead", 2, 1.0), ("ahead", 3, 0.6)]
)
def test_whole_traces_are_properly_weighted(name, n, threshold):
    verdict = check(
        subject(name, n=n, threshold=threshold), MODELS.hidden(ys=YS), ProperlyWeighted()
    )
    assert verdict.ok, verdict
    assert verdict.report.paths > 100


class BootstrapWeights(Following):
    """Weights as if the model had proposed (ParticleDA)."""

    @property
    def log_ratio(self):
        return 0.0

    @log_ratio.setter
    def log_ratio(self, value):
        pass


def without_dividing(at, policy, source, t):
    """Children keep weights that look ahead."""
    after = step_guided(at, policy, source, t)
    if not after.waiting:
        return after
    ahead = np.array([p.ahead for p in after.particles])
    return guided.GuidedPopulation(after.particles, after.population.scored(ahead))


def test_weights_of_another_proposal_are_found(monkeypatch):
    monkeypatch.setattr(guided, "Following", BootstrapWeights)
    verdict = check(subject("leads", n=2, threshold=0.9), MODELS.hidden(ys=YS), ProperlyWeighted())
    assert verdict.outcome == "FAIL"


def test_a_look_ahead_that_stays_in_the_weights_is_found():
    wrong = subject("ahead", n=2, threshold=0.5, step=without_dividing)
    assert check(wrong, MODELS.hidden(ys=YS), ProperlyWeighted()).outcome == "FAIL"


def test_a_guide_is_a_model_applied_to_its_data():
    with pytest.raises(DiagnosticError, match="E811"):
        ppl.smc(guide=MODELS.ahead)

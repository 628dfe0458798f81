"""Guided sequential Monte Carlo is properly weighted for whole traces: exactly, by tapes that
enumerate what the guide draws, the model's other draws, and the resampling."""

from __future__ import annotations

import math

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
model blind(ys: [bool]) {
  xs ~ scan x = 0 for y in ys {
    x ~ categorical([[0.2, 0.8, 0], [0, 0.4, 0.6], [1, 0, 0]][x])
    condition x != 1
    return x
  }
  return xs
}

model linear(ys: [real]) {
  xs ~ scan x = 0.0 for y in ys { x ~ normal(0.9 * x, 1); observe y ~ normal(x, 0.3); return x }
  return xs
}
# the law of x given what it comes from and what is seen, by conjugacy
model optimal(ys: [real]) {
  xs ~ scan x = 0.0 for y in ys {
    x ~ normal((0.9 * x + y / 0.09) / (1 + 1 / 0.09), 1 / sqrt(1 + 1 / 0.09))
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


def test_a_guide_that_gives_particles_up_is_refused():
    with pytest.raises(DiagnosticError, match="E868"):
        method = ppl.smc(particles=20, guide=MODELS.blind(ys=YS))
        ppl.infer(MODELS.hidden(ys=YS), method, engine="machine", progress=False)
    with pytest.raises(DiagnosticError, match="E811"):
        ppl.smc(guide=MODELS.blind)


def test_the_optimal_proposal_keeps_its_particles():
    """The evidence is that of a Kalman filter, within 4.5 standard errors of 12 populations (Student's
    t would allow more), and effective sizes are above those of the prior's proposals."""
    ys = [1.2, 2.9, 0.4]
    a = np.array([[0.9 ** (i - j) if j <= i else 0.0 for j in range(3)] for i in range(3)])
    s = a @ a.T + 0.09 * np.eye(3)
    known = -0.5 * (np.array(ys) @ np.linalg.solve(s, ys) + np.linalg.slogdet(2 * np.pi * s)[1])
    target, guide = MODELS.linear(ys=ys), MODELS.optimal(ys=ys)
    found, sizes = [], []
    for seed in range(12):
        method = ppl.smc(particles=60, threshold=0, guide=guide)
        posterior = ppl.infer(target, method, seed=seed, engine="machine", progress=False)
        found.append(math.exp(posterior.log_evidence - known))
        sizes.append(posterior.effective_sample_size)
    plain = ppl.infer(
        target, ppl.smc(particles=60, threshold=0), seed=1, engine="machine", progress=False
    )
    assert abs(np.mean(found) - 1) < 4.5 * np.std(found, ddof=1) / math.sqrt(12)
    assert np.std(found) < 0.5
    assert min(sizes) > plain.effective_sample_size
    assert posterior.named["xs/x"].shape == (1, 60, 3)

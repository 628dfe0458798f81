"""What is told of the particles of a filter: the evidence so far, its error, and collapse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError

YS = [0.3, -1.1, 0.6, 1.4, -0.2]
MODELS = ppl.compile("""
model walk(ys: [real], s: pos) {
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x, 1); observe y ~ normal(x, s); return x }
  return xs
}
type list = Nil | Cons(real, list)
model listed(ys: [real], s: pos) {
  _ ~ fold last = Nil for y in ys {
    let at = match last { Nil => 0.0, Cons(x, _) => x }
    x ~ normal(at, 1)
    observe y ~ normal(x, s)
    return Cons(x, last)
  }
  return 1.0
}
""")


def kalman(s):
    """The log evidence of the first 1, 2, … observations."""
    mean, variance, total, out = 0.0, 0.0, 0.0, []
    for y in YS:
        variance += 1
        spread = variance + s * s
        total += -0.5 * (math.log(2 * math.pi * spread) + (y - mean) ** 2 / spread)
        gain = variance / spread
        mean, variance = mean + gain * (y - mean), (1 - gain) * variance
        out.append(total)
    return np.array(out)


def fit(model, s=0.7, **settings):
    return ppl.infer(model(ys=YS, s=s), ppl.smc(**settings), seed=3, progress=False)


def test_the_evidence_so_far_is_that_of_the_observations_so_far():
    """Seed fixed; relative errors of 4,000 particles are below 0.02 at every step."""
    found = fit(MODELS.walk, particles=4_000).points["log_evidence"]
    np.testing.assert_allclose(found, kalman(0.7), atol=0.1)
    assert found[-1] == pytest.approx(fit(MODELS.walk, particles=4_000).log_evidence, abs=1e-12)


@pytest.mark.parametrize("model", [MODELS.walk, MODELS.listed], ids=["xla", "machine"])
def test_replicas_give_the_evidence_an_error(model):
    """By the definition: the mean of independent estimates, whose error their spread tells. The
    first is the run without replicas. False-alarm rate below 1e-5 (4.5 standard errors)."""
    one, several = fit(model, particles=200), fit(model, particles=200, replicas=6)
    assert one.evidence_se is None
    np.testing.assert_array_equal(one.log_weights, several.log_weights)
    assert several.evidence != one.evidence and 0 < several.evidence_se < 0.2
    assert abs(several.log_evidence - kalman(0.7)[-1]) < 4.5 * several.evidence_se + 0.01
    again = fit(model, particles=200, replicas=3)
    assert again.evidence_se != several.evidence_se
    with pytest.raises(DiagnosticError, match="E811.*replicas"):
        ppl.smc(replicas=0)


def test_particles_that_collapse_are_warned_of():
    def told(posterior):
        return {w.code: w for w in posterior.warnings}

    assert "W889" not in told(fit(MODELS.walk, particles=200))
    found = fit(MODELS.walk, s=1e-5, particles=200)
    assert "collapsed at" in told(found)["W889"].message
    assert np.min(found.points["effective_sample_size"]) < 2

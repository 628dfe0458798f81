"""The discrete particle filter: the measure itself while particles are enough, and of continuous
choices as many draws as there are particles. Its law is in the table of `make verify`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

import ppl
from ppl.inference.expanding import begin, expand
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import MachineKey

MODELS = ppl.compile("""
model hidden(ys: [real]) {
  c ~ bernoulli(0.35)
  xs ~ scan x = 0 for y in ys {
    x ~ categorical(if c { [[0.6, 0.4, 0], [0, 0.3, 0.7], [1, 0, 0]][x] }
                    else { [[0.2, 0, 0.8], [0.9, 0.1, 0], [0, 1, 0]][x] })
    observe y ~ normal([-1, 0.4, 2][x], 0.8)
    return x
  }
  return (c, xs)
}
model mixed(y: real) {
  m ~ normal(0, 1)
  z ~ categorical([0.5, 0.2, 0.3])
  observe y ~ normal(m + [0, 1, -2][z], 0.7)
  return z
}
model endless(y: real) {
  ks ~ for i in range(3) { k ~ discrete_uniform(1, 30); return k }
  observe y ~ normal(ks[0] + ks[2], 1)
}
""")
YS = [0.3, -1.1, 1.7, 0.2]


def found(n):
    method = ppl.smc(particles=n, scheme="optimal")
    return ppl.infer(MODELS.hidden(ys=YS), method, seed=4, progress=False)


def test_with_enough_particles_the_posterior_is_exact():
    exact = ppl.infer(MODELS.hidden(ys=YS), ppl.exact(), engine="machine", progress=False)
    whole = found(400)
    assert whole.log_evidence == pytest.approx(exact.log_evidence, abs=1e-12)
    assert whole.summary()["c", "mean"] == pytest.approx(exact.summary()["c", "mean"], abs=1e-12)
    assert whole.exact and not whole.warnings


def test_few_particles_have_made_different_choices_and_miss_the_evidence_by_little():
    few = found(8)
    exact = ppl.infer(MODELS.hidden(ys=YS), ppl.exact(), engine="machine", progress=False)
    histories = np.concatenate([few["c"][0, :, None], few["xs"][0]], axis=1)
    assert len(np.unique(histories, axis=0)) == len(histories) == 8
    assert few.points["resampled"].any() and not few.exact
    assert 0 < abs(few.log_evidence - exact.log_evidence) < 0.3


def test_what_is_continuous_is_drawn_for_as_many_as_there_are_particles():
    """Every draw of m with each z, weighted by the joint density over the law of m."""
    target = MODELS.mixed(y=0.6)
    start = target.machine.start(target.machine.bind(target.plain))
    after, parents = expand(begin(start), 4, MachineKey(3), 0)
    assert parents == [0] * 12
    sites = [run.finish(MachineKey(0)).sites for run in after.runs]
    assert len({s["m"] for s in sites}) == 4 and [s["z"] for s in sites] == [0, 2, 1] * 4
    for s, log in zip(sites, after.population.log_weights, strict=True):
        law = [0.5, 0.2, 0.3][s["z"]] * norm.pdf(0.6, s["m"] + [0, 1, -2][s["z"]], 0.7)
        assert log == pytest.approx(math.log(law / 4), abs=1e-12)


def test_what_it_is_not_made_for_is_refused():
    for other in ({"trajectories": 3}, {"when": lambda p: True}):
        with pytest.raises(DiagnosticError, match="E811.*optimal"):
            ppl.smc(scheme="optimal", **other)
    with pytest.raises(DiagnosticError, match="E716"):
        ppl.infer(MODELS.hidden(ys=YS), ppl.smc(scheme="optimal"), engine="xla", progress=False)
    with pytest.raises(DiagnosticError, match="E807"):
        ppl.infer(MODELS.endless(y=3), ppl.smc(particles=9, scheme="optimal"), progress=False)

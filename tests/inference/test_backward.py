"""Backward simulation on the machine is properly weighted for whole traces: exactly, by tapes that
enumerate the filter's draws, its resampling, and every choice of a past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import ppl
from ppl.inference.backward import BackwardSimulation
from ppl.inference.kernels.machine.conditional import NO_FUTURE
from ppl.inference.kernels.machine.program import Program
from ppl.inference.smc import Smc
from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify import ProperlyWeighted, Sampler, check

MODELS = ppl.compile("""
# three states, of which few moves are possible: that keeps the number of outcomes down
model hidden(ys: [bool]) {
  xs ~ scan x = 0 for y in ys {
    x ~ categorical([[0.35, 0.65, 0], [0, 0, 1], [1, 0, 0]][x])
    observe y ~ bernoulli([0.15, 0.7, 0.4][x])
    return x
  }
  return xs
}

# a parameter that every step reads, a past that counts later, traces that end early
model uneven() {
  a ~ bernoulli(0.35)
  factor log(if a { 0.9 } else { 0.4 })
  b ~ bernoulli(if a { 0.8 } else { 0.3 })
  factor log(if b { 0.5 } else { 0.7 })
  r ~ rest(a, b)
  return (a, b, r)
}
model brief() {
  a ~ bernoulli(0.35)
  factor log(if a { 0.9 } else { 0.2 })
  b ~ bernoulli(if a { 0.8 } else { 0.3 })
  factor log(if b { 0.5 } else { 0.7 })
  return (a, b)
}
model walk(ys: [real]) {
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x, 0.5); observe y ~ normal(x, 0.5); return x }
  return xs
}
fn rest(a: bool, b: bool) -> measure[nat] {
  if a and b { return 0 } else {
    checkpoint
    factor log(if a { 0.2 } else { 1.1 })
    return 1
  }
}
""")


HIDDEN, WALK = MODELS.hidden(ys=[False, True, False]), MODELS.walk


def subject(*, threshold, make=BackwardSimulation):
    settings = Smc(particles=3, threshold=threshold, scheme="systematic", trajectories=1)

    def run(model, omega):
        program = Program(model.machine, model.data, model.run, model.run, named=True)
        backward = make(program, settings)
        stages = backward.filter(omega)
        (drawn,) = backward.trajectories(stages, 1, omega)
        return drawn.run, float(stages[-1].population.log_mass)

    return Sampler(run)


@pytest.mark.parametrize(
    ("model", "threshold"), [(HIDDEN, 0.5), (MODELS.uneven(), 0.0), (MODELS.brief(), 0.9)]
)
def test_a_trajectory_is_properly_weighted_for_whole_traces(model, threshold):
    verdict = check(subject(threshold=threshold), model, ProperlyWeighted())
    assert verdict.ok, verdict
    assert verdict.report.paths > 400


class ByWeightAlone(BackwardSimulation):
    """A past is chosen whatever comes after it."""

    def _from(self, particle, log_weight, path):
        found = super()._from(particle, log_weight, path)
        return found if found is NO_FUTURE else replace(found, log_density=0.0)


class AfterResampling(BackwardSimulation):
    """The weights of a past are those that resampling levels."""

    def filter(self, source, *, progress=None):
        *others, last = super().filter(source, progress=progress)
        return [*(replace(s, population=s.population.levelled()) for s in others), last]


@pytest.mark.parametrize("wrong", [ByWeightAlone, AfterResampling])
def test_a_past_of_the_wrong_law_is_found(wrong):
    verdict = check(subject(threshold=0.9, make=wrong), MODELS.brief(), ProperlyWeighted())
    assert verdict.outcome == "FAIL"


def test_early_choices_are_renewed():
    """Of the particles that are left after twenty points few descend from different first ones."""
    target = WALK(ys=np.sin(np.arange(20)))
    method = dict(particles=30, threshold=1.0, scheme="multinomial")
    lines = ppl.infer(target, ppl.smc(**method), engine="machine", progress=False)
    drawn = ppl.infer(target, ppl.smc(**method, trajectories=5), engine="machine", progress=False)
    assert len(np.unique(lines["xs"][0, :, 0])) <= 3
    assert drawn["xs"].shape == (1, 5, 20) and len(np.unique(drawn["xs"][0, :, 0])) >= 4
    assert drawn.log_evidence == lines.log_evidence


def test_what_does_not_go_with_trajectories():
    for settings in (dict(trajectories=0), dict(trajectories=3, keep_history=False)):
        with pytest.raises(DiagnosticError, match="E811.*trajectories"):
            ppl.smc(**settings)

"""Resample-move is properly weighted for whole traces: exactly, by tapes that enumerate the
particles' draws, the resampling and the moves together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import ppl
from ppl import kernels
from ppl.inference import moving
from ppl.inference.kernels.machine.program import Program
from ppl.inference.moving import Prefix
from ppl.inference.resample import Resample
from ppl.inference.resample_move import ResampleMove, Rmsmc
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import MachineKey
from ppl.verify import ProperlyWeighted, Sequential, check

MODELS = ppl.compile("""
# `a` is read after both points
model steps() {
  a ~ bernoulli(0.35)
  observe true ~ bernoulli(if a { 0.9 } else { 0.25 })
  b ~ bernoulli(if a { 0.15 } else { 0.6 })
  factor log(if b { 2 } else { 0.3 + 0.2 * indicator(a) })
  return (a, b)
}

# particles end early, and moves change which sites and points there are
model uneven() {
  a ~ bernoulli(0.35)
  factor log(if a { 0.9 } else { 0.4 })
  r ~ rest(a)
  return (a, r)
}
fn rest(a: bool) -> measure[nat] {
  if a { return 0 } else {
    b ~ bernoulli(0.6)
    factor log(if b { 2 } else { 0.3 })
    checkpoint
    return 1 + indicator(b)
  }
}

# what is scored later depends on the same site
model late() {
  a ~ categorical([0.2, 0.5, 0.3])
  observe true ~ bernoulli([0.9, 0.25, 0.6][a])
  factor log([0.3, 0.8, 1.5][a])
  return a
}

model once() {
  a ~ bernoulli(0.35)
  factor log(if a { 0.9 } else { 0.25 })
  b ~ bernoulli(if a { 1 } else { 0.6 })
  return (a, b)
}

model drift(ys: [real]) {
  m ~ normal(0, 2)
  xs ~ scan x = m for y in ys { x ~ normal(x, 0.5); observe y ~ normal(x, 1); return x }
  return m
}
""")


def subject(kernel, *, particles=3, threshold=1.0, make=ResampleMove):
    settings = Rmsmc(particles=particles, threshold=threshold, kernel=kernel)
    made = {}

    def begin(model):
        program = Program(model.machine, model.data, model.run, model.run, named=True)
        return made.setdefault(0, make(program, settings)).spawn()

    return Sequential(begin, lambda at, omega, t: made[0].step(at, omega, t))


CASES = {
    "three particles": (MODELS.once(), kernels.gibbs(), {"threshold": 0.5}),
    "prior": (MODELS.steps(), kernels.prior(), {"particles": 2, "threshold": 0.8}),
    "uneven": (MODELS.uneven(), kernels.gibbs().on("a"), {"particles": 2}),
    "three states": (MODELS.late(), kernels.gibbs(), {"particles": 2}),
}


LONG = {
    "gibbs, three particles": (MODELS.steps(), kernels.gibbs().on("a"), {"threshold": 0.7}),
    "uneven, three particles": (MODELS.uneven(), kernels.gibbs().on("a"), {"threshold": 0.7}),
}


@pytest.mark.parametrize(
    "case",
    [*CASES.values(), *(pytest.param(c, marks=pytest.mark.soak) for c in LONG.values())],
    ids=[*CASES, *LONG],
)
def test_whole_traces_are_properly_weighted(case):
    program, kernel, settings = case
    verdict = check(subject(kernel, **settings), program, ProperlyWeighted())
    assert verdict.ok, verdict
    assert verdict.report.paths > 100


class OnlyIfDue(ResampleMove):
    """Particles move if they were resampled, which depends on what they are."""

    due = [False]

    def moves(self, t):
        step = super().moves(t)
        return step if self.due[0] else lambda trace, turns, tally: trace

    def step(self, at, source, t):
        class Noting(Resample):
            def __call__(self, population, uniforms, due=self.due):
                due[0] = bool(self.due(population))
                return super().__call__(population, uniforms)

        class Settings(Rmsmc):
            policy = Noting("systematic", 1.0)

        settings = Settings(particles=self.settings.particles, kernel=self.settings.kernel)
        object.__setattr__(self, "settings", settings)
        return super().step(at, source, t)


class FinalTarget(Prefix):
    """The target of a move is that of whole runs."""

    @property
    def log_weight(self):
        return self.run.finish(MachineKey(0)).log_weight


def with_the_old_scores(particle, step, times, turns, tally, seen, moved=moving.moved):
    """What was moved goes on with the scores that it had before."""
    after = moved(particle, step, times, turns, tally, seen)
    return replace(after, run=after.run._replace(log_weight=particle.run.log_weight))


@pytest.mark.parametrize(
    ("what", "wrong"),
    [("Prefix", FinalTarget), ("moved", with_the_old_scores)],
    ids=["final target", "stale"],
)
def test_a_move_that_goes_wrong_is_found(monkeypatch, what, wrong):
    monkeypatch.setattr(moving, what, wrong)
    verdict = check(subject(kernels.gibbs(), particles=2), MODELS.late(), ProperlyWeighted())
    assert verdict.outcome == "FAIL"


def test_moves_that_depend_on_what_the_particles_are_are_found():
    """That a move is invariant does not help if whether it is made depends on the population."""
    step = subject(kernels.gibbs(), particles=2, make=OnlyIfDue)
    assert check(step, MODELS.late(), ProperlyWeighted()).outcome == "FAIL"


def test_particles_gibbs_moves_no_prefix():
    with pytest.raises(DiagnosticError, match="E811"):
        Rmsmc(kernel=kernels.prior().then(kernels.pgibbs()))


@pytest.mark.parametrize(
    "setting", [{"particles": 0}, {"moves": 0}, {"threshold": 1.5}, {"kernel": 3}]
)
def test_settings_are_checked(setting):
    with pytest.raises(DiagnosticError, match="E811"):
        Rmsmc(**setting)


def test_particles_that_moved_are_told_by_their_names():
    method = ppl.rmsmc(particles=20, kernel=kernels.random_walk(scale=0.6).on("m"))
    found = ppl.infer(MODELS.drift(ys=[1.0, 2.0, 1.5]), method, seed=3, progress=False)
    bare = ppl.smc(particles=20, threshold=0.9)
    plain = ppl.infer(
        MODELS.drift(ys=[1.0, 2.0, 1.5]), bare, seed=3, engine="machine", progress=False
    )
    # a parameter drawn first is the same for many after resampling, and moves keep it different
    assert len(np.unique(found["m"])) > len(np.unique(plain["m"]))
    assert found["m"] == pytest.approx(found.result)
    assert found["xs/x"].shape == (1, 20, 3)

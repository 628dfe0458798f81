"""SMC² is properly weighted for whole traces: exactly, by tapes that enumerate parameters, filters,
resampling of both, moves and exchanges. Every particle of every filter multiplies the paths, and a
move has a filter of its own (three parameters with three states each, and moves, are some 10^8
paths): so parameters, states and moves are enumerated two by two."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import ppl
from ppl.inference.kernels.machine.program import Program
from ppl.inference.kernels.machine.traces import Turns
from ppl.inference.kernels.machine.walk import Tuning
from ppl.inference.population import Population
from ppl.inference.smc2 import Rejuvenation, Smc2, Smc2Steps
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import MachineKey
from ppl.verify import ProperlyWeighted, Sampler, check

MODELS = ppl.compile("""
# three values of the parameter, and chance in the states under one of them
model three() {
  k ~ categorical([0.2, 0.5, 0.3])
  a ~ bernoulli([0.35, 1, 0][k])
  factor log(if a { 0.9 } else { [0.3, 0.5, 0.2][k] })
  b ~ bernoulli([1, 0, 1][k])
  factor log(if a and b { 0.4 } else { 0.2 + 0.3 * k })
  return (k, a, b)
}
model certain() {
  k ~ categorical([0.2, 0.5, 0.3])
  a ~ bernoulli([0, 1, 0][k])
  factor log([0.3, 0.9, 0.2][k])
  b ~ bernoulli([1, 0, 1][k])
  factor log([0.5, 0.4, 1.1][k])
  return (k, a, b)
}
model two() {
  k ~ bernoulli(0.35)
  a ~ bernoulli(if k { 1 } else { 0.4 })
  factor log(if a { 0.9 } else { if k { 0.3 } else { 0.6 } })
  factor log(if a and k { 0.4 } else { 1.1 })
  return (k, a)
}
model late() { a ~ bernoulli(0.3); factor log(if a { 0.2 } else { 0.7 }); k ~ bernoulli(0.4); return k }
model entangled() { z ~ bernoulli(0.3); k ~ bernoulli(if z { 0.4 } else { 0.6 }); factor log(0.5); return k }
model walk(ys: [real]) {
  m ~ normal(0, 1)
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x + m, 0.4); observe y ~ normal(x, 0.5); return x }
  return m
}
""")


def subject(*, particles, states, plan=None, threshold=0.0, make=Smc2Steps):
    settings = Smc2(
        parameters="k", particles=particles, states=states, threshold=threshold, moves=1
    )

    def run(model, omega):
        program = Program(model.machine, model.data, model.run, model.run, named=True)
        steps = make(program, settings, Turns(omega))
        at = steps.begin()
        while at.waits:
            at = steps.step(at, plan or {})
        out = []
        for f, w in zip(at.filters, np.asarray(at.population.log_weights), strict=True):
            inner = np.log(np.maximum(f.population.weights, 1e-300))
            out += [
                (p.run, float(w + v)) for p, v in zip(f.particles, inner, strict=True) if v > -600
            ]
        return out

    return Sampler(run)


GROWS = {1: Rejuvenation(Tuning(0.0), 3)}
CASES = {
    "three parameters": (MODELS.certain(), {"particles": 3, "states": 2, "threshold": 0.8}),
    "three states": (MODELS.three(), {"particles": 2, "states": 3, "threshold": 0.7}),
    "moves, and larger filters": (MODELS.two(), {"particles": 1, "states": 2, "plan": GROWS}),
}


@pytest.mark.parametrize(("model", "settings"), CASES.values(), ids=[*CASES])
def test_whole_traces_are_properly_weighted(model, settings):
    verdict = check(subject(**settings), model, ProperlyWeighted())
    assert verdict.ok, verdict
    assert verdict.report.paths > 50


class Forgetful(Smc2Steps):
    """A larger filter replaces a smaller one, and the weight stays: the mass that it had is lost."""

    def rejuvenated(self, at, planned):
        after, share = super().rejuvenated(at, planned)
        return replace(after, population=at.population), share


class Twice(Smc2Steps):
    """The parameters' density is in their weights, and in their filters' again."""

    def begin(self):
        at = super().begin()
        return replace(at, population=Population.fresh(len(at.filters)))


@pytest.mark.parametrize("wrong", [Forgetful, Twice])
def test_weights_that_go_wrong_are_found(wrong):
    faulty = subject(particles=1, states=2, plan=GROWS, make=wrong)
    assert check(faulty, MODELS.two(), ProperlyWeighted()).outcome == "FAIL"


def test_a_linear_gaussian_walk():
    """Evidence and posterior mean against closed forms: t tests over ten runs, of |t| beyond 6
    (a fixed seed; 4e-4 for both had it been random)."""
    ys = [0.8, 1.9, 2.2, 3.6]
    t = np.arange(1, 5)
    cov = 0.16 * np.minimum.outer(t, t) + 0.25 * np.eye(4)
    precise = 1 + t @ np.linalg.solve(cov, t)
    mean = t @ np.linalg.solve(cov, ys) / precise
    whole = cov + np.outer(t, t)
    log_z = -0.5 * (ys @ np.linalg.solve(whole, ys) + np.linalg.slogdet(2 * np.pi * whole)[1])
    method = ppl.smc2(parameters="m", particles=12, states=8, threshold=0.9, moves=1)
    ratios, off = [], []
    for seed in range(10):
        found = ppl.infer(MODELS.walk(ys=ys), method, seed=seed, progress=False, engine="machine")
        z = math.exp(found.log_evidence - log_z)
        ratios.append(z - 1)
        off.append(z * float((found.weights * (found["m"] - mean)).sum()))
    for x in np.array([ratios, off]):
        assert abs(x.mean()) < 6 * x.std(ddof=1) / math.sqrt(10)
        assert x.std(ddof=1) < 0.8
    assert len(np.unique(found["m"])) > 5  # the last population has moved


def test_the_pilot_plans_and_filters_grow():
    target = MODELS.walk(ys=[0.8, 1.9, 2.2, 3.6, 5.0])
    program = Program.of(target.machine, target.plain)
    settings = Smc2(parameters="m", particles=12, states=2, threshold=0.9, acceptance=1.0)
    steps = Smc2Steps(program, settings, Turns(MachineKey(3)))
    at, plan = steps.begin(), {}
    while at.waits:
        at, planned = steps.piloted(at)
        plan |= {at.t: planned} if planned else {}
    sizes = [planned.states for _, planned in sorted(plan.items())]
    assert len(sizes) > 1 and sizes == [2 ** (2 + i) for i in range(len(sizes))]
    (spread,) = plan[min(plan)].tuning.spreads.values()
    assert 0.1 < spread.sd < 1.5
    run = Smc2Steps(program, settings, Turns(MachineKey(3), 1))
    at = run.begin()
    while at.waits:
        at = run.step(at, plan)
    assert at.states == sizes[-1] and all(len(f.particles) == sizes[-1] for f in at.filters)


@pytest.mark.parametrize(("name", "says"), [("late", "not drawn before"), ("entangled", "depends")])
def test_parameters_come_first_and_depend_on_nothing_else(name, says):
    with pytest.raises(DiagnosticError, match=f"E877.*{says}"):
        ppl.infer(MODELS[name](), ppl.smc2(parameters="k", particles=9, states=9), progress=False)


def test_settings():
    for settings in ({}, {"parameters": "m", "states": 0}, {"parameters": "m", "acceptance": 2}):
        with pytest.raises(DiagnosticError, match="E811"):
            ppl.smc2(**settings)

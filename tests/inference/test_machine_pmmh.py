"""Particle marginal Metropolis-Hastings on the machine: exactly, over whole traces, by tapes that
enumerate the step of the parameters, both filters and the choice among the particles."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ppl
from ppl import kernels
from ppl.inference.kernels.machine.conditional import Sweep
from ppl.inference.kernels.machine.marginal import Marginal
from ppl.inference.kernels.machine.program import Program, Rest, Selection
from ppl.inference.kernels.machine.traces import Turns, first_trace
from ppl.inference.kernels.machine.walk import Tuning
from ppl.inference.kernels.particle import ParticleMarginal
from ppl.inference.resample import Resample
from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify import Invariant, Kernel, check

MODELS = ppl.compile("""
# three values of the parameter; the last of its steps may lead out
model chain() {
  k ~ categorical([0.2, 0.5, 0.3])
  a ~ bernoulli([0.35, 0.8, 0.6][k])
  factor log(if a { 0.9 } else { [0.3, 0.5, 0.2][k] })
  b ~ bernoulli(if a { 1 } else { [0.25, 0.6, 0][k] })
  factor log(if b { 0.4 } else { 1.1 })
  return (k, a, b)
}
model brief() {
  k ~ categorical([0.2, 0.5, 0.3])
  a ~ bernoulli([0.35, 0.8, 0.6][k])
  factor log(if a { 0.9 } else { [0.3, 0.5, 0.2][k] })
  return (k, a)
}
""")


def subject(make=Marginal, *, particles=2, threshold=0.8, on="k"):
    made = {}

    def step(model, trace, omega):
        if not made:
            program = Program(model.machine, model.data, model.run, model.run, named=True)
            sweep = Sweep(program, Rest(program, [on]), particles, False, threshold)
            policy = Resample("multinomial", threshold, sweep.due)
            made[0] = make(sweep, Selection(program, [on]), Tuning(0.0), policy, refresh=True)
        return made[0](trace, Turns(omega))

    return Kernel(step, lambda model, omega: first_trace(model.run, omega))


CASES = {
    "two particles, resampled": (MODELS.chain(), {}),
    "three": (MODELS.brief(), {"particles": 3, "threshold": 0}),
    "another parameter": (MODELS.brief(), {"on": "a"}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_posterior_of_whole_traces_is_kept(name):
    program, settings = CASES[name]
    verdict = check(subject(**settings), program, Invariant())
    assert verdict.ok, verdict
    assert verdict.report.paths > 100


class Within(Marginal):
    """The present estimate is made anew by a filter of its own: Monte Carlo within Metropolis."""

    def estimate_along(self, trace, turns):
        return self.estimate({k: trace.sites[k] for k in self.parameters(trace)}, turns)[1]


class WithoutItsPrior(Marginal):
    """The parameters' own density is left out of the estimate."""

    def estimate(self, held, turns):
        after, mass = super().estimate(held, turns)
        if after is not None:
            mass -= sum(after.sites[k].log_prob(after.sites[k].value) for k in held)
        return after, mass


@pytest.mark.parametrize("wrong", [Within, WithoutItsPrior])
def test_an_estimate_that_goes_wrong_is_found(wrong):
    assert check(subject(wrong, threshold=0), MODELS.brief(), Invariant()).outcome == "FAIL"


def test_parameters_of_a_linear_gaussian_walk():
    """Against a Kalman filter on a grid, within 4.5 standard errors by the chains' effective sample
    size (a fixed seed; 7e-6 had it been random)."""
    ys = [0.8, 1.9, 2.2, 3.6]
    target = ppl.compile("""
model walk(ys: [real]) {
  m ~ normal(0, 1)
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x + m, 0.4); observe y ~ normal(x, 0.5); return x }
  return m
}
""").walk(ys=ys)
    t = np.arange(1, 5)
    s = 0.16 * np.minimum.outer(t, t) + 0.25 * np.eye(4)
    precision = 1 + t @ np.linalg.solve(s, t)
    mean, sd = t @ np.linalg.solve(s, ys) / precision, precision**-0.5
    kernel = ParticleMarginal(particles=25, scale=0.7).on("m")
    method = ppl.mcmc(kernel=kernel, chains=2, draws=400, warmup=40)
    found = ppl.infer(target, method, seed=4, engine="machine", progress=False)
    size = found.convergence.ess_bulk[list(found.scalars[0]).index("m")]
    assert size > 60
    assert abs(found["m"].mean() - mean) < 4.5 * sd / math.sqrt(size)


def test_a_scheme_without_a_conditional_version_is_part_of_no_larger_kernel():
    pmmh = ParticleMarginal(particles=3).on("k")
    with pytest.raises(DiagnosticError, match="E811.*larger kernel"):
        run(pmmh.then(kernels.gibbs().on("a")))
    run(ParticleMarginal(particles=3, scheme="multinomial").on("k").then(kernels.gibbs().on("a")))
    with pytest.raises(DiagnosticError, match="E811.*parameters"):
        run(ParticleMarginal(particles=3))


def run(kernel):
    method = ppl.mcmc(kernel=kernel, chains=1, draws=30, warmup=0)
    return ppl.infer(MODELS.chain(), method, engine="machine", progress=False)

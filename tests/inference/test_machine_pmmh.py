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
from ppl.semantics.machine import MachineKey
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


LINEAR = ppl.compile("""
model walk(ys: [real]) {
  m ~ normal(0, 1)
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x + m, 0.4); observe y ~ normal(x, 0.5); return x }
  return m
}
""").walk(ys=[0.8, 1.9, 2.2, 3.6])


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
    "two particles, resampled": (MODELS.chain(), {"threshold": 0.6}),
    "another parameter": (MODELS.brief(), {"on": "a", "threshold": 0}),
}


LONG = {"three particles": (MODELS.brief(), {"particles": 3, "threshold": 0})}


@pytest.mark.parametrize(
    "case",
    [*CASES.values(), *(pytest.param(c, marks=pytest.mark.soak) for c in LONG.values())],
    ids=[*CASES, *LONG],
)
def test_the_posterior_of_whole_traces_is_kept(case):
    program, settings = case
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
    t = np.arange(1, 5)
    s = 0.16 * np.minimum.outer(t, t) + 0.25 * np.eye(4)
    precision = 1 + t @ np.linalg.solve(s, t)
    mean, sd = t @ np.linalg.solve(s, ys) / precision, precision**-0.5
    kernel = ParticleMarginal(particles=10, scale=0.7).on("m")
    method = ppl.mcmc(kernel=kernel, chains=2, draws=150, warmup=20)
    found = ppl.infer(LINEAR, method, seed=4, engine="machine", progress=False)
    size = found.convergence.ess_bulk[list(found.scalars[0]).index("m")]
    assert size > 25
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


def filters(correlation, n, seed=0):
    """Log estimates at one parameter, each by numbers moved from those before, and the numbers."""
    program = Program.of(LINEAR.machine, LINEAR.plain)
    sweep = Sweep(program, Rest(program, ["m"]), 10, False, 0.5)
    policy = Resample("systematic", 0.5)
    step = Marginal(sweep, Selection(program, ["m"]), Tuning(0.0), policy, correlation=correlation)
    turns, masses, numbers = Turns(MachineKey(seed)), [], []
    trace = first_trace(program.run, turns.next())
    held = {k: trace.sites[k] for k in step.parameters(trace)}
    for _ in range(n):
        masses.append(step.estimate(held, turns)[1])
        step.numbers = step._latest
        numbers.append(step.numbers)
    return np.array(masses), numbers


def test_correlated_numbers_keep_their_law_and_make_estimates_alike():
    """Numbers of a place are normal with the stated correlation, within 4.5 standard errors (3.4e-6
    each); estimates move together, and have the mean of independent ones."""
    masses, numbers = filters(0.9, 200)
    at = [[x[p] for x in numbers] for p in numbers[0] if all(p in x for x in numbers)]
    assert len(at) >= 40
    x = np.array(at)
    # an autoregression of correlation 0.9 has n (1 - 0.9) / (1 + 0.9) effective numbers
    effective = x.size * 0.1 / 1.9
    assert abs(x.mean()) < 4.5 / math.sqrt(effective)
    assert abs((x[:, 1:] * x[:, :-1]).mean() - 0.9) < 4.5 / math.sqrt(effective)
    # of independent estimates, the correlation is that large with probability 3.4e-6
    assert np.corrcoef(masses[1:], masses[:-1])[0, 1] > 4.5 / math.sqrt(200)
    plain, _ = filters(0.0, 80)
    assert abs(np.corrcoef(plain[1:], plain[:-1])[0, 1]) < 4.5 / math.sqrt(80)
    spread = np.exp(plain - plain.mean())
    assert abs(np.exp(masses - plain.mean()).mean() - spread.mean()) < 6 * spread.std() / math.sqrt(
        40
    )


def test_correlation_is_for_chains_of_its_own():
    method = ppl.pmmh(parameters="m", particles=8, correlation=0.95, chains=1, draws=40, warmup=10)
    found = ppl.infer(LINEAR, method, seed=1, engine="machine", progress=False)
    assert found["m"].shape == (1, 40) and len(np.unique(found["m"])) > 3
    pmmh = ParticleMarginal(particles=3, scheme="multinomial", correlation=0.5).on("k")
    with pytest.raises(DiagnosticError, match="E811.*larger kernel"):
        run(pmmh.then(kernels.gibbs().on("a")))
    with pytest.raises(DiagnosticError, match="E811"):
        ppl.pmmh(parameters="m", correlation=1.0)

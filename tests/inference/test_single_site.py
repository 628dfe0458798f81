"""Single-site Metropolis-Hastings leaves the posterior alone: its whole transition matrix, by tapes,
over every trace of programs whose traces have unequal lengths."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ppl
from ppl.inference.kernels.machine.resuming import Resumable
from ppl.inference.kernels.machine.single_site import revise
from ppl.inference.kernels.machine.traces import first_trace
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import Machine, MachineKey
from ppl.semantics.machine.tape import explore

#: `lengths`: one, two or three sites, whose later sites' laws depend on earlier ones; some values of
#: a kept site become impossible. `kinds`: a site whose family changes under one path. `sizes`:
#: arrays drawn whole, whose lengths are random, by every way that one site is an array. `chain`: runs
#: are resumed where they change.
MODELS = ppl.compile("""
model lengths(y: bool) {
  n ~ categorical([0.5, 0.3, 0.2])
  a ~ if n == 0 { return 0 } else { a ~ categorical([[0.2, 0.3, 0.5], [0.6, 0.4, 0]][n - 1]); return a }
  b ~ if n == 2 { b ~ bernoulli([0.9, 0.25, 0.4][a]); return b } else { return false }
  last ~ bernoulli([0.15, 0.7, 0.45][a])
  observe y ~ bernoulli(if b { 0.8 } else if last { 0.3 } else { 0.55 })
  condition not (n == 1 and a == 1)
  return (n, a, b, last)
}

model deep(y: nat) {
  n ~ count(0)
  observe y ~ binomial(4, [0.15, 0.4, 0.7, 0.85][n])
  return n
}
fn count(d: nat) -> measure[nat] {
  more ~ bernoulli([0.6, 0.35, 0.8, 0][d])
  if more { count(d + 1) } else { return d }
}

model kinds(y: bool) {
  s ~ bernoulli(0.3)
  d ~ categorical([0.6, 0.4])
  let law = if s { binomial(2, 0.3) } else { categorical([0.5, 0.2, 0.3]) }
  k ~ law
  observe y ~ bernoulli([0.9, 0.25, 0.6][k])
  return (s, d, k)
}

model sizes(y: bool) {
  n ~ categorical([0.5, 0.3, 0.2])
  xs ~ iid(n, categorical([0.3, 0.5, 0.2]))
  ys ~ bernoulli([0.9, 0.4][0:[1, 2, 1][n]])
  let shares = [5, 3][0:[1, 1, 2][n]]
  k ~ multinomial(2, shares / sum(shares))
  observe y ~ bernoulli(if sum(xs) > k[0] { 0.8 } else if any(ys) { 0.35 } else { 0.1 })
  return n
}

model chain(ys: [real]) {
  xs ~ scan x = 0 for y in ys {
    more ~ bernoulli([0.3, 0.8, 0.55][x])
    x ~ if more { x ~ categorical([[0.5, 0.2, 0.3], [0, 0.6, 0.4], [0.25, 0.35, 0.4]][x]); return x } else { return x }
    observe y ~ normal([-1, 0.5, 2][x], 1)
    return x
  }
  return xs
}

model normals(y: real) {
  k ~ geometric(0.5)
  xs ~ for _ in range(k) { x ~ normal(1, 1); return x }
  observe y ~ normal(sum(xs), 2)
  return k
}

model lazy_values(y: real) {
  f ~ mem(fn (k: nat) => normal(0, 1))
  observe y ~ normal(f(0), 1)
  return f
}

model impossible() {
  f ~ mem(fn (k: nat) => bernoulli(0.5))
  condition f(0) and not f(0)
  return f(0)
}
""")


def traces(target):
    """Every trace of positive weight, and the posterior probability of each."""
    machine = Machine(target.model.program)
    run = Resumable.of(machine, machine.bind(target.values))
    found, masses = [], []

    def once(tape):
        trace = first_trace(run, tape)
        if trace.execution.alive:
            found.append(trace)
            masses.append(tape.probability * math.exp(trace.log_weight))

    explore(once, limit=10_000)
    return run, found, np.array(masses) / sum(masses)


def state(trace):
    return frozenset((path, site.value) for path, site in trace.sites.items())


@pytest.mark.parametrize(
    ("target", "states"),
    [
        (MODELS.lengths(y=True), 14),
        (MODELS.deep(y=3), 4),
        (MODELS.kinds(y=False), 12),
        (MODELS.sizes(y=True), 68),
        (MODELS.chain(ys=[0.4, 1.7, -0.6]), 55),
    ],
    ids=["lengths", "deep", "kinds", "sizes", "chain"],
)
def test_the_kernel_is_reversible_over_traces_of_unequal_length(target, states):
    run, found, pi = traces(target)
    assert len(found) == states
    number = {state(t): i for i, t in enumerate(found)}
    assert len(number) == states
    assert len({len(t.sites) for t in found}) > 1 or target.model.name in ("kinds", "sizes")
    kernel = np.zeros((states, states))
    for i, trace in enumerate(found):

        def once(tape, i=i, trace=trace):
            after = revise(run, trace, tape)
            kernel[i, number[state(after)]] += tape.probability

        explore(once, limit=10_000)
    flow = pi[:, None] * kernel
    assert kernel.sum(axis=1) == pytest.approx(np.ones(states), abs=1e-12)
    assert pi @ kernel == pytest.approx(pi, abs=1e-12)
    assert np.max(np.abs(flow - flow.T)) < 1e-12
    # it moves, and reaches every trace from every other
    assert np.all(np.linalg.matrix_power(kernel + 1e-300, 64) > 1e-9)


def posterior_of_k(y):
    """p(k | y) of `normals`, by hand: the sum of k is normal(k, sqrt(k + 4))."""
    k = np.arange(60)
    v = k + 4
    p = 0.5 ** (k + 1) * np.exp(-((y - k) ** 2) / (2 * v)) / np.sqrt(v)
    return p / p.sum()


def test_chains_over_a_random_number_of_normals():
    """Four chains; the mean of k within 4.5 standard errors by the chains' effective sample size (a
    fixed seed; 7e-6 had it been random)."""
    posterior = ppl.infer(
        MODELS.normals(y=3.4), ppl.mcmc(draws=500, warmup=100), seed=4, progress=False
    )
    exact = posterior_of_k(3.4)
    mean = exact @ np.arange(60)
    sd = math.sqrt(exact @ (np.arange(60) - mean) ** 2)
    assert posterior.shape == (4, 500) and posterior.result.shape == (4, 500)
    assert np.array_equal(posterior["k"], posterior.result)
    names = list(posterior.scalars[0])
    size = posterior.convergence.ess_bulk[names.index("k")]
    assert size > 100
    assert abs(posterior.result.mean() - mean) < 4.5 * sd / math.sqrt(size)
    # site x[i] is there exactly in the draws with more than i of them
    assert np.array_equal(np.isnan(posterior["xs/x[1]"]), posterior.result < 2)
    assert 0 < posterior.stats["acceptance_rate"].mean() < 1


def test_a_function_drawn_from_draws_what_it_was_not_asked_for_afresh():
    """What no run asked for is no part of the trace, and must not be taken from the one before."""
    machine = Machine(MODELS.lazy_values(y=2.0).model.program)
    run = machine.runner(MODELS.lazy_values(y=2.0).values, record=False)
    trace = first_trace(run, MachineKey(3))
    size = len(trace.sites)
    f = trace.execution.result
    fresh = [f(5), f(6)]
    assert len(trace.sites) == size and fresh[0] != fresh[1]
    after = revise(run, trace, MachineKey(3).at(1, 0))
    assert len(after.sites) == size and after.execution.result(5) == after.execution.result(5)


def test_a_chain_without_a_start_says_so():
    with pytest.raises(DiagnosticError, match="E895"):
        ppl.infer(MODELS.impossible(), ppl.mcmc(chains=1), progress=False)


@pytest.mark.parametrize("setting", [{"chains": 0}, {"draws": 0}, {"warmup": -1}, {"thin": 0}])
def test_settings_are_checked(setting):
    with pytest.raises(DiagnosticError, match="E811"):
        ppl.mcmc(**setting)


def test_what_runs_on_the_machine_alone_says_so():
    with pytest.raises(DiagnosticError, match="E716"):
        ppl.infer(MODELS.deep(y=3), ppl.mcmc(), engine="xla", progress=False)

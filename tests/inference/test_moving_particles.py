"""Resample-move on XLA is properly weighted for whole traces: exactly, by tapes that enumerate the
particles' draws, the resampling and the moves together, through the production code."""

from __future__ import annotations

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import t

import ppl
from ppl import kernels
from ppl.inference.moving_particles import mover_of
from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import precision
from ppl.semantics.xla import moving, prefixes
from ppl.semantics.xla.lineage import inherited
from ppl.semantics.xla.program import particles
from ppl.verify import Compiled, ProperlyWeighted, check
from ppl.verify.compiled import Runs, values_of

MODELS = ppl.compile("""
# three states, of which few moves are possible: that keeps the number of outcomes down. `c`, which
# moves, is read at every step, and scored after the loop; so is the first state
model hidden(ys: [bool]) {
  c ~ bernoulli(0.35)
  let rows = if c {
    [[0.6, 0.4, 0], [0, 0, 1], [0, 1, 0]]
  } else {
    [[0, 1, 0], [0, 0.3, 0.7], [1, 0, 0]]
  }
  xs ~ scan x = 0 for y in ys {
    x ~ categorical(rows[x])
    observe y ~ bernoulli([0.15, 0.8, 0.35][x])
    return x
  }
  observe c ~ bernoulli([0.9, 0.25, 0.4][xs[0]])
  return (c, xs)
}

# the loop's elements are random, its state is a function, a choice is not always made
model odd(ys: [bool]) {
  a ~ bernoulli(0.35)
  f ~ fold f = (fn (x: bool) => x == a) for y in [if a { y } else { not y } for y in ys] {
    b ~ bernoulli(if f(y) { 0.3 } else { 0.6 })
    if b { up ~ bernoulli(0.8); observe y ~ bernoulli(if up { 0.9 } else { 0.4 }) }
    return (fn (x: bool) => x == b)
  }
  return (a, f(true))
}

model drift(ys: [real]) {
  m ~ normal(0, 2)
  xs ~ scan x = m for y in ys { x ~ normal(x, 0.5); observe y ~ normal(x, 1); return x }
  return m
}
""")
N, YS = 3, [False, True, True]


def mass(c: int, xs: tuple[int, ...]) -> float:
    """Of a history of `hidden`."""
    rows = [[[0, 1, 0], [0, 0.3, 0.7], [1, 0, 0]], [[0.6, 0.4, 0], [0, 0, 1], [0, 1, 0]]]
    out, before = [0.65, 0.35][c], 0
    for x, y in zip(xs, YS, strict=True):
        out *= rows[c][before][x] * abs([0.85, 0.2, 0.65][x] - y)
        before = x
    return out * abs([0.1, 0.75, 0.6][xs[0]] - c)


HISTORIES = list(itertools.product(range(2), *[range(3)] * 3))
KNOWN = np.array([mass(c, tuple(xs)) for c, *xs in HISTORIES])

MUTANTS = {
    "moves towards the final target": 1,
    "a stale carry": 2,
    "a missing link to the ancestors": 3,
}


@pytest.fixture(scope="module")
def measure():
    """The expected mass of each history under a mistake, chosen by a traced number; 0 is none."""
    target, kernel = MODELS.hidden(ys=YS).sampler, kernels.gibbs().on("c")
    policy = compiled_policy(Resample("systematic", 0.6))
    density, replayed = prefixes.Prefixes.density, prefixes.Prefixes.replayed

    def run(data, tape):
        data, mutant = data
        before = {}

        def mover(omega, spot, position):
            before.update(position)
            return mover_of(kernel, 1, data)(omega, spot, position)

        def towards(self, names, k, t, alive):
            t = None if t is None else jnp.where(mutant == 1, len(YS) - 1, t)
            return density(self, names, k, t, alive)

        def again(self, k, t, rule, axis, given, omega):
            if axis.size == N:
                old = {name: replace(u, data=before[name]) for name, u in given.items()}
                given = jax.tree.map(lambda a, b: jnp.where(mutant == 2, a, b), old, given)
            return replayed(self, k, t, rule, axis, given, omega)

        def linked(position, ancestors, axis):
            own = jnp.arange(N, dtype=ancestors.dtype)
            return inherited(position, jnp.where(mutant == 3, own, ancestors), axis)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prefixes.Prefixes, "density", towards)
            patch.setattr(prefixes.Prefixes, "replayed", again)
            patch.setattr(moving, "inherited", linked)
            found = moving.run_moving(target.bound, data, tape, particles(N), policy, mover)
        (c, xs), state = found
        return (state.extra.log_weights, c.data, xs.data), state.omega

    paths = Enumerator(run, length=32, batches=(2048,), quick=True)

    def of(mutant):
        with precision(None):
            found = paths((target.data, jnp.asarray(mutant)))
        weights, c, xs = found.outputs
        expected = np.exp(found.log_probability)[:, None] * np.exp(weights)
        number = 27 * c + xs @ [9, 3, 1]
        return np.bincount(number.astype(int).ravel(), expected.ravel(), minlength=54)

    return of


def test_whole_histories_are_properly_weighted(measure):
    assert measure(0) == pytest.approx(KNOWN, abs=1e-13)


@pytest.mark.parametrize("name", MUTANTS)
def test_mistakes_are_found(measure, name):
    assert np.abs(measure(MUTANTS[name]) - KNOWN).max() > 1e-4


def test_state_that_is_a_function_and_choices_not_always_made():
    policy = compiled_policy(Resample("systematic", 0.9))

    def run(model, omega):
        mover = mover_of(kernels.prior(), 1, model.data)
        result, state = moving.run_moving(
            model.bound, model.data, omega, particles(2), policy, mover
        )
        return Runs(state.omega, values_of(result, state, 2), state.extra.log_weights)

    verdict = check(Compiled(run), MODELS.odd(ys=[True]), ProperlyWeighted())
    assert verdict.ok, verdict
    assert verdict.report.paths > 100


def refused(kernel, match):
    with pytest.raises(DiagnosticError, match=match):
        ppl.infer(MODELS.drift(ys=[0.2]), ppl.rmsmc(kernel=kernel), engine="xla", progress=False)


def test_kernels_that_do_not_fit():
    refused(kernels.elliptical_slice(), "E716")
    refused(kernels.random_walk().on("n"), "E855")
    refused(kernels.gibbs().on("m"), "E819")


@pytest.mark.usefixtures("quick_compilation")
def test_a_linear_gaussian_model_by_gradients():
    """Against its Gaussian joint law: the estimate of the evidence times the particles' mean of
    f - E f has mean 0. False alarms: 1e-5 for each of five (Student's t)."""
    ys, runs = np.array([0.8, -0.3, 1.9]), 30
    walk = 4 + 0.25 * np.minimum.outer([0, 1, 2, 3], [0, 1, 2, 3])  # of m and the states
    seen = walk[1:, 1:] + np.eye(3)
    means = walk[:, 1:] @ np.linalg.solve(seen, ys)
    evidence = -0.5 * (ys @ np.linalg.solve(seen, ys) + np.linalg.slogdet(2 * np.pi * seen)[1])
    target = MODELS.drift(ys=ys)
    kernel = kernels.hmc(step_size=0.3, trajectory_length=1.0)
    method = ppl.rmsmc(particles=200, kernel=kernel, threshold=0.8)
    terms = []
    for seed in range(runs):
        posterior = ppl.infer(target, method, seed=seed, engine="xla", progress=False)
        values = np.column_stack([posterior["m"][0], posterior["xs/x"][0]])
        mass = np.exp(posterior.log_evidence - evidence)
        terms.append([mass - 1, *(mass * (posterior.weights[0] @ (values - means)))])
    errors = np.std(terms, axis=0, ddof=1) / np.sqrt(runs)
    assert np.all(errors < 0.06)
    assert np.all(np.abs(np.mean(terms, axis=0)) < t.isf(5e-6, runs - 1) * errors)
    assert len(np.unique(posterior["m"])) > 100  # after three resamplings
    assert posterior.points["ancestors"].shape == (3, 200)
    assert np.all(posterior.points["acceptance_rate"] > 0.8)

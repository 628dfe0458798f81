"""Compiled sequential Monte Carlo is properly weighted for the joint law of whole histories: exactly,
by tapes that enumerate the model's draws and the resampling together through the production code."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import t as student_t

import ppl
from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.machine import Execution, Machine, MachineKey
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.axes import spread
from ppl.semantics.xla.program import particles

MODELS = ppl.compile("""
# `c` is drawn before the points and read at each of them and after; state 2 forbids y = 1
model hidden(ws: [bool], ys: [bool]) {
  c ~ bernoulli(0.35)
  for w in ws { observe w ~ bernoulli(if c { 0.8 } else { 0.3 }) }
  xs ~ scan x = 0 for y in ys {
    x ~ categorical(if c { [[0.6, 0.4, 0], [0, 0.3, 0.7], [1, 0, 0]][x] }
                    else { [[0.2, 0, 0.8], [0.9, 0.1, 0], [0, 1, 0]][x] })
    observe y ~ bernoulli([0.15, 0.7, 0][x])
    return x
  }
  observe c ~ bernoulli([0.9, 0.25, 0.4][xs[0]])
  return (c, xs)
}

# the loop is in a function, its elements are the particles' own, its state is a function
model indirect(ys: [bool]) {
  k ~ bernoulli(0.4)
  zs ~ for y in ys { bernoulli(if k { 0.7 } else { 0.25 }) }
  fs ~ follow(fn (n: nat) => if k { [0.3, 0.5, 0.9, 0.2][n] } else { 0.6 }, zs, ys)
  return (k, zs, [f(1) for f in fs])
}
fn follow(p: nat -> prob, zs: [bool], ys: [bool]) -> measure[[nat -> prob]] {
  states ~ scan s = {f: p, n: 0} for (z, y) in zip(zs, ys) {
    let n = if z { s.n + 1 } else { s.n }
    let f = fn (m: nat) => p(if n + m > 3 { 3 } else { n + m })
    observe y ~ bernoulli(f(0))
    return {f, n}
  }
  return [s.f for s in states]
}

model linear(ys: [real]) {
  a ~ normal(0.5, 1)
  xs ~ scan x = a for y in ys {
    x ~ normal(0.9 * x, 0.7)
    observe y ~ normal(x, 0.5)
    return x
  }
  return a + xs[len(ys) - 1]
}

fn later(x: real, ys: [real]) -> measure[real] {
  observe x ~ normal(0, 2)
  out ~ fold s = x for y in ys { observe y ~ normal(s, 1); return 0.5 * s }
  checkpoint
  return out
}
model stops(ys: [real]) {
  x ~ normal(0, 1)
  for y in ys { observe y ~ normal(x, 1) }
  z ~ { e ~ normal(x, 1); w ~ later(e, ys); return w + e }
  ws ~ scan w = z for y in ys { w ~ normal(w, 1); return w }
  if len(ys) > 2 { factor ws[1] / 10 } else { factor 1 }
  checkpoint
  u ~ later(z, ys)
  observe 0.3 ~ normal(u, 1)
}

model survivors() {
  k ~ categorical([0.2, 0.3, 0.5])
  let x = [1.5, 2.5][k]
  condition k < 2
  return x
}

model random_branch(y: real) {
  long ~ bernoulli(0.4)
  x ~ if long { fold s = 0.0 for i in range(3) { e ~ normal(s, 1); observe y ~ normal(e, 1); return e } }
      else { return 0.0 }
  return x
}
model recursive(y: real) { x ~ down(3, y); return x }
fn down(n: nat, y: real) -> measure[real] {
  x ~ normal(0, 1)
  observe y ~ normal(x, 1)
  checkpoint
  if x > 0.5 { return x } else { down(n, y) }
}
model bounded(y: real) {
  x ~ iterate x = 0.0 until x > 1 max 4 { e ~ normal(x, 1); observe y ~ normal(e, 1); return e }
  return x
}
model stopping_plate(ys: [real]) {
  for y in ys { x ~ normal(0, 1); observe y ~ normal(x, 1); checkpoint }
}
model nested(ys: [real]) {
  xs ~ scan x = 0.0 for y in ys {
    z ~ fold z = x for u in ys { z ~ normal(z, 1); observe u ~ normal(z, 1); return z }
    return z
  }
  return xs
}
""")
WS, YS = [True, False, True], [False, True, False]

START = {True: 0.35, False: 0.65}
PLATE = {True: 0.8, False: 0.3}
MOVE = {
    True: [[0.6, 0.4, 0], [0, 0.3, 0.7], [1, 0, 0]],
    False: [[0.2, 0, 0.8], [0.9, 0.1, 0], [0, 1, 0]],
}
EMIT, LAST = [0.15, 0.7, 0.0], [0.9, 0.25, 0.4]


def bernoulli(p, x):
    return p if x else 1 - p


def masses(ws, ys):
    """The exact unnormalised measure of histories (c, x_1, …)."""
    out = {}
    for c in (False, True):
        for xs in itertools.product(range(3), repeat=len(ys)):
            m = START[c] * math.prod(bernoulli(PLATE[c], w) for w in ws)
            for x, to, y in zip((0, *xs), xs, ys, strict=False):
                m *= MOVE[c][x][to] * bernoulli(EMIT[to], y)
            m *= bernoulli(LAST[xs[0]], c)
            if m > 0:
                out[c, *xs] = m
    return out


class Enumerated:
    """E[Σ w δ_history] over all tapes; compiled once for all thresholds. `histories(result, state)`
    gives what each particle's history holds."""

    def __init__(self, scheme, n, target, histories, **options):
        axis, self.data = particles(n), target.data

        def run(data, tape):
            data, threshold = data
            policy = compiled_policy(Resample(scheme, threshold))
            result, front, state = target.bound.sequential(data, tape, axis, policy, **options)
            columns = [spread(a, (axis,)).data for a in histories(result, state)]
            rows = jnp.concatenate([c.reshape(n, -1).astype(float) for c in columns], axis=1)
            return (front.log_weights, rows, front.history), state.omega

        self.paths = Enumerator(run, length=32, batches=(4096,))

    def __call__(self, threshold):
        """The masses by history; at each point, the share of paths that resampled there."""
        with precision(None):
            found = self.paths((self.data, threshold))
        weights, rows, history = found.outputs
        p = np.exp(found.log_probability)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        rows = rows.reshape(-1, rows.shape[-1])
        # a number that tells histories apart, which sorts faster than they do
        mark = (rows * np.random.default_rng(1).random(rows.shape[-1])).sum(axis=1)
        _, first, at = np.unique(mark, return_index=True, return_inverse=True)
        assert np.array_equal(rows[first[at]], rows)
        mass = np.bincount(at, (p[:, None] * np.exp(weights)).ravel())
        due = np.concatenate([np.reshape(d, (len(p), -1)) for _, d, _ in history], axis=1)
        alive = {tuple(k): m for k, m in zip(rows[first].tolist(), mass, strict=True) if m > 0}
        return alive, due.mean(axis=0)


def agree(found, known):
    assert found.keys() == known.keys()
    for history in known:
        assert found[history] == pytest.approx(known[history], abs=1e-13), history


def of_hidden(result, state):
    """Every record of the history, so that all have to be of one lineage."""
    return [state.kept["c"], state.kept["xs"], state.sites["xs/x"], *result]


@pytest.mark.parametrize(
    ("scheme", "thresholds"), [("systematic", (1.0, 0.6)), ("multinomial", (0.6, 0.45))]
)
def test_three_particles_are_properly_weighted_for_whole_histories(scheme, thresholds):
    known = {(c, *xs, *xs, c, *xs): m for (c, *xs), m in masses(WS, YS).items()}
    assert len(known) == 10
    expected = Enumerated(scheme, 3, MODELS.hidden(ws=WS, ys=YS), of_hidden)
    for threshold in thresholds:
        found, due = expected(threshold)
        assert due.shape == (5,) and np.all(due[2:] > 0.1)
        agree(found, known)


def test_values_held_by_functions_and_elements_follow_their_particles():
    """A loop inside a call, over what the particles drew, that carries functions."""
    ys, known = [True, False, True], {}
    for k, *zs in itertools.product((False, True), repeat=4):
        p = [0.3, 0.5, 0.9, 0.2] if k else [0.6] * 4
        m, n, after = (0.4 if k else 0.6), 0, []
        for z, y in zip(zs, ys, strict=True):
            m *= bernoulli(0.7 if k else 0.25, z)
            n += z
            m *= bernoulli(p[n], y)
            after.append(p[min(3, 1 + n)])
        known[k, *zs, *after] = m
    assert len(known) == 16

    def histories(result, state):
        k, zs, after = result
        return [k, state.kept["zs"], after]

    expected = Enumerated("systematic", 3, MODELS.indirect(ys=ys), histories)
    found, due = expected(0.9)
    assert due.shape == (4,) and np.all(due[:3] > 0.05)
    agree(found, known)


def kalman(ys):
    """log p(ys) of `linear`, and the conditional means of a, x_1, …, by conditioning a joint
    normal law."""
    n = len(ys)
    back = np.eye(n + 1) - 0.9 * np.eye(n + 1, k=-1)
    noise = np.diag([1.0] + [0.49] * n)
    mean = np.linalg.solve(back, [0.5] + [0] * n)
    cov = np.linalg.solve(back, np.linalg.solve(back, noise).T)
    seen = cov[1:, 1:] + 0.25 * np.eye(n)
    rest = np.asarray(ys) - mean[1:]
    solved = np.linalg.solve(seen, rest)
    log_p = -0.5 * (np.linalg.slogdet(2 * np.pi * seen)[1] + rest @ solved)
    return log_p, mean + cov[:, 1:] @ solved


def test_evidence_and_smoothed_means_of_a_linear_gaussian_model():
    """The estimate of the evidence has mean Z, and times the population's mean of f - E f mean 0.
    40 populations of 1,000: Student's t below its 1e-6 quantile, six numbers: 1.2e-5 false alarms.
    The standard errors are below 0.02, so that an error of 0.12 would be seen."""
    ys = [0.3, -0.2, 0.9, 1.4, 0.6]
    log_z, means = kalman(ys)
    rows = []
    for seed in range(40):
        posterior = ppl.infer(
            MODELS.linear(ys=ys), ppl.smc(particles=1_000), seed=seed, progress=False
        )
        mass = math.exp(posterior.log_evidence - log_z)
        columns = np.column_stack([posterior["a"][0], posterior["xs/x"][0]])
        rows.append([mass - 1, *(mass * (posterior.weights[0] @ (columns - means)))])
        assert np.array_equal(posterior["xs/x"], posterior["xs"])
        assert np.array_equal(posterior["xs"][0, :, -1] + posterior["a"][0], posterior["result"][0])
    rows = np.array(rows)
    errors = rows.std(axis=0, ddof=1) / math.sqrt(len(rows))
    assert np.all(errors < 0.02)
    assert np.all(np.abs(rows.mean(axis=0) / errors) < student_t.isf(5e-7, len(rows) - 1))
    assert posterior.points["resampled"].sum() >= 2
    assert posterior.points["effective_sample_size"].shape == (5,)
    again = ppl.infer(MODELS.linear(ys=ys), ppl.smc(particles=1_000), seed=39, progress=False)
    assert np.array_equal(again["xs"], posterior["xs"])


def test_what_went_wrong_in_particles_without_descendants_is_no_error():
    """An index is out of range where the weight is then zero; all particles left are others'."""
    posterior = ppl.infer(
        MODELS.survivors(), ppl.smc(particles=50, threshold=1.0), progress=False, engine="xla"
    )
    assert posterior.points["resampled"].tolist() == [True]
    assert set(np.ravel(posterior.result)) == {1.5, 2.5}
    assert np.all(posterior.log_weights == posterior.log_weights[0, 0])


def test_both_engines_stop_at_the_same_points():
    target = MODELS.stops(ys=[0.1, 0.4, -0.3])
    axis, policy = particles(2), compiled_policy(Resample("systematic", 0.5))
    seen = []

    def run(data, key):
        _, front, _ = target.bound.sequential(data, Key(key), axis, policy)
        seen.append(sum(max(1, d.size) for _, d, _ in front.history))
        return front.log_weights

    jax.eval_shape(run, target.data, jax.random.key(0))
    machine, count = Machine(target.model.program), 0
    at = machine.start(target.values)
    while not isinstance(at, Execution):
        at, count = at.resume(MachineKey(3)), count + 1
    # the loop that draws `ws` scores nothing: on XLA nobody asks the policy at its three steps
    assert seen == [count - 1 - 3]
    assert seen[0] == 14


@pytest.mark.parametrize(
    ("target", "where"),
    [
        (MODELS.random_branch(y=0.4), "under a random choice"),
        (MODELS.recursive(y=0.4), "inside recursion"),
        (MODELS.bounded(y=0.4), "at the steps of `iterate`"),
        (MODELS.stopping_plate(ys=[0.4, 0.1]), "inside a `for`"),
        (MODELS.nested(ys=[0.4, 0.1]), "inside a step of another loop"),
    ],
)
def test_points_that_compiled_code_does_not_have_are_the_machines(target, where):
    assert target.model.engine.name == "xla"
    with pytest.raises(DiagnosticError, match=f"E730.*{where}"):
        ppl.infer(target, ppl.smc(particles=5), engine="xla", progress=False)
    posterior = ppl.infer(target, ppl.smc(particles=5), progress=False)
    assert [r.code for r in posterior.remarks] == ["W717"]

"""Backward simulation in compiled code is properly weighted for whole histories: exactly, by tapes
of the filter and of every choice of a past; and gives what the Kalman smoother gives."""

from __future__ import annotations

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import precision
from ppl.semantics.xla import backward
from ppl.semantics.xla.program import particles

MODELS = ppl.compile("""
# three states, the first before the loop; a choice under a branch, which a step makes or does not
# as the state before says
model hidden(ys: [bool]) {
  first ~ categorical([0.35, 0.65, 0])
  observe ys[0] ~ bernoulli([0.15, 0.7, 0.4][first])
  xs ~ scan x = first for y in ys[1:len(ys)] {
    x0 ~ categorical([[0.35, 0.65, 0], [0, 0, 1], [0.2, 0.8, 0]][x])
    if x == 1 { e ~ bernoulli(0.3); factor log(if e { 0.6 } else { 1.2 }) }
    observe y ~ bernoulli([0.15, 0.7, 0.4][x0])
    return x0
  }
  return xs
}
model linear(ys: [real]) {
  xs ~ scan x = 0.5 for y in ys { x ~ normal(0.9 * x, 0.7); observe y ~ normal(x, 0.5); return x }
  return xs
}
model parameter(ys: [real]) {
  s ~ half_normal(1)
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x, s); observe y ~ normal(x, 0.5); return x }
  return xs
}
model noises(ys: [real]) {
  xs ~ scan x = 0.0 for y in ys { e ~ normal(0, 1); let z = x + e; observe y ~ normal(z, 0.5); return z }
  return xs
}
""")
YS = [False, True, False]
MOVE, EMIT = [[0.35, 0.65, 0], [0, 0, 1], [0.2, 0.8, 0]], [0.15, 0.7, 0.4]
N = 3


def known():
    """The mass of every history of states and of choices under the branch (2 where none is made)."""
    out = {}
    for xs in itertools.product(range(3), repeat=3):
        for es in itertools.product(range(3), repeat=2):
            m = MOVE[0][xs[0]] * math.prod(
                EMIT[x] if y else 1 - EMIT[x] for x, y in zip(xs, YS, strict=True)
            )
            for x, to, e in zip(xs, xs[1:], es, strict=False):
                branch = {0: 0.7 * 1.2, 1: 0.3 * 0.6, 2: 0.0} if x == 1 else {0: 0, 1: 0, 2: 1}
                m *= MOVE[x][to] * branch[e]
            if m > 0:
                out[(*xs, *es)] = m
    return out


def enumerated():
    target, axis = MODELS.hidden(ys=YS), particles(N)
    policy = compiled_policy(Resample("systematic", 0.6))

    def run(data, tape):
        tape, found = backward.trajectories(target.bound, data, tape, axis, policy, 1)
        xs, es = (found.sites[k].data[0] for k in ("xs/x0", "xs/then/e"))
        first = found.sites["first"].data
        row = jnp.concatenate([first, xs, jnp.where(jnp.isnan(es), 2.0, es)]).astype(float)
        return (found.log_mass, row), tape

    with precision():
        found = Enumerator(run, length=32, batches=(8192,))(target.data)
    mass, rows = found.outputs
    p = np.exp(found.log_probability)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    out = {}
    for row, m in zip(rows.tolist(), (p * np.exp(mass)).tolist(), strict=True):
        out[tuple(map(int, row))] = out.get(tuple(map(int, row)), 0.0) + m
    return len(p), {k: m for k, m in out.items() if m > 0}


def test_a_trajectory_is_properly_weighted_for_whole_histories():
    paths, found = enumerated()
    assert paths > 5_000
    expected = known()
    assert found.keys() == expected.keys() and len(expected) >= 5
    for history, mass in expected.items():
        assert found[history] == pytest.approx(mass, abs=1e-13), history


def test_the_mean_and_the_spread_of_the_kalman_smoother():
    """Ẑ times what a trajectory is off by has mean zero: eight t tests over forty runs, of |t|
    beyond 5 (a fixed seed; 1e-4 for all of them had it been random)."""
    ys, t = np.array([0.9, -0.3, 1.4, 2.2]), np.arange(4)
    steps = 0.9 ** np.clip(t[:, None] - t, 0, None) * (t[:, None] >= t)  # x = m + steps @ noise
    m, prior = 0.5 * 0.9 ** (t + 1), 0.49 * steps @ steps.T
    gain = prior @ np.linalg.inv(prior + 0.25 * np.eye(4))
    mean, spread = m + gain @ (ys - m), np.diag(prior - gain @ prior)
    target, method = MODELS.linear(ys=ys), ppl.smc(particles=100, trajectories=50)
    off, evidences = [], []
    for seed in range(40):
        found = ppl.infer(target, method, seed=seed, progress=False)
        assert np.ptp(found.log_weights) == 0 and np.array_equal(found["xs"], found["xs/x"])
        x = found["xs"][0] - mean
        evidences.append(found.log_evidence)
        z = np.exp(found.log_evidence)
        off.append(z * np.concatenate([x.mean(axis=0), (x**2).mean(axis=0) - spread]))
    assert found.points["resampled"].shape == (4,)
    off = np.array(off)
    assert np.all(np.abs(off.mean(axis=0)) < 5 * off.std(axis=0, ddof=1) / np.sqrt(40))
    # what it could have seen: a mean off by a third of the posterior's standard deviation
    z = np.exp(evidences)
    seen = 5 * off.std(axis=0, ddof=1)[:4] / np.sqrt(40) / z.mean()
    assert np.all(seen < np.sqrt(spread) / 3)


@pytest.mark.parametrize(
    ("model", "why"), [("parameter", "read in its steps"), ("noises", "depends")]
)
def test_what_is_no_state_space_model_goes_to_the_machine(model, why):
    target, method = MODELS[model](ys=[0.1, 0.4]), ppl.smc(particles=4, trajectories=3)
    with pytest.raises(DiagnosticError, match=f"E876.*{why}"):
        ppl.infer(target, method, engine="xla", progress=False)
    posterior = ppl.infer(target, method, progress=False)
    assert posterior["xs"].shape == (1, 3, 2)
    assert [r.code for r in posterior.remarks] == ["W717"]

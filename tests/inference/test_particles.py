"""Compiled sequential Monte Carlo is properly weighted for the joint law of whole histories: exactly,
by tapes that enumerate the model's draws and the resampling together through the production code."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import ppl
from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import precision
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
    """E[Σ w δ_history] over all tapes, by the recorded sites; compiled once for all thresholds."""

    def __init__(self, scheme, n, target):
        axis, self.data = particles(n), target.data

        def run(data, tape):
            data, threshold = data
            policy = compiled_policy(Resample(scheme, threshold))
            result, front, state = target.bound.sequential(data, tape, axis, policy)
            named = state.kept["c"], state.kept["xs"], state.sites["xs/x"]
            arrays = tuple(a.data for a in (*named, *result))
            return (front.log_weights, arrays, front.history), state.omega

        self.paths = Enumerator(run, length=32, batches=(4096,))

    def __call__(self, threshold):
        """The masses by history; at each point, the share of paths that resampled there."""
        with precision(None):
            found = self.paths((self.data, threshold))
        weights, (c, xs, drawn, c_result, xs_result), history = found.outputs
        assert np.array_equal(xs, drawn)
        assert np.array_equal(xs, xs_result) and np.array_equal(c, c_result)
        p = np.exp(found.log_probability)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        keys, at = np.unique(
            np.concatenate([c[..., None], xs], axis=-1).reshape(-1, 1 + xs.shape[-1]),
            axis=0,
            return_inverse=True,
        )
        mass = np.bincount(at.ravel(), (p[:, None] * np.exp(weights)).ravel())
        due = np.concatenate([np.reshape(d, (len(p), -1)) for _, d in history], axis=1)
        return dict(zip(map(tuple, keys.tolist()), mass, strict=True)), due.mean(axis=0)


def agree(found, known):
    for history in {*found, *known}:
        assert found.get(history, 0) == pytest.approx(known.get(history, 0), abs=1e-13), history


@pytest.mark.parametrize(
    ("scheme", "n", "steps", "thresholds"),
    [("systematic", 3, 3, (1.0, 0.6)), ("multinomial", 3, 3, (0.6, 0.45))],
)
def test_three_particles_are_properly_weighted_for_whole_histories(scheme, n, steps, thresholds):
    known = masses(WS, YS[:steps])
    assert len(known) >= 5
    expected = Enumerated(scheme, n, MODELS.hidden(ws=WS, ys=YS[:steps]))
    for threshold in thresholds:
        found, due = expected(threshold)
        print(threshold, due)
        agree(found, known)

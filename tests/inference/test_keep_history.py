"""Filters without history: what is left is the last step, of the same law, in the same memory for
any number of steps."""

from __future__ import annotations

from collections import defaultdict

import jax
import numpy as np
import pytest

import ppl
from ppl.inference.particles import program
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.precision import precision
from tests.inference.test_particles import LAST, WS, YS, Enumerated, agree, bernoulli, masses

MODELS = ppl.compile("""
# `c` is drawn before the points, the loop reads it, and its last state is read after it
model hidden(ws: [bool], ys: [bool]) {
  c ~ bernoulli(0.35)
  for w in ws { observe w ~ bernoulli(if c { 0.8 } else { 0.3 }) }
  x ~ fold x = 0 for y in ys {
    x ~ categorical(if c { [[0.6, 0.4, 0], [0, 0.3, 0.7], [1, 0, 0]][x] }
                    else { [[0.2, 0, 0.8], [0.9, 0.1, 0], [0, 1, 0]][x] })
    observe y ~ bernoulli([0.15, 0.7, 0][x])
    return x
  }
  return (c, x)
}

model walk(ys: [real]) {
  s ~ half_normal(1)
  h ~ fold h = 0.0 for y in ys {
    h ~ normal(h, s)
    let k = if h > 1 { 2 } else { 0 }
    e ~ normal([0.5, 1.5, 2.5][k], 1)
    observe y ~ normal(h + e, 1)
    return h
  }
  return (s, h)
}

model states(ys: [real]) {
  hs ~ scan h = 0.0 for y in ys { h ~ normal(h, 1); observe y ~ normal(h, 1); return h }
  return hs[1]
}
model unread(ys: [real]) {
  hs ~ scan h = 0.0 for y in ys { h ~ normal(h, 1); observe y ~ normal(h, 1); return h }
  return 1.0
}
""")


def test_the_last_step_has_the_law_that_it_has_in_histories():
    known = defaultdict(float)
    for (c, *xs), m in masses(WS, YS).items():
        x = xs[-1]
        known[c, x, x, c, x] += m / bernoulli(LAST[xs[0]], c)

    def histories(result, state):
        return [state.kept["c"], state.kept["x"], state.sites["x/x"], *result]

    expected = Enumerated("systematic", 3, MODELS.hidden(ws=WS, ys=YS), histories, history=False)
    found, due = expected(1.0)
    assert due.shape == (4,) and np.all(due[:3] > 0.1)
    agree(found, known)


def test_it_is_the_end_of_what_is_kept_with_history():
    target = MODELS.walk(ys=[0.2, 1.9, 2.4, 1.1])
    last, whole = (
        ppl.infer(target, ppl.smc(particles=40, keep_history=keep), seed=3, progress=False)
        for keep in (False, True)
    )
    assert last.log_evidence == whole.log_evidence
    assert whole.points["resampled"].any()
    assert np.array_equal(last["s"], whole["s"])
    assert np.array_equal(last["h"], whole["h"])
    for name in ("h/h", "h/e"):
        assert whole[name].shape == (1, 40, 4)
        assert np.array_equal(last[name], whole[name][:, :, -1])


def memory(steps, **settings):
    target, method = MODELS.walk(ys=np.linspace(-1, 1, steps)).sampler, ppl.smc(**settings)
    with precision("double"):
        run = jax.jit(
            program(target.bound, method, lambda result, state: (state.sites, state.kept))
        )
        return run.lower(target.data, 1).compile().memory_analysis()


def test_memory_does_not_grow_with_the_steps():
    """Compiled memory: but for the data and three numbers a step, which say how it was."""
    n = 100
    short, long = (memory(t, particles=n, keep_history=False) for t in (50, 1_000))
    assert long.temp_size_in_bytes <= short.temp_size_in_bytes + 16 * 950
    assert long.output_size_in_bytes == short.output_size_in_bytes + 17 * 950


@pytest.mark.parametrize("target", [MODELS.states(ys=[0.1, 0.4, 0.2])])
def test_states_that_were_not_kept_cannot_be_used(target):
    method = ppl.smc(particles=5, keep_history=False)
    with pytest.raises(DiagnosticError, match="E731.*\n.*\n.*return hs"):
        ppl.infer(target, method, progress=False)


def test_states_that_nobody_uses_are_the_last():
    target = MODELS.unread(ys=[0.1, 0.4, 0.2])
    posterior = ppl.infer(target, ppl.smc(particles=5, keep_history=False), progress=False)
    assert posterior["hs"].shape == posterior["hs/h"].shape == (1, 5)


def test_few_lineages_are_remarked():
    """As many as there are different values of what was drawn first."""
    target = MODELS.unread(ys=np.sin(np.arange(500)))
    method = ppl.smc(particles=200, threshold=1.0)
    posterior = ppl.infer(target, method, seed=1, progress=False)
    (remark,) = posterior.remarks
    left = len(np.unique(posterior["hs/h"][0, :, 0]))
    assert remark.code == "W890" and f"from {left} of" in remark.message and left < 4
    short = ppl.infer(MODELS.unread(ys=[0.1, 0.4, 0.2]), method, seed=1, progress=False)
    assert not short.remarks

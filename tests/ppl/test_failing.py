"""Chains that stay away from where a cast fails say so, since their draws are given that it does not."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.failing import failing_casts
from ppl.inference.sampling import Draws
from ppl.semantics.xla.program import CENTRED

MODELS = ppl.compile("""
model scaled(y: real, c: real, said: bool) {
  x ~ normal(0, 1)
  condition not said or x + c > 0
  for s in [2.0, (x + c) as pos] { observe y ~ normal(0, s) }
  return x
}
model sound(y: real) { x ~ normal(0, 1); observe y ~ normal(x, 1); return x }
""")
pytestmark = pytest.mark.usefixtures("quick_compilation")


def doubt(target, spread, **stats):
    """What is said of 3 chains of 11 draws, `spread` wide."""
    x = spread * np.random.default_rng(3).uniform(-1, 1, (3, 11))
    with np.errstate(all="raise"):
        return failing_casts(target, Draws({"x": x}, stats, "loop", 0.0), lambda: CENTRED)


def test_a_cast_that_fails_around_the_draws():
    """Points are at most (1 + 2 · 2) · spread away: with 0.2, none is below -1."""
    found = doubt(MODELS.scaled(y=1.0, c=1.0, said=False), 0.9)
    assert found is not None and found.code == "W710" and "of 512 points" in found.message
    assert found.span is not None and found.span.text == "(x + c) as pos"
    assert doubt(MODELS.scaled(y=1.0, c=1.0, said=False), 0.2) is None


def test_what_is_said_before_the_cast_is_no_news():
    assert doubt(MODELS.scaled(y=1.0, c=1.0, said=True), 0.9) is None


def test_nothing_is_looked_for_where_nothing_can_have_been_met():
    no, yes = np.zeros((3, 11), bool), np.eye(3, 11) > 0
    target = MODELS.scaled(y=1.0, c=1.0, said=False)
    assert doubt(target, 0.9, diverging=no) is None
    assert doubt(target, 0.9, diverging=yes) is not None
    assert doubt(MODELS.sound(y=1.0), 0.9) is None


def test_the_posterior_says_it(monkeypatch):
    """Of chains that are given, to compile none."""
    draws = Draws({"x": np.linspace(-0.9, 2, 33).reshape(3, 11)}, {}, "loop", 0.0)
    monkeypatch.setattr("ppl.chains.run_chains", lambda *_, **__: draws)
    method = ppl.mcmc(kernel=ppl.kernels.random_walk(), chains=3, draws=11)
    target = MODELS.scaled(y=1.0, c=1.0, said=False)
    posterior = ppl.infer(target, method, seed=1, progress=False, engine="xla")
    assert [w.code for w in posterior.warnings].count("W710") == 1

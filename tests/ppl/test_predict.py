"""Predictions from a posterior: of the same data, and of other data."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError

MODEL = """
model line(x: [real], y: [real]) {
  a ~ normal(0, 2)
  s ~ half_normal(0.5)
  observe y ~ normal(a * x, s)
  return a
}

model same(y: [real], Y: [[real]], k: [bool]) {
  a ~ normal(0, 2)
  observe y ~ normal(a, 1)
  observe Y ~ normal(0, 1)
  observe k ~ bernoulli_logit(a)
  return a
}
"""
X = [1.0, 2.0, 4.0]
SETTINGS = ppl.nuts(chains=2, draws=60, warmup=60)


@pytest.fixture(scope="module")
def model():
    return ppl.compile(MODEL).line


@pytest.fixture(scope="module")
def posterior(model):
    return ppl.infer(model(x=X, y=[1.2, 1.9, 4.1]), SETTINGS, seed=4, progress=False)


def test_a_posterior_predicts_its_own_data(posterior):
    made = posterior.predict(seed=5)
    assert made["y"].shape == (2, 60, 3)
    np.testing.assert_array_equal(made["y"], ppl.predict(posterior, posterior.target, seed=5)["y"])
    # y given a and s is independent noise: nothing beyond 7 sd in 360 draws (odds below 1e-9)
    noise = (made["y"] - posterior["a"][..., None] * X) / posterior["s"][..., None]
    assert np.abs(noise).max() < 7 and len(np.unique(noise)) == noise.size


def test_a_posterior_predicts_other_data(posterior, model):
    other = posterior.predict(model(x=[10.0, -3.0], y=[0.0, 0.0]), seed=5)
    assert other["y"].shape == (2, 60, 2)


def test_a_loaded_posterior_is_told_what_to_predict(posterior, tmp_path):
    posterior.save(tmp_path / "p.nc")
    loaded = ppl.load_posterior(tmp_path / "p.nc")
    with pytest.raises(DiagnosticError, match="E896"):
        loaded.predict()
    again = loaded.predict(posterior.target, seed=5)
    np.testing.assert_array_equal(again["y"], posterior.predict(seed=5)["y"])


def test_the_prior_has_sites_and_observations_by_name(model):
    drawn = ppl.prior(model(x=X, y=[0.0, 0.0, 0.0]), draws=7, seed=1)
    assert {name: drawn[name].shape for name in drawn.draws} == {
        "a": (1, 7), "s": (1, 7), "y": (1, 7, 3)
    }  # fmt: skip


def test_one_law_for_all_elements_predicts_every_element():
    same = ppl.compile(MODEL).same
    data = {"y": [1.0, 2.0, 4.0, 0.5], "Y": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "k": [True, False]}
    drawn = ppl.prior(same(**data), draws=5, seed=1)
    for name, shape in {"y": (4,), "Y": (2, 3), "k": (2,)}.items():
        assert drawn[name].shape == (1, 5, *shape)
    for name in ("y", "Y"):
        assert len(np.unique(drawn[name])) == drawn[name].size, "elements are drawn apart"

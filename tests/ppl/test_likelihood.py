"""The log-likelihood of each observation in each draw, against SciPy at the draws."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.stats as st

import ppl
from ppl.semantics.diagnostics import DiagnosticError

MODELS = ppl.compile("""
model all_kinds(x: [real], y: [real], Y: [[nat]], v: [[real]], t: [real], group: [nat]) {
  a ~ normal(0, 1)
  b ~ iid(2, normal(0, 1))
  observe y ~ normal(a + b[group] * x, 0.5)
  observe t ~ normal(a, 2)
  observe Y ~ poisson(exp(a))
  for row in v { observe row ~ multi_normal(b, [[2, 0.5], [0.5, 1]]) }
  for (xi, yi) in zip(x, y) {
    z ~ categorical([0.2, 0.3, 0.5])
    if xi > 0 { observe yi ~ normal([a, 0, 1][z], 1) } else { factor -1 }
  }
  return a
}

model growing(y: [real], w: [real]) {
  n ~ mem(fn (k: nat) => normal(0, 1))
  for (k, v) in enumerate(y) { observe v ~ normal(n(k), 1) }
  observe w ~ normal(n(1), [1, 2])
  observe w[0:1] ~ iid(1, student_t(4, 0, 1))
  return n(0)
}

model series(y: [real?]) {
  m ~ normal(0, 1)
  observe y ~ normal(m, 1)
  return m
}
""")
X, Y1 = np.array([0.5, -1.0, 2.0, 0.1]), np.array([0.3, -0.2, 1.5, 0.9])
COUNTS, T = np.array([[1, 0, 4], [2, 2, 0]]), np.array([0.1, -3.0, 2.2])
V, GROUP = np.array([[0.1, 0.4], [-1.0, 2.0], [0.6, 0.3]]), np.array([1, 0, 1, 1])
METHOD = ppl.importance(particles=60)


@pytest.fixture(scope="module")
def posterior():
    target = MODELS.all_kinds(x=X, y=Y1, Y=COUNTS, v=V, t=T, group=GROUP)
    return ppl.infer(target, METHOD, seed=2, progress=False)


@pytest.fixture(scope="module")
def scores(posterior):
    return posterior.log_likelihood()


def test_elements_of_observed_arrays_count_one_by_one(posterior, scores):
    a, b = posterior["a"][..., None], posterior["b"]
    np.testing.assert_allclose(scores["y"], st.norm.logpdf(Y1, a + b[..., GROUP] * X, 0.5))
    np.testing.assert_allclose(scores["t"], st.norm.logpdf(T, a, 2))
    rates = np.exp(a[..., None])
    np.testing.assert_allclose(scores["Y"], st.poisson.logpmf(COUNTS, rates), rtol=1e-6)


def test_vectors_with_one_density_count_as_one(posterior, scores):
    cov: Any = [[2, 0.5], [0.5, 1]]
    expected = [st.multivariate_normal.logpdf(V, b, cov) for b in posterior["b"][0]]
    assert scores["v"].shape == (1, 60, 3)
    np.testing.assert_allclose(scores["v"][0], expected)


def test_what_was_not_observed_counts_zero(posterior, scores):
    z, a = posterior["for#2/z"], posterior["a"][..., None]
    centre = np.where(z == 0, a, z - 1)
    expected = np.where(X > 0, st.norm.logpdf(Y1, centre, 1), 0)
    np.testing.assert_allclose(scores["y#2"], expected)


def test_all_of_them_and_the_factors_are_the_weight(posterior, scores):
    total = sum(v.reshape(1, 60, -1).sum(-1) for v in scores.values()) - (X <= 0).sum()
    np.testing.assert_allclose(total, posterior.log_weights)


def test_the_machine_scores_elements_too():
    y, w = [0.5, 1.5, -0.3], np.array([0.2, 0.8])
    posterior = ppl.infer(MODELS.growing(y=y, w=w), METHOD, seed=1, progress=False)
    scores, n = posterior.log_likelihood(), posterior["n"]
    np.testing.assert_allclose(scores["y"], st.norm.logpdf(y, n, 1))
    np.testing.assert_allclose(scores["w"], st.norm.logpdf(w, n[..., 1:2], [1, 2]))
    total = sum(v.reshape(1, 60, -1).sum(-1) for v in scores.values())
    np.testing.assert_allclose(total, posterior.log_weights)


def test_missing_values_count_zero():
    target = MODELS.series(y=[0.4, None, 1.1, None, -2.0])
    posterior = ppl.infer(target, METHOD, seed=1, progress=False)
    scores = posterior.log_likelihood()["y"]
    there = np.array([True, False, True, False, True])
    expected = st.norm.logpdf(np.array([0.4, 1.1, -2.0]), posterior["m"][..., None], 1)
    np.testing.assert_allclose(scores[..., there], expected)
    assert (scores[..., ~there] == 0).all()


def test_other_data_are_scored_by_the_same_draws(posterior):
    other = MODELS.all_kinds(x=X[:2], y=[3.0, 0.0], Y=COUNTS, v=V, t=T, group=GROUP[:2])
    a, b = posterior["a"][..., None], posterior["b"]
    found = posterior.log_likelihood(other)["y"]
    np.testing.assert_allclose(
        found, st.norm.logpdf([3.0, 0.0], a + b[..., GROUP[:2]] * X[:2], 0.5)
    )


def test_arviz_compares_models_by_them(posterior, tmp_path):
    data = posterior.to_arviz(log_likelihood=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few effective draws: these are 60
        import arviz

        for name, size in (("y", 4), ("Y", 6), ("v", 3)):
            assert arviz.waic(data, var_name=name).n_data_points == size
            assert np.isfinite(arviz.loo(data, var_name=name).elpd_loo)
    # rows of the groups belong together
    a = data.posterior["a"].values[..., None]
    np.testing.assert_allclose(data.log_likelihood["t"].values, st.norm.logpdf(T, a, 2))
    assert "log_likelihood" not in posterior.to_arviz().groups()
    posterior.save(tmp_path / "p.nc")
    with pytest.raises(DiagnosticError, match="E896"):
        ppl.load_posterior(tmp_path / "p.nc").log_likelihood()

"""What is integrated out, under the methods: what is left is inferred, the sites are drawn."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln

import ppl
from ppl.executions import whole_run
from ppl.inference.recover import recover
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.precision import precision
from tests.oracles.kalman import smoothed

MODELS = ppl.compile("""
model coin(tosses: [bool]) {
  kind ~ categorical([0.5, 0.3, 0.2])
  p ~ beta([1, 4, 2.5][kind], 2)
  observe tosses ~ bernoulli(p)
  odds ~ ratio(p)
  return {kind, odds}
}
fn ratio(p: prob) { u ~ uniform(0, 1); return p / (1 - p) + 0 * u }
model level(y: [real]) {
  q ~ half_normal(1)
  h0 ~ normal(0.5, 1)
  xs ~ scan x = h0 for v in y {
    x ~ normal(0.9 * x, q)
    observe v ~ normal(2 * x, 0.4)
    return x
  }
  return {h0, xs}
}
model regression(y: [real], X: [[real]]) {
  a ~ normal(0.5, 2)
  b ~ iid(len(X[0]), normal(0.2, 1.5))
  observe y ~ normal(a + X @ b, 0.8)
  return {a, b}
}
model quadratic(y: [real]) {
  mu ~ normal(0, 1)
  s ~ half_normal(1)
  observe y ~ normal(mu * mu, s)
  return mu
}
""")
Y = [0.4, -1.3, 2.2, 0.9]


def test_exact_sums_over_what_is_finite_and_integrates_over_the_rest():
    tosses = [1, 0, 1, 1]
    target = MODELS.coin(tosses=tosses).rao_blackwellize()
    posterior = ppl.infer(target, ppl.exact(draws=300), seed=1)
    weights = np.log([0.5, 0.3, 0.2]) + [betaln(a + 3, 3) - betaln(a, 2) for a in (1, 4, 2.5)]
    total = np.logaddexp.reduce(weights)
    assert posterior.log_evidence == pytest.approx(total, abs=1e-12)
    assert posterior.marginals is not None
    assert posterior.marginals["kind"] == pytest.approx(np.exp(weights - total), abs=1e-12)
    p = posterior["p"]
    assert posterior.result["odds"] == pytest.approx(p / (1 - p), rel=1e-12)
    # the mean of 300 draws, of standard deviation below 0.18: wrong once in a billion seeds
    mean = np.exp(weights - total) @ [(a + 3) / (a + 6) for a in (1, 4, 2.5)]
    assert p.mean() == pytest.approx(mean, abs=6 * 0.18 / 300**0.5)


def test_a_density_has_the_other_coordinates_and_recovery_draws_the_rest():
    target = MODELS.level(y=Y)
    left = target.rao_blackwellize()
    assert [s.path for s in left.density.sites] == ["q"]
    scales = np.log([0.3, 0.7, 2.0])
    one = np.ones((1, 1))
    with precision():
        density = jax.jit(left.density.log_density)
        found = [float(density(left.data, {"q": u})) for u in scales]
        values, result, _ = recover(
            left.bound, left.data, {"q": scales}, 3, seed=1, observe=whole_run
        )
    for u, got in zip(scales, found, strict=True):
        noise, see, error = np.exp(2 * u) * one, [2 * one] * 4, [0.16 * one] * 4
        oracle = smoothed(Y, [0.5], one, 0.9 * one, 0.0, noise, see, 0.0, error)
        prior = 0.5 * np.log(2 / np.pi) - 0.5 * np.exp(2 * u) + u
        assert got == pytest.approx(oracle.log_evidence + prior, abs=1e-9)
    assert set(values) == {"q", "h0", "xs", "xs/x"}
    assert values["xs"].data.shape == (3, 4)
    assert np.array_equal(values["xs"].data, values["xs/x"].data)
    assert np.array_equal(values["xs"].data, result.get("xs").data)


def test_both_engines_give_the_evidence_of_a_regression_exactly():
    x = np.array([[0.5, 1.0], [0.0, -1.0], [2.0, 0.3], [1.0, 1.0]])
    target = MODELS.regression(y=Y, X=x).rao_blackwellize()
    cov = 4 + 1.5**2 * x @ x.T + 0.64 * np.eye(4)
    want = stats.multivariate_normal(0.5 + 0.2 * x.sum(1), cov).logpdf(Y)
    for engine in ("xla", "machine"):
        posterior = ppl.infer(target, ppl.importance(particles=3), engine=engine)
        assert posterior.log_evidence == pytest.approx(want, abs=1e-10)
        assert posterior.effective_sample_size == pytest.approx(3)
        assert posterior["b"].shape == (1, 3, 2)


def test_what_cannot_be_integrated_out_says_why():
    target = MODELS.quadratic(y=Y)
    for names, code, why in (
        ((), "E880", "`mu`: `mul` is not linear in it"),
        (("mu",), "E881", "`mul` is not linear in it"),
        (("s",), "E881", "no draw, bound by `~`, from a conjugate family"),
        (("nu",), "E880", "no site `nu`"),
        ((3,), "E880", "by name, and 3 is none"),
    ):
        with pytest.raises(DiagnosticError, match=why) as error:
            target.rao_blackwellize(*names)
        assert error.value.diagnostics[0].code == code


def test_what_is_set_from_outside_stays():
    target = MODELS.coin(tosses=[1, 0, 1])
    with pytest.raises(DiagnosticError, match="a value is set from outside"):
        target.given(p=0.3).rao_blackwellize("p")
    later = target.rao_blackwellize().do(p=0.3)
    assert later.collapsed is not None and later.collapsed.sites == ()
    assert later.itself.collapsed is None

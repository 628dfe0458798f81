"""Expectations with control variates: exact where the posterior is Gaussian, better elsewhere, and their
standard errors are right."""

import math

import numpy as np
import pytest

import ppl
from ppl.expectations import expect
from ppl.inference.control_variates import adjusted, controls
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.precision import precision

MODELS = ppl.compile("""
model line(xs: [real], ys: [real]) {
  a ~ normal(1, 2)
  b ~ normal(-1, 1.5)
  for (x, y) in zip(xs, ys) { observe y ~ normal(a + b * x, 0.6) }
  return a + b
}
model kinds(y: real) {
  k ~ categorical([0.2, 0.5, 0.3])
  top ~ gamma(3, 1)
  x ~ uniform(0, top)
  e ~ if k == 1 { normal(x, 0.5) } else { return 0.3 }
  for i in range(3) { v ~ normal(x, 1 + k); observe y ~ normal(v, 0.8) }
  observe y ~ normal(e, 0.6)
  return e
}
model finite(y: real) { z ~ bernoulli(0.3); observe y ~ normal(if z { 1 } else { 0 }, 1) }
model holes(ys: [real?]) { m ~ normal(0, 2); for y in ys { observe y ~ normal(m, 0.5) } }
""")
XS, YS = [0.5, -1.0, 2.0, 0.1], [1.3, 2.4, -0.9, 0.7]


pytestmark = pytest.mark.usefixtures("quick_compilation")


def gaussian():
    h = np.column_stack([np.ones(4), XS])
    precision = np.diag([1 / 4, 1 / 2.25]) + h.T @ h / 0.36
    covariance = np.linalg.inv(precision)
    return covariance @ ([1 / 4, -1 / 2.25] + h.T @ YS / 0.36), covariance


@pytest.fixture(scope="module")
def line():
    method = ppl.importance(particles=300)
    return ppl.infer(MODELS.line(xs=XS, ys=YS), method, seed=1, progress=False)


def test_polynomials_under_a_gaussian_posterior_are_exact(line):
    mean, covariance = gaussian()
    found = line.expect(["a", "b", "result"])
    np.testing.assert_allclose(found.mean, [*mean, mean.sum()], rtol=1e-10)
    assert np.all(found.se < 1e-10) and np.all(found.plain_se > 1e-3)
    assert np.all(np.abs(found.plain_mean - found.mean) > 1e-3)
    square = line.expect(lambda p: p["a"] * p["b"], degree=2)
    assert square.mean == pytest.approx(mean[0] * mean[1] + covariance[0, 1], rel=1e-9)
    assert square.mean.shape == () and square.se < 1e-9
    # of the first degree it is not, and says so
    rough = line.expect(lambda p: p["a"] * p["b"])
    assert 1e-4 < rough.se < rough.plain_se


@pytest.fixture(scope="module")
def kinds():
    """40 posteriors of 1,000 draws each, as one: by one run of 40,000."""
    method = ppl.importance(particles=40_000)
    return ppl.infer(MODELS.kinds(y=0.9), method, seed=2, progress=False)


def test_controls_have_mean_zero_where_supports_and_branches_depend_on_choices(kinds):
    """E[control] = 0 for each of the 27 of degree 2, by 40,000 weighted draws: |z| < 5, 2e-5 of false
    alarms. So coordinates are those that the density takes, those of choices not made included."""
    from ppl.expectations import _scores

    with precision():
        u, score = _scores(kinds, kinds.target, 40_000, 3)
    assert u.shape == (40_000, 6)
    c = controls(u, score, 2)
    assert c.shape[1] == 27
    w = kinds.weights[0][:, None]
    z = np.sum(w * c, axis=0) / np.sqrt(np.sum((w * c) ** 2, axis=0))
    assert np.all(np.abs(z) < 5), z
    # a wrong sign of the score would not have mean zero
    wrong = controls(u, -score, 2)[:, 6:]
    assert (
        np.max(np.abs(np.sum(w * wrong, axis=0)) / np.sqrt(np.sum((w * wrong) ** 2, axis=0))) > 20
    )


def test_standard_errors_cover_and_are_smaller_than_those_of_the_draws(kinds):
    """Estimates from 40 parts against one from all: their squared errors are on average what they say,
    within a factor of 2 (χ² of 39 degrees of freedom: 6e-5 of false alarms)."""
    everything = kinds.expect("x", degree=2)
    assert everything.se < 0.8 * everything.plain_se
    assert abs(everything.mean - everything.plain_mean) < 4.5 * everything.plain_se
    with precision():
        from ppl.expectations import _scores

        u, score = _scores(kinds, kinds.target, 40_000, 3)
    c, f, ratios = controls(u, score, 1), kinds["x"][0][:, None], []
    for part in np.arange(40_000).reshape(40, 1_000):
        w = kinds.weights[0][part] / kinds.weights[0][part].sum()
        mean, residual = adjusted(f[part], c[part], w)
        se = math.sqrt(np.sum((w[:, None] * residual) ** 2))
        ratios.append(float((mean[0] - everything.mean) / se))
    assert 0.5 < np.mean(np.square(ratios)) < 2


def test_chains_by_effective_sample_sizes():
    """Of a posterior that is Gaussian, so that the error is known."""
    rng = np.random.default_rng(3)
    mean, covariance = gaussian()
    z = np.zeros((4, 500, 2))
    for t in range(500):  # an autoregression whose law is the posterior
        before = z[:, t - 1] if t else rng.normal(size=(4, 2))
        z[:, t] = 0.8 * before + 0.6 * rng.normal(size=(4, 2))
    x = mean + z @ np.linalg.cholesky(covariance).T
    target = MODELS.line(xs=XS, ys=YS)
    chains = ppl.Posterior(draws={"a": x[..., 0], "b": x[..., 1]}, method="nuts", target=target)
    found = chains.expect("a")
    assert found.mean == pytest.approx(mean[0], rel=1e-10)
    independent = math.sqrt(covariance[0, 0] / 2_000)
    assert 2 * independent < found.plain_se < 4.5 * independent  # by theory 3 times
    assert found.se < 1e-9


def test_populations_by_their_spread():
    target = MODELS.line(xs=XS, ys=YS)
    rng, (mean, covariance) = np.random.default_rng(4), gaussian()
    centres = rng.multivariate_normal(mean, covariance, size=8)[:, None]
    x = centres + rng.normal(size=(8, 50, 2)) * 1e-3  # populations that have collapsed
    posterior = ppl.Posterior(
        draws={"a": x[..., 0], "b": x[..., 1]}, log_weights=np.zeros((8, 50)), target=target
    )
    found = posterior.expect(lambda p: p["a"] ** 2)
    spread = np.square(x[..., 0]).mean(axis=1).std(ddof=1) / math.sqrt(8)
    assert found.plain_se == pytest.approx(spread, rel=1e-6)


@pytest.mark.parametrize(
    ("f", "options", "code"),
    [
        (lambda p: 1 / (p["a"] - p["a"][0, 0]), {}, "E897.*finite"),
        (lambda p: p["a"][0], {}, "E897.*shape"),
        ("c", {}, "E891"),
        ("a", {"degree": 3}, "E811"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_has_no_control_variates_is_refused(line, f, options, code):
    with pytest.raises(DiagnosticError, match=code):
        line.expect(f, **options)


def test_posteriors_without_scores_are_refused():
    target = MODELS.finite(y=0.3)
    exact = ppl.infer(target, ppl.exact(), progress=False)
    with pytest.raises(DiagnosticError, match="E897.*exact"):
        exact.expect("z")
    drawn = ppl.Posterior(draws={"z": np.zeros((1, 9))}, target=target)
    with pytest.raises(DiagnosticError, match="E897.*continuous"):
        drawn.expect("z")
    missing = ppl.Posterior(draws={"m": np.zeros((1, 9))}, target=MODELS.holes(ys=[0.1, None]))
    with pytest.raises(DiagnosticError, match="E897.*missing"):
        missing.expect("m")
    few = ppl.Posterior(
        draws={"a": np.zeros((1, 6)), "b": np.ones((1, 6))}, target=MODELS.line(xs=XS, ys=YS)
    )
    with pytest.raises(DiagnosticError, match="E897.*too few"):
        expect(few, "a", few.target)


def test_regression_has_the_known_mean_of_controls():
    """Least squares by hand: two controls, weights that differ."""
    rng = np.random.default_rng(5)
    c, w = rng.normal(size=(40, 2)), rng.dirichlet(np.ones(40))
    f = 3 + c @ [2.0, -1.0] + 0.1 * rng.normal(size=40)
    mean, residual = adjusted(f[:, None], c, w)
    design = np.column_stack([np.ones(40), c])
    by_hand = np.linalg.solve(design.T @ (w[:, None] * design), design.T @ (w * f))
    assert mean[0] == pytest.approx(by_hand[0], rel=1e-12)
    np.testing.assert_allclose(residual[:, 0], f - design @ by_hand, atol=1e-12)

"""Missing data: joint densities, evidence and conditional laws against Gaussians done by hand.

Holes enter the density as coordinates; methods that draw get them from what they are observed under.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.executions import whole_run
from ppl.holes import drawn
from ppl.inference.importance import _compiled

_ = None
MODELS = ppl.compile("""
model ar(y: [real?], y0: real, phi: real, s: pos) {
  hist ~ scan prev = y0 for v in y { observe v ~ normal(phi * prev, s); return v }
  return hist[len(y) - 1]
}
model level(y: [real?], drift: pos, noise: pos) {
  levels ~ scan x = 0.5 for v in y {
    x ~ normal(x, drift)
    observe v ~ normal(x, noise)
    return x
  }
  return levels
}
model covariate(x: [[real?]], last: real?, b: [bool?], y: [real], p: {rate: pos?, share: prob?}) {
  a ~ normal(0, 1)
  for row in x { for v in row { observe v ~ normal(a, 2) } }
  observe last ~ normal(x[0, 1] + x[1, 0], 1)
  for (v, yes) in zip(y, b) { observe v ~ normal(if yes { a } else { 3 }, 0.5) }
  observe p.rate ~ exponential(exp(a))
  return a
}
""")
PHI, S, Y0 = 0.8, 0.7, 0.3
Y = [0.5, _, 1.5, _, _, 0.2]
HOLES = np.array([1, 3, 4])


def ar_covariance(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the autoregression: y = (I - phi L)^-1 (phi y0 e_1 + s noise)."""
    inverse = np.linalg.inv(np.eye(n) - PHI * np.eye(n, k=-1))
    return inverse @ (PHI * Y0 * np.eye(n)[0]), S**2 * inverse @ inverse.T


def conditional(mean: np.ndarray, cov: np.ndarray, y: list[float | None]):
    """Mean and covariance of a Gaussian vector's holes given the rest, and the rest's density."""
    hole = np.array([v is None for v in y])
    there = np.array([v for v in y if v is not None])
    gain = cov[np.ix_(hole, ~hole)] @ np.linalg.inv(cov[np.ix_(~hole, ~hole)])
    rest = stats.multivariate_normal(mean[~hole], cov[np.ix_(~hole, ~hole)])
    return (
        mean[hole] + gain @ (there - mean[~hole]),
        cov[np.ix_(hole, hole)] - gain @ cov[np.ix_(~hole, hole)],
        float(rest.logpdf(there)),
    )


def ar() -> ppl.Target:
    return MODELS.ar(y=Y, y0=Y0, phi=PHI, s=S)


def quadratic(target: ppl.Target, sizes: dict[str, int]) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean, covariance and log mass of a Gaussian density, by its derivatives at 0."""
    ends = np.cumsum(list(sizes.values()))
    names = dict(zip(sizes, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
    with jax.enable_x64(True):
        f = jax.jit(lambda x: target.log_density({k: x[i] for k, i in names.items()}))
        zero = np.zeros(ends[-1])
        g, h = np.asarray(jax.grad(f)(zero)), np.asarray(jax.hessian(f)(zero))
        mean = np.linalg.solve(-h, g)
        peak = float(f(mean))
    cov = np.linalg.inv(-h)
    return mean, cov, peak + 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1]


def test_the_density_of_an_autoregression_is_the_joint_density():
    values = np.array([-0.4, 1.3, 0.7])
    y = np.array(Y, float)
    y[HOLES] = values
    joint = stats.multivariate_normal(*ar_covariance(6)).logpdf(y)
    found = float(ar().log_density({"y": values}))
    assert found == pytest.approx(joint, abs=1e-10)


def test_an_autoregression_has_the_evidence_and_conditional_law_of_its_holes():
    mean, cov, evidence = conditional(*ar_covariance(6), Y)
    found = quadratic(ar(), {"y": 3})
    np.testing.assert_allclose(found[0], mean, atol=1e-10)
    np.testing.assert_allclose(found[1], cov, atol=1e-10)
    assert found[2] == pytest.approx(evidence, abs=1e-10)


def test_a_local_level_model_with_missing_observations_agrees_with_the_gaussian():
    y, drift, noise = [1.0, _, 0.2, _, 2.5], 0.6, 0.9
    steps = np.tri(5)
    levels = drift**2 * steps @ steps.T
    cov = np.block([[levels, levels], [levels, levels + noise**2 * np.eye(5)]])
    mean, want, evidence = conditional(np.full(10, 0.5), cov, [_] * 5 + y)
    target = MODELS.level(y=y, drift=drift, noise=noise)
    found = quadratic(target, {"levels/x": 5, "y": 2})
    np.testing.assert_allclose(found[0], mean, atol=1e-10)
    np.testing.assert_allclose(found[1], want, atol=1e-10)
    assert found[2] == pytest.approx(evidence, abs=1e-10)


@pytest.mark.parametrize(("engine", "n"), [("xla", 20_000), ("machine", 3_000)])
def test_importance_agrees_with_the_gaussian(engine, n):
    """Five means, each within 4.5 standard errors: false alarms 4e-5 an engine."""
    posterior = ppl.infer(ar(), ppl.importance(particles=n), seed=11, engine=engine)
    mean, cov, evidence = conditional(*ar_covariance(6), Y)
    assert abs(posterior.log_evidence - evidence) < 4.5 * posterior.evidence_se
    draws, w = posterior["y"][0][:, HOLES], posterior.weights[0][:, None]
    errors = (w * (draws - mean)).sum(0) / np.sqrt((w**2 * (draws - mean) ** 2).sum(0))
    assert (np.abs(errors) < 4.5).all()
    last = (draws[:, 2] - mean[2]) ** 2 - cov[2, 2]
    assert abs((w[:, 0] * last).sum()) < 4.5 * np.sqrt((w[:, 0] ** 2 * last**2).sum())


def covariates(**other: Any) -> ppl.Target:
    data = {
        "x": [[0.5, _, 1.0], [_, 2.0, _]],
        "last": _,
        "b": [True, _, False, _],
        "y": [0.3, 0.9, 2.5, 2.8],
        "p": {"rate": _, "share": _},
    }
    return MODELS.covariate(**{**data, **other})


def test_holes_of_every_kind_enter_the_density_where_they_are_used():
    """Numbers by their coordinates (positive ones by their logarithm), booleans summed out."""
    at = {"a": 0.4, "x": np.array([1.1, -0.7, 0.2]), "last": 0.9, "p.rate": -0.3, "p.share": 0.8}
    x = np.array([[0.5, 1.1, 1.0], [-0.7, 2.0, 0.2]])
    norm = stats.norm
    want = norm.logpdf(0.4) + norm.logpdf(x, 0.4, 2).sum() + norm.logpdf(0.9, 1.1 - 0.7)
    want += norm.logpdf(0.3, 0.4, 0.5) + norm.logpdf(2.5, 3, 0.5)
    for v in (0.9, 2.8):  # counting measure: one of either
        want += np.logaddexp(norm.logpdf(v, 0.4, 0.5), norm.logpdf(v, 3, 0.5))
    target = covariates()
    assert {s.path: s.shape for s in target.density.sites} == {
        k: np.shape(v) for k, v in at.items()
    }
    want += stats.expon.logpdf(np.exp(-0.3), scale=np.exp(-0.4)) - 0.3
    want += stats.logistic.logpdf(0.8)  # the share is uniform
    with jax.enable_x64(True):
        found = float(jax.jit(target.log_density)(at))
    assert found == pytest.approx(want, abs=1e-10)


def test_a_covariate_nothing_distributes_needs_a_gradient_method():
    text = "model m(x: [real?], y: [real]) { a ~ normal(0, 1); observe y ~ normal(a * x, 1); return a }"
    target = ppl.compile(text).m(x=[1.0, _, 2.0], y=[1.0, 2.0, 3.0])
    with pytest.raises(ppl.DiagnosticError, match=r"(?s)E850.*`x`.*nuts"):
        ppl.infer(target, ppl.importance())
    with pytest.raises(ppl.DiagnosticError, match="E801.*`x` has a density but no sampler"):
        ppl.infer(target, ppl.exact())
    assert np.isfinite(float(target.log_density({"a": 0.2, "x": np.array([0.7])})))


def test_other_places_of_as_many_holes_need_no_other_code():
    first, second = ar(), MODELS.ar(y=[_, 0.1, _, 0.4, 0.8, _], y0=Y0, phi=PHI, s=S)
    other = MODELS.ar(y=[_, 0.1, 0.2, 0.4, 0.8, _], y0=Y0, phi=PHI, s=S)
    method = ppl.importance(particles=20_000)
    for a, b in ((first, second), (first.sampler, second.sampler)):
        assert a.bound is b.bound
        shapes = [jax.tree.map(lambda x: (x.shape, x.dtype), t.data) for t in (a, b)]
        assert shapes[0] == shapes[1]
    for target in (first, second, other):
        ppl.infer(target, method, seed=11)
    compiled = _compiled(first.sampler.bound, 4_000, 1, whole_run)
    assert compiled._cache_size() == 1, "where the data are drawn, their number matters neither"
    assert float(first.log_density({"y": np.zeros(3)})) != float(
        second.log_density({"y": np.zeros(3)})
    )


def test_data_without_holes_are_plain_data():
    data = {"y": [1.0, 2.0, 4.0], "y0": Y0, "phi": PHI, "s": S}
    target = MODELS.ar(**data)
    assert target.program is MODELS.ar.program
    declared = [p.name for p in MODELS.ar.program.entry.params]
    assert [p.name for p in target.sampler.program.entry.params] == declared
    plain = ppl.compile("model m(y: [real]) { observe y[0] ~ normal(0, 1) }").m
    with pytest.raises(
        ppl.DiagnosticError, match=r"(?s)E606.*`y\[1\]`.*declare the element `real\?`"
    ):
        plain(y=[1.0, _])


@pytest.fixture(scope="module")
def chains() -> ppl.Posterior:
    method = ppl.nuts(chains=2, draws=400, warmup=300)
    return ppl.infer(ar(), method, seed=3, progress=False)


def test_nuts_draws_holes_and_results_have_the_shape_of_the_data(chains, tmp_path):
    """Three means within 4.5 standard errors, by effective sample sizes of at least 100."""
    mean, cov, _evidence = conditional(*ar_covariance(6), Y)
    draws = chains["y"]
    assert draws.shape == (2, 400, 6)
    assert np.isnan(draws[..., [0, 2, 5]]).all() and not np.isnan(draws[..., HOLES]).any()
    table = chains.summary()
    names = [n for n in table.names if n.startswith("y")]
    assert names == ["y[1]", "y[3]", "y[4]"]
    for i, name in enumerate(names):
        size = table[name, "ess_bulk"]
        assert size > 100
        assert abs(table[name, "mean"] - mean[i]) < 4.5 * np.sqrt(cov[i, i] / size)
    chains.save(tmp_path / "p.nc")
    np.testing.assert_array_equal(ppl.load_posterior(tmp_path / "p.nc")["y"], draws)
    np.testing.assert_array_equal(chains.to_arviz().posterior["y"], draws)


def test_predictions_take_the_holes_of_the_posterior(chains):
    """Replicates of what follows a hole are centred on it: the regression of y[2] on y[1] has the
    slope phi, within 5 standard errors."""
    made = chains.predict(seed=4)
    new = made["y"]
    assert made.target is chains.target
    assert new.shape == (2, 400, 6) and not np.isnan(new).any()
    given = chains["y"][..., 1].ravel()
    residuals = new[..., 2].ravel() - PHI * given
    assert abs(np.std(residuals) - S) < 5 * S / np.sqrt(2 * 800)
    assert abs(np.cov(given, residuals)[0, 1]) < 5 * S * np.std(given) / np.sqrt(800)


def test_where_a_loop_keeps_its_last_step_alone_what_was_drawn_there_stays_by_its_path():
    holes = MODELS.ar(y=[0.2, _, 0.4, _], y0=Y0, phi=PHI, s=S).holes
    draws = {"h/y?": np.full((1, 5), 0.3), "h": np.zeros((1, 5))}
    assert drawn(holes, draws).keys() == draws.keys()
    (spread,) = drawn(holes, {"h/y?": np.full((1, 5, 4), 0.3)}).values()
    assert (np.isfinite(spread) == [False, True, False, True]).all()


def test_other_holes_and_the_prior_are_drawn_in_order(chains):
    longer = MODELS.ar(y=[*Y, _, _], y0=Y0, phi=PHI, s=S)
    new = chains.predict(longer, seed=4)["y"]
    assert new.shape == (2, 400, 8) and not np.isnan(new).any()
    steps = new[..., 7] - PHI * new[..., 6]
    assert abs(np.std(steps) - S) < 5 * S / np.sqrt(2 * 800)
    prior = ppl.prior(longer, draws=800, seed=6)["y"]
    assert prior.shape == (1, 800, 8)
    assert abs(np.std(prior[..., 4] - PHI * prior[..., 3]) - S) < 5 * S / np.sqrt(2 * 800)

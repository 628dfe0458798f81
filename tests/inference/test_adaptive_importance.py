"""Importance sampling from a fitted proposal: weights are those of the mixture that was drawn from."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t, norm
from scipy.stats import t as student_t

import ppl
from ppl.inference import adaptive_importance
from ppl.inference.annealing import Bridge
from ppl.inference.student_mixture import NU, StudentMixture, draw, fitted, log_density, started
from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision

PRIOR_SD, SEEN, NOISE = np.array([3.0, 2.0]), np.array([2.5, -1.5]), 0.4
LINEAR = np.array([[1.0, 0.6], [0.3, -1.2]])
MIXTURE = StudentMixture(
    np.array([0.3, 0.7]),
    np.array([[0.4, -1.0], [2.0, 0.5]]),
    np.array([[[0.8, 0.0], [0.5, 0.6]], [[1.2, 0.0], [-0.3, 0.4]]]),
)


pytestmark = pytest.mark.usefixtures("quick_compilation")


def start(omega, n):
    omega, z = omega.draw(("", "start"), D.make("normal", (0.0, 1.0)), (n, 2))
    return omega, z * PRIOR_SD, jnp.zeros(n)


def at_temperature(x, t):
    prior = jax.scipy.stats.norm.logpdf(x, 0.0, PRIOR_SD).sum(axis=-1)
    return prior + t * jax.scipy.stats.norm.logpdf(SEEN, x @ LINEAR.T, NOISE).sum(axis=-1)


BRIDGE = Bridge(start, at_temperature, affine=True)


def oracle():
    s = np.diag(PRIOR_SD**2)
    seen = LINEAR @ s @ LINEAR.T + NOISE**2 * np.eye(2)
    return multivariate_normal.pdf(SEEN, np.zeros(2), seen), s @ LINEAR.T @ np.linalg.solve(
        seen, SEEN
    )


@pytest.fixture(scope="module")
def runs():
    """Of 200 independent runs, weights over the evidence and positions; with a bug, if asked for."""

    def run(data):
        key, planted = data
        rule = adaptive_importance.log_density
        with pytest.MonkeyPatch.context() as patch:
            bootstrap = lambda q, x: jnp.where(planted, at_temperature(x, 0.0), rule(q, x))  # noqa: E731
            patch.setattr(adaptive_importance, "log_density", bootstrap)
            settings = ppl.importance(particles=400, rounds=4, components=2)
            return adaptive_importance.sample(BRIDGE, Key(key), settings)

    compiled = jax.jit(partial(jax.lax.map, run))

    def go(planted):
        with precision():
            keys = jax.random.split(jax.random.key(5), 200)
            x, log_w = jax.device_get(compiled((keys, jnp.full(200, planted))))
        return np.exp(log_w) / oracle()[0], x

    return go


def check_proper(w, x):
    """E[Σ w / n] = Z, E[Σ w (f - E f) / n] = 0, by independent runs: Student's t below its 1e-6
    quantile, three numbers: 6e-6 of false alarms were seeds random. Errors of a tenth of Z, and of a
    tenth of a standard deviation of the prior, would be seen."""
    errors = w[..., None] * (x - oracle()[1]) / PRIOR_SD
    rows = np.concatenate([w[..., None] - 1, errors], axis=-1).mean(axis=1)
    n = len(rows)
    limit = student_t.isf(1e-6, n - 1) * rows.std(axis=0, ddof=1) / math.sqrt(n)
    assert np.all(limit < 0.1), limit
    assert np.all(np.abs(rows.mean(axis=0)) < limit), rows.mean(axis=0) / limit


def test_weights_are_proper_and_far_more_equal_than_those_of_the_prior(runs):
    w, x = runs(False)
    check_proper(w, x)
    size = (w.sum(axis=1) ** 2 / (w**2).sum(axis=1)).mean()
    assert size > 0.5 * 400  # the prior's would be worth about a hundredth


def test_weights_of_the_prior_for_draws_from_a_proposal_are_found(runs):
    """The likelihood alone weighs what was drawn from the fitted proposal (bootstrap weights)."""
    with pytest.raises(AssertionError):
        check_proper(*runs(True))


def test_the_density_of_the_mixture_and_its_draws():
    """The density is SciPy's. Means and covariances of 200,000 draws: |z| < 4.5 for five numbers, 3e-5
    of false alarms."""
    x = np.random.default_rng(1).normal(size=(5, 2)) * 3
    known = sum(
        share * multivariate_t.pdf(x, location, scale @ scale.T, df=NU)
        for share, location, scale in zip(*MIXTURE, strict=True)
    )
    n = 200_000
    with precision():
        q = jax.tree.map(jnp.asarray, MIXTURE)
        np.testing.assert_allclose(np.exp(jax.jit(log_density)(q, x)), known, rtol=1e-11)
        draws = np.asarray(jax.jit(lambda k: draw(Key(k), q, n)[1])(jax.random.key(2)))
    mean = MIXTURE.shares @ MIXTURE.locations
    between = (MIXTURE.locations - mean).T @ (MIXTURE.shares[:, None] * (MIXTURE.locations - mean))
    within = sum(s * f @ f.T for s, f in zip(MIXTURE.shares, MIXTURE.scales, strict=True))
    covariance = between + NU / (NU - 2) * within
    centred = draws - mean
    for i, j in ((0, 0), (0, 1), (1, 1)):
        products = centred[:, i] * centred[:, j]
        assert abs(products.mean() - covariance[i, j]) < 4.5 * products.std() / math.sqrt(n)
    assert np.all(np.abs(centred.mean(axis=0)) < 4.5 * centred.std(axis=0) / math.sqrt(n))


def test_fits_take_the_moments_of_weighted_draws_and_find_components():
    rng = np.random.default_rng(4)
    x, w = rng.normal(size=(300, 2)) * [1, 3] + [5, 0], rng.dirichlet(np.ones(300))
    with precision():
        one = jax.jit(lambda x, w: fitted(started(x, w, jnp.zeros(1, int)), x, w))(x, w)
        covariance = np.cov(x.T, aweights=w, ddof=0)
        np.testing.assert_allclose(one.locations[0], w @ x, rtol=1e-12)
        scale = np.asarray(one.scales[0])
        np.testing.assert_allclose(scale @ scale.T * NU / (NU - 2), covariance, rtol=1e-4)
        # two heaps, of which the smaller has two fifths of the weight
        x = np.concatenate([rng.normal(size=(200, 2)) + [6, 0], rng.normal(size=(100, 2)) - [6, 0]])
        w = np.concatenate([np.full(200, 0.6 / 200), np.full(100, 0.4 / 100)])
        step = jax.jit(fitted)
        q = jax.jit(started)(x, w, np.array([10, 210]))
        for _ in range(10):
            q = step(q, x, w)
    np.testing.assert_allclose(q.shares, [0.6, 0.4], atol=1e-3)
    np.testing.assert_allclose(q.locations, [x[:200].mean(0), x[200:].mean(0)], atol=0.02)


SOURCE = """
model m(ys: [real]) {
  side ~ bernoulli(0.4)
  x ~ normal(0, 3)
  s ~ half_normal(1)
  for y in ys { observe y ~ normal(if side { x } else { -x }, 0.2 + s) }
  return x
}"""


def test_two_modes_of_a_program_with_a_summed_site():
    """Against quadrature, within 4.5 standard errors (7e-6)."""
    ys = [3.1, 2.4, 2.9, 3.3]
    target = ppl.compile(SOURCE).m(ys=ys)
    x, s = np.meshgrid(np.linspace(-6, 10, 801), np.linspace(0.005, 3.995, 400))
    mass = norm.pdf(x, 0, 3) * 2 * norm.pdf(s)  # the two modes are reflections of each other
    for y in ys:
        mass *= norm.pdf(y, x, 0.2 + s)
    known = math.log(mass.sum() * 0.02 * 0.01)
    method = ppl.importance(particles=2_000, rounds=4, components=3)
    posterior = ppl.infer(target, method, seed=1, progress=False)
    assert posterior.evidence_se < 0.03
    assert abs(posterior.log_evidence - known) < 4.5 * posterior.evidence_se
    assert posterior.effective_sample_size > 800
    assert posterior.shape == (1, 2_000)
    right = float(np.sum(posterior.weights[posterior["x"] > 0]))
    assert right == pytest.approx(0.4, abs=0.1)
    agree = posterior["side"] == (posterior["x"] > 0)  # drawn back
    assert np.sum(posterior.weights[agree]) > 0.99


def test_settings_out_of_range_are_refused():
    for settings in ({"rounds": -1}, {"components": 0}, {"particles": 30, "rounds": 4}):
        with pytest.raises(DiagnosticError, match="E811"):
            ppl.importance(**settings)
    target = ppl.compile(SOURCE).m(ys=[0.3])
    with pytest.raises(DiagnosticError, match="E811.*XLA"):
        ppl.infer(target, ppl.importance(rounds=3), engine="machine", progress=False)

"""Methods that follow temperatures from the prior to the posterior: evidence and means of Gaussian models."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from scipy.stats import t as student_t

import ppl
from ppl.inference.populations import Tempered, _compiled, doubts
from ppl.inference.tempered import ladder_of
from ppl.semantics.diagnostics import DiagnosticError

MODELS = ppl.compile("""
model groups(ys: [real]) {
  z ~ categorical([0.5, 0.2, 0.3])
  a ~ normal(1, 2)
  b ~ normal(-1, 1.5)
  for y in ys { observe y ~ normal(a + [0, 1, -2][z] * b, 0.6) }
  return a
}
model limits(y: real) { s ~ half_normal(2); x ~ uniform(0, 1); observe y ~ uniform(0, s * x) }
model improper(y: real) { mu ~ flat(); observe y ~ normal(mu, 1) }
model finite(y: real) { z ~ bernoulli(0.3); observe y ~ normal(if z { 1 } else { 0 }, 1) }
model hierarchy(ys: [real?]) {
  tau ~ half_normal(1)
  theta ~ for y in ys { normal(0.5, tau) }
  for (t, y) in zip(theta, ys) { observe y ~ normal(t, 0.3) }
}
""")
YS = [1.3, 0.4, 2.2, 0.7]
PRIOR_MEAN, PRIOR_SD, SLOPES, NOISE = np.array([1, -1]), np.array([2, 1.5]), (0, 1, -2), 0.6


pytestmark = pytest.mark.usefixtures("quick_compilation")


def oracle(weights, ys=YS):
    """The evidence and the means of a and b."""
    mass, mean = 0.0, np.zeros(2)
    for w, slope in zip(weights, SLOPES, strict=True):
        h = np.tile([1.0, slope], (len(ys), 1))
        s = np.diag(PRIOR_SD**2)
        seen = h @ s @ h.T + NOISE**2 * np.eye(len(ys))
        p = w * multivariate_normal.pdf(ys, h @ PRIOR_MEAN, seen)
        mass += p
        mean += p * (PRIOR_MEAN + s @ h.T @ np.linalg.solve(seen, ys - h @ PRIOR_MEAN))
    return mass, mean / mass


@pytest.mark.parametrize(
    ("target", "weights", "method", "parts"),
    [
        # a site is summed: densities are not affine in the temperature
        (
            MODELS.groups(ys=YS),
            (0.5, 0.2, 0.3),
            ppl.tempered_smc(particles=200, replicas=60),
            "replicas",
        ),
        (
            MODELS.groups(ys=YS).do(z=2),
            (0, 0, 1),
            ppl.waste_free(particles=400, ancestors=40, replicas=60),
            "replicas",
        ),
        (
            MODELS.groups(ys=YS).do(z=1),
            (0, 1, 0),
            ppl.ais(particles=4_000, temperatures=None, threshold=0.9, kernel="mala"),
            "particles",
        ),
    ],
    ids=["tempered_smc", "waste_free", "ais"],
)
def test_evidence_and_means_of_gaussian_groups(target, weights, method, parts):
    """Independent estimates of Z have mean Z, and times the mean of f - E f mean 0: Student's t below
    its 1e-6 quantile, three numbers: 6e-6 of false alarms a method, were seeds random. Errors of a
    quarter of Z, and of a quarter of a standard deviation of the prior, would be seen."""
    posterior = ppl.infer(target, method, seed=4, progress=False)
    mass, means = oracle(weights)
    w = np.exp(posterior.log_weights) / mass
    x = np.stack([posterior["a"], posterior["b"]], axis=-1)
    rows = np.concatenate([w[..., None] - 1, w[..., None] * (x - means) / PRIOR_SD], axis=-1)
    rows = rows.mean(axis=1) if parts == "replicas" else rows[0]
    se = rows.std(axis=0, ddof=1) / math.sqrt(len(rows))
    limit = student_t.isf(1e-6, len(rows) - 1)
    assert np.all(limit * se < 0.25), limit * se
    assert np.all(np.abs(rows.mean(axis=0)) < limit * se), rows.mean(axis=0) / se
    assert posterior.log_evidence == pytest.approx(math.log(w.mean() * mass), abs=1e-9)
    assert posterior.evidence_se == pytest.approx(se[0] / w.mean(), rel=1e-6)
    temperature = posterior.points["temperature"]
    assert np.all(np.diff(temperature, axis=1) > 0) and np.all(temperature[:, -1] == 1)
    assert np.all(temperature == temperature[0])  # those of the pilot
    assert np.all(posterior.points["moves"] >= 1)
    if parts == "particles":
        assert not posterior.points["resampled"].any()
    else:
        assert posterior.points["resampled"].all()


def mass_of_limits(y):
    """E[1 / (s x); s x > y], by quadrature over s."""
    s = (np.arange(4_000) + 0.5) * 12 / 4_000
    density = np.sqrt(2 / math.pi) / 2 * np.exp(-(s**2) / 8)
    return np.sum(density * np.where(s > y, np.log(np.maximum(s, y) / y) / s, 0)) * 12 / 4_000


def test_without_a_pilot_each_population_chooses_what_leaves_the_share():
    """Of those particles that are possible: data forbid most of the prior. The evidence is within 4.5
    standard errors, which fails with probability 7e-6."""
    n = 300
    method = ppl.tempered_smc(
        particles=n, replicas=12, kernel="random_walk", moves=3, threshold=0.8, pilot=False
    )
    target = MODELS.limits(y=0.2)
    posterior = ppl.infer(target, method, seed=1, progress=False)
    size, temperature = (posterior.points[k] for k in ("effective_sample_size", "temperature"))
    assert len({tuple(row) for row in temperature.tolist()}) == 12
    for row, t in zip(size, temperature, strict=True):
        last = np.flatnonzero(t == 1)[0]
        assert last >= 1 and row[0] < 0.7 * n  # some are impossible
        np.testing.assert_allclose(row[1:last], 0.8 * n, rtol=1e-6)
        assert row[last] >= 0.8 * n * (1 - 1e-9)
        assert np.all(np.isnan(row[last + 1 :]))
    again = ppl.infer(target, method, seed=1, progress=False)
    assert np.array_equal(again["s"], posterior["s"])
    # other data of the same shape run what has been compiled
    program = _compiled(target.density, method)
    before = len(program.known)
    other = ppl.infer(MODELS.limits(y=1.1), method, seed=1, progress=False)
    assert _compiled(target.density, method) is program and len(program.known) == before
    for found, y in ((posterior, 0.2), (other, 1.1)):
        assert np.all(found["s"] * found["x"] > y)
        assert found.evidence_se < 0.05
        error = found.log_evidence - math.log(mass_of_limits(y))
        assert abs(error) < 4.5 * found.evidence_se, error / found.evidence_se


def test_sites_in_other_coordinates_and_values_that_are_missing():
    """The evidence by quadrature over tau; 20 populations, within 4.5 standard errors (7e-6)."""
    ys = [0.4, None, 1.9, -0.7]
    tau = (np.arange(4_000) + 0.5) * 8 / 4_000
    terms = np.sqrt(2 / math.pi) * np.exp(-(tau**2) / 2) * 8 / 4_000
    for y in (0.4, 1.9, -0.7):
        terms *= norm.pdf(y, 0.5, np.hypot(tau, 0.3))
    method = ppl.tempered_smc(
        particles=200, replicas=20, temperatures=10, kernel="mala", moves=3, noncenter=("theta",)
    )
    posterior = ppl.infer(MODELS.hierarchy(ys=ys), method, seed=3, progress=False)
    assert posterior["theta"].shape == (20, 200, 4)
    assert posterior["ys"][..., 1].std() > 0.3
    assert posterior.points["temperature"].shape == (20, 10)
    assert posterior.evidence_se < 0.1
    error = posterior.log_evidence - math.log(terms.sum())
    assert abs(error) < 4.5 * posterior.evidence_se, error / posterior.evidence_se


def test_what_cannot_be_tempered_is_refused():
    with pytest.raises(DiagnosticError, match="E801.*mu"):
        ppl.infer(MODELS.improper(y=0.3), ppl.ais(), progress=False)
    with pytest.raises(DiagnosticError, match="E814"):
        ppl.infer(MODELS.finite(y=0.3), ppl.tempered_smc(), progress=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ppl.tempered_smc(particles=0),
        lambda: ppl.tempered_smc(moves=0),
        lambda: ppl.tempered_smc(moves="some"),
        lambda: ppl.tempered_smc(threshold=1.0),
        lambda: ppl.tempered_smc(kernel="gibbs"),
        lambda: ppl.tempered_smc(scheme="none"),
        lambda: ppl.ais(temperatures=0),
        lambda: ppl.ais(temperatures=(0.5, 0.2, 1.0)),
        lambda: ppl.ais(temperatures=(0.5, 0.9)),
        lambda: ppl.ais(temperatures="many"),
        lambda: ppl.waste_free(particles=100, ancestors=30),
        lambda: ppl.waste_free(particles=100, ancestors=100),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(DiagnosticError, match="E811"):
        make()


def test_ladders():
    assert ladder_of(None) is None
    np.testing.assert_allclose(ladder_of(3), [1 / 81, 16 / 81, 1])
    np.testing.assert_allclose(ladder_of((0.2, 1)), [0.2, 1])
    lists = ppl.ais(
        temperatures=[0.2, 1], noncenter=["theta"]
    )  # compiled programs are found by them
    assert hash(lists) == hash(ppl.ais(temperatures=(0.2, 1.0), noncenter=("theta",)))
    assert ppl.ais(temperatures=np.array([0.2, 1.0])).temperatures == (0.2, 1.0)


def test_collapse_and_want_of_temperatures_are_warned_of():
    history = {"moved": np.array([[0.9, 0.4], [0.15, np.nan]]), "temperature": np.ones((2, 2))}
    found = Tempered({}, np.zeros((2, 3)), history, True, False)
    assert [d.code for d in doubts(found)] == ["W899", "W898"]
    assert "15%" in list(doubts(found))[1].message
    fine = Tempered({}, np.zeros((2, 3)), {**history, "moved": np.full((2, 2), 0.5)}, False, False)
    assert not list(doubts(fine))

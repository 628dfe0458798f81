"""Densities against draws, and closed forms against quadrature and enumeration of their own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify import Distribution, Plan, SameDensity, check, evidence
from ppl.verify.oracles import bernoulli_rate, kalman, normal_mean, poisson_rate
from tests.verify.mutants.transforms import LAWS, WRONG_LAWS


@pytest.mark.parametrize("name", LAWS)
def test_draws_have_the_law_that_the_density_says(name):
    """Each fails with probability 1e-8 at most, were its seed drawn anew."""
    verdict = check(LAWS[name], None, SameDensity())
    assert verdict.ok and verdict.smallest_effect < 0.2, verdict


def test_a_density_that_is_not_normalised_is_told_by_its_integral():
    verdict = check(WRONG_LAWS["no Jacobian"], None, SameDensity())
    assert verdict.report.level == "numeric" and "integrates to" in verdict.why


def test_what_cannot_be_integrated_decides_nothing():
    three = Distribution(lambda rng: rng.normal(size=3), lambda x: -(x[:, 0] ** 2))
    assert check(three, None, SameDensity()).outcome == "INCONCLUSIVE"
    ragged = Distribution(
        lambda rng: rng.normal(), lambda x: np.where(np.sin(9 * x**2) > 0, 0, -np.inf) - x**2
    )
    verdict = check(ragged, None, SameDensity())
    assert verdict.outcome == "INCONCLUSIVE" and "error" in verdict.why
    with pytest.raises(DiagnosticError, match="(?s)E742.*bounds"):
        check(Distribution(lambda rng: rng.normal(), stats.norm.logpdf, low=0), None, SameDensity())
    with pytest.raises(DiagnosticError, match="(?s)E742.*shape"):
        check(
            Distribution(lambda rng: rng.normal(), lambda x: 0.0, plan=Plan()), None, SameDensity()
        )


# ------------------------------------------------------------------------------------------ oracles

CONJUGATE = ppl.compile("""
model means(y: [real]) { m ~ normal(0.4, 1.5); for v in y { observe v ~ normal(m, 0.8) } }
model rates(y: [bool]) { p ~ beta(1.5, 2.5); for v in y { observe v ~ bernoulli(p) } }
model counts(y: [nat]) { r ~ gamma(2.5, 1.2); for v in y { observe v ~ poisson(r) } }
""")


@pytest.mark.parametrize(
    ("model", "y", "oracle", "settings"),
    [
        ("means", [0.3, -1.1, 2.0], normal_mean, {"mean": 0.4, "sd": 1.5, "noise": 0.8}),
        ("rates", [True, False, True, True], bernoulli_rate, {"a": 1.5, "b": 2.5}),
        ("counts", [3, 0, 5], poisson_rate, {"shape": 2.5, "rate": 1.2}),
    ],
)
def test_conjugate_evidence_is_that_of_quadrature(model, y, oracle, settings):
    found = evidence(CONJUGATE[model](y=y))
    assert found.log == pytest.approx(oracle(y, **settings).log_evidence, abs=1e-8)


def test_conjugate_posteriors_are_prior_times_likelihood():
    y = np.array([3, 0, 5])
    r = np.array([0.7, 1.9, 3.3])
    found = poisson_rate(y, shape=2.5, rate=1.2)
    joint = stats.gamma(2.5, scale=1 / 1.2).logpdf(r) + stats.poisson(r[:, None]).logpmf(y).sum(1)
    assert found.posterior.logpdf(r) + found.log_evidence == pytest.approx(joint, abs=1e-12)
    y = np.array([0.3, -1.1, 2.0])
    normal = normal_mean(y, mean=0.4, sd=1.5, noise=0.8)
    joint = stats.norm(0.4, 1.5).logpdf(r) + stats.norm(r[:, None], 0.8).logpdf(y).sum(1)
    assert normal.posterior.logpdf(r) + normal.log_evidence == pytest.approx(joint, abs=1e-12)


def test_the_kalman_filter_is_the_conditional_of_one_normal_law():
    a, q = np.array([[0.9, 0.2], [-0.1, 0.7]]), np.array([[0.5, 0.1], [0.1, 0.3]])
    h, r = np.array([[1.0, 0.4]]), np.array([[0.6]])
    mean, covariance = np.array([0.3, -0.5]), np.array([[1.2, 0.3], [0.3, 0.8]])
    y = np.array([0.4, 1.3, -0.7])
    means, blocks = [mean], np.zeros((6, 6))
    blocks[:2, :2] = covariance
    for t in range(1, 3):
        means.append(a @ means[-1])
        now, before = slice(2 * t, 2 * t + 2), slice(2 * t - 2, 2 * t)
        blocks[now, : 2 * t] = a @ blocks[before, : 2 * t]
        blocks[: 2 * t, now] = blocks[now, : 2 * t].T
        blocks[now, now] = a @ blocks[before, before] @ a.T + q
    big = np.kron(np.eye(3), h)
    total = big @ blocks @ big.T + 0.6 * np.eye(3)
    gain = np.linalg.solve(total, big @ blocks).T
    centre = np.concatenate(means) + gain @ (y - big @ np.concatenate(means))
    spread = blocks - gain @ big @ blocks
    found = kalman(
        y, mean=mean, covariance=covariance, transition=a, process=q, observation=h, noise=r
    )
    log = stats.multivariate_normal(big @ np.concatenate(means), total).logpdf(y)
    assert found.log_evidence == pytest.approx(log, abs=1e-12)
    assert found.smoothed_means.ravel() == pytest.approx(centre, abs=1e-12)
    each = [spread[2 * t : 2 * t + 2, 2 * t : 2 * t + 2] for t in range(3)]
    assert found.smoothed_covariances == pytest.approx(np.array(each), abs=1e-12)
    assert found.means[-1] == pytest.approx(centre[-2:], abs=1e-12)

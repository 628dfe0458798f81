"""NUTS leaves its target invariant, adapts to it, and tells when it fails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from ppl.convergence import convergence
from ppl.inference.nuts import Nuts, run_nuts
from ppl.semantics.diagnostics import DiagnosticError
from tests.oracles.gaussians import (
    COVARIANCE,
    EXPECTED,
    FUNNEL,
    MEAN,
    NORMAL,
    second_moments,
    vectors,
)

# Statistical tests: fixed seeds; a two-sided z-test of nine moments, Bonferroni, at 1e-6 in all.
BOUND = norm.isf(1e-6 / 18)
ADAPTED = Nuts(draws=2000, chains=4)


def test_steps_from_exact_draws_are_exact_draws():
    """2000 independent chains started in the target stay in it, so moments have iid errors.

    An error of 5.5 / sqrt(2000) = 0.12 standard deviations in a mean would be seen.
    """
    chains = 2000
    noise = np.random.default_rng(11).normal(size=(chains, 3))
    x = MEAN + noise @ np.linalg.cholesky(COVARIANCE).T
    run = run_nuts(
        NORMAL.density,
        NORMAL.data,
        Nuts(warmup=0, draws=3, chains=chains, step_size=0.4, mode="vectorised"),
        seed=12,
        start={"a": x[:, 0], "b": x[:, 1:]},
    )
    after = vectors(run.position)[:, -1]
    assert np.mean(after != x) > 0.95, "nearly every chain has moved"
    terms = second_moments(after)
    z = (terms.mean(0) - EXPECTED) / (terms.std(0) / np.sqrt(chains))
    assert np.abs(z).max() < BOUND


@pytest.mark.parametrize("dense", [False, True], ids=["diagonal", "dense"])
def test_adapted_chains_have_the_moments_of_their_target(dense):
    run = run_nuts(
        NORMAL.density, NORMAL.data, Nuts(draws=2000, chains=4, dense_mass=dense), seed=5
    )
    terms = second_moments(vectors(run.position))
    ess = convergence(terms).ess_bulk
    assert ess.min() > 1000
    z = (terms.mean((0, 1)) - EXPECTED) / (terms.std((0, 1)) / np.sqrt(ess))
    assert np.abs(z).max() < BOUND
    assert run.divergences == 0


def test_statistics_describe_the_draws():
    run = run_nuts(NORMAL.density, NORMAL.data, ADAPTED, seed=5)
    x = vectors(run.position)
    d = x - MEAN
    lp = NORMAL.data["log_peak"] - 0.5 * np.einsum("...i,ij,...j", d, NORMAL.data["precision"], d)
    stats = run.stats
    np.testing.assert_allclose(stats["lp"], lp, rtol=0, atol=1e-12)
    assert all(v.shape == (4, 2000) for v in stats.values())
    assert np.all(stats["energy"] >= -stats["lp"]), "kinetic energy is not negative"
    assert np.all(2 ** (stats["tree_depth"] - 1) <= stats["n_steps"])
    assert np.all(stats["n_steps"] < 2 ** stats["tree_depth"])
    assert np.all(stats["step_size"] == stats["step_size"][:, :1]), "adaptation has ended"
    assert len(np.unique(stats["step_size"])) == 4, "each chain adapts by itself"
    # the mean over adaptation is 0.8; the averaged step size, a little shorter, is accepted more
    assert 0.75 < stats["acceptance_rate"].mean() < 0.97
    assert not stats["reached_max_treedepth"].any()


def test_divergences_of_a_funnel_are_reported():
    seen = []
    run = run_nuts(
        FUNNEL,
        (),
        Nuts(warmup=200, draws=400, chains=2),
        seed=3,
        progress=lambda done, total, info: seen.append(info["divergences"]),
    )
    assert run.divergences == run.stats["diverging"].sum() == seen[-1] > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"chains": 0},
        {"draws": 0},
        {"warmup": -1},
        {"thin": 0},
        {"target_accept": 1.0},
        {"step_size": 0.0},
        {"max_tree_depth": 0},
    ],
    ids=lambda w: next(iter(w)),
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(DiagnosticError, match=f"E811.*{next(iter(wrong))}"):
        Nuts(**wrong)

"""The Laplace approximation is exact on a normal, and refuses a density with a flat direction."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from ppl.inference.laplace import Laplace, run_laplace
from ppl.semantics.density import Density, SiteInfo
from ppl.semantics.diagnostics import DiagnosticError
from tests.oracles.gaussians import (
    COVARIANCE,
    EXPECTED,
    LOG_MASS,
    MEAN,
    NORMAL,
    second_moments,
    vectors,
)


def test_exact_on_a_normal():
    fit = run_laplace(NORMAL.density, NORMAL.data, Laplace(draws=4000), seed=2)
    np.testing.assert_allclose(fit.mean, MEAN, atol=1e-12)
    np.testing.assert_allclose(fit.covariance, COVARIANCE, atol=1e-12)
    assert fit.log_evidence == pytest.approx(LOG_MASS, abs=1e-10)
    np.testing.assert_allclose(fit.log_weights, LOG_MASS, atol=1e-10)
    terms = second_moments(vectors(fit.position)[0])
    z = (terms.mean(0) - EXPECTED) / (terms.std(0) / np.sqrt(4000))
    assert np.abs(z).max() < norm.isf(1e-6 / 18)  # nine moments, 1e-6 in all, fixed seed


def test_weights_correct_what_is_not_normal():
    """E[w] is the evidence of a target that is no Gaussian: exp(shape x - rate exp(x))."""
    from math import lgamma, log

    shape, rate = 6.5, 2.0
    target = Density(
        "log-gamma",
        (SiteInfo("x", (), ()),),
        lambda data, p: shape * p["x"] - rate * jnp.exp(p["x"]),
        lambda data, p, key: {"x": jnp.exp(p["x"])},
    )
    truth = lgamma(shape) - shape * log(rate)
    fit = run_laplace(target, (), Laplace(draws=20_000), seed=4)
    assert fit.mean[0] == pytest.approx(log(shape / rate), abs=1e-12)
    assert fit.covariance[0, 0] == pytest.approx(1 / shape, abs=1e-12)
    # Stirling: the Laplace evidence of a gamma function errs by 1 / (12 shape) to first order
    assert truth - fit.log_evidence == pytest.approx(1 / (12 * shape), rel=0.02)
    ratios = np.exp(fit.log_weights - truth)
    z = (ratios.mean() - 1) / (ratios.std() / np.sqrt(20_000))
    assert abs(z) < norm.isf(5e-7)  # 1e-6, fixed seed
    assert abs(np.exp(fit.log_evidence - truth) - 1) > 3 * ratios.std() / np.sqrt(20_000), (
        "the correction is larger than its noise"
    )


def test_a_flat_direction_is_refused_and_its_sites_named():
    ridge = Density(
        "ridge",
        (SiteInfo("a", (), ()), SiteInfo("b", (), ()), SiteInfo("c", (), ())),
        lambda data, p: -((p["a"] + p["c"] - 1.5) ** 2) - 3 * (p["b"] - 0.5) ** 2,
        lambda data, p, key: dict(p),
    )
    with pytest.raises(DiagnosticError, match="E813") as caught:
        run_laplace(ridge, (), seed=0)
    assert "along `a`, `c` it curves" in str(caught.value)

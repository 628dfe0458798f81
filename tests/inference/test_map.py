"""The optimiser finds the mode that was asked for, and says when there is none."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ppl.inference.map import Map, run_map
from ppl.semantics.density import Density, SiteInfo
from ppl.semantics.diagnostics import DiagnosticError
from tests.oracles.gaussians import MEAN, NORMAL, vectors

SHAPE, RATE = 3.5, 0.7


def _gamma(p):
    """log of an unnormalised gamma density at exp(p["x"]), without the Jacobian."""
    return (SHAPE - 1) * p["x"] - RATE * jnp.exp(p["x"])


GAMMA = Density(
    "gamma",
    (SiteInfo("x", (), ()),),
    lambda data, p: _gamma(p) + p["x"],
    lambda data, p, key: {"x": jnp.exp(p["x"])},
    log_density_no_jacobian=lambda data, p: _gamma(p),
)


def test_the_mode_of_a_normal_is_its_mean():
    mode = run_map(NORMAL.density, NORMAL.data, seed=1)
    np.testing.assert_allclose(vectors(mode.position), MEAN, atol=1e-7)
    assert mode.log_density == pytest.approx(NORMAL.data["log_peak"], abs=1e-12)
    assert mode.converged.all() and mode.converged.shape == mode.values.shape == (4,)
    assert mode.gradient < 1e-7


@pytest.mark.parametrize(
    ("jacobian", "expected"), [(False, (SHAPE - 1) / RATE), (True, SHAPE / RATE)]
)
def test_with_and_without_the_jacobian(jacobian, expected):
    mode = run_map(GAMMA, (), Map(jacobian=jacobian), seed=1)
    assert np.exp(mode.position["x"]) == pytest.approx(expected, rel=1e-7)


def test_the_best_of_several_modes():
    """Two wells at -1 and 1.5, the second deeper; restarts find both and keep the better."""
    wells = Density(
        "wells",
        (SiteInfo("x", (3,), (3,)),),
        lambda data, p: jnp.logaddexp(
            -8 * jnp.sum((p["x"] + 1) ** 2), 1.25 - 8 * jnp.sum((p["x"] - 1.5) ** 2)
        ),
        lambda data, p, key: dict(p),
    )
    mode = run_map(wells, (), Map(jacobian=True, restarts=12), seed=3)
    assert np.ptp(mode.values) > 1, "both were visited"
    assert mode.log_density == pytest.approx(1.25, abs=1e-9)
    np.testing.assert_allclose(mode.position["x"], 1.5, atol=1e-6)


def test_an_unbounded_density_has_no_mode():
    pole = Density(
        "pole",
        (SiteInfo("mu", (), ()), SiteInfo("tau", (), ())),
        lambda data, p: -0.5 * p["mu"] ** 2 - 7 * p["tau"],
        lambda data, p, key: dict(p),
    )
    with pytest.raises(DiagnosticError, match="E812") as caught:
        run_map(pole, (), Map(jacobian=True, restarts=2), seed=1)
    assert "`tau` has gone farthest" in str(caught.value)


def test_too_few_iterations_are_not_called_a_mode():
    with pytest.raises(DiagnosticError, match="E812"):
        run_map(GAMMA, (), Map(iterations=1), seed=1)


@pytest.mark.parametrize("wrong", [{"restarts": 0}, {"iterations": 0}, {"tolerance": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(DiagnosticError, match=f"E811.*{next(iter(wrong))}"):
        Map(**wrong)

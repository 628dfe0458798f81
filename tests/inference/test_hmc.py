"""HMC leaves its target invariant and adapts to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from ppl.convergence import convergence
from ppl.inference.hmc import Hmc, run_hmc
from ppl.semantics.diagnostics import DiagnosticError
from tests.oracles.gaussians import EXPECTED, NORMAL, second_moments, vectors

# Fixed seed; a two-sided z-test of nine moments, Bonferroni, at 1e-6 in all.
BOUND = norm.isf(1e-6 / 18)


def test_adapted_chains_have_the_moments_of_their_target():
    run = run_hmc(NORMAL.density, NORMAL.data, Hmc(draws=2000), seed=21)
    terms = second_moments(vectors(run.position))
    ess = convergence(terms).ess_bulk
    assert ess.min() > 500
    z = (terms.mean((0, 1)) - EXPECTED) / (terms.std((0, 1)) / np.sqrt(ess))
    assert np.abs(z).max() < BOUND
    # a trajectory lasts pi/2 whatever the step size
    steps, size = run.stats["n_steps"], run.stats["step_size"]
    assert np.all(steps == np.ceil(np.pi / 2 / size))


def test_a_trajectory_lasts_a_positive_time():
    with pytest.raises(DiagnosticError, match="E811.*trajectory_length"):
        Hmc(trajectory_length=-1.0)

"""The three ways a benchmark problem is written are the same density.

Exact: log densities on unconstrained coordinates at random points differ by one constant only.
"""

import jax
import numpy as np
import pytest
from numpyro.infer.util import potential_energy

from benchmarks.problems import PROBLEMS


@pytest.mark.parametrize("name", PROBLEMS)
def test_by_hand_agrees_with_numpyro(name):
    problem, rng = PROBLEMS[name], np.random.default_rng(7)
    points = {k: rng.normal(size=(4, *shape)) for k, shape in problem.shapes.items()}
    with jax.enable_x64(True):

        def gap(p):
            potential = potential_energy(problem.numpyro_model, (), dict(problem.data), p)
            return problem.by_hand(problem.data, p) + potential

        gaps, gradients = jax.jit(jax.vmap(jax.value_and_grad(gap)))(points)
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-9)
    for gradient in gradients.values():
        np.testing.assert_allclose(gradient, 0, atol=1e-9)

"""The split densities that BlackJAX is given are the problems', and their priors what is drawn from."""

import jax
import numpy as np
import pytest

from benchmarks.problems import PROBLEMS
from benchmarks.tempered import SPLITS
from ppl.semantics.precision import precision


@pytest.mark.parametrize("name", SPLITS)
def test_prior_times_likelihood_is_the_density(name):
    split, problem = SPLITS[name], PROBLEMS[name]

    def both(u):
        position, at = {}, 0
        for path, shape in problem.shapes.items():
            n = int(np.prod(shape, dtype=int))
            position[path], at = u[at : at + n].reshape(shape), at + n
        parts = split.log_prior(u) + split.log_likelihood(problem.data, u)
        return parts, problem.by_hand(problem.data, position)

    with precision("double"):
        u = split.start(jax.random.key(3), 4)
        parts, whole = jax.jit(jax.vmap(both))(u)
    assert u.shape == (4, split.size)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)

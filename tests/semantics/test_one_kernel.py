"""Loops of small steps are marked for one kernel where that is known to compile, and only there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl.semantics.functions.one_kernel import SMALL, in_one_kernel

MARK = 'xla_cpu_small_call = "true"'
X = np.array([0.3, -1.2, 0.7])
M = np.array([[0.5, 0.2, -0.3], [0.1, 0.9, 0.4], [-0.6, 0.3, 0.2]])


def loop(step):
    return lambda x: jax.lax.fori_loop(0, 5, lambda _, x: step(x), x)


SUMS = lambda x: jnp.tanh(jnp.sum(M[:, :, None] * x[None], axis=1))  # noqa: E731
CASES = {
    "elements": (loop(lambda x: jnp.sin(x) + 0.1 * x[::-1]), X, True),
    "a matrix and a vector": (loop(lambda x: jnp.tanh(M @ x)), X, True),
    "matrices": (loop(lambda x: jnp.tanh(M @ x)), np.stack([X, 2 * X], 1), False),
    "sums that are matrices": (loop(SUMS), np.stack([X, 2 * X], 1), False),
    "many numbers": (loop(jnp.sin), np.linspace(0, 1, SMALL + 1), False),
    "what is not known": (loop(lambda x: x + jnp.linalg.cholesky(M @ M.T)[0]), X, False),
}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the mark is the CPU backend's")
@pytest.mark.parametrize("name", CASES)
def test_what_fits_is_marked_and_gives_the_same(name):
    f, x, fits = CASES[name]
    run = jax.jit(lambda x: in_one_kernel(f, x))
    assert (MARK in run.lower(x).as_text()) == fits
    np.testing.assert_allclose(run(x), jax.jit(f)(x), rtol=1e-6)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the mark is the CPU backend's")
def test_side_by_side_and_derivatives_are_the_same_unmarked():
    f = loop(lambda x: jnp.sin(x) + 0.1 * x[::-1])
    rows = np.stack([X, 2 * X, X - 1])
    many = jax.jit(jax.vmap(lambda x: in_one_kernel(f, x)))
    assert MARK not in many.lower(rows).as_text()
    np.testing.assert_allclose(many(rows), jax.vmap(f)(rows), rtol=1e-6)
    slope = jax.jit(lambda x: jax.jvp(lambda x: in_one_kernel(f, x), (x,), (x,))[1])
    np.testing.assert_allclose(slope(X), jax.jvp(f, (X,), (X,))[1], rtol=1e-5)

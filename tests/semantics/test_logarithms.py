"""Logarithms by polynomials against the C library's, to units in the last place."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special as sp

from ppl.semantics.functions.logarithms import log_of_normal, log_sigmoid, softplus
from ppl.semantics.precision import precision

FAR = np.array(
    [0.0, 5e-324, 1e-300, 1e-17, 0.3, 0.8813735870195429, 0.9, 36.8, 709.0, 745.2, 1e300]
)


def test_logarithms_are_right_to_two_units_in_the_last_place():
    rng = np.random.default_rng(2)
    ends = 1 + np.outer([-1, 1], 2.0 ** -np.arange(1, 53)).ravel()
    root = np.sqrt([0.5, 2])[:, None] * (1 + np.arange(-9, 9) * 2.0**-52)
    wide = np.exp(rng.uniform(-708, 709, 5_000))
    x = np.concatenate([ends, root.ravel(), wide, rng.uniform(0, 2, 5_000), [2.3e-308, 1.7e308]])
    with precision("double"):
        found = np.asarray(jax.jit(log_of_normal)(x))
    told = np.log(x)
    assert np.max(np.abs(found - told) / np.spacing(np.abs(told))) <= 2


def test_softplus_and_its_derivatives_keep_their_digits():
    """On both sides of 0 and far out, where they are small or infinite."""
    x = np.concatenate([FAR, -FAR, np.random.default_rng(3).uniform(-40, 40, 5_000)])
    with precision("double"):
        first = jax.grad(softplus)
        found = jax.jit(jax.vmap(lambda z: (softplus(z), first(z), jax.grad(first)(z))))(x)
    told = np.logaddexp(0, x), sp.expit(x), sp.expit(x) * sp.expit(-x)
    for ours, theirs in zip(found, told, strict=True):
        normal = (np.abs(theirs) > 1e-307) | (theirs == 0)  # XLA flushes what is subnormal
        np.testing.assert_allclose(ours[normal], theirs[normal], rtol=2e-15)
        assert np.all(np.abs(ours[~normal]) < 1e-307)
    with precision("double"):
        ends = np.asarray(log_sigmoid(np.array([np.inf, -np.inf, np.nan])))
    np.testing.assert_array_equal(ends, [0, -np.inf, np.nan])


def test_single_precision_stays_single():
    with precision("single"):
        x = jnp.array([-80.0, -3.0, 0.2, 17.0])
        found = softplus(x)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, np.logaddexp(0, np.asarray(x, float)), rtol=1e-6)

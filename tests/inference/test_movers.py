"""Movers leave their targets invariant: draws from a skewed target have its moments after moves too.

Statistical, with fixed seeds: 60,000 draws, five moments, |z| < 4.5 each, so that every test would fail
with probability 4e-5 were the seed random. Errors of 0.02 of a standard deviation are seen.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma, polygamma

from ppl.inference import movers
from ppl.inference.movers import Shape, hamiltonian, random_walk, shape_of
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision

pytestmark = pytest.mark.usefixtures("quick_compilation")
N, SHAPE = 60_000, 2.3


def target(x):
    """x0 the logarithm of a gamma variable, x1 normal around x0 / 2."""
    return SHAPE * x[:, 0] - jnp.exp(x[:, 0]) - 0.5 * (x[:, 1] - 0.5 * x[:, 0]) ** 2


def draws(seed):
    rng = np.random.default_rng(seed)
    a = np.log(rng.gamma(SHAPE, size=N))
    return np.column_stack([a, 0.5 * a + rng.normal(size=N)])


MEAN, VARIANCE = digamma(SHAPE), polygamma(1, SHAPE)
MOMENTS = (
    (lambda x: x[:, 0] - MEAN, 0.0),
    (lambda x: (x[:, 0] - MEAN) ** 2, VARIANCE),
    (lambda x: np.exp(x[:, 0]), SHAPE),
    (lambda x: (x[:, 0] - MEAN) * x[:, 1], 0.5 * VARIANCE),
    (lambda x: x[:, 1] - 0.5 * MEAN, 0.0),
)
#: a shape that is not that of the target, as tunings never quite are
FACTOR = np.array([[0.9, 0.0], [-0.4, 1.3]])


@partial(jax.jit, static_argnums=(0, 1))
def moved(mover, steps, x, scale, key):
    def one(i, carry):
        walkers, total = carry
        omega = Key(key).enter(i)
        _, walkers, chances = mover.step(omega, target, walkers, Shape(jnp.asarray(FACTOR)), scale)
        return walkers, total + jnp.mean(chances) / steps

    walkers, rate = jax.lax.fori_loop(0, steps, one, (mover.begin(target, x), jnp.zeros(())))
    return walkers, rate


def check_invariant(mover, scale):
    with precision():
        x = draws(1)
        walkers, rate = jax.device_get(moved(mover, 3, x, scale, jax.random.key(2)))
    assert 0.1 < rate < 0.97
    assert np.mean(walkers.x[:, 0] != x[:, 0]) > 0.3
    for f, known in MOMENTS:
        values = f(walkers.x)
        error = values.std() / math.sqrt(N)
        assert abs(values.mean() - known) < 4.5 * error, (values.mean() - known) / error
    return walkers


MOVERS = {
    "random walk": (random_walk(2), 0.7),
    "mala": (hamiltonian(2, length=None), 0.8),
    "hmc": (hamiltonian(2, length=0.5 * math.pi), 0.9),
}


@pytest.mark.parametrize(("mover", "scale"), MOVERS.values(), ids=MOVERS)
def test_movers_leave_the_target_invariant(mover, scale):
    walkers = check_invariant(mover, scale)
    with precision():  # what walkers carry belongs to where they are
        np.testing.assert_allclose(walkers.log_density, target(jnp.asarray(walkers.x)), rtol=1e-12)


def test_a_correction_that_does_not_match_its_transition_is_found(monkeypatch):
    """The kinetic energy enters the acceptance with the other sign."""
    rule = movers.accept

    def wrong(omega, walkers, proposed, log_ratio):
        energy = proposed.log_density - walkers.log_density
        return rule(omega, walkers, proposed, 2 * energy - log_ratio)

    monkeypatch.setattr(movers, "accept", wrong)
    with pytest.raises(AssertionError):
        check_invariant(hamiltonian(2, length=None), 0.8)


def test_minus_the_gradient_in_one_half_step_is_found(monkeypatch):
    rule, calls = Shape.pulled, []

    def wrong(self, gradient):
        calls.append(1)
        return rule(self, gradient) * (-1) ** len(calls)

    monkeypatch.setattr(Shape, "pulled", wrong)
    with pytest.raises(AssertionError):
        check_invariant(hamiltonian(2, length=None), 0.8)


def test_the_shape_is_that_of_the_weighted_particles():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 3)) @ np.array([[1, 0.4, 0], [0, 2, -1], [0, 0, 0.3]])
    w = rng.dirichlet(np.ones(60))
    known = np.cov(x.T, aweights=w, ddof=0)
    with precision():
        shape = jax.jit(shape_of)
        dense = shape(x, w).factor
        np.testing.assert_allclose(dense @ dense.T, known, rtol=1e-6)
        few = slice(0, 20)  # fewer than ten a coordinate
        narrow = shape(x[few], np.full(20, 0.05)).factor
        np.testing.assert_allclose(narrow, x[few].std(axis=0), rtol=1e-6)
        # two particles left: of rank one, and still a factor
        two = np.where(np.arange(60) == 3, 0.4, np.where(np.arange(60) == 7, 0.6, 0.0))
        rank_one = shape(x, two).factor
        assert np.all(np.isfinite(rank_one)) and np.all(np.diag(rank_one) > 0)
        z = rng.normal(size=(5, 3))
        np.testing.assert_allclose(Shape(dense).whitened(Shape(dense).spread(z)), z, rtol=1e-9)

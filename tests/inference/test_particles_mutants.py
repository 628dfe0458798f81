"""Mistakes of released particle filters, planted in the policy that compiled SMC calls: each is found
by the exact law of whole histories."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import precision
from ppl.semantics.xla.points import Decision
from ppl.semantics.xla.program import particles
from tests.inference.test_xla_particle_gibbs import MODELS, YS, chain_mass

N = 3
MUTANTS = {
    "weights not reset after resampling": 1,
    "the mean before resampling is lost": 2,
    "cumulative weights used as increments where nothing is resampled": 3,
    "carried weights overwritten where nothing is resampled": 4,
    "the first likelihood counted twice": 5,
    "ancestors off by one": 6,
}


def mutated(mutant):
    """The policy with a mistake, chosen by a number that may be traced; 0 is none."""
    policy = compiled_policy(Resample("multinomial", 0.7))

    def at_point(log_weights, omega, path, future=None):
        first = path[-1] == "0"
        omega, right = policy(log_weights, omega, path, future)
        fresh, mass = jnp.full(N, -math.log(N)), jax.nn.logsumexp(log_weights)

        def go():
            ancestors, level = right.choose()
            ancestors = jnp.where(mutant == 6, (ancestors + 1) % N, ancestors)
            level = jnp.where(mutant == 1, log_weights[ancestors], level)
            return ancestors, jnp.where(mutant == 2, fresh, level)

        def stay():
            doubled = jnp.where(mutant == 3, 2 * log_weights - fresh, log_weights)
            return jnp.arange(N), jnp.where(mutant == 4, fresh + mass, doubled)

        def choose():
            ancestors, weights = jax.tree.map(lambda a, b: jnp.where(right.due, a, b), go(), stay())
            return ancestors, weights + jnp.where(mutant == 5, extra, 0.0)

        extra = log_weights - fresh if first else 0.0
        return omega, Decision(right.size, jnp.ones((), bool), choose)

    return at_point


@pytest.fixture(scope="module")
def measure():
    """The expected mass of each history under a mutant."""
    target = MODELS.chain(ys=YS)

    def run(data, tape):
        data, mutant = data
        _, front, state = target.bound.sequential(data, tape, particles(N), mutated(mutant))
        return (front.log_weights, state.kept["xs"].data), state.omega

    paths = Enumerator(run, length=32, batches=(4096,))

    def of(mutant):
        with precision(None):
            found = paths((target.data, jnp.asarray(mutant)))
        weights, histories = found.outputs
        mass = np.exp(found.log_probability)[:, None] * np.exp(weights)
        number = histories @ [9, 3, 1]
        return np.bincount(number.ravel(), mass.ravel(), minlength=27)

    return of


KNOWN = np.array([chain_mass(xs) for xs in np.ndindex(3, 3, 3)])


def test_the_policy_without_a_mistake_passes(measure):
    assert measure(0) == pytest.approx(KNOWN, abs=1e-13)


@pytest.mark.parametrize("name", MUTANTS)
def test_mistakes_are_found(measure, name):
    assert np.abs(measure(MUTANTS[name]) - KNOWN).max() > 1e-3

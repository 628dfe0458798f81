"""Conditional SMC on XLA leaves posteriors of whole histories invariant: exactly, by tapes that
enumerate a sweep's draws, ancestors and choices together through the production code."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl.inference.kernels.particle import ParticleGibbs
from ppl.inference.kernels.xla import particle_gibbs as module
from ppl.inference.kernels.xla.move import Target
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.mixed import mixed_density
from ppl.semantics.xla.retained import Rest

MODELS = ppl.compile("""
# the next state is the step's choice: one step ahead tells pasts apart
model chain(ys: [bool]) {
  xs ~ scan x = 0 for y in ys {
    x ~ categorical([[0.6, 0.4, 0], [0, 0, 1], [0.3, 0, 0.7]][x])
    observe y ~ bernoulli([0.15, 0.8, 0.05][x])
    return x
  }
  return xs
}

# `c` is drawn before the points and read at each of them and after; the state remembers
model hidden(ys: [bool]) {
  c ~ bernoulli(0.35)
  observe true ~ bernoulli(if c { 0.8 } else { 0.3 })
  xs ~ scan x = 0 for y in ys {
    up ~ bernoulli(if c { [0.3, 1, 0.1][x] } else { [0.8, 0, 0.5][x] })
    let x = if up { (x + 1) % 3 } else { x }
    observe y ~ bernoulli([0.15, 0.7, 0.4][x])
    return x
  }
  observe c ~ bernoulli([0.9, 0.25, 0.4][xs[0]])
  return (c, xs)
}

# a choice that some particles do not make, and a plate of choices
model branching(ys: [bool]) {
  ks ~ for p in [1, 0] { bernoulli(p) }
  xs ~ scan x = 0 for y in ys {
    b ~ bernoulli(if ks[0] { 0.3 } else { 0.6 })
    x ~ if b { up ~ bernoulli(0.8); return if up { x + 1 } else { 2 } } else { return x }
    observe y ~ bernoulli([0.15, 0.7, 0.4, 0.9][x])
    return x
  }
  return xs
}

model walk(ys: [real]) {
  s ~ half_normal(1)
  h0 ~ normal(0.3, s)
  hs ~ scan h = h0 for y in ys {
    h ~ normal(0.8 * h, s)
    observe y ~ normal(0, exp(h / 2))
    return h
  }
  return hs
}
""")
YS = [False, True, False]
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class Sweeps:
    """The transition matrix of particle Gibbs on the positions of positive density, by tapes."""

    mutant: Any = 0

    def __init__(self, target, kernel, moved=None, quick=False):
        with precision(None):
            self.data = target.sampler.data
            density = mixed_density(target.sampler.bound, self.data, None)
            every = np.array(
                list(
                    itertools.product(
                        *(
                            range(s.options or 0)
                            for s in density.discrete
                            for _ in range(math.prod(s.shape))
                        )
                    )
                )
            )
            log_density = jax.jit(
                jax.vmap(lambda k: density.log_density(self.data, density.unflatten_discrete(k)))
            )
            logs = np.asarray(log_density(every))
        self.positions, self.mass = every[logs > -np.inf], np.exp(logs[logs > -np.inf])
        moved = frozenset(moved or (s.path for s in density.discrete))

        def run(data, tape):
            data, k, self.mutant = data
            move = module.particle_gibbs(kernel, ("", "kernel", "pgibbs"), moved)
            point = Target(density, data).point(jnp.zeros(0), k)
            done = move.step(Target(density, data), point, (), tape, False)
            return done.point.k, done.omega

        self.paths = Enumerator(run, length=32, batches=(512,) if quick else (4096,), quick=quick)

    def __call__(self, mutant=0):
        rows = []
        for k in self.positions:
            with precision(None):
                found = self.paths((self.data, jnp.asarray(k), jnp.asarray(mutant)))
            p = np.exp(found.log_probability)
            assert p.sum() == pytest.approx(1, abs=1e-12)
            same = (found.outputs[:, None] == self.positions).all(axis=2)
            assert mutant or same.any(axis=1).all()
            rows.append(p @ same)
        return np.array(rows)

    def error(self, mutant=0):
        """How far a sweep moves the posterior."""
        law = self.mass / self.mass.sum()
        return np.abs(law @ self(mutant) - law).max()


def chain_mass(xs):
    rows, seen = [[0.6, 0.4, 0], [0, 0, 1], [0.3, 0, 0.7]], [0.15, 0.8, 0.05]
    steps = zip((0, *xs), xs, YS, strict=False)
    return math.prod(rows[a][b] * (seen[b] if y else 1 - seen[b]) for a, b, y in steps)


MUTANTS = {
    "conditions on another particle's trajectory": 1,
    "weights not reset after resampling": 2,
    "the reference competes with its full-trajectory weight at early steps": 3,
    "ancestors of the reference by the future alone": 4,
    "ancestors of the reference by the weights alone": 5,
}


def test_sweeps_with_ancestor_sampling_are_invariant_and_mutants_are_not(monkeypatch):
    correct = module.conditional_policy

    def mutated(kernel):
        policy = correct(kernel)

        def at_point(log_weights, omega, path, future=None):
            m, first = sweeps.mutant, jnp.arange(3) == 0
            assert future is not None
            ahead = future()
            competing = log_weights + jnp.where((m == 3) & first, ahead[0], 0.0)
            other = jnp.where(m == 5, 0.0, ahead) - jnp.where(m == 4, log_weights, 0.0)
            omega, decision = policy(competing, omega, path, lambda: other)

            def choose():
                ancestors, weights = decision.choose()
                swapped = jnp.where((m == 1) & first, ancestors[2], ancestors)
                return swapped, jnp.where(m == 2, log_weights[swapped], weights)

            return omega, module.Decision(decision.size, decision.due, choose)

        return at_point

    monkeypatch.setattr(module, "conditional_policy", mutated)
    sweeps = Sweeps(MODELS.chain(ys=YS), ParticleGibbs(particles=3, threshold=0.6))
    assert sweeps.mass == pytest.approx([chain_mass(xs) for xs in sweeps.positions.tolist()])
    assert len(sweeps.mass) == 5
    assert sweeps.error() < 1e-13
    for mutant in MUTANTS.values():
        assert sweeps.error(mutant) > 1e-3, mutant


def test_sweeps_are_invariant():
    """Without ancestor sampling. A sweep that is not given the reference is not."""
    kernel = ParticleGibbs(particles=3, ancestor_sampling=False, threshold=0.9)
    sweeps = Sweeps(MODELS.chain(ys=YS), kernel)
    matrix = sweeps()
    law = sweeps.mass / sweeps.mass.sum()
    assert law @ matrix == pytest.approx(law, abs=1e-13)
    assert np.abs(matrix[0] - law).max() > 1e-2


def test_pasts_that_all_of_the_future_depends_on():
    """Values from before the loop, a state that remembers, and what is observed after it."""
    kernel = ParticleGibbs(particles=3, threshold=0.6)
    sweeps = Sweeps(MODELS.hidden(ys=[False, True]), kernel, quick=True)
    assert len(sweeps.mass) == 6
    assert sweeps.error() < 1e-13


def test_choices_that_are_not_made_and_plates():
    kernel = ParticleGibbs(particles=3, threshold=0.5)
    sweeps = Sweeps(MODELS.branching(ys=[True, False]), kernel, quick=True)
    assert len(sweeps.mass) == 16
    assert sweeps.error() < 1e-13


def test_one_step_ahead_is_as_good_as_all(monkeypatch):
    """Where the next state is the step's choice, replaying one step and all of the future give the
    same ancestors; the first does not ask for whole traces."""
    target, kernel = MODELS.walk(ys=np.linspace(-1, 2, 6)).sampler, ParticleGibbs(particles=5)

    def swept(lengths):
        with precision(None):
            density = mixed_density(target.bound, target.data, None)
            move = module.particle_gibbs(kernel, ("", "k"), frozenset({"h0", "hs/h"}))

            def run(z, key):
                at = Target(density, target.data)
                step = lambda c, k: (move.step(at, c, (), Key(k), False).point, ())  # noqa: E731
                point, _ = jax.lax.scan(
                    step, at.point(z, jnp.zeros(0, int)), jax.random.split(key, 20)
                )
                return point.z

            at = jnp.zeros(density.size), jax.random.key(1)
            lowered = jax.jit(run).lower(*at)
            lengths.append(len(lowered.as_text()))
            return np.asarray(lowered.compile(compiler_options=QUICK)(*at))

    lengths = []
    short = swept(lengths)
    monkeypatch.setattr(Rest, "forgets", lambda *_: False)
    whole = swept(lengths)
    assert short == pytest.approx(whole, abs=1e-9)
    assert np.sum(short == 0) == 1  # `s`, which is given
    assert lengths[0] < lengths[1]

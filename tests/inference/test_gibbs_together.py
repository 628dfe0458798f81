"""Gibbs sampling draws the elements of a plate, and the states of a chain, together where the program
shows that their joint law given the rest comes apart, and one by one where it does not: exactly, by
tapes, from every state of programs of three and more elements of three options."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import ppl
from ppl import kernels
from ppl.inference.kernels.xla.move import Move, Step, Target, nothing_tuned
from ppl.semantics import distributions as D
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import precision
from ppl.semantics.xla.mixed import mixed_density
from tests.inference.test_xla_kernels import States

pytestmark = pytest.mark.usefixtures("quick_compilation")

MODELS = ppl.compile("""
# the options of each element differ in law, and one leads to a choice of its own
model plate(ys: [bool]) {
  w ~ bernoulli(0.3)
  zs ~ for y in ys {
    z ~ categorical(if w { [0.2, 0.3, 0.5] } else { [0.6, 0.3, 0.1] })
    b ~ if z == 1 { b ~ bernoulli(0.8); return b } else { return false }
    observe y ~ bernoulli(if b { 0.9 } else { [0.15, 0.7, 0.4][z] })
    return z
  }
  return zs
}
model chain(ys: [bool]) {
  zs ~ scan z = 0 for y in ys {
    z ~ categorical([[0.6, 0.4, 0], [0, 0.3, 0.7], [0.5, 0.2, 0.3]][z])
    observe y ~ bernoulli([0.15, 0.7, 0.4][z])
    return z
  }
  return zs
}
# what is seen of all three together
model coupled(ys: [bool]) {
  zs ~ for y in ys { z ~ categorical([0.2, 0.5, 0.3]); observe y ~ bernoulli([0.15, 0.7, 0.4][z]); return z }
  observe true ~ bernoulli([0.05, 0.1, 0.9, 0.3, 0.8, 0.2, 0.6][zs[0] + zs[1] + zs[2]])
  return zs
}
model mixture_of(ys: [real]) {
  mu ~ for _ in range(3) { normal(0, 2) }
  zs ~ for y in ys { z ~ categorical([0.2, 0.5, 0.3]); observe y ~ normal(mu[z], 0.7); return z }
  return mu
}
""")
YS = [True, False, True]


def states(name: str) -> States:
    """Every state and its probability, by the density of whole traces."""
    target = MODELS[name](ys=YS)
    with precision():
        density = mixed_density(target.bound, target.data, None)
        sizes = tuple(
            s.options or 0 for s in density.discrete for _ in range(int(np.prod(s.shape)))
        )
        each = np.array(list(itertools.product(*(range(n) for n in sizes))))
        at = Target(density, target.data)
        logs = jax.jit(jax.vmap(lambda k: at.log_density(jnp.zeros(0), k)))(each)
        mass = np.exp(np.asarray(logs))
    return States(at, sizes, mass / mass.sum())


def test_elements_of_a_plate_are_drawn_together():
    found = states("plate")
    density = found.target.density
    assert [(s.path, s.shape) for s in density.discrete] == [
        ("w", ()), ("zs/b/then/b", (3,)), ("zs/z", (3,))
    ]  # fmt: skip
    assert density.given_rest("zs/z") is not None
    assert found.asymmetry(found.built(kernels.gibbs().on("zs/z"))) < 1e-12


def test_the_states_of_a_chain_are_drawn_from_their_joint_law():
    found = states("chain")
    flow = found.flow(found.built(kernels.gibbs()))
    assert (found.pi > 0).sum() == 9
    assert flow == pytest.approx(np.outer(found.pi, found.pi), abs=1e-12)


def at_once(target: Target, point, tuned, omega, adapting) -> Step:
    """All elements from their laws given the others as they were."""
    k, n = point.k, len(point.k)

    def logs(i):
        options = jax.vmap(lambda o: target.log_density(point.z, point.k.at[i].set(o)))
        return options(jnp.arange(3))

    law = D.make("categorical_logit", (jnp.stack([logs(i) for i in range(n)]),))
    omega, k = omega.draw(("", "all"), law, (n,))
    return Step(target.point(point.z, k), tuned, omega, {})


def test_coupled_elements_are_drawn_one_by_one():
    """Assumed to be independent, they would have another law."""
    found = states("coupled")
    assert found.target.density.given_rest("zs/z") is None
    flow = found.flow(found.built(kernels.gibbs()))
    assert flow.sum(axis=0) == pytest.approx(found.pi, abs=1e-12)
    assert found.change(Move(nothing_tuned, at_once, {})) > 1e-3


def test_labels_have_their_law_given_the_parameters():
    """Elements are independent, each with its weights."""
    ys, mu = np.array([0.4, 2.9, -1.0]), np.array([-1.2, 0.3, 2.5])
    target = MODELS.mixture_of(ys=ys.tolist())
    with precision():
        density = mixed_density(target.bound, target.data, None)
        draw = density.given_rest("zs/z")
        assert draw is not None

        def run(data, tape):
            tape, k = draw(data, {"mu": jnp.asarray(mu), "zs/z": jnp.array([2, 0, 0])}, tape)
            return k, tape

        found = Enumerator(run, length=3, quick=True)(target.data)
    weights = np.array([0.2, 0.5, 0.3]) * norm.pdf(ys[:, None], mu, 0.7)
    weights /= weights.sum(axis=1, keepdims=True)
    known = [np.prod(weights[range(3), k]) for k in found.outputs]
    assert len(known) == 27
    assert np.exp(found.log_probability) == pytest.approx(known, abs=1e-13)

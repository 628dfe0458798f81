"""Kernels that draw from finitely many options leave the posterior alone: the joint law of a point
drawn from it and of the next, by tapes. Over every state of a table with zero weights, and of a
program with laws that depend on other choices and choices that are not always made."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl import kernels
from ppl.inference.kernels.algebra import Kernel
from ppl.inference.kernels.xla.compose import compose
from ppl.inference.kernels.xla.gibbs import gibbs
from ppl.inference.kernels.xla.move import (
    Block,
    Move,
    Point,
    Step,
    Target,
    metropolis,
    nothing_tuned,
)
from ppl.semantics import distributions as D
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.mixed import DiscreteSite, MixedDensity
from ppl.semantics.precision import precision
from ppl.semantics.xla.mixed import mixed_density

pytestmark = pytest.mark.usefixtures("quick_compilation")


@dataclass(frozen=True)
class States:
    """All states of a density without free coordinates, and the probability of each."""

    target: Target
    sizes: tuple[int, ...]
    pi: np.ndarray

    @property
    def all(self) -> np.ndarray:
        return np.array(list(itertools.product(*(range(n) for n in self.sizes))))

    def flow(self, move: Move) -> np.ndarray:
        """The probability of each state and each next one, starting from `pi`."""
        states, target = self.all, self.target
        strides = np.append(np.cumprod(self.sizes[::-1])[::-1][1:], 1)

        def run(data, tape):
            law = D.make("categorical", (jnp.asarray(self.pi),))
            tape, number = tape.draw(("start",), law, ())
            point = target.point(jnp.zeros(0), jnp.asarray(states)[number])
            done = move.step(target, point, move.begin(target, point), tape, False)
            same = done.point.log_density - target.log_density(done.point.z, done.point.k)
            return (number, done.point.k @ strides, same), done.omega

        with precision():
            paths = Enumerator(run, batches=(1024,))(target.data, limit=100_000)
        before, after, same = paths.outputs
        assert np.abs(same).max() < 1e-12, "the density that is kept is that of the point"
        flow = np.zeros((len(states),) * 2)
        np.add.at(flow, (before, after), np.exp(paths.log_probability))
        assert flow.sum(axis=1) == pytest.approx(self.pi, abs=1e-12)
        return flow

    def change(self, move: Move) -> float:
        """How far the law after a step is from the law before it."""
        return float(np.abs(self.flow(move).sum(axis=0) - self.pi).max())

    def asymmetry(self, move: Move) -> float:
        """How far the kernel is from being reversible."""
        flow = self.flow(move)
        return float(np.abs(flow - flow.T).max())

    def built(self, kernel: Kernel) -> Move:
        with precision():
            return compose(kernel, self.target.density, 0, part=True)


# ------------------------------------------------------------------------------ a table of masses

MASSES = np.random.default_rng(8).dirichlet(np.full(36, 0.7)).reshape(3, 3, 4)
MASSES[0, 1, 2] = MASSES[2, 0] = 0
MASSES /= MASSES.sum()
A = np.array([0, 1])


def table_density() -> MixedDensity:
    """Of `a`, two choices of three options, and of an integer `n`, with mass on 0 to 3."""

    def log_density(data: Any, position: Any) -> Any:
        (a, b), n = position["a"], position["n"]
        inside = (n >= 0) & (n < 4) & (a >= 0) & (a < 3) & (b >= 0) & (b < 3)
        return jnp.where(inside, jnp.log(jnp.asarray(data)[a, b, n]), -jnp.inf)

    sites = DiscreteSite("a", (2,), 3), DiscreteSite("n", (), None)
    return MixedDensity("table", (), log_density, lambda *_: {}, discrete=sites)


TABLE = States(Target(table_density(), MASSES), (3, 3, 4), MASSES.ravel())
WALK = kernels.random_walk(scale=2.0, adapt=False)


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.gibbs().on("a[0]"),
        kernels.mixture(WALK.on("n"), kernels.gibbs().on("a[1]"), weights=(1.0, 2.5)),
    ],
    ids=str,
)
def test_kernels_that_move_one_choice_are_reversible(kernel):
    assert TABLE.asymmetry(TABLE.built(kernel)) < 1e-12


def test_sequences_leave_the_law_alone():
    """And are not reversible, so that the check can tell."""
    kernel = kernels.gibbs().on("a").then(WALK.on("n").repeat(2))
    flow = TABLE.flow(TABLE.built(kernel))
    assert flow.sum(axis=0) == pytest.approx(TABLE.pi, abs=1e-12)
    assert np.abs(flow - flow.T).max() > 1e-3
    alive = TABLE.pi > 0
    steps = flow[np.ix_(alive, alive)] / TABLE.pi[alive, None]
    assert np.linalg.matrix_power(steps, 16).min() > 1e-9, "every state is reached"


# ----------------------------------------------------------------------------------- a program

FINITE = ppl.compile("""
model finite(ys: [bool]) {
  w ~ categorical([0.2, 0.5, 0.3])
  zs ~ for y in ys {
    z ~ categorical([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]][w])
    observe y ~ bernoulli([0.15, 0.7, 0.4][z])
    return z
  }
  b ~ if w == 1 { b ~ bernoulli([0.3, 0.8, 0.6][zs[0]]); return b } else { return false }
  observe b ~ bernoulli([0.9, 0.25, 0.4][zs[1]])
  condition not (w == 0 and zs[0] == 2)
  return (w, zs, b)
}
""").finite(ys=[True, False])


@pytest.fixture(scope="module")
def program() -> States:
    """Its states, with their posterior by enumeration of the program's paths, which knows nothing
    of coordinates: a choice that is not made is either option with probability 1/2."""
    with precision():
        density = mixed_density(FINITE.bound, FINITE.data, None)
    assert [(s.path, s.shape, s.options) for s in density.discrete] == [
        ("b/then/b", (), 2),
        ("w", (), 3),
        ("zs/z", (2,), 3),
    ]
    exact = ppl.infer(FINITE, ppl.exact(), progress=False)
    pi = np.zeros((2, 3, 3, 3))
    values = zip(exact["b/then/b"][0], exact["w"][0], exact["zs"][0], strict=True)
    for (b, w, zs), mass in zip(values, exact.weights[0], strict=True):
        for option in (0, 1) if np.isnan(b) else (int(b),):
            pi[(option, w, *zs)] += mass / (2 if np.isnan(b) else 1)
    return States(Target(density, FINITE.data), pi.shape, pi.ravel())


def test_held_choices_have_the_density_of_the_program(program):
    with precision():
        at = jax.vmap(lambda k: program.target.log_density(jnp.zeros(0), k))
        density = np.exp(np.asarray(jax.jit(at)(program.all)))
    assert density / density.sum() == pytest.approx(program.pi, abs=1e-12)
    assert (program.pi == 0).sum() == 6 and len(program.pi) == 54


@pytest.mark.parametrize(
    "kernel",
    [kernels.prior(), kernels.prior(block=True).on("zs", "b")],
    ids=str,
)
def test_draws_from_the_prior_are_reversible(program, kernel):
    assert program.asymmetry(program.built(kernel)) < 1e-12


# -------------------------------------------------------------- real bugs of others, planted here


def test_proposals_from_the_prior_whose_own_density_does_not_cancel_are_found(program):
    """Of choices made again, the density counted in the ratio as well."""
    density = program.target.density

    def redraw(data: Any, position: Any, chosen: Any, omega: Any) -> Any:
        omega, new, _ = density.redraw(data, position, chosen, omega)
        return omega, new, density.log_density(data, new)

    wrong = replace(program, target=Target(replace(density, redraw=redraw), FINITE.data))
    assert wrong.change(program.built(kernels.prior().on("w"))) > 1e-3


def on_table(step: Callable[[Target, Point, Any], Step]) -> Move:
    return Move(
        nothing_tuned, lambda target, point, tuned, omega, adapting: step(target, point, omega), {}
    )


def test_a_proposal_drawn_again_until_it_is_inside_is_found():
    """PyBNF: the reverse move from an end is then half as likely, which the ratio leaves out."""

    def step(target: Target, point: Point, omega: Any) -> Step:
        n = point.k[2]
        both = jnp.array([n > 0, n < 3])
        law = D.make("categorical", (both / both.sum(),))
        omega, up = omega.draw(("", "side"), law, ())
        proposed = target.point(point.z, point.k.at[2].add(2 * up - 1))
        ratio = proposed.log_density - point.log_density
        omega, after, _, _ = metropolis(point, proposed, ratio, omega, ("", "move"))
        return Step(after, (), omega, {})

    assert TABLE.change(on_table(step)) > 1e-3


def test_the_number_of_options_of_another_choice_is_found():
    """NumPyro: the size of the support was looked up by the wrong index."""
    wrong = gibbs(
        kernels.gibbs(), Block(np.zeros(0, int), A), ("", "kernel", "gibbs"), np.array([2, 3, 0])
    )
    assert TABLE.change(wrong) > 1e-3


def test_an_accept_step_after_an_exact_draw_is_found():
    """Venture, after a slice: the draw has the right law already."""
    exact = TABLE.built(kernels.gibbs().on("a[1]"))

    def step(target: Target, point: Point, omega: Any) -> Step:
        drawn = exact.step(target, point, (), omega, False)
        ratio = drawn.point.log_density - point.log_density
        omega, after, _, _ = metropolis(point, drawn.point, ratio, drawn.omega, ("", "again"))
        return Step(after, (), omega, {})

    assert TABLE.change(on_table(step)) > 1e-3

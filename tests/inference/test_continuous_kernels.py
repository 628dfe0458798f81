"""Kernels of real numbers: the Metropolis-Hastings identity at pairs of points, and slices exactly, on
lattices, where what they draw uniformly has finitely many values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl import kernels
from ppl.inference.kernels.xla import elliptical, mala, slice
from ppl.inference.kernels.xla.compose import compose
from ppl.inference.kernels.xla.move import Move, Target
from ppl.inference.kernels.xla.slice import slice_on_line
from ppl.semantics import distributions as D
from ppl.semantics.density import SiteInfo
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.mixed import MixedDensity
from ppl.semantics.omega import Key, Tape
from ppl.semantics.precision import precision
from tests.oracles.lattice import WIDTH, OnLattice

pytestmark = pytest.mark.usefixtures("quick_compilation")


# -------------------------------------------------- reversible at pairs of points: what it says of q


def log_density(x: Any) -> Any:
    """Three coupled numbers, of no symmetry."""
    a, b, c = x
    return -0.25 * a**4 + a * jnp.sin(b) - 0.5 * (b - 0.3 * c) ** 2 - jnp.exp(c) + 1.7 * c


def gradient(x: np.ndarray) -> np.ndarray:
    a, b, c = x
    d = b - 0.3 * c
    return np.array([-(a**3) + np.sin(b), a * np.cos(b) - d, 0.3 * d - np.exp(c) + 1.7])


SMOOTH = Target(
    MixedDensity(
        "smooth",
        (SiteInfo("a", (), ()), SiteInfo("b", (2,), (2,))),
        lambda data, p: log_density([p["a"], *p["b"]]),
        lambda *_: {},
    ),
    (),
)


@dataclass
class Fixed:
    """A source whose normals are given, and that notes with what probability a move is accepted."""

    noise: Any
    accepted: Any = None

    def draw(self, path: Any, law: Any, shape: Any, *, where: Any = None) -> tuple[Any, Any]:
        if path[-1] == "step":
            return self, self.noise
        assert path[-1] == "accept"
        self.accepted = jnp.exp(law.log_prob(True))
        return self, jnp.asarray(True)


SCALE = 0.7


def imbalance(move: Move, drift: Any) -> float:
    """How far the flows p(x) q(x, y) a(x, y) between pairs of points are from equal, in logarithms;
    q is normal about x + drift(x)."""

    @jax.jit
    def step(z: Any, noise: Any) -> tuple[Any, Any, Any]:
        source, point = Fixed(noise), SMOOTH.point(z, jnp.zeros(0, int))
        after = move.step(SMOOTH, point, move.begin(SMOOTH, point), source, False).point
        return after.z, after.log_density - log_density(after.z), source.accepted

    def flow(x: np.ndarray, y: np.ndarray) -> float:
        noise = (y - x - drift(x)) / SCALE
        z, error, accepted = step(x, noise)
        assert z == pytest.approx(y, abs=1e-12) and abs(error) < 1e-12, "the proposal is from q"
        return float(log_density(x)) - 0.5 * float(noise @ noise) + math.log(accepted)

    pairs = np.random.default_rng(3).normal(size=(5, 2, 3)) * [0.8, 1.1, 0.6]
    with precision():
        return max(abs(flow(x, y) - flow(y, x)) for x, y in pairs)


def langevin_drift(x: np.ndarray) -> np.ndarray:
    return 0.5 * SCALE**2 * gradient(x)


def test_a_random_walk_is_reversible():
    kernel = kernels.random_walk(scale=SCALE, adapt=False)
    assert imbalance(compose(kernel, SMOOTH.density, 0), np.zeros_like) < 1e-10


def test_mala_is_reversible():
    kernel = kernels.mala(step_size=SCALE, adapt=False)
    assert imbalance(compose(kernel, SMOOTH.density, 0), langevin_drift) < 1e-10


def test_mala_with_a_correction_of_another_transition_is_found(monkeypatch):
    """AdvancedMH, BAT: the reverse proposal's mean is computed by minus the gradient, or forgotten."""
    move = compose(kernels.mala(step_size=SCALE, adapt=False), SMOOTH.density, 0)
    right, calls = mala.drift, []
    for back in (-1.0, 0.0):

        def drift(g: Any, spread: Any, back=back) -> Any:
            calls.append(g)
            return right(g, spread) * (1.0 if len(calls) % 2 else back)

        monkeypatch.setattr(mala, "drift", drift)
        assert imbalance(move, langevin_drift) > 0.1


@pytest.mark.parametrize(
    ("kernel", "code"),
    [
        (kernels.random_walk(), "E807"),
        (kernels.mala(), "E807"),
        (kernels.slice(), "E807"),
        (kernels.nuts(), "E708"),
    ],
    ids=str,
)
def test_tapes_refuse_what_has_no_list_of_values(kernel, code):
    move = compose(kernel, SMOOTH.density, 0)

    def step(z: Any) -> Any:
        tape, point = Tape.of(jnp.zeros(4, int), 4), SMOOTH.point(z, jnp.zeros(0, int))
        return move.step(SMOOTH, point, move.begin(SMOOTH, point), tape, False).point

    with pytest.raises(DiagnosticError, match=code):
        jax.eval_shape(step, jnp.zeros(3))


def test_nothing_is_tuned_after_warm_up():
    """Steps of warm-up change what is tuned, those after it do not; a trajectory's step size settles
    with the first of these."""
    kernel = kernels.random_walk().then(kernels.mala()).then(kernels.hmc(trajectory_length=0.6))
    with precision():
        move = compose(kernel, SMOOTH.density, 30)

        @jax.jit
        def run(key, adapting):
            point = SMOOTH.point(jnp.array([0.4, -0.3, 0.2]), jnp.zeros(0, int))

            def one(carry, i):
                point, tuned = carry
                done = move.step(SMOOTH, point, tuned, Key(jax.random.fold_in(key, i)), adapting[i])
                return (done.point, done.tuned), done.tuned

            return jax.lax.scan(one, (point, move.begin(SMOOTH, point)), jnp.arange(6))[1]

        history = jax.tree.leaves(run(jax.random.key(3), jnp.arange(6) < 3))
    changes = [
        [not np.array_equal(x[i], x[i - 1], equal_nan=True) for x in history] for i in range(1, 6)
    ]
    assert sum(changes[1]) > 8, "in warm-up"
    counters = {i for i, x in enumerate(history) if np.issubdtype(x.dtype, np.integer)}
    assert {i for i, moved in enumerate(changes[4]) if moved} <= counters


def test_a_dense_random_walk_learns_the_covariance():
    """Of a normal law with correlation 0.95, in 3000 steps of warm-up, on the way to its scale; the
    rate of acceptance is then near the one that is wanted. A fixed seed; the bounds are wide."""
    covariance = np.array([[1.0, 1.9, 0.0], [1.9, 4.0, 0.0], [0.0, 0.0, 0.01]])
    target = Target(
        MixedDensity(
            "correlated",
            (SiteInfo("x", (3,), (3,)),),
            lambda data, p: -0.5 * p["x"] @ data @ p["x"],
            lambda *_: {},
        ),
        np.linalg.inv(covariance),
    )
    with precision():
        move = compose(kernels.random_walk(dense=True), target.density, 0)

        @jax.jit
        def run(key):
            def one(carry, i):
                point, tuned = carry
                done = move.step(target, point, tuned, Key(jax.random.fold_in(key, i)), i < 3000)
                return (done.point, done.tuned), done.stats["acceptance_rate of random_walk"]

            point = target.point(jnp.zeros(3), jnp.zeros(0, int))
            init = (point, move.begin(target, point))
            (_, (tuning, _)), accepted = jax.lax.scan(one, init, jnp.arange(5000))
            return tuning.variance, accepted[3000:].mean()

        learned, rate = map(np.asarray, run(jax.random.key(7)))
    sd = np.sqrt(np.diag(learned))
    assert (learned / np.outer(sd, sd))[0, 1] > 0.85
    assert 0.15 < rate < 0.35


# --------------------------------------------------------------------------- slices, on a lattice

#: of 0 to 5; two modes, apart by less than an interval's first width
MASS = np.array([0.02, 0.3, 0.11, 0.05, 0.21, 0.17])
STEPS = 3


def lattice_flow(
    step: Any, mass: np.ndarray, lattice: np.ndarray, noise: np.ndarray | None = None
) -> np.ndarray:
    """The joint law of a state drawn by `mass` and the next, of step(state, source)."""
    logs, given = np.log(mass), np.zeros(len(mass)) if noise is None else noise

    def run(data, tape):
        start = D.make("categorical", (jnp.asarray(mass / mass.sum()),))
        tape, state = tape.draw(("start",), start, ())
        levels = jnp.asarray(logs) - jnp.asarray(logs)[state]
        source = OnLattice(tape, levels, jnp.asarray(lattice), jnp.asarray(given)[state])
        source, after = step(state, source)
        return (state, after), source.tape

    with precision():
        paths = Enumerator(run, batches=(1024,))((), limit=100_000)
    before, after = paths.outputs
    flow = np.zeros((len(mass) + 1,) * 2)  # the last: no state at all
    np.add.at(flow, (before, after), np.exp(paths.log_probability))
    return flow


def asymmetry(flow: np.ndarray) -> float:
    return float(np.abs(flow - flow.T).max())


def slice_step(state: Any, source: Any) -> tuple[Any, Any]:
    logs = jnp.log(jnp.asarray(MASS))

    def at(t: Any) -> Any:
        i = jnp.floor(state + t + 0.5).astype(int)
        return jnp.where((i >= 0) & (i < len(MASS)), logs[jnp.clip(i, 0, len(MASS) - 1)], -jnp.inf)

    source, t, value = slice_on_line(at, logs[state], float(WIDTH), STEPS, source, ("",))
    after = jnp.round(state + t).astype(int)
    return source, jnp.where(jnp.abs(value - logs[after]) < 1e-12, after, len(MASS))


POINTS = np.arange(-len(MASS), len(MASS) + 1.0)


def test_stepping_out_and_shrinkage_are_reversible():
    found = lattice_flow(slice_step, MASS, POINTS)
    assert found.sum(axis=1)[:-1] == pytest.approx(MASS / MASS.sum(), abs=1e-12)
    assert asymmetry(found) < 1e-12
    assert (found > 0).sum() > 25, "it moves"


def test_a_misplaced_bracket_is_found(monkeypatch):
    """PyMC: an interval that begins at the point instead of around it."""

    def step_out(log_density, level, width, steps, omega, path):
        omega, i = omega.draw((*path, "place"), None, ())
        return omega, -0.5 + 0 * i, width - 0.5 + 0 * i

    monkeypatch.setattr(slice, "step_out", step_out)
    assert asymmetry(lattice_flow(slice_step, MASS, POINTS)) > 1e-3


# -------------------------------------------------------------- ellipses, on a lattice of angles

SIDES = 5
U, V = np.array([1.2, 0.3]), np.array([-0.4, 0.9])
ANGLES = 2 * np.pi * np.arange(SIDES) / SIDES
CIRCLE = np.cos(ANGLES)[:, None] * U + np.sin(ANGLES)[:, None] * V
LIKELIHOOD = np.exp(1.3 * CIRCLE[:, 0] - np.cos(2 * CIRCLE[:, 1]) - 0.4 * CIRCLE[:, 0] ** 2)
TURNS = 2 * np.pi * np.arange(-SIDES, SIDES + 1) / SIDES
QUARTERS = -np.sin(ANGLES)[:, None] * U + np.cos(ANGLES)[:, None] * V


def ellipse_step(state: Any, source: Any) -> tuple[Any, Any]:
    def log_likelihood(f: Any) -> Any:
        return 1.3 * f[0] - jnp.cos(2 * f[1]) - 0.4 * f[0] ** 2

    circle = jnp.asarray(CIRCLE)
    source, f, _ = elliptical.turn(log_likelihood, circle[state], source, ("",))
    off = jnp.abs(circle - f).max(axis=1)
    return source, jnp.where(off.min() < 1e-9, off.argmin(), SIDES)


def test_turns_of_an_ellipse_are_reversible():
    found = lattice_flow(ellipse_step, LIKELIHOOD, TURNS, QUARTERS)
    assert found.sum(axis=1)[:-1] == pytest.approx(LIKELIHOOD / LIKELIHOOD.sum(), abs=1e-12)
    assert asymmetry(found) < 1e-12
    assert (found > 0).sum() >= SIDES * (SIDES - 1), "from everywhere to everywhere else"


def test_an_ellipse_that_refreshes_only_the_first_number_is_found(monkeypatch):
    """Turing."""
    right = elliptical.turn

    def turn(log_likelihood, f, omega, path):
        omega, new, moved = right(lambda v: log_likelihood(f.at[0].set(v[0])), f, omega, path)
        return omega, f.at[0].set(new[0]), moved

    monkeypatch.setattr(elliptical, "turn", turn)
    assert asymmetry(lattice_flow(ellipse_step, LIKELIHOOD, TURNS, QUARTERS)) > 1e-3

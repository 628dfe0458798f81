"""Correlated particle marginal Metropolis-Hastings, compiled.

Exactly: every step is reversible for parameters and numbers together, since it is an involution of
a normal law and the ratio of estimates decides; numbers are read once each, and have the laws that
they are read for. So the mean of the estimate is that of any filter, which is tested for whole
histories, too.
"""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_ndtr, ndtri

import ppl
from ppl.inference.kernels.particle import ParticleMarginal
from ppl.inference.kernels.xla import particle_marginal as production
from ppl.inference.kernels.xla.correlated import Numbers
from ppl.inference.kernels.xla.move import Block, Point, Target
from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.distributions.pieces import Pieces
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.mixed import mixed_density
from ppl.semantics.xla.points import in_order
from ppl.semantics.xla.program import particles

MODELS = ppl.compile("""
model hidden(ys: [bool]) {
  m ~ normal(0.3, 0.8)
  xs ~ scan x = 1 for y in ys {
    x ~ categorical_logit([[m, 0.3, -1.0], [0.2, -m, 0.5], [m, m, 0.1]][x])
    observe y ~ bernoulli([0.15, 0.7, 0.4][x])
    return x
  }
  return xs
}
model walk(ys: [real]) {
  m ~ normal(0, 1)
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x + m, 0.4); observe y ~ normal(x, 0.5); return x }
  return xs
}
model shares(ys: [nat]) {
  m ~ normal(0, 1)
  ps ~ scan p = [0.2, 0.5, 0.3] for y in ys {
    p ~ dirichlet([2.0, 1.0, 3.0])
    observe y ~ categorical(p)
    return p
  }
  return ps
}
""")
KERNEL = ParticleMarginal(
    particles=3, threshold=0.8, correlation=0.7, scale=0.6, adapt=False, scheme="multinomial"
)
PATH = ("", "kernel", "pmmh")
DRAWN = frozenset({"xs/x"})
#: lanes of every compiled function
LANES = 4_096
#: compile fast: little is computed
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@pytest.fixture(scope="module", autouse=True)
def in_double():
    with precision("double"):
        yield


@pytest.fixture(scope="module")
def at():
    target = MODELS.hidden(ys=[False, True, True]).sampler
    return Target(mixed_density(target.bound, target.data, None), target.data)


@pytest.fixture(scope="module")
def count(at):
    return production.numbers_of(KERNEL, at, point_of(at, 0.0, [0, 2, 1]), DRAWN)


@pytest.fixture(scope="module")
def estimates(at, count):
    """The estimates at (parameter, numbers), and the histories of the particles drawn."""

    def one(z, numbers, seed):
        key, k = Key(jax.random.key(seed)), jnp.zeros(3, int)
        _, point, mass = production.filtered(KERNEL, at, z[None], k, DRAWN, key, PATH, numbers)
        return mass, point.k

    return compiled(one, jnp.zeros(()), jnp.zeros(count), jnp.zeros((), int))


def compiled(f, *like):
    lanes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((LANES, *x.shape), x.dtype), like)
    return jax.jit(jax.vmap(f)).lower(*lanes).compile(compiler_options=QUICK)


def point_of(at, z, k):
    return at.point(jnp.atleast_1d(z), jnp.asarray(k))


class Script:
    """A source of the random numbers that are written down for it. Binary choices and choices among
    particles compare them with probabilities."""

    def __init__(self, written):
        self.written = written

    def draw(self, path, dist, shape, *, where=None):
        x = self.written[path[-1]]
        if path[-1] == "accept":
            return self, x < jnp.exp(dist.log_prob(True))
        if path[-1] == "which":
            return self, jnp.argmax(jnp.cumsum(jnp.exp(D.support_values(dist)[1])) > x)
        return self, jnp.reshape(x, shape)


def stepped(at, count):
    """((z, numbers, log estimate), random numbers) to what the production step makes of them."""
    move = production.particle_marginal(KERNEL, Block(np.array([0]), np.zeros(0, int)), PATH, DRAWN)
    begun = move.begin(at, point_of(at, 0.0, [0, 2, 1]))
    assert begun.numbers.shape == (count,)

    def one(state, written):
        z, numbers, mass = state
        tuned = begun._replace(log_density=mass, numbers=numbers)
        point = Point(z[None], jnp.zeros(3, int), jnp.zeros(()))
        done = move.step(at, point, tuned, Script(written), False)
        return done.point.z[0], done.tuned.numbers, done.tuned.log_density

    zero, many = jnp.zeros(()), jnp.zeros(count)
    written = {"step": zero, "numbers": many, "which": zero, "accept": zero}
    return compiled(one, (zero, many, zero), written)


def check_reversible(at, count, estimates):
    """Detailed balance for the density Z(z, x) φ(x) of parameter and numbers, in every lane.

    (z, x; δ, ε) to (z', x'; -δ, ε'), ε' the reflection of ε, keeps volumes and the law of what is
    random; so what is left is that it is its own inverse, that Z' belongs to z' and x', and that
    the smaller of 1 and Z'/Z decides, all of it or nothing.
    """
    step, rng = stepped(at, count), np.random.default_rng(5)
    z, x = rng.normal(size=LANES), rng.normal(size=(LANES, count))
    delta, epsilon = rng.normal(size=LANES), rng.normal(size=(LANES, count))
    seeds, always = np.arange(LANES), np.full(LANES, -1.0)
    known = lambda z, x: np.asarray(estimates(z, x, seeds)[0])  # noqa: E731
    written = {"step": delta, "numbers": epsilon, "which": rng.uniform(size=LANES)}
    state = z, x, known(z, x)
    assert np.unique(np.round(state[2], 9)).size > LANES / 8

    there = step(state, {**written, "accept": always})
    np.testing.assert_allclose(there[2], known(there[0], there[1]), rtol=1e-10)
    rho = KERNEL.correlation
    reflected = math.sqrt(1 - rho**2) * x - rho * epsilon
    back = {**written, "step": -delta, "numbers": reflected, "accept": always}
    for found, begun in zip(step(there, back), state, strict=True):
        np.testing.assert_allclose(found, begun, atol=1e-10)

    ratio = np.minimum(1.0, np.exp(np.asarray(there[2]) - state[2]))
    assert ((ratio < 0.9).sum() > 500) and ((ratio == 1).sum() > 500)
    taken = step(state, {**written, "accept": ratio * (1 - 1e-9)})
    refused = step(state, {**written, "accept": ratio * (1 + 1e-9)})
    for a, b, new, old in zip(taken, refused, there, state, strict=True):
        np.testing.assert_array_equal(a, new)
        np.testing.assert_array_equal(np.asarray(b)[ratio < 1], old[ratio < 1])


def test_every_step_is_reversible_for_parameters_and_numbers(at, count, estimates):
    check_reversible(at, count, estimates)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (
            "of_accepted",
            lambda accepted, there, here: [jnp.where(accepted, there[0], here[0]), there[1]],
        ),
        ("moved", lambda numbers, correlation, new: correlation * numbers + new),
    ],
    ids=["numbers accepted without the parameters", "rho in one place only"],
)
def test_a_wrong_move_of_the_numbers_is_found(name, wrong, at, count, estimates, monkeypatch):
    monkeypatch.setattr(production, name, wrong)
    with pytest.raises(AssertionError):
        check_reversible(at, count, estimates)


def test_filters_by_numbers_are_properly_weighted(at, estimates, count):
    """The mean over numbers of estimate times history is the density of both: 9 means within 4.5
    standard errors (6e-5 of a false alarm had the seed been random)."""
    rng, z = np.random.default_rng(8), 0.4
    mass, histories = estimates(
        np.full(LANES, z), rng.normal(size=(LANES, count)), np.arange(LANES)
    )
    mass, histories = np.exp(np.asarray(mass)), np.asarray(histories)
    every = np.array(list(itertools.product(range(3), repeat=3)))
    density = jax.vmap(lambda k: at.log_density(jnp.full(1, z), k))
    law = np.exp(np.asarray(density(every)))
    for t, x in itertools.product(range(3), range(3)):
        # how a history began or ended weighs, and what it passed through
        f = lambda k: (k[:, t] == x) * (1 + k[:, 0] + 2 * k[:, 1] * k[:, 2])  # noqa: E731, B023
        found, known = mass * f(histories), law @ f(every)
        assert abs(found.mean() - known) < 4.5 * found.std() / math.sqrt(LANES), (t, x)


def test_numbers_are_read_in_their_order_once_each():
    normal, numbers = D.make("normal", (0.0, 1.0)), jnp.linspace(-2.1, 1.7, 2 + 3 * 5 + 1)
    pieces = Pieces(2, lambda: jnp.zeros((2, 1)))

    def step(source, t):
        inner, x = source.enter(t).draw(("x",), normal, (3,), where=jnp.arange(3) > t)
        inner, u = inner.draw(("u",), pieces, (2,))
        return source.leave(inner), jnp.concatenate([x, jax.scipy.special.ndtri(u)])

    source, first = Numbers.of(numbers).draw(("a",), normal, (2, 1))
    source, rows = jax.lax.scan(step, source, jnp.arange(3))
    source, last = source.draw(("b",), normal, ())
    read = jnp.concatenate([first.ravel(), rows.ravel(), last[None]])
    np.testing.assert_allclose(read, numbers, atol=1e-12)
    assert source.used == len(numbers)


def drawn(law, *numbers):
    """A draw by these numbers, all of which are read."""

    def run(x):
        source, draw = Numbers.of(x).draw(("x",), law, law.batch_shape)
        return source.used, draw

    used, draw = jax.jit(run)(jnp.ravel(jnp.asarray(numbers, float)))
    assert used == np.size(numbers)
    return np.asarray(draw)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("normal", (0.3, 1.7)),
        ("half_normal", (1.3,)),
        ("uniform", (-0.5, 2.0)),
    ],
)
def test_a_draw_on_the_line_is_at_the_level_of_its_number(name, args):
    law, x = D.make(name, args), np.array([-2.2, -0.4, 0.1, 1.9])
    levels = jax.jit(law.log_cdf)(drawn(law.expand((4,)), x))
    np.testing.assert_allclose(levels, log_ndtr(x), rtol=1e-7)


def test_a_draw_of_finitely_many_values_has_their_probabilities():
    edges = np.array([0.2, 0.7])
    u = [1e-9, *(edges - 1e-9), *(edges + 1e-9), 1 - 1e-9]
    law = D.make("categorical", (jnp.array([0.2, 0.0, 0.5, 0.3, 0.0]),)).expand((7,))
    assert drawn(law, *ndtri(u), 40.0).tolist() == [0, 0, 2, 2, 3, 3, 3]
    coins = D.make("bernoulli", (jnp.asarray([0.2, 0.2, 0.9]),))
    assert drawn(coins, *ndtri([0.8 - 1e-9, 0.8 + 1e-9, 0.5])).tolist() == [False, True, True]


def test_draws_of_vectors():
    factor, mu = np.array([[1.5, 0, 0], [0.4, 0.7, 0], [-0.3, 0.2, 1.1]]), np.array([1.0, -2, 0])
    law, x = D.make("multi_normal_cholesky", (mu, factor)), np.array([0.3, -1.2, 0.8])
    np.testing.assert_allclose(drawn(law, x), mu + factor @ x)
    each = D.iid(D.make("normal", (jnp.array([0.0, 10.0]), 2.0)), 3)
    # one number of each, then the next
    np.testing.assert_allclose(drawn(each, np.arange(6.0)), [[0, 4, 8], [12, 16, 20]])


def test_particles_in_order_are_chosen_by_their_weights():
    """Of systematic resampling, exactly: children in the order of states, each particle's as many
    as its weight in expectation."""
    log_weights = jnp.log(jnp.array([0.1, 0.35, 0.2, 0.35 - 1 / 64, 1 / 64]))
    axis = particles(5)
    state = {"x": Arr(jnp.array([0.7, -1.0, 2.5, 0.2, -3.0]), (axis,))}
    policy = in_order(compiled_policy(Resample("systematic", 1.0)), state, axis)

    def run(data, tape):
        tape, decision = policy(log_weights + data, tape, ("", "ancestor"))
        return decision.choose()[0], tape

    paths = Enumerator(run, length=8, batches=(64,), quick=True)(jnp.zeros(()))
    ancestors, p = np.asarray(paths.outputs), np.exp(paths.log_probability)
    assert len(p) > 3 and p.sum() == pytest.approx(1)
    children = p @ np.array([np.bincount(a, minlength=5) for a in ancestors])
    np.testing.assert_allclose(children, 5 * np.exp(log_weights), atol=1e-12)
    assert np.all(np.diff(np.asarray(state["x"].data)[ancestors], axis=1) >= 0)


def test_errors_of_estimates_are_in_common():
    """Of filters of a linear-Gaussian walk, by numbers moved by 0.98 and by numbers drawn anew, the
    spread of the difference of log estimates; without the order of particles it is 2.4 times as
    large."""
    target = MODELS.walk(ys=[0.8, 1.9, 2.2, 3.6]).sampler
    at = Target(mixed_density(target.bound, target.data, None), target.data)
    kernel = ParticleMarginal(particles=32, threshold=1.0, correlation=0.98)
    assert [s.path for s in at.density.sites] == ["m", "xs/x"]
    point = point_of(at, jnp.array([0.8, 0, 0, 0, 0]), np.zeros(0, int))
    count = production.numbers_of(kernel, at, point, DRAWN)

    def one(x):
        source = Key(jax.random.key(0))
        return production.filtered(kernel, at, point.z, point.k, DRAWN, source, PATH, x)[2]

    log_mass, rng = compiled(one, jnp.zeros(count)), np.random.default_rng(3)
    x, new = rng.normal(size=(2, LANES, count))
    here, anew = np.asarray(log_mass(x)), np.asarray(log_mass(new))
    near = np.asarray(log_mass(0.98 * x + math.sqrt(1 - 0.98**2) * new))
    assert (near - here).std() < 0.35 * (anew - here).std()


def run(engine, target, **more):
    method = ppl.pmmh(parameters="m", particles=4, correlation=0.9, chains=1, **more)
    return ppl.infer(target, method, engine=engine, seed=2, progress=False)


def test_a_filter_that_has_no_numbers_runs_on_the_machine():
    target = MODELS.shares(ys=[2, 0, 1])
    with pytest.raises(DiagnosticError, match="E882.*dirichlet.*ps/p"):
        run("xla", target, draws=4, warmup=2)
    posterior = run("auto", target, draws=4, warmup=2)
    assert [r.code for r in posterior.remarks if r.code == "W717"]
    assert posterior["m"].shape == (1, 4)

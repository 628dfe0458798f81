"""Densities that hold discrete choices: the sum over these is the density that sums them out; what
proposals and ellipses need of the program agrees with it."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.distributions.gaussian import affine
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.mixed import mixed_density

pytestmark = pytest.mark.usefixtures("quick_compilation")

MODELS = ppl.compile("""
model mixture(ys: [real]) {
  w ~ categorical([0.2, 0.5, 0.3])
  mu ~ normal([0.5, -1, 2][w], 2)
  zs ~ for y in ys {
    z ~ categorical([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]][w])
    observe y ~ normal([mu, 1, -1.5][z], 1)
    return z
  }
  b ~ if w == 1 { k ~ normal(mu, 2); b ~ bernoulli(0.3); return b } else { return false }
  observe b ~ bernoulli(0.7)
  return mu
}
model hidden(ys: [real]) {
  s ~ gamma(2, 1)
  xs ~ scan x = 0 for y in ys {
    x ~ categorical([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6], [0.7, 0.2, 0.1]][x])
    e ~ normal(0, s)
    observe y ~ normal([s, 1, -1.5][x] + e, 1)
    return x
  }
  return xs
}
model counts(ys: [nat]) {
  rate ~ gamma(2, 1)
  n ~ poisson(rate)
  m ~ if n > 2 { m ~ binomial(n, 0.4); return m } else { return n }
  for y in ys { observe y ~ poisson(0.1 + m) }
  return n
}
""")
MIXTURE = MODELS.mixture(ys=[0.3, -1.2])
HIDDEN = MODELS.hidden(ys=[0.3, -1.2, 2.0])


def start(density):
    """A position of the continuous sites, of no symmetry."""
    rng = np.random.default_rng(5)
    return {s.path: jnp.asarray(rng.normal(size=s.unconstrained_shape)) for s in density.sites}


@pytest.mark.parametrize(
    ("target", "names", "paths"),
    [
        (MIXTURE, ("w",), ["w"]),
        (MIXTURE, ("zs", "b"), ["b/then/b", "zs/z"]),
        (HIDDEN, None, ["xs/x"]),
    ],
)
def test_the_sum_over_held_choices_is_the_density(target, names, paths):
    with precision():
        held = mixed_density(target.bound, target.data, names)
        assert [s.path for s in held.discrete] == paths
        sizes = [s.options or 0 for s in held.discrete for _ in range(int(np.prod(s.shape)))]
        every = np.array(list(itertools.product(*(range(n) for n in sizes))))
        position = start(held)

        @jax.jit
        def logs(k):
            choices = jax.vmap(held.unflatten_discrete)(k)
            return jax.vmap(lambda c: held.log_density(target.data, {**position, **c}))(choices)

        summed = float(jax.jit(target.density.log_density)(target.data, position))
        found, outside = np.asarray(logs(every)), np.asarray(logs(every - 1))
        assert np.logaddexp.reduce(found) == pytest.approx(summed, abs=1e-12)
        assert np.all(outside[every.min(axis=1) == 0] == -np.inf)


def test_counts_without_a_bound_are_held_by_their_values():
    target = MODELS.counts(ys=[3, 2])
    with precision():
        held = mixed_density(target.bound, target.data, ())
        assert [(s.path, s.options) for s in held.discrete] == [("m/then/m", None), ("n", None)]

        @jax.jit
        def logs(n, m):
            at = {"rate": jnp.log(1.3), "n": n, "m/then/m": m}
            return held.log_density(target.data, at)

        def at(n, m):
            return float(logs(n, m))

        # m has a reference law where it is not drawn
        ratio = at(2, -1) - at(2, 4)
        assert ratio == pytest.approx(3 * np.log(2), abs=1e-12)
        binomial = np.log([6 * 0.4**2 * 0.6**2, 4 * 0.4**3 * 0.6])
        poisson = [-2 * 2.1 + 5 * np.log(2.1), -2 * 3.1 + 5 * np.log(3.1)]
        assert at(4, 3) - at(4, 2) == pytest.approx(np.diff(binomial + poisson)[0], abs=1e-12)
        assert at(4, 5) == at(4, -1) == at(-1, 0) == -np.inf
        begin = jax.jit(lambda key: held.begin(target.data, {"rate": jnp.log(1.3)}, Key(key))[1])
        first = begin(jax.random.key(1))
        assert int(first["n"]) >= 0 and first.keys() == {"n", "m/then/m"}


def test_what_is_made_again_is_all_else_that_is_scored():
    """Of a plate and of a loop: only the chosen draws change, and the score that is left is the
    density less the chosen draws' own: here that of one element, by hand."""
    target = HIDDEN
    with precision():
        held = mixed_density(target.bound, target.data, ("xs",))
        position = {**start(held), "xs/x": jnp.array([1, 2, 0])}
        chosen = {"xs/x": np.array([False, True, False]), "s": np.array(False)}

        @jax.jit
        def again(key):
            _, new, rest = held.redraw(target.data, position, chosen, Key(key))
            _, same, everything = held.redraw(target.data, position, {}, None)
            whole = [held.log_density(target.data, at) for at in (position, new)]
            return new, rest, everything, whole, same

        after, rest, everything, (before, whole), same = again(jax.random.key(4))
        moved = {k for k in position if not np.array_equal(after[k], position[k])}
        assert moved == {"xs/x"} and np.array_equal(np.asarray(after["xs/x"])[[0, 2]], [1, 0])
        own = np.log([0.1, 0.3, 0.6])[int(after["xs/x"][1])]
        assert float(rest) == pytest.approx(float(whole) - own, abs=1e-12)
        assert all(np.array_equal(same[k], position[k]) for k in position)
        assert float(everything) == pytest.approx(float(before), abs=1e-12)


def test_gaussian_sites_in_standard_coordinates():
    with precision():
        held = mixed_density(MIXTURE.bound, MIXTURE.data, ("w",))
        position = {**start(held), "w": jnp.array(1)}
        names = frozenset(["mu", "b/then/k"])
        white = held.whiten(names)

        @jax.jit
        def converted():
            standard = white.to_standard(MIXTURE.data, position)
            at = {**position, **standard}
            back = white.from_standard(MIXTURE.data, at)
            rest = white.log_likelihood(MIXTURE.data, at)
            return standard, back, rest, held.log_density(MIXTURE.data, position)

        standard, back, rest, whole = jax.tree.map(float, converted())
    mu, k = float(position["mu"]), float(position["b/then/k"])
    assert standard == pytest.approx({"mu": (mu + 1) / 2, "b/then/k": (k - mu) / 2}, abs=1e-12)
    assert back == pytest.approx({"mu": mu, "b/then/k": k}, abs=1e-12)
    own = sum(-0.5 * u**2 - 0.5 * np.log(2 * np.pi) - np.log(2) for u in standard.values())
    assert rest == pytest.approx(whole - own, abs=1e-12)


@pytest.mark.parametrize(("target", "site"), [(HIDDEN, "s"), (MIXTURE, "mu")])
def test_sites_that_are_not_gaussian_given_coordinates_are_refused(target, site):
    """`s` is positive; the law of `mu` depends on a choice that is summed out."""
    with precision():
        held = mixed_density(target.bound, target.data, ())
        white = held.whiten(frozenset([site]))
        with pytest.raises(DiagnosticError, match="E862"):
            jax.eval_shape(lambda: white.to_standard(target.data, start(held)))


COVARIANCE = np.array([[4.0, 1.8, -0.3], [1.8, 1.5, 0.2], [-0.3, 0.2, 0.25]])
MEAN = np.array([1.0, -2.0, 0.5])


@pytest.mark.parametrize(
    "make",
    [
        lambda: D.make("normal", (MEAN, np.sqrt(np.diag(COVARIANCE)))).to_event(1),
        lambda: D.make("multi_normal", (MEAN, COVARIANCE)),
        lambda: D.make("multi_normal_cholesky", (MEAN, np.linalg.cholesky(COVARIANCE))),
        lambda: D.make("multi_normal_prec", (MEAN, np.linalg.inv(COVARIANCE))),
        lambda: D.iid(D.make("multi_normal", (MEAN, COVARIANCE)), 2),
        lambda: D.iid(D.make("normal", (1.5, 0.3)), 3),
    ],
    ids=["normal", "multi_normal", "cholesky", "prec", "iid multi_normal", "iid normal"],
)
def test_affine_maps_make_standard_normals_of_the_law(make):
    """Of log densities at two points: their difference is the standard normals'."""
    with precision():
        law = make()
        form = affine(law)
        assert form is not None
        u = np.random.default_rng(2).normal(size=(2, *law.event_shape))
        values, back = jax.jit(
            lambda u: (v := jax.vmap(form.value)(u), jax.vmap(form.standard)(v))
        )(u)
        assert np.asarray(back) == pytest.approx(u, abs=1e-10)
        lp = np.asarray(jax.jit(law.log_prob)(values))
        assert lp[0] - lp[1] == pytest.approx(
            -0.5 * (np.sum(u[0] ** 2) - np.sum(u[1] ** 2)), abs=1e-9
        )


def test_other_laws_have_none():
    assert affine(D.make("student_t", (3.0, 0.0, 1.0))) is None
    assert affine(D.iid(D.make("half_normal", (1.0,)), 2)) is None

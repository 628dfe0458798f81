"""Bijections: inverses, log-determinants against autodiff's, images inside the support."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import helmert

from ppl.semantics import distributions as D

pytestmark = pytest.mark.usefixtures("quick_compilation")

quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
INF = np.inf


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def _lower(x):
    """The strictly lower triangle of matrices."""
    return x[..., *np.tril_indices(x.shape[-1], -1)]


#: name -> (distribution, free coordinates of a value)
def _cases():
    eye = lambda y: y  # noqa: E731
    half = D.make("normal", (0.3, 1.7))
    return {
        "real": (D.make("normal", (0.0, 1.0)), eye),
        "positive": (D.make("gamma", (2.0, 1.0)), eye),
        "unit": (D.make("beta", (2.0, 1.0)), eye),
        "circle": (D.make("von_mises", (0.3, 2.0)), eye),
        "uniform": (D.make("uniform", (-1.3, 4.0)), eye),
        "at least": (D.make("pareto", (1.5, 2.0)), eye),
        "flat below": (D.flat(-INF, 1.3), eye),
        "truncated": (D.truncate(half, -0.7, 2.0), eye),
        "half-truncated": (D.truncate(half, 0.4), eye),
        "transformed": (D.transform(half, lambda x: -jnp.exp(x), lambda y: jnp.log(-y)), eye),
        "mixture": (
            D.mixture(
                np.array([0.3, 0.7]),
                D.make("uniform", (np.array([0.0, 2.0]), np.array([1.0, 5.0]))),
            ),
            eye,
        ),
        "simplex": (D.make("dirichlet", (np.array([0.7, 2.0, 1.1, 3.0]),)), lambda y: y[:-1]),
        "flat simplex": (D.flat_simplex(5), lambda y: y[:-1]),
        "ordered": (D.flat_ordered(4), eye),
        "ordered above": (D.flat_ordered(4, 0.5), eye),
        "ordered below": (D.flat_ordered(4, -INF, 2.0), eye),
        "ordered within": (D.flat_ordered(4, -1.0, 3.0), eye),
        "factor": (D.make("lkj_corr_cholesky", (4, 1.3)), _lower),
        "correlation": (D.make("lkj_corr", (4, 1.3)), _lower),
        "covariance": (D.make("wishart", (4.5, np.eye(3))), lambda y: y[..., *np.tril_indices(3)]),
        "zero sum": (D.make("zero_sum_normal", (4, 1.3)), lambda y: jnp.asarray(helmert(4)) @ y),
        "vector": (D.make("multi_normal", (np.zeros(3), np.eye(3))), eye),
        "repeats": (
            D.iid(D.make("dirichlet", (np.array([0.7, 2.0, 1.1]),)), 2),
            lambda y: y[:, :-1].ravel(),
        ),
        "product": (
            D.product(D.flat(np.array([-INF, 0.0, -INF, -1.0]), np.array([INF, INF, 3.0, 2.0])), 1),
            eye,
        ),
    }


NAMES = (
    "real|positive|unit|circle|uniform|at least|flat below|truncated|half-truncated|transformed|"
    "mixture|simplex|flat simplex|ordered|ordered above|ordered below|ordered within|factor|"
    "correlation|covariance|zero sum|vector|repeats|product"
).split("|")


def test_every_case_is_run():
    assert list(_cases()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_bijection(name):
    dist, free = _cases()[name]
    to = D.bijection(dist)
    shape = D.unconstrained_shape(dist)
    x = jnp.asarray(np.random.default_rng(5).normal(size=(3, *shape)) * 1.7)

    def run(x):
        y = to(x)
        jacobian = jax.vmap(jax.jacfwd(lambda u: free(to(u)).reshape(-1)))(x)
        size = int(np.prod(shape, dtype=int))
        determinant = jnp.linalg.slogdet(jacobian.reshape(3, size, size))[1]
        return y, to._inverse(y), to.log_abs_det_jacobian(x, y), determinant, dist.log_prob(y)

    y, back, claimed, determinant, density = quick(run)(x)
    assert y.shape == (3, *dist.event_shape)
    np.testing.assert_allclose(back, x, rtol=1e-9, atol=1e-9)
    assert claimed.shape == (3,)
    np.testing.assert_allclose(claimed, determinant, rtol=1e-9, atol=1e-9)
    assert np.all(np.asarray(density) > -INF) or name == "mixture"


def test_elementwise_bounds_have_finite_gradients_everywhere():
    lower = jnp.array([-INF, 0.5, -INF, -1.0])
    upper = jnp.array([INF, INF, 3.0, 2.0])

    def total(x, lower, upper):
        dist = D.flat(lower, upper)
        to = D.bijection(dist)
        y = to(x)
        return jnp.sum(dist.log_prob(y) + to.log_abs_det_jacobian(x, y) + jnp.sin(y))

    for size in (0.0, 30.0, -30.0, 800.0, -800.0):
        grads = quick(jax.grad(total, (0, 1, 2)))(
            jnp.full(4, size).at[1:3].set(size / 10), lower, upper
        )
        assert all(np.all(np.isfinite(g)) for g in grads)


def test_images_stay_inside_at_extreme_coordinates():
    for x in (-60.0, 60.0):
        for name, args in {"beta": (0.7, 0.4), "gamma": (0.3, 1.0), "uniform": (1.0, 2.0)}.items():
            dist = D.make(name, args)
            to = D.bijection(dist)
            y = to(jnp.asarray(x))
            assert dist.support(y) and not np.isnan(dist.log_prob(y))
            assert dist.log_prob(y) < INF


def test_discrete_distributions_have_none():
    from ppl.semantics.diagnostics import DiagnosticError

    for dist in (D.make("poisson", (3.0,)), D.iid(D.make("bernoulli", (0.3,)), 2), D.dirac(1.5)):
        with pytest.raises(DiagnosticError, match="E723"):
            D.bijection(dist)

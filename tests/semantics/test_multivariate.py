"""Vector and matrix families, indices, and their samplers.

Samplers: fixed keys; chi-square or Kolmogorov-Smirnov tests at a false-alarm rate of 1e-6 each.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st
from scipy.linalg import helmert

from ppl.semantics import distributions as D

pytestmark = pytest.mark.usefixtures("quick_compilation")

quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
FALSE_ALARM = 1e-6
DRAWS = 3_000
RNG = np.random.default_rng(8)
MU = np.array([0.4, -1.0, 2.0])
_root = np.array([[1.1, 0.0, 0.0], [0.6, 0.7, 0.0], [-0.9, 0.3, 1.8]])
COV = _root @ _root.T
X = RNG.normal(size=(5, 3)) * 2
ALPHA = np.array([0.7, 2.2, 1.3])
P = np.array([0.2, 0.5, 0.3])
CUTS = np.array([-1.0, 0.3, 2.2])


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def _ordered(k, eta, cuts):
    edges = np.concatenate([[-np.inf], cuts, [np.inf]])
    return np.log(sp.expit(edges[k + 1] - eta) - sp.expit(edges[k] - eta))


def _probit(k, eta, cuts):
    edges = np.concatenate([[-np.inf], cuts, [np.inf]]) - eta
    return np.log(st.norm.cdf(edges[k + 1]) - st.norm.cdf(edges[k]))


SPREAD = st.wishart(4.2, COV, seed=3).rvs(5)
ZERO_SUM = (lambda x: x - x.mean(-1, keepdims=True))(RNG.normal(size=(5, 4)))


SIMPLICES = st.dirichlet(ALPHA, seed=4).rvs(5)
COUNTS = np.array([[1, 4, 2], [7, 0, 0], [0, 3, 4], [2, 2, 3]])

#: name -> (args, points, log density)
VECTORS = {
    "multi_normal": ((MU, COV), X, lambda x: st.multivariate_normal(MU, COV).logpdf(x)),
    "multi_normal_prec": (
        (MU, np.linalg.inv(COV)),
        X,
        lambda x: st.multivariate_normal(MU, COV).logpdf(x),
    ),
    "multi_normal_cholesky": ((MU, _root), X, lambda x: st.multivariate_normal(MU, COV).logpdf(x)),
    "multi_student_t": ((3.3, MU, _root), X, lambda x: st.multivariate_t(MU, COV, 3.3).logpdf(x)),
    "wishart": ((3.7, COV), SPREAD, lambda x: st.wishart(3.7, COV).logpdf(np.moveaxis(x, 0, -1))),
    "inv_wishart": (
        (3.7, COV),
        SPREAD,
        lambda x: st.invwishart(3.7, COV).logpdf(np.moveaxis(x, 0, -1)),
    ),
    "zero_sum_normal": (
        (4, 1.3),
        ZERO_SUM,
        lambda x: st.norm(0, 1.3).logpdf(x @ helmert(4).T).sum(-1),
    ),
    "dirichlet": ((ALPHA,), SIMPLICES, lambda x: st.dirichlet(ALPHA).logpdf(x.T)),
    "multinomial": ((7, P), COUNTS, lambda x: st.multinomial(7, P).logpmf(x)),
    "dirichlet_multinomial": (
        (7, ALPHA),
        COUNTS,
        lambda x: st.dirichlet_multinomial(ALPHA, 7).logpmf(x),
    ),
    "categorical": ((3 * P,), np.arange(3), lambda k: np.log(P[k])),
    "categorical_logit": ((np.log(P) + 2,), np.arange(3), lambda k: np.log(P[k])),
    "ordered_logistic": ((0.7, CUTS), np.arange(4), lambda k: _ordered(k, 0.7, CUTS)),
    "ordered_probit": ((0.7, CUTS), np.arange(4), lambda k: _probit(k, 0.7, CUTS)),
}


@pytest.mark.parametrize("name", VECTORS)
def test_density_is_the_reference(name):
    args, points, logpdf = VECTORS[name]
    real = [i for i, a in enumerate(args) if np.asarray(a).dtype.kind == "f"]

    def density(reals, x):
        full = list(args)
        for i, r in zip(real, reals, strict=True):
            full[i] = r
        return D.make(name, tuple(full)).log_prob(x)

    def run(reals, x):
        value, pull = jax.vjp(lambda r: density(r, x), reals)
        return value, pull(jnp.ones_like(value))[0]

    got, grads = quick(run)([jnp.asarray(args[i]) for i in real], jnp.asarray(points))
    np.testing.assert_allclose(got, logpdf(points), rtol=1e-10, atol=1e-10)
    assert all(np.all(np.isfinite(g)) for g in grads)


def test_density_is_minus_infinity_outside_and_for_illegal_parameters():
    bad_cov = np.array([[1.0, 2.0], [2.0, 1.0]])  # indefinite
    cases = [
        ("multi_normal", (np.zeros(2), bad_cov), np.zeros(2)),
        ("multi_normal", (np.array([np.nan, 0.0]), np.eye(2)), np.zeros(2)),
        ("multi_normal", (np.zeros(2), np.eye(2)), np.array([0.0, np.nan])),
        ("multi_normal_cholesky", (np.zeros(2), -np.eye(2)), np.zeros(2)),
        ("dirichlet", (ALPHA,), np.array([0.5, 0.4, 0.2])),
        ("dirichlet", (ALPHA,), np.array([1.2, -0.2, 0.0])),
        ("dirichlet", (-ALPHA,), P),
        ("multinomial", (7, P), np.array([3, 3, 2])),
        ("multinomial", (7, P), np.array([9, -1, -1])),
        ("categorical", (P,), 3),
        ("categorical", (P,), -1),
        ("categorical", (P,), 0.5),
        ("categorical", (-P,), 0),
        ("ordered_logistic", (0.7, CUTS), 4),
        ("ordered_logistic", (0.7, CUTS[::-1]), 1),
        ("ordered_probit", (0.7, CUTS), 4),
        ("ordered_probit", (0.7, CUTS[::-1]), 1),
        ("wishart", (1.9, np.eye(3)), np.eye(3)),  # too few degrees of freedom
        ("inv_wishart", (3.0, bad_cov), np.eye(2)),
        ("wishart", (3.0, np.eye(2)), bad_cov),
        ("wishart", (3.0, np.eye(2)), np.array([[1.0, 0.5], [0.0, 1.0]])),
        ("zero_sum_normal", (3, 1.0), np.array([1.0, -2.0, 1.1])),
        ("zero_sum_normal", (3, -1.0), np.array([1.0, -2.0, 1.0])),
        ("lkj_corr_cholesky", (2, 1.5), np.array([[1.0, 0.2], [0.6, 0.8]])),
        ("lkj_corr", (2, 1.5), np.array([[1.0, 1.2], [1.2, 1.0]])),
        ("lkj_corr", (2, -1.5), np.eye(2)),
    ]
    for name, args, x in cases:
        assert D.make(name, args).log_prob(x) == -np.inf, (name, x)


def test_batches_broadcast_and_share_factorisations():
    mu = RNG.normal(size=(4, 1, 3))
    cov = COV * np.array([1.0, 2.5])[None, :, None, None]
    d = D.make("multi_normal", (mu, cov))
    x = RNG.normal(size=(5, 4, 2, 3))
    got = np.asarray(d.log_prob(x))
    assert d.batch_shape == (4, 2) and got.shape == (5, 4, 2)
    want = st.multivariate_normal(mu[3, 0], cov[0, 1]).logpdf(x[2, 3, 1])
    np.testing.assert_allclose(got[2, 3, 1], want)


@pytest.mark.parametrize("name", ["lkj_corr_cholesky", "lkj_corr"])
@pytest.mark.parametrize("n", [2, 3])
def test_correlation_densities_integrate_to_one(name, n):
    """Trapezoidal rule in unconstrained coordinates: the constant and the Jacobian at once."""
    dist = D.make(name, (n, 1.7))
    to = D.bijection(dist)
    free = n * (n - 1) // 2
    axis = np.linspace(-7, 7, 61)
    grid = np.stack(np.meshgrid(*[axis] * free, indexing="ij"), -1).reshape(-1, free)

    def density(x):
        y = to(x)
        return jnp.sum(jnp.exp(dist.log_prob(y) + to.log_abs_det_jacobian(x, y)))

    mass = float(quick(density)(jnp.asarray(grid))) * (axis[1] - axis[0]) ** free
    np.testing.assert_allclose(mass, 1.0, atol=2e-6)


def test_correlation_matrix_of_two_is_a_beta():
    """(1 + r)/2 ~ beta(eta, eta)."""
    r = np.array([-0.9, -0.3, 0.2, 0.75])
    matrices = np.array([[[1, x], [x, 1]] for x in r])
    want = st.beta(1.7, 1.7).logpdf((1 + r) / 2) - np.log(2)
    np.testing.assert_allclose(D.make("lkj_corr", (2, 1.7)).log_prob(matrices), want, rtol=1e-12)


@pytest.mark.parametrize("name", ["lkj_corr_cholesky", "lkj_corr"])
def test_correlation_sampler(name):
    """Each correlation of an LKJ(n, eta) matrix has (1 + r)/2 ~ beta(eta + n/2 - 1, the same)."""
    n, eta = 3, 1.4
    draws = np.asarray(D.make(name, (n, eta)).sample(jax.random.key(3), (DRAWS,)))
    corr = draws @ np.swapaxes(draws, -1, -2) if name.endswith("cholesky") else draws
    law = st.beta(eta + n / 2 - 1, eta + n / 2 - 1)
    for i, j in [(1, 0), (2, 0), (2, 1)]:
        assert st.kstest((1 + corr[:, i, j]) / 2, law.cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("name", ["multi_normal", "multi_normal_prec", "multi_normal_cholesky"])
def test_normal_vector_sampler(name):
    """Whitened draws are standard normals, each coordinate and one oblique direction."""
    draws = np.asarray(D.make(name, VECTORS[name][0]).sample(jax.random.key(17), (DRAWS,)))
    z = np.linalg.solve(_root, (draws - MU).T)
    for line in [*z, (z[0] - 2 * z[1] + 0.5 * z[2]) / np.sqrt(5.25)]:
        assert st.kstest(line, st.norm.cdf).pvalue > FALSE_ALARM


def test_student_vector_sampler():
    draws = np.asarray(
        D.make("multi_student_t", (3.3, MU, _root)).sample(jax.random.key(5), (DRAWS,))
    )
    z = np.linalg.solve(_root, (draws - MU).T)
    assert st.kstest(z[2], st.t(3.3).cdf).pvalue > FALSE_ALARM
    # |z|²/n has Fisher's F distribution
    assert st.kstest(np.sum(z**2, 0) / 3, st.f(3, 3.3).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("name", ["wishart", "inv_wishart"])
def test_covariance_sampler(name):
    """v'Wv / v'Sv is a chi-square with nu degrees of freedom, W or its inverse being Wishart."""
    draws = np.asarray(D.make(name, (3.7, COV)).sample(jax.random.key(6), (DRAWS,)))
    assert np.all(draws == np.swapaxes(draws, -1, -2))
    scale = COV
    if name == "inv_wishart":
        draws, scale = np.linalg.inv(draws), np.linalg.inv(COV)
    for v in (*np.eye(3), np.array([1.0, -0.7, 0.4])):
        assert st.kstest(v @ draws @ v / (v @ scale @ v), st.chi2(3.7).cdf).pvalue > FALSE_ALARM
    # a Schur complement has two fewer degrees of freedom
    rest = 1 / np.linalg.inv(draws)[:, 2, 2] * np.linalg.inv(scale)[2, 2]
    assert st.kstest(rest, st.chi2(1.7).cdf).pvalue > FALSE_ALARM


def test_zero_sum_sampler():
    draws = np.asarray(D.make("zero_sum_normal", (4, 1.3)).sample(jax.random.key(6), (DRAWS,)))
    np.testing.assert_allclose(draws.sum(-1), 0, atol=1e-12)
    for line in (draws @ helmert(4).T).T / 1.3:
        assert st.kstest(line, st.norm.cdf).pvalue > FALSE_ALARM


def test_dirichlet_sampler():
    draws = np.asarray(D.make("dirichlet", (ALPHA,)).sample(jax.random.key(5), (DRAWS,)))
    np.testing.assert_allclose(draws.sum(-1), 1)
    total = ALPHA.sum()
    for i, a in enumerate(ALPHA):
        assert st.kstest(draws[:, i], st.beta(a, total - a).cdf).pvalue > FALSE_ALARM
    ratio = draws[:, 0] / (draws[:, 0] + draws[:, 1])
    assert st.kstest(ratio, st.beta(*ALPHA[:2]).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("name", ["multinomial", "dirichlet_multinomial"])
def test_count_vector_sampler(name):
    """All 36 count vectors of total 7 against their probabilities."""
    args, _, logpmf = VECTORS[name]
    draws = np.asarray(D.make(name, args).sample(jax.random.key(9), (DRAWS,)))
    cells = np.array([(i, j, 7 - i - j) for i in range(8) for j in range(8 - i)])
    expected = np.exp(logpmf(cells)) * DRAWS
    np.testing.assert_allclose(expected.sum(), DRAWS)
    observed = np.array([(draws == c).all(-1).sum() for c in cells])
    assert observed.sum() == DRAWS
    assert _pooled_chi_square(observed, expected) > FALSE_ALARM


@pytest.mark.parametrize(
    "name", ["categorical", "categorical_logit", "ordered_logistic", "ordered_probit"]
)
def test_index_sampler(name):
    args, ks, logpmf = VECTORS[name]
    draws = np.asarray(D.make(name, args).sample(jax.random.key(2), (DRAWS,)))
    observed = np.array([(draws == k).sum() for k in ks])
    assert _pooled_chi_square(observed, np.exp(logpmf(ks)) * DRAWS) > FALSE_ALARM


def _pooled_chi_square(observed, expected, least=20.0):
    small = expected < least
    o = np.append(observed[~small], observed[small].sum())
    e = np.append(expected[~small], expected[small].sum())
    keep = e > 0
    return st.chi2.sf(np.sum((o - e)[keep] ** 2 / e[keep]), keep.sum() - 1)


def test_categorical_gradient_with_an_impossible_value():
    grad = jax.grad(lambda p: D.make("categorical", (p,)).log_prob(1))(jnp.array([0.0, 0.4, 0.6]))
    np.testing.assert_allclose(grad, [-1.0, 1.5, -1.0])


def test_extreme_ordered_logistic_does_not_cancel():
    """A sliver of probability between close cuts, far from eta."""
    cuts = np.array([40.0, 40.0 + 1e-9])
    got = D.make("ordered_logistic", (0.0, cuts)).log_prob(1)
    np.testing.assert_allclose(got, -40.0 + np.log(cuts[1] - cuts[0]), rtol=1e-10)


def test_extreme_ordered_probit_does_not_cancel():
    """Slivers of probability between close cuts, in the middle and far from eta on either side, and
    the two ways to take a difference where they meet. (Mass of a slab: its mid-point density times
    its width, and the next terms of the series.)"""
    for centre, width in ((0.4, 1e-9), (40.0, 1e-9), (-37.0, 1e-7), (1.3, 1e-4)):
        cuts = np.array([centre, centre + width])
        m = centre + 0.5 * (cuts[1] - cuts[0])
        want = -0.5 * m * m - 0.5 * np.log(2 * np.pi) + np.log(cuts[1] - cuts[0])
        want += np.log1p((m * m - 1) * width**2 / 24)
        got = D.make("ordered_probit", (0.0, cuts)).log_prob(1)
        np.testing.assert_allclose(got, want, rtol=1e-10)
    widths = np.array([0.0499, 0.0501])  # around 0.3 / (1 + 5)
    got = [
        D.make("ordered_probit", (0.0, np.array([5 - w / 2, 5 + w / 2]))).log_prob(1) - np.log(w)
        for w in widths
    ]
    want = [np.log(np.exp(-12.5) * _slab(5.0, w) / np.sqrt(2 * np.pi)) for w in widths]
    np.testing.assert_allclose(got, want, rtol=1e-11)


def _slab(m, w):
    """∫ exp(-m t - t²/2) dt over (-w/2, w/2), divided by w: Gauss and Legendre."""
    x, weights = np.polynomial.legendre.leggauss(20)
    return np.sum(weights * np.exp(-m * x * w / 2 - (x * w / 2) ** 2 / 2)) / 2

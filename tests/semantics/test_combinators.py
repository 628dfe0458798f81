"""Mixtures, truncation, repeats, transforms, base measures, finite supports.

Samplers: fixed keys, false-alarm rate 1e-6 per Kolmogorov-Smirnov or chi-square test.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError

pytestmark = pytest.mark.usefixtures("quick_compilation")

quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
INF = np.inf
FALSE_ALARM = 1e-6
DRAWS = 3_000
W = np.array([0.2, 0.5, 0.3])


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def looked_at(dist, *points, key=None, shape=(DRAWS,)):
    """Log densities at each of `points` and, with a key, draws; compiled as one program."""

    def run(points, key):
        draws = None if key is None else dist.sample(key, shape)
        return [dist.log_prob(x) for x in points], draws

    return jax.device_get(quick(run)(points, key))


def normals():
    return D.make("normal", (np.array([-1.0, 0.4, 3.0]), np.array([1.0, 0.2, 2.0])))


def mixture_pdf(x):
    x = np.asarray(x)[..., None]
    return np.sum(W * st.norm([-1.0, 0.4, 3.0], [1.0, 0.2, 2.0]).pdf(x), -1)


def mixture_cdf(x):
    x = np.asarray(x)[..., None]
    return np.sum(W * st.norm([-1.0, 0.4, 3.0], [1.0, 0.2, 2.0]).cdf(x), -1)


# -------------------------------------------------------------------------------------- mixture


def test_mixture_density_and_sampler():
    d = D.mixture(2 * W, normals())
    x = np.array([-3.0, 0.41, 5.0])
    (log_p,), draws = looked_at(d, x, key=jax.random.key(1))
    np.testing.assert_allclose(log_p, np.log(mixture_pdf(x)))
    assert draws.shape == (DRAWS,) and st.kstest(draws, mixture_cdf).pvalue > FALSE_ALARM
    general = D.mixture_general(
        W,
        [D.make("normal", (-1.0, 1.0)), D.make("normal", (0.4, 0.2)), D.make("normal", (3.0, 2.0))],
    )
    (log_p,), draws = looked_at(general, x, key=jax.random.key(2))
    np.testing.assert_allclose(log_p, np.log(mixture_pdf(x)))
    assert st.kstest(draws, mixture_cdf).pvalue > FALSE_ALARM


def test_mixture_weights_of_zero_keep_their_gradient():
    def at(w):
        return D.mixture(w, normals()).log_prob(0.3)

    w = jnp.array([0.0, 0.6, 0.4])
    pdf = st.norm([-1.0, 0.4, 3.0], [1.0, 0.2, 2.0]).pdf(0.3)
    np.testing.assert_allclose(jax.grad(at)(w), pdf / (w @ pdf) - 1, rtol=1e-12)


def test_mixture_over_batches_and_vectors():
    """Batch (2,), events of length 2: weights (2, 3), components (2, 3)."""
    rng = np.random.default_rng(3)
    w, mu = rng.dirichlet([1, 2, 3], size=2), rng.normal(size=(2, 3, 2))
    cov = np.array([[1.0, 0.3], [0.3, 0.5]])
    d = D.mixture(w, D.make("multi_normal", (mu, cov)))
    assert d.batch_shape == (2,) and d.event_shape == (2,)
    x = rng.normal(size=(4, 2, 2))
    want = [
        [
            np.log(
                sum(w[b, k] * st.multivariate_normal(mu[b, k], cov).pdf(x[s, b]) for k in range(3))
            )
            for b in range(2)
        ]
        for s in range(4)
    ]
    (log_p,), draws = looked_at(d, x, key=jax.random.key(0), shape=(5,))
    np.testing.assert_allclose(log_p, want)
    assert draws.shape == (5, 2, 2)
    _, draws = looked_at(d.expand((7, 2)), key=jax.random.key(0), shape=())
    assert draws.shape == (7, 2, 2)


def test_mixture_of_discrete_and_continuous_is_refused():
    with pytest.raises(DiagnosticError, match="E722"):
        D.mixture_general(np.array([0.5, 0.5]), [D.dirac(0.0), D.make("normal", (0.0, 1.0))])


# ------------------------------------------------------------------------------------ truncation


@pytest.mark.parametrize(
    ("bounds", "far"),
    [((-0.5, 1.2), False), ((30.0, INF), True), ((-INF, -25.0), True), ((12.0, 13.0), True)],
)
def test_truncated_normal(bounds, far):
    d = D.truncate(D.make("normal", (0.2, 1.3)), *bounds)
    a, b = (np.array(bounds) - 0.2) / 1.3
    ref = st.truncnorm(a, b, 0.2, 1.3)
    near = bounds[0] if np.isfinite(bounds[0]) else bounds[1]
    inward = 1 if np.isfinite(bounds[0]) else -1
    x = near + inward * np.array([0.0, 0.01, 0.07, 0.3])
    np.testing.assert_allclose(d.log_prob(x), ref.logpdf(x), rtol=1e-9, atol=1e-9)
    assert d.log_prob(near - inward * 1e-9) == -INF
    draws = np.asarray(d.sample(jax.random.key(4), (DRAWS,)))
    assert st.kstest(draws, ref.cdf).pvalue > FALSE_ALARM
    np.testing.assert_allclose(d.log_cdf(x[1:]), ref.logcdf(x[1:]), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "args", "bounds", "ref"),
    [
        ("gamma", (2.3, 1.7), (0.4, 2.0), st.gamma(2.3, scale=1 / 1.7)),
        ("beta", (0.6, 1.8), (0.2, 0.9), st.beta(0.6, 1.8)),
        ("cauchy", (0.3, 0.5), (-4.0, 0.1), st.cauchy(0.3, 0.5)),
    ],
)
def test_truncation_of_other_families(name, args, bounds, ref):
    """Density, sampler, and the gradient of the density in the parameters and bounds."""
    low, high = bounds

    def density(args, low, high, x):
        return D.truncate(D.make(name, args), low, high).log_prob(x)

    compiled = quick(density)
    x = np.linspace(low, high, 5)[1:-1]
    args = tuple(map(jnp.asarray, args))

    def run(args, low, high, x, key):
        value, pull = jax.vjp(lambda *a: density(*a, x), args, low, high)
        return (
            value,
            pull(jnp.ones_like(x)),
            D.truncate(D.make(name, args), low, high).sample(key, (DRAWS,)),
        )

    value, (by_args, by_low, by_high), draws = quick(run)(args, low, high, x, jax.random.key(6))
    mass = ref.cdf(high) - ref.cdf(low)
    np.testing.assert_allclose(value, ref.logpdf(x) - np.log(mass), rtol=1e-9)
    np.testing.assert_allclose(by_low, len(x) * ref.pdf(low) / mass, rtol=1e-7)
    np.testing.assert_allclose(by_high, -len(x) * ref.pdf(high) / mass, rtol=1e-7)
    h = 1e-4
    for i, got in enumerate(by_args):
        moved = [[a + s * h if j == i else a for j, a in enumerate(args)] for s in (1, -1)]
        up, down = (float(jnp.sum(compiled(tuple(m), low, high, x))) for m in moved)
        np.testing.assert_allclose(got, (up - down) / (2 * h), rtol=2e-6, atol=1e-6)
    assert (
        st.kstest(np.asarray(draws), lambda x: (ref.cdf(x) - ref.cdf(low)) / mass).pvalue
        > FALSE_ALARM
    )


def test_truncated_counts():
    """An infinite support, cut on both sides, in the tail, and a finite one."""
    poisson = st.poisson(2.7)
    cases = [
        (D.truncate(D.make("poisson", (2.7,)), 2, 6), np.arange(2, 7), poisson.logpmf),
        (D.truncate(D.make("poisson", (2.7,)), 1.5, INF), np.arange(2, 60), poisson.logpmf),
        (D.truncate(D.make("poisson", (2.7,)), 30, 33), np.arange(30, 34), poisson.logpmf),
        (D.truncate(D.make("binomial", (9, 0.3)), 4, 8), np.arange(4, 9), st.binom(9, 0.3).logpmf),
        (D.truncate(D.make("categorical", (W,)), 1, 2), np.arange(1, 3), lambda k: np.log(W[k])),
    ]
    for dist, ks, logpmf in cases:
        raw = logpmf(ks)
        want = raw - np.logaddexp.reduce(raw)
        outside = np.array([ks[0] - 1, -1])
        (log_p, log_outside), draws = looked_at(dist, ks, outside, key=jax.random.key(8))
        np.testing.assert_allclose(log_p, want, rtol=1e-9, atol=1e-9)
        assert np.all(log_outside == -INF)
        assert draws.min() >= ks[0] and draws.max() <= ks[-1]
        expected = np.exp(want) * DRAWS
        big = expected >= 20
        observed = np.array([(draws == k).sum() for k in ks])
        o, e = (
            np.append(observed[big], observed[~big].sum()),
            np.append(expected[big], expected[~big].sum()),
        )
        keep = e > 0
        assert (
            st.chi2.sf(np.sum((o - e)[keep] ** 2 / e[keep]), max(keep.sum() - 1, 1)) > FALSE_ALARM
        )


def test_truncation_commutes_with_mixture_and_transform():
    d = D.truncate(D.mixture(W, normals()), -0.5, 2.0)
    mass = mixture_cdf(2.0) - mixture_cdf(-0.5)
    x = np.array([-0.4, 0.4, 1.9])
    (log_p,), draws = looked_at(d, x, key=jax.random.key(3))
    np.testing.assert_allclose(log_p, np.log(mixture_pdf(x) / mass))
    assert (
        st.kstest(draws, lambda x: (mixture_cdf(x) - mixture_cdf(-0.5)) / mass).pvalue > FALSE_ALARM
    )
    falling = D.transform(
        D.make("normal", (0.1, 0.8)), lambda x: jnp.exp(-x), lambda y: -jnp.log(y)
    )
    cut = D.truncate(falling, 0.5, INF)
    ref = st.lognorm(0.8, scale=np.exp(-0.1))
    x = np.array([0.51, 1.0, 4.0])
    (log_p, below), _ = looked_at(cut, x, 0.49)
    np.testing.assert_allclose(log_p, ref.logpdf(x) - ref.logsf(0.5))
    assert below == -INF


def test_impossible_truncations_have_density_zero():
    for bounds in [(2.0, 1.0), (-3.0, -1.0)]:
        d = D.truncate(D.make("gamma", (2.0, 1.0)), *bounds)
        assert d.log_prob(0.5) == -INF and d.log_prob(-2.0) == -INF and not D.valid(d)


def test_truncation_without_a_distribution_function_is_refused():
    for d in (D.make("von_mises", (0.0, 1.0)), D.make("dirichlet", (np.ones(3),))):
        with pytest.raises(DiagnosticError, match="E721"):
            D.truncate(d, 0.0, 1.0)


# ------------------------------------------------------------------------- transforms and repeats


def test_transform_rising_and_falling():
    base = D.make("normal", (0.3, 0.6))
    rising = D.transform(base, jnp.exp, jnp.log)
    ref = st.lognorm(0.6, scale=np.exp(0.3))
    x = np.array([0.2, 1.0, 5.0])
    np.testing.assert_allclose(rising.log_prob(x), ref.logpdf(x))
    np.testing.assert_allclose(rising.log_cdf(x), ref.logcdf(x))
    assert rising.log_prob(-1.0) == -INF
    falling = D.transform(base, lambda t: -2 * t + 1, lambda y: (1 - y) / 2)
    want = st.norm(0.4, 1.2)
    np.testing.assert_allclose(falling.log_prob(x), want.logpdf(x))
    np.testing.assert_allclose(falling.log_cdf(x), want.logcdf(x))
    assert (
        st.kstest(np.asarray(falling.sample(jax.random.key(0), (DRAWS,))), want.cdf).pvalue
        > FALSE_ALARM
    )


def test_repeats_of_a_batch_of_vectors():
    alpha = np.array([[0.7, 2.0, 1.1], [3.0, 1.0, 1.5]])
    d = D.iid(D.make("dirichlet", (alpha,)), 4)
    assert d.batch_shape == (2,) and d.event_shape == (4, 3)
    x = np.asarray(d.sample(jax.random.key(0), (5,)))
    assert x.shape == (5, 2, 4, 3)
    want = [
        [
            sum(st.dirichlet(alpha[b]).logpdf(x[s, b, i] / x[s, b, i].sum()) for i in range(4))
            for b in range(2)
        ]
        for s in range(5)
    ]
    np.testing.assert_allclose(d.log_prob(x), want)
    assert len(np.unique(x[..., 0])) == 40  # all different


def test_product_is_the_sum_over_its_dimensions():
    mu = np.array([[0.1, 2.0, -1.0], [1.0, 0.0, 3.0]])
    d = D.product(D.make("normal", (mu, 1.3)), 1)
    x = mu + np.array([0.3, -0.2, 0.8])
    np.testing.assert_allclose(d.log_prob(x), st.norm(mu, 1.3).logpdf(x).sum(-1))
    assert d.batch_shape == (2,) and d.event_shape == (3,)


# --------------------------------------------------------------------------------- base measures


def test_base_measures_are_zero_inside_and_have_no_sampler():
    cases = [
        (D.flat(), [0.0, -1e9], [np.nan, INF]),
        (D.flat(0.0), [0.0, 3.0], [-1e-9]),
        (D.flat(-1.0, 2.0), [-1.0, 2.0], [2.1, -1.1]),
        (
            D.flat_ordered(3, -1.0, 5.0),
            [[-1.0, 0.0, 5.0]],
            [[0.0, 0.0, 1.0], [-2.0, 0.0, 1.0], [0.0, 1.0, 6.0]],
        ),
        (D.flat_simplex(3), [[0.2, 0.3, 0.5]], [[0.2, 0.3, 0.6], [-0.2, 0.7, 0.5]]),
    ]
    for dist, inside, outside in cases:
        assert (
            not D.has_sampler(dist)
            and not D.has_sampler(D.iid(dist, 2))
            and not D.is_discrete(dist)
        )
        for x in inside:
            assert dist.log_prob(np.array(x)) == 0.0
        for x in outside:
            assert dist.log_prob(np.array(x)) == -INF
        with pytest.raises(DiagnosticError, match="E720"):
            dist.sample(jax.random.key(0))
    empty = D.flat(np.array([1.0, 0.0]), np.array([0.0, INF]))
    np.testing.assert_array_equal(empty.log_prob(np.array([0.5, 0.5])), [-INF, 0.0])


# ------------------------------------------------------------------------------- finite supports


def _listed(dist):
    values, log_p = jax.device_get(quick(lambda: D.support_values(dist))())
    assert values.shape == (len(values), *dist.batch_shape, *dist.event_shape)
    assert log_p.shape == (len(values), *dist.batch_shape)
    np.testing.assert_allclose(np.exp(log_p).sum(0), 1.0)
    return values, log_p


def test_supports_are_listed_with_their_probabilities():
    values, log_p = _listed(D.make("bernoulli", (np.array([0.2, 0.9]),)))
    assert values.dtype == bool
    np.testing.assert_allclose(np.exp(log_p), [[0.8, 0.1], [0.2, 0.9]])
    values, log_p = _listed(D.make("binomial", (np.array([1, 3]), 0.4)))
    assert values[:, 0].tolist() == [0, 1, 2, 3]
    assert np.isneginf(log_p[2:, 0]).all() and np.isfinite(log_p[:, 1]).all()
    values, _ = _listed(D.make("discrete_uniform", (np.array([-2, 4]), np.array([0, 5]))))
    assert values.tolist() == [[-2, 4], [-1, 5], [0, 6]]
    for name, args in {
        "categorical": (W,),
        "categorical_logit": (W,),
        "ordered_logistic": (0.3, W.cumsum()),
    }.items():
        assert _listed(D.make(name, args))[0].tolist() == list(
            range(3 + (name == "ordered_logistic"))
        )
    cut = D.truncate(D.make("poisson", (np.array([2.7, 0.4]),)), np.array([2, 0]), np.array([6, 3]))
    values, log_p = _listed(cut)
    assert values[:, 0].tolist() == list(range(7))
    np.testing.assert_allclose(np.exp(log_p[2:, 0]).sum(), 1.0)
    np.testing.assert_allclose(np.exp(log_p[:4, 1]).sum(), 1.0)
    assert not D.is_finite(D.truncate(D.make("poisson", (2.7,)), 2))
    assert _listed(D.make("beta_binomial", (3, 0.5, 2.0)))[0].tolist() == [0, 1, 2, 3]
    assert _listed(D.dirac(np.array([1.5, 2.5])))[0].tolist() == [[1.5, 2.5]]


def test_supports_of_combinators():
    coin = D.make("bernoulli", (np.array([0.2, 0.9, 0.5]),))
    values, log_p = _listed(D.product(coin, 1))
    assert len({tuple(v) for v in values.tolist()}) == 8
    np.testing.assert_allclose(
        np.exp(log_p[values.tolist().index([True, False, True])]), 0.2 * 0.1 * 0.5
    )
    values, log_p = _listed(D.iid(D.make("categorical", (W,)), 2))
    np.testing.assert_allclose(np.exp(log_p[values.tolist().index([2, 0])]), W[2] * W[0])
    values, log_p = _listed(D.mixture(W, D.dirac(np.array([4, 7, 4]))))
    np.testing.assert_allclose(np.exp(log_p), [0.5, 0.5, 0.0])
    values, log_p = _listed(
        D.mixture_general(W[:2], [D.make("binomial", (2, 0.3)), D.make("binomial", (3, 0.6))])
    )
    total = {k: 0.0 for k in range(4)}
    for v, p in zip(values.tolist(), np.exp(log_p), strict=True):
        total[v] += p
    want = (
        0.2 * st.binom(2, 0.3).pmf(np.arange(4)) + 0.5 * st.binom(3, 0.6).pmf(np.arange(4))
    ) / 0.7
    np.testing.assert_allclose(list(total.values()), want)
    _listed(D.truncate(D.make("binomial", (np.array([5, 7]), 0.4)), 1, 3))


def test_what_cannot_be_listed_is_refused():
    for dist in (
        D.make("poisson", (2.0,)),
        D.make("normal", (0.0, 1.0)),
        D.iid(D.make("bernoulli", (0.5,)), 20),
    ):
        with pytest.raises(DiagnosticError, match="E724"):
            D.support_values(dist)
    with pytest.raises(DiagnosticError, match="E724"):
        jax.jit(lambda n: D.support_values(D.make("binomial", (n, 0.3))))(3)


def test_known_counts_stay_known_while_tracing():
    """n and bounds are constants, the probability is not."""

    @jax.jit
    def listed(p):
        binomial = D.support_values(D.make("binomial", (np.array([1, 3]), p)))
        return binomial, D.support_values(D.truncate(D.make("binomial", (4, p)), 1, 2))

    (values, log_p), (few, log_few) = listed(0.4)
    assert values.shape == log_p.shape == (4, 2)
    np.testing.assert_allclose(np.exp(log_p[:, 1]), st.binom(3, 0.4).pmf(np.arange(4)))
    pmf = st.binom(4, 0.4).pmf([1, 2])
    np.testing.assert_allclose(np.exp(log_few[1:3]), pmf / pmf.sum())


# -------------------------------------------------------------------------------- as a whole


def test_every_row_is_implemented():
    """Additions cannot be forgotten: every row is built, or is one of the combinators."""
    from ppl.semantics import functions as F
    from ppl.semantics.distributions.base_measures import BASE_MEASURES
    from ppl.semantics.engine import MACHINE_OPS
    from ppl.semantics.machine.maps import MAPS
    from ppl.semantics.machine.texts import TEXTS
    from ppl.semantics.signatures import (
        COERCIONS,
        MAP_ROWS,
        PRIMITIVES,
        TEXT_ROWS,
        Distribution,
    )

    combinators = {"dirac", "mixture", "truncate", "iid", "transform"}
    tables = (
        F.ELEMENTWISE,
        F.REDUCTIONS,
        F.BATCHED,
        F.EINSUM,
        F.STRUCTURAL,
        F.CHECKED,
        {"ode", "ode_stiff", "log_prob"},
    )
    effects = {"checkpoint", *MACHINE_OPS}  # the evaluators' own
    effects |= {n for n in TEXT_ROWS | MAP_ROWS if n in TEXTS or n in MAPS}  # the machine's
    functions = set().union(effects, *map(set, tables))
    distributions = {n for n, r in PRIMITIVES.items() if isinstance(r, Distribution)}
    assert distributions == set(D.FAMILIES) | set(BASE_MEASURES) | combinators
    assert all(callable(getattr(D, name)) for name in combinators)
    plain = set(PRIMITIVES) - distributions
    assert plain <= functions, plain - functions
    assert functions - plain <= {"columns_slice", *COERCIONS}
    for name, row in PRIMITIVES.items():
        if isinstance(row, Distribution) and name in D.FAMILIES:
            assert row.support.partition("(")[0] in D.SUPPORTS, name
            args = _any_arguments(row)
            assert D.is_finite(D.make(name, args)) == row.finite and D.has_sampler(
                D.make(name, args)
            )


def _any_arguments(row):
    text = row.signatures[-1].rpartition("->")[0].strip()
    parts = text[1:-1].split(",") if text.startswith("(") else text.split(",")
    scalar = {"nat": 3, "int": 2, "pos": 1.0, "real": 0.5, "prob": 0.5}
    out = []
    for i, part in enumerate(p.strip() for p in parts):
        rank, kind = part.count("["), part.strip("[]")
        out.append([scalar[kind] + i * (kind == "int"), np.array([0.2, 0.3, 0.5]), np.eye(3)][rank])
    return tuple(out)


def test_laws_are_pytrees():
    for d in (
        D.mixture(W, normals()),
        D.truncate(normals(), -1.0, 2.0),
        D.make("categorical", (W,)),
        D.flat(0.0),
    ):
        x = 1 if D.is_discrete(d) else 0.4
        np.testing.assert_allclose(
            jax.jit(lambda d, x=x: d.log_prob(x))(d), d.log_prob(x), rtol=1e-14
        )

"""Scalar families: density, normalisation, gradients, tails, quantiles and samplers.

Statistical tests: fixed keys, false-alarm rate 1e-6 per family and parameter set.
"""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from ppl.semantics import distributions as D
from ppl.semantics.distributions.bijections import IntervalBijection
from ppl.semantics.distributions.supports import Interval
from ppl.semantics.functions.elementwise import log1m_exp
from tests.oracles.distributions import CONTINUOUS, DISCRETE, SCALAR

pytestmark = pytest.mark.usefixtures("quick_compilation")

FALSE_ALARM = 1e-6
DRAWS = 4_000
# double-exponential nodes for ∫ f(t) dt over the real line
_S = np.linspace(-3.8, 3.8, 1_200)
NODES = np.sinh(np.pi / 2 * np.sinh(_S))
WEIGHTS = np.pi / 2 * np.cosh(_S) * np.cosh(np.pi / 2 * np.sinh(_S)) * (_S[1] - _S[0])
TAILS = -np.array([1e-9, 1e-4, 0.02, 0.4, 0.7, 2.0, 9.0, 40.0])  # log probabilities


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def points_of(name):
    case = SCALAR[name]
    return np.broadcast_to(case.points, (3, np.shape(case.points)[-1]))


def illegal_rows(name):
    """The first parameters with each real one in turn NaN, and the last, where it must not be,
    negative."""
    args = SCALAR[name].args
    first = [np.asarray(a)[0] for a in args]
    is_real = [a.dtype.kind == "f" for a in first]
    bad = [
        [np.array([np.nan]) if j == i else f for j, f in enumerate(first)]
        for i in range(len(args))
        if is_real[i]
    ]
    if name not in SIGNED:
        bad.append([*first[:-1], np.array([-3.5])])
    if name == "uniform":
        bad.append([np.array([0.5]), np.array([0.5])])
    if name == "discrete_uniform":
        bad.append([np.array([3]), np.array([2])])
    if name == "hypergeometric":
        bad.append([np.array([6]), np.array([3]), np.array([2])])
    return tuple(np.stack(column) for column in zip(*bad, strict=True))


#: whose last parameter may be negative, or must be an integer
SIGNED = (
    "bernoulli_logit", "binomial_logit", "uniform", "discrete_uniform", "skew_normal",
    "poisson_log", "hypergeometric",
)  # fmt: skip
#: on the line, but without a distribution function that can be computed
NO_TAILS = ("von_mises", "skew_normal")

#: rows that share all their functions with another, up to a change of parameters
ALIASES = {
    "chi_square": "gamma",
    "inv_chi_square": "inv_gamma",
    "scaled_inv_chi_square": "inv_gamma",
    "beta_proportion": "beta",
    "neg_binomial_2": "neg_binomial",
    "neg_binomial_2_log": "zero_inflated_neg_binomial",  # whose tails are made of its own
    "poisson_log": "poisson",
}

quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def halves_of(name):
    """Quadrature nodes on both sides of a centre (the kink, if there is one): x and log dx."""
    case, xs = SCALAR[name], points_of(name)
    kinked = name in ("double_exponential", "asymmetric_laplace")
    centre = case.args[0] if kinked else xs[:, xs.shape[-1] // 2][:, None]
    support = D.make(name, tuple(map(jnp.asarray, case.args))).support
    at, sizes = [], []
    for low, high in ((support.lower, centre), (centre, support.upper)):
        to = IntervalBijection(Interval(np.asarray(low), np.asarray(high)))
        x = to(jnp.asarray(NODES))
        at.append(np.broadcast_to(x, (3, len(NODES))))
        sizes.append(np.asarray(to.log_abs_det_jacobian(jnp.asarray(NODES), x)) + np.log(WEIGHTS))
    return np.concatenate(at, -1), np.concatenate(
        [np.broadcast_to(s, at[0].shape) for s in sizes], -1
    )


@cache
def densities(name):
    """The density, and its gradients, wherever the tests below look."""
    case = SCALAR[name]
    xs = points_of(name)
    outside = np.broadcast_to(
        np.array(case.outside or (np.nan,), float), (3, max(len(case.outside), 1))
    )
    columns = [xs, outside]
    if name in CONTINUOUS:
        nodes, sizes = halves_of(name)
        columns.append(nodes)
    at = np.concatenate(columns, -1)
    bad = illegal_rows(name)
    args = [
        np.concatenate([np.broadcast_to(a, (3, 1)), b]) for a, b in zip(case.args, bad, strict=True)
    ]
    at = np.concatenate([at, np.tile(at[:1], (len(bad[0]), 1))])
    moved = [i for i, a in enumerate(args) if a.dtype.kind == "f"]
    weight = np.zeros(at.shape)
    weight[:3, : xs.shape[-1]] = 1

    def run(args, at, weight):
        def density(reals, at):
            full = list(args)
            for i, r in zip(moved, reals, strict=True):
                full[i] = r
            return D.make(name, tuple(full)).log_prob(at)

        value, pull = jax.vjp(density, [args[i] * jnp.ones_like(at) for i in moved], at)
        return value, *pull(weight)

    value, grads, slope = quick(run)(
        tuple(map(jnp.asarray, args)), jnp.asarray(at), jnp.asarray(weight)
    )
    value, slope = np.asarray(value), np.asarray(slope)
    points = (slice(0, 3), slice(0, xs.shape[-1]))
    out = {
        "density": value[points],
        "outside": value[:3, xs.shape[-1] : xs.shape[-1] + outside.shape[-1]],
        "illegal": value[3:, : xs.shape[-1]],
        "grads": [np.asarray(g)[points] for g in grads],
    }
    if name in CONTINUOUS:
        out["slope"] = slope[points]
        out["mass"] = np.sum(np.exp(value[:3, -nodes.shape[-1] :] + sizes), -1)
    return out


@cache
def tails(name):
    """Distribution functions at the points and at quantiles; None if the family has none."""
    args = tuple(map(jnp.asarray, SCALAR[name].args))
    if not D.make(name, args).has_cdf:
        return None

    def run(args, xs, tail):
        law = D.make(name, args)
        other = log1m_exp(tail)
        at = law.quantile(jnp.concatenate([tail, other]), jnp.concatenate([other, tail]))
        everywhere = jnp.concatenate([xs, at, at - 1], -1)
        sizes = np.cumsum([xs.shape[-1], 2 * len(TAILS)])
        cdf = jnp.split(law.log_cdf(everywhere), sizes, -1)
        sf = jnp.split(law.log_sf(everywhere), sizes, -1)
        out = {"log_cdf": cdf[0], "log_sf": sf[0], "at": at, "density_at": law.log_prob(at)}
        out |= {"cdf_at": cdf[1], "sf_at": sf[1], "cdf_before": cdf[2], "sf_before": sf[2]}
        return out

    out = quick(run)(args, jnp.asarray(points_of(name), float), jnp.asarray(TAILS))
    return jax.tree.map(np.asarray, out)


@cache
def draws_of(name):
    key = jax.random.key(20_231 + sum(map(ord, name)))
    args = tuple(map(jnp.asarray, SCALAR[name].args))
    return np.asarray(D.make(name, args).sample(key, (DRAWS,)))


@pytest.mark.parametrize("name", SCALAR)
def test_density_is_the_reference(name):
    case = SCALAR[name]
    out = densities(name)
    want = case.logpdf(points_of(name), *case.args)
    assert out["density"].dtype == np.float64
    np.testing.assert_allclose(out["density"], want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SCALAR)
def test_density_is_minus_infinity_outside(name):
    assert np.all(densities(name)["outside"] == -np.inf)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_density_integrates_to_one(name):
    mass = densities(name)["mass"]
    np.testing.assert_allclose(mass, 1.0, atol=2e-9)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_density_sums_to_one(name):
    case = DISCRETE[name]
    ks = np.arange(-3, 700)
    with np.errstate(all="ignore"):
        law = D.make(name, tuple(map(jnp.asarray, case.args)))
        total = np.exp(np.asarray(jax.jit(lambda d, k: d.log_prob(k))(law, ks))).sum(-1)
    np.testing.assert_allclose(total, 1.0, atol=1e-11)


@pytest.mark.parametrize("name", SCALAR)
def test_gradients_are_the_reference_s_differences(name):
    case = SCALAR[name]
    out = densities(name)
    xs = points_of(name)
    moved = [i for i, a in enumerate(case.args) if np.asarray(a).dtype.kind == "f"]
    step = 1e-5

    def difference(f, at):
        h = step * np.maximum(np.abs(at), 0.05)
        # a four-point rule: error of order h^4
        return (8 * (f(at + h) - f(at - h)) - (f(at + 2 * h) - f(at - 2 * h))) / (12 * h)

    for grad, i in zip(out["grads"], moved, strict=True):
        assert np.all(np.isfinite(grad))

        def along(value, i=i):
            args = list(case.args)
            args[i] = value
            with np.errstate(all="ignore"):
                return case.logpdf(xs, *args)

        with np.errstate(all="ignore"):
            want = difference(along, np.asarray(case.args[i]))
        inner = np.isfinite(want)  # a parameter that bounds the support may step across a point
        np.testing.assert_allclose(grad[inner], want[inner], rtol=3e-5, atol=3e-6)
    if "slope" in out:
        assert np.all(np.isfinite(out["slope"]))


@pytest.mark.parametrize("name", [n for n in SCALAR if SCALAR[n].logsf and n not in ALIASES])
def test_tails_are_the_reference(name):
    case = SCALAR[name]
    out = tails(name)
    if out is None:
        pytest.skip("refused: no distribution function")
    xs = points_of(name)
    for ours, theirs in (("log_cdf", case.logcdf), ("log_sf", case.logsf)):
        if theirs is None:
            continue
        with np.errstate(all="ignore"):
            want = theirs(xs, *case.args)
        reliable = np.isfinite(want) & (want < -1e-12)
        np.testing.assert_allclose(out[ours][reliable], want[reliable], rtol=2e-8, atol=1e-14)


@pytest.mark.parametrize("name", [n for n in CONTINUOUS if n not in (*NO_TAILS, *ALIASES)])
def test_quantile_inverts_both_tails(name):
    out = tails(name)
    half = len(TAILS)
    got = np.concatenate([out["cdf_at"][:, :half], out["sf_at"][:, half:]], -1)
    want = np.tile(TAILS, 2)
    # relative error of the probability; x itself is only known to its last bits
    rounding = np.exp(out["density_at"] - want) * 4 * np.spacing(np.abs(out["at"]))
    inner = out["density_at"] > -np.inf  # not where x is rounded to an end of the support
    assert inner.mean() > 0.95
    assert np.all((np.abs(np.expm1(got - want)) <= 1e-7 + rounding)[inner])
    assert np.all(np.diff(out["at"][:, :half]) <= 0) and np.all(np.diff(out["at"][:, half:]) >= 0)


@pytest.mark.parametrize("name", [n for n in DISCRETE if n not in ALIASES])
def test_discrete_quantile_is_the_smallest_that_suffices(name):
    out = tails(name)
    if out is None:
        pytest.skip("drawn and truncated by enumeration")
    half, slack = len(TAILS), 1e-9
    assert np.all(out["cdf_at"][:, :half] >= TAILS - slack)
    assert np.all(out["cdf_before"][:, :half] <= TAILS + slack)
    assert np.all(out["sf_at"][:, half:] <= TAILS + slack)
    assert np.all(out["sf_before"][:, half:] >= TAILS - slack)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_sampler_matches_density(name):
    case = CONTINUOUS[name]
    draws = draws_of(name)
    for row in range(3):
        args = [np.asarray(a)[row] for a in case.args]
        test = st.kstest(draws[:, row, 0], lambda x, a=args: case.cdf(x, *a))
        assert test.pvalue > FALSE_ALARM, (name, row, test)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_sampler_matches_density(name):
    case = DISCRETE[name]
    draws = draws_of(name)
    for row in range(3):
        args = [np.asarray(a)[row] for a in case.args]
        assert (
            chi_square_p(draws[:, row, 0].astype(int), lambda k, a=args: case.logpdf(k, *a))
            > FALSE_ALARM
        )


def chi_square_p(draws, logpmf, least=25.0):
    """p-value of the counts, with neighbouring values pooled until each cell expects `least`."""
    ks = np.arange(draws.min() - 40, draws.max() + 200)
    with np.errstate(all="ignore"):
        expected = np.exp(logpmf(ks)) * draws.size
    expected = np.nan_to_num(expected, nan=0.0)
    observed = np.array([(draws == k).sum() for k in ks])
    cells, pooled, seen = [], 0.0, 0
    for e, o in zip(expected, observed, strict=True):
        pooled, seen = pooled + e, seen + o
        if pooled >= least:
            cells.append((pooled, seen))
            pooled, seen = 0.0, 0
    last_e, last_o = cells.pop()
    cells.append((last_e + pooled + max(0.0, draws.size - expected.sum()), last_o + seen))
    e, o = np.array(cells).T
    assert len(e) > 1 or e[0] == pytest.approx(draws.size)
    return st.chi2.sf(np.sum((o - e) ** 2 / e), max(len(e) - 1, 1))


@pytest.mark.parametrize("name", SCALAR)
def test_illegal_parameters_have_density_zero_and_no_nan(name):
    assert np.all(densities(name)["illegal"] == -np.inf)


@pytest.mark.parametrize("name", [n for n in SCALAR if n not in ALIASES])
def test_single_precision_is_accurate(name):
    case = SCALAR[name]
    xs = points_of(name)[:, 1:-1] if points_of(name).shape[-1] > 3 else points_of(name)
    want = case.logpdf(xs, *case.args)
    with jax.enable_x64(False):
        args = tuple(
            jnp.asarray(a, jnp.float32 if np.asarray(a).dtype.kind == "f" else None)
            for a in case.args
        )
        x = jnp.asarray(xs, jnp.float32 if xs.dtype.kind == "f" else None)
        got = quick(lambda a, x: D.make(name, a).log_prob(x))(args, x)
        assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, want, rtol=4e-5, atol=4e-5)

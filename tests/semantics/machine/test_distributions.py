"""Densities, samplers and listed values of every row, against references that share no code.

Samplers are checked by a Kolmogorov-Smirnov or chi-square test at p > 1e-5 with fixed seeds: had
the seeds been random, one false alarm in 1,000 runs of the whole file.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import helmert

from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine.distributions import FAMILIES
from ppl.semantics.machine.distributions.combinators import combinations
from ppl.semantics.machine.omega import MachineKey
from ppl.semantics.machine.paths import ROOT, step_hash
from ppl.semantics.signatures import PRIMITIVES, Distribution

N = 4_000

#: row -> (arguments, SciPy's distribution)
LINE = {
    "normal": ((0.7, 1.3), stats.norm(0.7, 1.3)),
    "half_normal": ((1.7,), stats.halfnorm(scale=1.7)),
    "lognormal": ((0.2, 0.6), stats.lognorm(0.6, scale=math.exp(0.2))),
    "student_t": ((3.5, 0.4, 1.2), stats.t(3.5, 0.4, 1.2)),
    "half_student_t": ((3.5, 1.2), None),
    "cauchy": ((0.4, 1.2), stats.cauchy(0.4, 1.2)),
    "half_cauchy": ((1.2,), stats.halfcauchy(scale=1.2)),
    "double_exponential": ((0.4, 1.2), stats.laplace(0.4, 1.2)),
    "asymmetric_laplace": ((0.4, 1.2, 1.5), stats.laplace_asymmetric(1.5, 0.4, 1.2)),
    "logistic": ((0.4, 1.2), stats.logistic(0.4, 1.2)),
    "gumbel": ((0.4, 1.2), stats.gumbel_r(0.4, 1.2)),
    "exponential": ((1.7,), stats.expon(scale=1 / 1.7)),
    "gamma": ((0.6, 1.7), stats.gamma(0.6, scale=1 / 1.7)),
    "inv_gamma": ((2.5, 1.7), stats.invgamma(2.5, scale=1.7)),
    "chi_square": ((3.5,), stats.chi2(3.5)),
    "soft_laplace": ((0.4, 1.2), stats.hypsecant(0.4, 1.2)),
    "skew_normal": ((0.4, 1.2, -1.7), stats.skewnorm(-1.7, 0.4, 1.2)),
    "exp_mod_normal": ((0.4, 1.2, 0.7), stats.exponnorm(1 / 0.84, 0.4, 1.2)),
    "loglogistic": ((1.4, 2.3), stats.fisk(2.3, scale=1.4)),
    "inv_chi_square": ((3.5,), stats.invgamma(1.75, scale=0.5)),
    "scaled_inv_chi_square": ((3.5, 1.2), stats.invgamma(1.75, scale=2.52)),
    "weibull": ((1.4, 0.8), stats.weibull_min(1.4, scale=0.8)),
    "frechet": ((2.4, 0.8), stats.invweibull(2.4, scale=0.8)),
    "rayleigh": ((1.4,), stats.rayleigh(scale=1.4)),
    "pareto": ((1.4, 2.5), stats.pareto(2.5, scale=1.4)),
    "gompertz": ((0.6, 1.4), stats.gompertz(0.6, scale=1 / 1.4)),
    "levy": ((0.4, 1.2), stats.levy(0.4, 1.2)),
    "log_uniform": ((0.3, 4.0), stats.loguniform(0.3, 4.0)),
    "beta": ((0.7, 2.3), stats.beta(0.7, 2.3)),
    "beta_proportion": ((0.3, 4.0), stats.beta(1.2, 2.8)),
    "kumaraswamy": ((1.3, 2.1), None),
    "uniform": ((-0.4, 1.2), stats.uniform(-0.4, 1.6)),
    "von_mises": ((0.6, 1.8), stats.vonmises(1.8, 0.6)),
}
COUNTS = {
    "bernoulli": ((0.3,), stats.bernoulli(0.3)),
    "bernoulli_logit": ((0.6,), stats.bernoulli(1 / (1 + math.exp(-0.6)))),
    "binomial": ((7, 0.3), stats.binom(7, 0.3)),
    "binomial_logit": ((7, 0.6), stats.binom(7, 1 / (1 + math.exp(-0.6)))),
    "beta_binomial": ((7, 1.3, 2.2), stats.betabinom(7, 1.3, 2.2)),
    "discrete_uniform": ((-2, 3), stats.randint(-2, 4)),
    "poisson": ((2.7,), stats.poisson(2.7)),
    "geometric": ((0.3,), stats.geom(0.3, loc=-1)),
    "neg_binomial": ((2.4, 0.7), stats.nbinom(2.4, 0.7 / 1.7)),
    "neg_binomial_2": ((3.1, 2.4), stats.nbinom(2.4, 2.4 / 5.5)),
    "zero_inflated_poisson": ((0.25, 2.7), None),
    "hypergeometric": ((9, 7, 6), stats.hypergeom(13, 7, 9)),
    "poisson_log": ((1.1,), stats.poisson(math.exp(1.1))),
    "neg_binomial_2_log": ((1.1, 2.4), stats.nbinom(2.4, 2.4 / (2.4 + math.exp(1.1)))),
    "zero_inflated_neg_binomial": ((0.25, 2.7, 1.4), None),
    "ordered_probit": ((0.4, (-1.0, 0.3, 1.7)), None),
    "categorical": (((0.2, 0.5, 0.3),), stats.rv_discrete(values=(range(3), (0.2, 0.5, 0.3)))),
    "categorical_logit": (((0.2, 1.5, -0.3),), None),
    "ordered_logistic": ((0.4, (-1.0, 0.3, 1.7)), None),
}
BIG = {
    "poisson": ((200.5,), stats.poisson(200.5)),
    "binomial": ((900, 0.37), stats.binom(900, 0.37)),
    "gamma": ((0.02, 1.0), stats.gamma(0.02)),
}


def draws(name, args, n=N):
    draw = MachineKey(17, 3, 5).begin(None)
    start = step_hash(ROOT, name)
    return [draw(step_hash(start, (i,)), FAMILIES[name], args) for i in range(n)]


@pytest.mark.parametrize("name", LINE)
def test_continuous_rows(name):
    args, reference = LINE[name]
    family = FAMILIES[name]
    x = np.array(draws(name, args))
    if reference is not None:
        for q in (0.03, 0.3, 0.8, 0.999):
            at = float(reference.ppf(q))
            at = math.remainder(at, 2 * math.pi) if name == "von_mises" else at
            assert family.log_prob(at, *args) == pytest.approx(reference.logpdf(at), abs=1e-9)
        y = np.mod(x - 0.6 + np.pi, 2 * np.pi) - np.pi + 0.6 if name == "von_mises" else x
        assert stats.kstest(y, reference.cdf).pvalue > 1e-5
    if family.log_cdf is not None:
        assert (
            stats.kstest(x, np.vectorize(lambda v: math.exp(family.log_cdf(v, *args)))).pvalue
            > 1e-5
        )
        # the density is the slope of the distribution function, and the tails add up to 1
        for q in (0.2, 0.7):
            at, h = float(np.quantile(x, q)), 1e-5
            slope = math.exp(family.log_cdf(at + h, *args)) - math.exp(
                family.log_cdf(at - h, *args)
            )
            assert slope / (2 * h) == pytest.approx(math.exp(family.log_prob(at, *args)), rel=1e-4)
            both = math.exp(family.log_cdf(at, *args)) + math.exp(family.log_sf(at, *args))
            assert both == pytest.approx(1, abs=1e-12)
            if family.quantile is not None:
                back = family.quantile(family.log_cdf(at, *args), family.log_sf(at, *args), *args)
                assert back == pytest.approx(at, rel=1e-9)
    if name not in ("beta", "beta_proportion", "kumaraswamy", "uniform"):
        assert family.log_prob(float("nan"), *args) == -math.inf
    assert family.log_prob(-1e9, *args) < -20


def chi_square(x, pmf):
    values, counts = np.unique(np.asarray(x, int), return_counts=True)
    expected = len(x) * np.array([pmf(int(k)) for k in values])
    big = expected > 5
    rest = len(x) - expected[big].sum()
    observed = [*counts[big], counts[~big].sum()]
    wanted = [*expected[big], rest]
    if rest < 1e-6 * len(x):
        observed, wanted = observed[:-1], wanted[:-1]
    wanted = np.array(wanted) * (sum(observed) / sum(wanted))
    return stats.chisquare(observed, wanted).pvalue


@pytest.mark.parametrize("name", COUNTS)
def test_discrete_rows(name):
    args, reference = COUNTS[name]
    family = FAMILIES[name]

    def pmf(k):
        return math.exp(family.log_prob(k, *args))

    low = args[0] if name == "discrete_uniform" else 0
    assert math.fsum(pmf(k) for k in range(low, 400)) == pytest.approx(1, abs=1e-12)
    assert pmf(low - 1) == 0
    if reference is not None:
        for k in range(low, low + 4):
            assert pmf(k) == pytest.approx(float(reference.pmf(k)), abs=1e-12)
    assert chi_square(draws(name, args), pmf) > 1e-5
    if family.values is not None:
        options = family.support(*args)
        assert math.fsum(p for _, p in options) == pytest.approx(1, abs=1e-12)
        assert all(p == pytest.approx(pmf(v), abs=1e-12) for v, p in options)


@pytest.mark.parametrize("name", BIG)
def test_large_and_small_parameters(name):
    args, reference = BIG[name]
    x = draws(name, args)
    if hasattr(reference, "pmf"):
        assert chi_square(x, lambda k: float(reference.pmf(k))) > 1e-5
    else:
        assert stats.kstest(x, reference.cdf).pvalue > 1e-5


MU, SIGMA = (0.5, -1.0, 2.0), ((2.0, 0.3, 0.1), (0.3, 1.0, -0.2), (0.1, -0.2, 0.7))
FACTOR = tuple(map(tuple, np.linalg.cholesky(np.array(SIGMA)).tolist()))
OTHER = ((1.3, 0.2, -0.4), (0.2, 0.8, 0.1), (-0.4, 0.1, 2.1))
PRECISION = tuple(map(tuple, np.linalg.inv(np.array(SIGMA)).tolist()))


@pytest.mark.parametrize(
    ("name", "matrix"),
    [("multi_normal", SIGMA), ("multi_normal_prec", PRECISION), ("multi_normal_cholesky", FACTOR)],
)
def test_multivariate_normals(name, matrix):
    reference = stats.multivariate_normal(MU, np.array(SIGMA))
    at = (0.1, 0.2, 0.3)
    assert FAMILIES[name].log_prob(at, MU, matrix) == pytest.approx(reference.logpdf(at), abs=1e-9)
    x = np.array(draws(name, (MU, matrix), 2_000)) - MU
    white = np.linalg.solve(np.array(FACTOR), x.T)
    for row in (*white, (white[0] + white[2]) / math.sqrt(2)):
        assert stats.kstest(row, "norm").pvalue > 1e-5


@pytest.mark.parametrize("name", ["wishart", "inv_wishart"])
def test_covariance_matrices(name):
    """v'Wv / v'Sv is a chi-square with nu degrees of freedom, W or its inverse being Wishart."""
    scale = np.array(SIGMA)
    reference = (stats.wishart if name == "wishart" else stats.invwishart)(3.7, scale)
    at = tuple(map(tuple, np.array(OTHER).tolist()))
    found = FAMILIES[name].log_prob(at, 3.7, SIGMA)
    assert found == pytest.approx(reference.logpdf(np.array(OTHER)), rel=1e-12)
    assert FAMILIES[name].log_prob(at, 1.9, SIGMA) == -math.inf
    assert (
        FAMILIES[name].log_prob(((1.0, 2.0), (2.0, 1.0)), 3.7, ((1.0, 0.0), (0.0, 1.0)))
        == -math.inf
    )
    x = np.array(draws(name, (3.7, SIGMA), 1_500))
    if name == "inv_wishart":
        x, scale = np.linalg.inv(x), np.linalg.inv(scale)
    for v in (*np.eye(3), np.array([1.0, -0.7, 0.4])):
        assert stats.kstest(v @ x @ v / (v @ scale @ v), stats.chi2(3.7).cdf).pvalue > 1e-5
    rest = 1 / np.linalg.inv(x)[:, 2, 2] * np.linalg.inv(scale)[2, 2]  # a Schur complement
    assert stats.kstest(rest, stats.chi2(1.7).cdf).pvalue > 1e-5


def test_normals_that_sum_to_zero():
    at, basis = (0.4, -1.1, 0.9, -0.2), helmert(4)
    found = FAMILIES["zero_sum_normal"].log_prob(at, 4, 1.3)
    assert found == pytest.approx(stats.norm(0, 1.3).logpdf(basis @ at).sum(), rel=1e-12)
    assert FAMILIES["zero_sum_normal"].log_prob((0.4, -1.1, 0.9, -0.1), 4, 1.3) == -math.inf
    x = np.array(draws("zero_sum_normal", (4, 1.3), 1_500))
    for line in basis @ x.T / 1.3:
        assert stats.kstest(line, "norm").pvalue > 1e-5


def test_simplices_and_counts():
    alpha, p = (0.7, 2.0, 1.4), (0.2, 0.5, 0.3)
    at = (0.2, 0.5, 0.3)
    reference = stats.dirichlet(alpha)
    assert FAMILIES["dirichlet"].log_prob(at, alpha) == pytest.approx(reference.logpdf(at))
    x = np.array(draws("dirichlet", (alpha,)))
    assert stats.kstest(x[:, 0], stats.beta(0.7, 3.4).cdf).pvalue > 1e-5
    multinomial = FAMILIES["multinomial"]
    for counts, probability in multinomial.support(4, p):
        expected = stats.multinomial(4, p).pmf(counts)
        assert probability == pytest.approx(expected)
        assert math.exp(multinomial.log_prob(counts, 4, p)) == pytest.approx(expected)
    k = [c[1] for c in draws("multinomial", (7, p))]
    assert chi_square(k, lambda i: float(stats.binom(7, 0.5).pmf(i))) > 1e-5
    total = 0.0
    for a in range(5):
        for b in range(5 - a):
            counts = (a, b, 4 - a - b)
            total += math.exp(FAMILIES["dirichlet_multinomial"].log_prob(counts, 4, alpha))
    assert total == pytest.approx(1)
    k = [c[0] for c in draws("dirichlet_multinomial", (7, alpha))]
    assert chi_square(k, lambda i: float(stats.betabinom(7, 0.7, 3.4).pmf(i))) > 1e-5


def test_correlation_matrices():
    """Under LKJ(eta) in three dimensions each correlation is 2 Beta(eta + 1/2, eta + 1/2) - 1."""
    x = np.array(draws("lkj_corr", (3, 1.7)))
    for i, j in ((1, 0), (2, 0), (2, 1)):
        assert stats.kstest((x[:, i, j] + 1) / 2, stats.beta(2.2, 2.2).cdf).pvalue > 1e-5
    c = x[0]
    factor = np.linalg.cholesky(c)
    # det R^(eta - 1) / constant; the factor's density has the Jacobian of R = L L'
    constant = 0.0
    for k in range(1, 3):
        b = 1.7 + 0.5 * (3 - k - 1)
        power = (2 * 1.7 - 2 + 3 - k) * (3 - k)
        constant += power * math.log(2) + (3 - k) * (2 * math.lgamma(b) - math.lgamma(2 * b))
    expected = 0.7 * math.log(np.linalg.det(c)) - constant
    rows = tuple(map(tuple, c.tolist()))
    assert FAMILIES["lkj_corr"].log_prob(rows, 3, 1.7) == pytest.approx(expected)
    jacobian = math.log(factor[1, 1])
    lower = tuple(map(tuple, factor.tolist()))
    found = FAMILIES["lkj_corr_cholesky"].log_prob(lower, 3, 1.7)
    assert found == pytest.approx(expected + jacobian)


def dist(name, *args):
    """A distribution as a value, as programs make it."""
    return (None, None, None, FAMILIES[name], args)


NORMAL, POISSON = dist("normal", 0.4, 1.3), dist("poisson", 2.7)


@pytest.mark.parametrize("bounds", [(-0.5, 1.0), (6.0, math.inf), (-math.inf, -9.0)])
def test_truncated_normals(bounds):
    a, b = ((x - 0.4) / 1.3 for x in bounds)
    reference = stats.truncnorm(a, b, 0.4, 1.3)
    args = (NORMAL, *bounds)
    for q in (0.1, 0.6):
        at = float(reference.ppf(q))
        found = FAMILIES["truncate"].log_prob(at, *args)
        assert found == pytest.approx(reference.logpdf(at), rel=1e-9)
    assert stats.kstest(draws("truncate", args), reference.cdf).pvalue > 1e-5
    assert FAMILIES["truncate"].log_prob(2.0, *args) == -math.inf


@pytest.mark.parametrize("name", ["gamma", "beta"])
def test_truncation_without_a_quantile_inverts_the_distribution_function(name):
    args, reference = LINE[name]
    lo, hi = (float(reference.ppf(q)) for q in (0.3, 0.8))
    x = draws("truncate", (dist(name, *args), lo, hi), 2_000)
    assert stats.kstest(x, lambda v: (reference.cdf(v) - 0.3) / 0.5).pvalue > 1e-5


@pytest.mark.parametrize("bounds", [(1, 4), (0.5, math.inf), (-math.inf, 2.5)])
def test_truncated_counts(bounds):
    reference = stats.poisson(2.7)
    inside = [k for k in range(60) if bounds[0] <= k <= bounds[1]]
    mass = sum(float(reference.pmf(k)) for k in inside)
    args = (POISSON, *bounds)
    for k in range(8):
        expected = float(reference.pmf(k)) / mass if k in inside else 0.0
        found = math.exp(FAMILIES["truncate"].log_prob(k, *args))
        assert found == pytest.approx(expected, abs=1e-12)
    x = draws("truncate", args)
    assert chi_square(x, lambda k: float(reference.pmf(k)) / mass if k in inside else 0) > 1e-5


def test_mixtures_products_and_transforms():
    other = dist("normal", 4.0, 0.5)
    mixture = ((0.25, 0.75), (NORMAL, other))
    first, second = stats.norm(0.4, 1.3), stats.norm(4.0, 0.5)
    expected = math.log(0.25 * first.pdf(3.1) + 0.75 * second.pdf(3.1))
    assert FAMILIES["mixture"].log_prob(3.1, *mixture) == pytest.approx(expected)
    x = draws("mixture", mixture)
    assert stats.kstest(x, lambda v: 0.25 * first.cdf(v) + 0.75 * second.cdf(v)).pvalue > 1e-5
    mass = 0.25 * first.cdf(3) + 0.75 * second.cdf(3)
    cut = (dist("mixture", *mixture), -math.inf, 3.0)
    assert FAMILIES["truncate"].log_prob(2.1, *cut) == pytest.approx(
        math.log(0.25 * first.pdf(2.1) + 0.75 * second.pdf(2.1)) - math.log(mass)
    )
    x = draws("truncate", cut)
    below = lambda v: (0.25 * first.cdf(v) + 0.75 * second.cdf(v)) / mass  # noqa: E731
    assert stats.kstest(x, below).pvalue > 1e-5
    x = np.array(draws("iid", (3, NORMAL), 1_500))
    assert x.shape == (1_500, 3)
    assert all(stats.kstest(column, first.cdf).pvalue > 1e-5 for column in x.T)
    assert stats.pearsonr(x[:, 0], x[:, 2]).pvalue > 1e-5
    assert FAMILIES["iid"].log_prob((0.1, 0.2, 0.9), 3, NORMAL) == pytest.approx(
        sum(first.logpdf([0.1, 0.2, 0.9]))
    )
    log_normal = (NORMAL, math.exp, math.log)
    reference = stats.lognorm(1.3, scale=math.exp(0.4))
    found = FAMILIES["transform"].log_prob(2.2, *log_normal)
    assert found == pytest.approx(reference.logpdf(2.2), rel=1e-9)
    assert stats.kstest(draws("transform", log_normal), reference.cdf).pvalue > 1e-5


def test_every_row_has_a_family_and_is_tested():
    rows = {name for name, row in PRIMITIVES.items() if isinstance(row, Distribution)}
    assert rows == set(FAMILIES)
    elsewhere = set(
        "multi_normal multi_normal_prec multi_normal_cholesky multi_student_t dirichlet "
        "wishart inv_wishart zero_sum_normal "
        "multinomial dirichlet_multinomial lkj_corr lkj_corr_cholesky flat flat_ordered flat_simplex dirac "
        "mixture truncate iid transform".split()
    )
    assert rows == set(LINE) | set(COUNTS) | elsewhere


def test_the_values_of_several_elements_are_not_made_before_they_are_asked_for():
    """Laws of different sizes, in the order of their product; a path looks at one of them."""
    asked = []

    class Watched(list):
        def __getitem__(self, i):
            asked.append(i)
            return super().__getitem__(i)

    each = [[("a", 0.25), ("b", 0.75)], [(0, 0.5), (1, 0.375), (2, 0.125)], [(True, 1.0)]]
    options = combinations([Watched(o) for o in each])
    assert options[4] == (("b", 1, True), 0.75 * 0.375)
    assert asked == [0, 1, 1]
    wanted = [
        (tuple(v for v, _ in row), math.prod(p for _, p in row)) for row in itertools.product(*each)
    ]
    assert list(options) == wanted and len(options) == 6
    with pytest.raises(DiagnosticError, match="1000000000000000000000 values"):
        combinations([[(k, 0.1) for k in range(10)]] * 21)

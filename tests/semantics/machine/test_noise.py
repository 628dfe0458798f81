"""The machine's noise maps are those of the table: the same as on arrays, where noise is determined
by the draw, and quantile and Gumbel couplings where it is drawn."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl.semantics import distributions as D
from ppl.semantics import noise as arrays
from ppl.semantics import types as T
from ppl.semantics.machine.distributions.table import FAMILIES, family_of
from ppl.semantics.machine.noise import NoMap, moved
from ppl.semantics.machine.omega import Generator
from ppl.semantics.signatures import PRIMITIVES, Distribution

#: by continuous family: arguments as it was, a draw, arguments in the other world
LINE = {
    "normal": ((0.3, 1.2), -0.8, (-2.0, 0.4)),
    "half_normal": ((1.3,), 0.7, (0.4,)),
    "lognormal": ((0.2, 0.7), 2.5, (-1.0, 1.1)),
    "student_t": ((3.0, 0.5, 1.5), 2.1, (7.0, -1.0, 0.3)),
    "half_student_t": ((3.0, 1.5), 2.1, (5.0, 0.3)),
    "cauchy": ((0.5, 1.5), -4.0, (2.0, 0.2)),
    "half_cauchy": ((1.5,), 4.0, (0.2,)),
    "double_exponential": ((0.5, 1.5), -1.0, (2.0, 0.2)),
    "asymmetric_laplace": ((0.5, 1.5, 0.7), -1.0, (2.0, 0.2, 1.4)),
    "logistic": ((0.5, 1.5), 3.0, (2.0, 0.2)),
    "gumbel": ((0.5, 1.5), 3.0, (2.0, 0.2)),
    "exponential": ((1.3,), 2.0, (0.2,)),
    "soft_laplace": ((0.5, 1.5), 3.0, (2.0, 0.2)),
    "loglogistic": ((1.4, 2.0), 1.1, (0.8, 0.5)),
    "weibull": ((1.4, 2.0), 1.1, (0.8, 0.5)),
    "frechet": ((1.4, 2.0), 1.1, (2.8, 0.5)),
    "rayleigh": ((1.4,), 1.1, (0.8,)),
    "pareto": ((0.5, 2.0), 0.9, (1.5, 3.0)),
    "gompertz": ((0.5, 1.2), 0.9, (1.5, 0.3)),
    "levy": ((0.5, 1.2), 3.0, (-1.0, 0.3)),
    "log_uniform": ((0.5, 3.0), 1.1, (2.0, 8.0)),
    "kumaraswamy": ((0.5, 1.2), 0.3, (2.0, 3.0)),
    "uniform": ((-1.0, 3.0), 0.2, (2.0, 2.5)),
}
SIGMA = ((2.0, 0.7, 0.1), (0.7, 1.0, -0.2), (0.1, -0.2, 0.5))
OTHER = ((0.6, 0.1, 0.2), (0.1, 1.5, 0.3), (0.2, 0.3, 0.9))
LOWER = ((1.2, 0.0, 0.0), (0.3, 0.8, 0.0), (-0.4, 0.2, 0.5))
MU, NEW_MU, X = (0.2, -1.0, 0.6), (1.0, 0.5, -0.3), (0.9, -0.4, 0.1)
VECTORS = {
    "multi_normal": ((MU, SIGMA), X, (NEW_MU, OTHER)),
    "multi_normal_prec": ((MU, SIGMA), X, (NEW_MU, OTHER)),
    "multi_normal_cholesky": ((MU, LOWER), X, (NEW_MU, tuple(zip(*OTHER, strict=True)))),
}
DISCRETE = {"geometric", "discrete_uniform"}
GUMBEL = {"bernoulli", "bernoulli_logit", "categorical", "categorical_logit"}


def never() -> float:
    raise AssertionError("noise that is determined is not drawn")


def test_every_family_with_a_map_is_here():
    mapped = {r.name for r in PRIMITIVES.values() if isinstance(r, Distribution) and r.noise}
    assert mapped - {"dirac"} == LINE.keys() | VECTORS.keys() | DISCRETE | GUMBEL


@pytest.mark.parametrize("name", [*LINE, *VECTORS])
def test_continuous_maps_are_those_of_arrays(name: str):
    before, x, after = (LINE | VECTORS)[name]
    if name == "multi_normal_cholesky":
        after = (after[0], tuple(map(tuple, np.tril(np.array(after[1])).tolist())))
    family = FAMILIES[name]
    got = moved(family, before, x, after, never)
    with jax.enable_x64(True):
        first, second = (D.make(name, tuple(map(jnp.asarray, a))) for a in (before, after))
        noise = arrays.noise_of(first, jnp.asarray(x), jax.random.key(0))
        expected = arrays.push(second, noise)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    np.testing.assert_allclose(moved(family, after, got, before, never), x, rtol=1e-9)
    assert moved(family, before, x, before, never) is x


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("geometric", (0.3,), (0.55,)),
        ("discrete_uniform", (0, 4), (-1, 6)),
        ("bernoulli", (0.2,), (0.7,)),
        ("bernoulli_logit", (-1.0,), (0.4,)),
        ("categorical", ((0.2, 0.5, 0.3),), ((0.6, 0.1, 0.3),)),
        ("categorical_logit", ((0.2, 0.5, -0.3),), ((-0.6, 0.1, 0.3),)),
    ],
)
def test_discrete_draws_move_to_the_other_law(name: str, before: tuple, after: tuple):
    """Draws from one law, moved, have the other: each probability within 5.5 standard errors (a
    false alarm in about a million runs; the generator's seed is fixed)."""
    family, g, n = FAMILIES[name], Generator(11), 4_000
    counts: dict[int, int] = {}
    for _ in range(n):
        x = family.sample(g.uniform(), int(g.uniform() * 2**62), *before)
        y = moved(family, before, x, after, g.uniform)
        counts[int(y)] = counts.get(int(y), 0) + 1
    law = {k: np.exp(family.log_prob(bool(k) if "bern" in name else k, *after)) for k in counts}
    for k, p in law.items():
        assert abs(counts[k] / n - p) < 5.5 * np.sqrt(max(p * (1 - p), 1 / n) / n), k
    assert sum(law.values()) > 1 - 20 / n


def test_what_happened_happens_where_its_odds_rise_the_most():
    family, g = FAMILIES["categorical"], Generator(5)
    for _ in range(200):
        assert moved(family, ((0.2, 0.5, 0.3),), 0, ((0.5, 0.3, 0.2),), g.uniform) == 0


def test_elements_move_one_by_one():
    product = family_of("normal", T.Dist(T.Array(T.REAL)))
    got = moved(product, ((0.0, 1.0, 2.0), 1.0), (0.5, 1.5, 1.0), ((1.0, 1.0, 0.0), 2.0), never)
    np.testing.assert_allclose(got, (2.0, 2.0, -2.0), rtol=1e-12)
    seen = moved(product, (0.0, 1.0), (0.5, -1.0, 2.0), (1.0, 3.0), never)
    np.testing.assert_allclose(seen, (2.5, -2.0, 7.0), rtol=1e-12)


@pytest.mark.parametrize("name", ["gamma", "beta", "poisson", "dirichlet", "von_mises"])
def test_families_without_a_map(name: str):
    args = ((1.0, 2.0, 3.0),) if name == "dirichlet" else (2.0, 3.0)[: 1 + (name != "poisson")]
    other = ((2.0, 2.0, 3.0),) if name == "dirichlet" else (2.5, 3.0)[: 1 + (name != "poisson")]
    x = (0.2, 0.3, 0.5) if name == "dirichlet" else 0.5
    assert moved(FAMILIES[name], args, x, args, never) is x
    with pytest.raises(NoMap):
        moved(FAMILIES[name], args, x, other, never)

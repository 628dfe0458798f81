"""Resampling schemes: exact laws, by enumerating the intervals of their uniform numbers."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl.inference.choices import UNIFORM
from ppl.inference.optimal import Optimal, level
from ppl.inference.population import Population
from ppl.inference.resample import SCHEMES, Resample, _running

W = np.array([0.07, 0.0, 0.38, 0.55, 0.0])


def law(scheme, w):
    """Every vector of ancestors, and its probability."""
    edges = scheme.edges(w)
    pieces = [UNIFORM.support(lambda: edges, k) for k in range(scheme.count(len(w)))]
    out = {}
    for choice in itertools.product(*pieces):
        u = np.array([v for v, _ in choice])
        key = tuple(scheme.ancestors(w, u).tolist())
        out[key] = out.get(key, 0.0) + math.prod(p for _, p in choice)
    return out


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("w", [W, np.array([0.6, 0.3, 0.1]), np.array([0.25, 0.5, 0.25, 0.0])])
def test_each_particle_is_chosen_in_proportion_to_its_weight(name, w):
    found = law(SCHEMES[name], w)
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)
    n = len(w)
    mean = sum(p * np.bincount(key, minlength=n) for key, p in found.items())
    assert mean == pytest.approx(n * w, abs=1e-12)
    # single slots are unbiased as a mixture, and no scheme chooses a particle of weight zero
    assert all(w[list(key)].min() > 0 for key in found)


@pytest.mark.parametrize("name", ["systematic", "residual", "ssp"])
def test_counts_of_low_variance_schemes_are_near_their_means(name):
    for key in law(SCHEMES[name], W):
        counts = np.bincount(key, minlength=5)
        below = np.floor(5 * W)
        assert np.all(counts >= below)
        assert name == "residual" or np.all(counts <= below + 1)


MANY = np.array([0.03, 0.4, 0.0, 0.11, 0.06, 0.25, 0.15])


@pytest.mark.parametrize("n", [1, 3, 4, 6])
def test_optimal_resampling_keeps_what_is_heavy_and_every_weight_in_the_mean(n):
    with np.errstate(divide="ignore"):
        population = Population(np.log(MANY) - 1.3)
    mean, total = np.zeros(7), 0.0
    edges = (level(MANY, n).upto % 1)[None]
    for u, p in UNIFORM.support(lambda: edges, 0):
        ancestors, after = Optimal(n)(population, lambda *_, u=u: np.array([u]))
        assert len(ancestors) == after.size == n and len(set(ancestors.tolist())) == n
        np.add.at(mean, ancestors, p * np.exp(after.log_weights + 1.3))
        total += p
        weights = dict(zip(ancestors.tolist(), np.exp(after.log_weights + 1.3), strict=True))
        if n == 4:  # by hand: 0.4 and 0.25 are above c = 0.35 / 2
            assert weights[1] == pytest.approx(0.4) and weights[5] == pytest.approx(0.25)
            assert sorted(weights.values())[:2] == pytest.approx([0.175, 0.175])
        traced = jax.jit(lambda x, u=u: Optimal(n)(Population(x), lambda *_: jnp.array([u]))[0])
        if n == 3:  # the same in arrays of JAX
            assert traced(jnp.asarray(population.log_weights)).tolist() == ancestors.tolist()
    assert total == pytest.approx(1) and mean == pytest.approx(MANY, abs=1e-12)
    same, unchanged = Optimal(7)(population, None)  # type: ignore[arg-type]
    assert same.tolist() == list(range(7)) and unchanged is population


def test_srinivasan_sampling_rounds_every_count_up_or_down_and_is_negatively_associated():
    w = np.array([0.11, 0.27, 0.32, 0.05, 0.25])
    found = law(SCHEMES["ssp"], w)
    counts = np.array([np.bincount(key, minlength=5) for key in found])
    p = np.array(list(found.values()))
    assert np.all(np.abs(counts - 5 * w) < 1)
    up = counts > np.floor(5 * w + 1e-12)
    joint = (p[:, None, None] * up[:, :, None] * up[:, None, :]).sum(axis=0)
    excess = joint - np.outer(np.diag(joint), np.diag(joint))
    assert np.all(excess[~np.eye(5, dtype=bool)] < 1e-12) and excess.min() < -0.05


def test_one_particle_and_equal_weights_stay():
    for name, scheme in SCHEMES.items():
        u = np.full(8, 0.3)
        assert scheme.ancestors(np.ones(1), u[: scheme.count(1)]).tolist() == [0]
        if name not in ("multinomial", "residual"):
            same = scheme.ancestors(np.full(8, 0.125), u[: scheme.count(8)])
            assert same.tolist() == list(range(8))


def test_a_predicate_of_the_population_says_when():
    heavy = Resample("multinomial", when=lambda p: p.weights.max() > 0.6)
    for log_weights, expected in (([-1.0, -1.2, -4.0], False), ([-0.1, -1.6, -4.0], True)):
        population = Population(np.array(log_weights))
        assert bool(heavy.due(population)) is expected
    assert not heavy.due(Population(np.full(3, -math.inf)))


def test_multinomial_slots_are_independent():
    found = law(SCHEMES["multinomial"], W)
    assert len(found) == 3**5
    for key, p in found.items():
        assert p == pytest.approx(np.prod(W[list(key)]), abs=1e-14)


@pytest.mark.parametrize("name", SCHEMES)
def test_between_edges_the_ancestors_do_not_change(name):
    """What makes a midpoint stand for its interval."""
    scheme, rng = SCHEMES[name], np.random.default_rng(3)
    edges = scheme.edges(W)
    for _ in range(200):
        u, v = rng.random((2, scheme.count(5)))
        for k, row in enumerate(edges):
            inner = np.sort(row)
            if np.searchsorted(inner, u[k]) != np.searchsorted(inner, v[k]):
                v[k] = u[k]
        assert np.array_equal(scheme.ancestors(W, u), scheme.ancestors(W, v))


def fixed(u):
    return lambda n, edges, where: u[:n]


def test_the_policy_keeps_the_mass_and_waits_until_it_is_due():
    log_weights = np.array([-1.3, -0.2, -math.inf, -4.0])
    u = np.array([0.9, 0.1, 0.6, 0.3])
    p = Population(log_weights)
    w = np.exp(log_weights)
    assert p.log_mass == pytest.approx(math.log(w.sum()), abs=1e-14)
    assert p.effective_size == pytest.approx(w.sum() ** 2 / (w**2).sum(), abs=1e-13)
    due, after = Resample("multinomial", 0.9)(p, fixed(u))
    assert after.log_weights == pytest.approx(np.full(4, p.log_mass - math.log(4)), abs=1e-14)
    assert due.tolist() == np.searchsorted(np.cumsum(w) / w.sum(), u, side="right").tolist()
    same, kept = Resample("multinomial", 0.25)(p, fixed(u))
    assert same.tolist() == [0, 1, 2, 3] and np.array_equal(kept.log_weights, log_weights)
    none = Population(np.full(3, -math.inf))
    same, kept = Resample("residual", 1.0)(none, fixed(u))
    assert same.tolist() == [0, 1, 2] and np.array_equal(kept.log_weights, none.log_weights)


@pytest.mark.parametrize("u", [0.0, 0.37, np.nextafter(1, 0)])
@pytest.mark.parametrize("name", ["stratified", "systematic"])
def test_points_in_order_are_found_as_by_search(name, u):
    """Also where a number is next to the ends of its interval, and rounding counts."""
    rng, n = np.random.default_rng(4), 100_000
    w = rng.gamma(0.6, size=n) * (rng.random(n) < 0.8)
    w[-3:] = 0
    w /= w.sum()
    u = np.full(SCHEMES[name].count(n), u)
    c = np.cumsum(w) / np.sum(w)
    points = (np.arange(n) + u) / n
    expected = np.minimum(np.searchsorted(c, points, side="right"), np.flatnonzero(w)[-1])
    found = SCHEMES[name].ancestors(w, u)
    assert np.mean(found != expected) < 1e-4
    assert w[found].min() > 0 and np.abs(np.bincount(found, minlength=n) - n * w).max() < 2


@pytest.mark.parametrize("n", [257, 5_003])
def test_running_sums_in_blocks_are_those_of_one_number_after_the_other(n):
    """Whole numbers exactly; 5,003 has blocks of blocks, and neither is full."""
    w = np.random.default_rng(6).integers(0, 9, n).astype(float)
    with jax.enable_x64(True):
        found, thirds = jax.jit(lambda x: (_running(x), _running(x / 3)))(w)
    assert np.array_equal(found, np.cumsum(w))
    np.testing.assert_allclose(thirds, np.cumsum(w / 3), rtol=1e-15 * n)


@pytest.mark.parametrize("u", [0.0, 0.37])
def test_many_slots_in_order_are_found_under_jax_as_by_search(u):
    """Of weights whose sums are exact: no number is next to the ends of its interval by rounding."""
    n = 1_024
    w = np.random.default_rng(7).multinomial(n, np.r_[np.full(n // 2, 2 / n), np.zeros(n // 2)]) / n
    with jax.enable_x64(True):
        ancestors = jax.jit(SCHEMES["systematic"].ancestors)
        found = ancestors(jnp.asarray(w), jnp.array([u]))
    points = (np.arange(n) + u) / n
    assert np.array_equal(found, np.searchsorted(np.cumsum(w), points, side="right"))


@pytest.mark.parametrize("name", SCHEMES)
def test_the_policy_is_the_same_function_under_jax(name):
    import jax
    import jax.numpy as jnp

    with np.errstate(divide="ignore"):
        log_weights = np.log(np.array([0.0, 0.02, 0.3, 0.0, 0.55, 0.08], np.float32))
    u = np.array([0.83, 0.12, 0.6, 0.31, 0.97, 0.05], np.float32)

    def policy(log_weights, u):
        ancestors, after = Resample(name, 0.9)(Population(log_weights), fixed(u))
        return ancestors, after.log_weights

    ours = policy(log_weights, u)
    theirs = jax.jit(policy)(jnp.asarray(log_weights), jnp.asarray(u))
    assert np.array_equal(ours[0], theirs[0])
    assert np.allclose(ours[1], theirs[1], rtol=1e-6)

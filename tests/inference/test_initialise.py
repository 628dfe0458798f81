"""A starting point is found where there is one; where there is none, the site at fault is named."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl.inference.initialise import explain_failure, find_point
from ppl.inference.map import Map, run_map
from ppl.inference.nuts import Nuts, run_nuts
from ppl.semantics.density import Density, SiteInfo
from ppl.semantics.diagnostics import DiagnosticError, Source, Span
from ppl.semantics.distributions import make
from ppl.semantics.precision import precision

SOURCE = Source("model.ppl", "a ~ normal(0, 1)\nb ~ normal(0, 1)\nc ~ normal(0, 1)\n")
SITES = tuple(
    SiteInfo(name, shape, shape, Span(SOURCE, 17 * i, 17 * i + 1))
    for i, (name, shape) in enumerate({"a": (), "b": (2,), "c": ()}.items())
)


def density(key: str, log_density: Any, **options: Any) -> Density:
    return Density(key, SITES, lambda data, p: log_density(p), lambda data, p, key: {}, **options)


def standard(p: Any) -> Any:
    return -0.5 * sum(jnp.sum(x**2) for x in p.values())


def find(target: Density, chains: int = 3) -> Any:
    with precision("double"):
        keys = jnp.stack([np.array([0, c], np.uint32) for c in range(chains)])
        return jax.jit(jax.vmap(lambda key: find_point(target, (), key)))(keys)


def failure(target: Density) -> Any:
    with precision("double"):
        return explain_failure(target, (), np.array([0, 1], np.uint32)).diagnostics[0]


def test_the_first_candidate_is_uniform_within_two():
    point, ok = find(density("standard", standard), chains=500)
    assert np.all(ok)
    z = np.asarray(point.z)
    assert np.abs(z).max() < 2
    # 2000 uniforms: the mean of squares 4/3 has standard error 0.027; six of them (2e-9)
    assert abs(np.mean(z**2) - 4 / 3) < 6 * 0.027
    np.testing.assert_allclose(point.log_density, -0.5 * np.sum(z**2, -1), rtol=1e-12)
    np.testing.assert_allclose(point.gradient, -z, rtol=1e-12)


def test_the_radius_shrinks_until_the_density_is_finite():
    small = density(
        "small", lambda p: standard(p) + jnp.where(jnp.abs(p["b"]).max() < 0.01, 0.0, -jnp.inf)
    )
    point, ok = find(small)
    assert np.all(ok)
    assert np.abs(np.asarray(point.z)[:, 1:3]).max() < 0.01


def test_a_point_with_a_finite_density_but_no_gradient_is_passed_over():
    edge = density("edge", lambda p: standard(p) + jnp.sqrt(jnp.maximum(p["a"], 0.0)))
    point, ok = find(edge, chains=20)
    assert np.all(ok)
    assert np.all(np.asarray(point.z)[:, 0] > 0), "the gradient is not a number below 0"


def _around_40(data, omega, n):
    omega, a = omega.draw(("start",), make("normal", (40.0, 1.0)), (n,))
    return omega, {"a": a, "b": jnp.zeros((n, 2)), "c": jnp.zeros(n)}, jnp.zeros(n)


def test_the_prior_is_tried_last():
    far = density(
        "far",
        lambda p: jnp.where(p["a"] > 30, standard({**p, "a": p["a"] - 40}), -jnp.inf),
        starts=_around_40,
    )
    settings = Nuts(warmup=20, draws=10, chains=2)
    for init in ("uniform", "prior"):
        run = run_nuts(far, (), dataclasses.replace(settings, init=init), seed=0)
        assert np.all(run.position["a"] > 30)
    with pytest.raises(DiagnosticError, match="E810.*`a` is at fault"):
        run_nuts(dataclasses.replace(far, key="no start", starts=None), (), settings, seed=0)


def test_chains_start_where_they_are_told_to():
    """Steps are so short that the first draw is next to the start."""
    both = density("both", standard, starts=_around_40)
    settings = Nuts(warmup=0, draws=1, chains=3, step_size=1e-5, max_tree_depth=2)
    near = run_nuts(both, (), settings, seed=0)
    far = run_nuts(both, (), dataclasses.replace(settings, init="prior"), seed=0)
    assert np.all(np.abs(near.position["a"]) < 2.1)
    assert np.all(np.abs(far.position["a"] - 40) < 6)


def test_an_impossible_observation_is_named():
    impossible = density(
        "impossible",
        lambda p: standard(p) - jnp.inf,
        explain=lambda data, p: {
            "a": -(p["a"] ** 2),
            "b": -(p["b"] ** 2).sum(),
            "c": -(p["c"] ** 2),
            "y": jnp.array(-jnp.inf),
        },
    )
    problem = failure(impossible)
    assert problem.code == "E810"
    assert "`y` is at fault" in problem.message
    assert "the log density of `y` is -inf" in problem.notes[0].message
    assert "`a`" not in problem.render()


def test_a_site_whose_gradient_is_not_a_number_is_named_with_its_place():
    # finite, and a gradient of 0 * inf for every b
    broken = density("broken", lambda p: standard(p) + jnp.sqrt(0.0 * jnp.sum(p["b"])))
    problem = failure(broken)
    assert "`b` is at fault" in problem.message
    assert "gradient with respect to `b`" in problem.notes[0].message
    assert problem.span == SITES[1].span
    assert "model.ppl:2:1" in problem.render()


def test_a_site_that_must_start_elsewhere_is_named():
    away = density("away", lambda p: jnp.where(p["c"] > 20, standard(p), -jnp.inf))
    problem = failure(away)
    assert "`c` is at fault" in problem.message
    assert problem.span == SITES[2].span


def test_where_no_site_explains_it_all_are_listed():
    nowhere = density("nowhere", lambda p: jnp.nan * standard(p))
    problem = failure(nowhere)
    assert "the whole program is at fault" in problem.message
    assert "not a number at all" in problem.render()
    assert "`a`, `b`, `c`" in problem.render()


def test_the_optimiser_raises_it_too():
    away = density("away", lambda p: jnp.where(p["c"] > 20, standard(p), -jnp.inf))
    with pytest.raises(DiagnosticError, match="E810.*`c` is at fault"):
        run_map(away, (), Map(jacobian=True), seed=0)

"""Differential equations: solutions, gradients through them, failures."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl.semantics.functions import solve_ode

pytestmark = pytest.mark.usefixtures("quick_compilation")

TS = np.array([0.5, 1.0, 2.0])


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_solution_and_gradient_of_exponential_decay():
    """y' = -k y, z' = y: y = c e^{-kt}, z = c (1 - e^{-kt}) / k."""

    def last(k, c):
        y0 = {"y": c, "z": 0}
        states = solve_ode(
            lambda t, s: {"y": -k * s["y"], "z": s["y"]}, y0, 0.0, TS, 1e-9, 1e-9, stiff=False
        )
        return states["z"][-1], states

    k, c = 0.7, 2.3
    (_, states), grads = jax.jit(jax.value_and_grad(last, (0, 1), has_aux=True))(k, c)
    np.testing.assert_allclose(states["y"], c * np.exp(-k * TS), rtol=1e-7)
    np.testing.assert_allclose(states["z"], c * (1 - np.exp(-k * TS)) / k, rtol=1e-7)
    e = np.exp(-2 * k)
    np.testing.assert_allclose(grads[0], c * (2 * k * e - (1 - e)) / k**2, rtol=1e-6)
    np.testing.assert_allclose(grads[1], (1 - e) / k, rtol=1e-6)


def test_stiff_solver_on_a_stiff_problem():
    """y' = -k (y - cos t) follows (k² cos t + k sin t) / (k² + 1) after a transient."""
    k = 2_000.0
    got = jax.jit(
        lambda k: solve_ode(
            lambda t, y: -k * (y - jnp.cos(t)), 0.0, 0.0, TS, 1e-8, 1e-8, stiff=True
        )
    )(k)
    np.testing.assert_allclose(got, (k**2 * np.cos(TS) + k * np.sin(TS)) / (k**2 + 1), rtol=1e-6)


def test_failures_are_nan():
    run = jax.jit(lambda y, ts: solve_ode(lambda t, y: y * y, y, 0.0, ts, 1e-6, 1e-6, stiff=False))
    ok = np.array([0.2, 0.4, 0.6])
    np.testing.assert_allclose(run(1.0, ok), 1 / (1 - ok), rtol=1e-4)
    assert np.all(np.isnan(run(1.0, np.array([0.5, 1.5, 2.0]))))  # explodes at t = 1
    assert np.all(np.isnan(run(1.0, np.array([0.5, 0.2, 0.6]))))  # times out of order
    assert solve_ode(
        lambda t, y: y, jnp.ones(2), 0.0, np.zeros(0), 1e-6, 1e-6, stiff=False
    ).shape == (0, 2)


@pytest.mark.parametrize("spare", [0, 100])
def test_derivatives_go_both_ways_and_twice(spare):
    """y' = -k y + u: y(t) = c e^{-kt} + u (1 - e^{-kt}) / k. With many numbers that the field closes
    over, derivatives go back through the solver."""
    more = jnp.linspace(0.1, 0.9, spare + 1)

    def last(at, t0, u):
        k, c = at
        scale = jnp.concatenate([jnp.array(u)[None], more])

        def field(t, y):
            return -k * y + scale[0] * jnp.sum(more) / jnp.sum(scale[1:])

        return solve_ode(field, c, t0, TS, 1e-10, 1e-10, stiff=False)[-1]

    def closed(at, t0, u):
        k, c = at
        e = jnp.exp(-k * (TS[-1] - t0))
        return c * e + u * (1 - e) / k

    at, t0, u = jnp.array([0.7, 2.3]), 0.2, 0.4
    got = jax.jit(jax.grad(last, (0, 1, 2)))(at, t0, u)
    for mine, exact in zip(got, jax.grad(closed, (0, 1, 2))(at, t0, u), strict=True):
        np.testing.assert_allclose(mine, exact, rtol=1e-6)
    if not spare:  # forwards over backwards, as a Hessian is computed

        def second(f):
            slope = jax.grad(lambda k: f(jnp.array([k, 2.3]), t0, u))
            return jax.jvp(slope, (0.7,), (1.0,))

        np.testing.assert_allclose(jax.jit(lambda: second(last))(), second(closed), rtol=1e-5)

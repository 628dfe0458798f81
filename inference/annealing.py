"""A population that follows measures γ_t from t = 0, which can be drawn from, to t = 1.

At each step the temperature t rises, weights grow by γ_t'(x) / γ_t(x), and the population is made
anew (`rejuvenate`: resampled and moved, only moved, or as waste-free SMC does it).

Law: `ProperlyWeighted`, for γ_1, if temperatures, numbers of moves and tunings are fixed before
the run: by a ladder, or by the plan of an earlier run with other randomness. If they are chosen on
the way, by the particles themselves, E[Σ w f(x)] differs from the integral by a term of order 1/n,
which grows with the number of things that are chosen: with covariances of d coordinates, d/n.

Neal, "Annealed importance sampling" (2001); Del Moral, Doucet and Jasra, "Sequential Monte Carlo
samplers" (2006); Beskos, Jasra, Kantas and Thiery, "On the convergence of adaptive sequential Monte
Carlo methods" (2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ppl.inference.population import Population
from ppl.inference.temperatures import DEAR_HALVINGS, HALVINGS, next_temperature

Array = Any
Omega = Any


@dataclass(frozen=True)
class Bridge:
    """The measures γ_t. start(omega, n): (omega, positions (n, …), log weights (n,)), properly
    weighted for γ_0. log_density(x, t): (n,). affine: whether log γ_t(x) is affine in t."""

    start: Callable[[Omega, int], tuple[Omega, Array, Array]]
    log_density: Callable[[Array, Array], Array]
    affine: bool


class Control(NamedTuple):
    """What was chosen at a step, which another run can repeat: the temperature, the number of
    moves, the mover's scale and tuning."""

    temperature: Array
    moves: Array
    scale: Array
    tuning: Any


class Report(NamedTuple):
    """What happened at a step: the effective sample size before rejuvenation, whether the
    population was resampled, the mean chance of acceptance, the share of particles that moved."""

    effective_size: Array
    resampled: Array
    acceptance: Array
    moved: Array


#: (omega, x, population, target, control, whether to keep to it) -> (omega, x, population, control,
#: (resampled, acceptance, moved)). Its law is `Invariant(target)`: E[Σ w f] of what it makes is
#: E[Σ w Kf] of what it is given, K a kernel that leaves the target invariant
Rejuvenate = Callable[..., tuple[Omega, Array, Population, Control, tuple[Array, Array, Array]]]


@dataclass(frozen=True)
class Annealing:
    """How a run is made. ladder: (steps,) temperatures, the last of them 1, or None to choose each
    so that `share` of the effective sample size is left. steps: at most so many."""

    bridge: Bridge
    rejuvenate: Rejuvenate
    tune: Callable[[Array, Array], Any]
    particles: int
    steps: int
    ladder: Array | None = None
    share: float = 0.5


class Annealed(NamedTuple):
    """positions (n, …), log weights (n,) whose mass is the evidence, and of `taken` steps the
    controls and reports, which have room for `steps`."""

    x: Array
    log_weights: Array
    taken: Array
    controls: Control
    reports: Report


def blank_plan(run: Annealing, omega: Omega) -> Control:
    """A plan of the form that runs make, to be ignored."""

    def first(omega: Omega) -> Control:
        _, x, log_weights = run.bridge.start(omega, run.particles)
        return _first_control(run, x, Population(log_weights))

    def room(shape: Any) -> Array:
        return jnp.zeros((run.steps, *shape.shape), shape.dtype)

    return jax.tree.map(room, jax.eval_shape(first, omega))


def _first_control(run: Annealing, x: Array, population: Population) -> Control:
    zero = jnp.zeros((), jnp.result_type(float))
    return Control(zero, jnp.zeros((), int), zero + 1, run.tune(x, population.weights))


def anneal(
    run: Annealing, omega: Omega, plan: Control | None = None, keep: Array | bool = True
) -> tuple[Omega, Annealed]:
    """One population: (omega, what became of it).

    It keeps to `plan`, the controls of an earlier run, if there is one and `keep`, which may be
    traced, holds.
    """
    bridge, n = run.bridge, run.particles
    omega, x, log_weights = bridge.start(omega, n)
    zero = jnp.zeros((), jnp.result_type(float))
    population = Population(log_weights - jnp.log(n))
    first = _first_control(run, x, population)

    def room(value: Array) -> Array:
        value = jnp.asarray(value)
        return jnp.zeros((run.steps, *value.shape), value.dtype)

    reports = Report(room(zero), room(False), room(zero), room(zero))
    carry = (jnp.zeros((), int), zero, zero + 1, x, population.log_weights, omega)
    controls = jax.tree.map(room, first)

    def step(carry: Any) -> Any:
        (k, t, scale, x, log_weights, omega), controls, reports = carry
        inner, population = omega.enter(k), Population(log_weights)
        increments = _increments(bridge, x, t, population)

        def planned(f: Callable[[Control], Any], otherwise: Callable[[], Any]) -> Any:
            if plan is None:
                return otherwise()
            here = jax.tree.map(lambda a: a[k], plan)
            return jax.lax.cond(keep, lambda: f(here), otherwise)

        t = planned(
            lambda c: c.temperature, lambda: _temperature(run, k, t, population, increments)
        )
        population = population.scored(increments(t))
        size, weights = population.effective_size, population.weights  # not first inside a branch
        control = planned(
            lambda c: c,
            lambda: Control(t, jnp.zeros((), int), scale, run.tune(x, weights)),
        )
        held = jnp.asarray(keep) if plan is not None else jnp.zeros((), bool)
        inner, x, population, control, happened = run.rejuvenate(
            inner, x, population, lambda x: bridge.log_density(x, t), control, held
        )
        report = Report(size, *happened)
        controls = jax.tree.map(lambda b, v: b.at[k].set(v), controls, control)
        reports = jax.tree.map(lambda b, v: b.at[k].set(v), reports, report)
        now = (k + 1, t, control.scale, x, population.log_weights)
        return (*now, omega.leave(inner)), controls, reports

    def under_way(carry: Any) -> Array:
        k, t, *_ = carry[0]
        return (t < 1) & (k < run.steps)

    (taken, _, _, x, log_weights, omega), controls, reports = jax.lax.while_loop(
        under_way, step, (carry, controls, reports)
    )
    return omega, Annealed(x, log_weights, taken, controls, reports)


def _temperature(
    run: Annealing,
    k: Array,
    t: Array,
    population: Population,
    increments: Callable[[Array], Array],
) -> Array:
    if run.ladder is not None:
        return jnp.asarray(run.ladder, t.dtype)[k]
    halvings = HALVINGS if run.bridge.affine else DEAR_HALVINGS
    chosen = next_temperature(t, population, increments, share=run.share, halvings=halvings)
    return jnp.where(k == run.steps - 1, 1.0, chosen)  # there is no room for more


def _increments(
    bridge: Bridge, x: Array, t: Array, population: Population
) -> Callable[[Array], Array]:
    """What log weights grow by from t to another temperature; those of no weight stay so."""
    here = bridge.log_density(x, t)
    alive = population.log_weights > -jnp.inf

    def kept(difference: Array) -> Array:
        return jnp.where(alive, jnp.where(jnp.isnan(difference), -jnp.inf, difference), 0.0)

    if bridge.affine:
        likelihood = (bridge.log_density(x, jnp.ones_like(t)) - here) / (1 - t)
        return lambda s: kept((s - t) * likelihood)
    return lambda s: kept(bridge.log_density(x, s) - here)

"""Markov kernels that move a population, all particles at once, tuned by where the particles are.

A mover is a family of kernels, one for every target and every tuning; each leaves its target
invariant (contract: `Invariant(target)`), whatever the tuning. Tunings are numbers made from
weighted particles, and a scale that is driven towards an acceptance rate.

Positions are rows of (n, d). Proposals are made where the particles have covariance one: `Shape` is
the factor of that of the weighted particles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ppl.inference.moments import deviations, factor, moments
from ppl.semantics import distributions as D

Array = Any
Omega = Any
Target = Callable[[Array], Array]
"""Positions (n, …) to log densities (n,)."""

MoverName = Literal["random_walk", "mala", "hmc"]


class Walkers(NamedTuple):
    """Particles under way: positions (n, …), log densities (n,), gradients if the mover has any."""

    x: Array
    log_density: Array
    gradient: Array | None = None


@dataclass(frozen=True)
class Mover:
    """tune(x, weights): a tuning, of particles with normalised weights. begin(target, x): walkers.
    step(omega, target, walkers, tuning, scale): (omega, walkers, chances of acceptance (n,)).
    correlation(x, y, tuning): that of two positions of the same particles, a number.
    accept: the acceptance rate that the scale is driven to."""

    tune: Callable[[Array, Array], Any]
    begin: Callable[[Target, Array], Walkers]
    step: Callable[[Omega, Target, Walkers, Any, Array], tuple[Omega, Walkers, Array]]
    correlation: Callable[[Array, Array, Any], Array]
    accept: float


def accept(
    omega: Omega, walkers: Walkers, proposed: Walkers, log_ratio: Array
) -> tuple[Omega, Walkers, Array]:
    """Metropolis: the proposal with probability min(1, exp(log_ratio)), else what was."""
    chance = jnp.exp(jnp.minimum(jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio), 0.0))
    law = D.make("bernoulli", (chance,))
    omega, yes = omega.draw(("", "accept"), law, chance.shape)
    yes = jnp.asarray(yes, bool)

    def chosen(new: Array, old: Array) -> Array:
        return jnp.where(yes.reshape((-1,) + (1,) * (jnp.ndim(new) - 1)), new, old)

    return omega, jax.tree.map(chosen, proposed, walkers), chance


# --------------------------------------------------------------------- the shape of a population


class Shape(NamedTuple):
    """A factor of the covariance: lower triangular (d, d), or standard deviations (d,)."""

    factor: Array

    def spread(self, z: Array) -> Array:
        """Rows of covariance one to rows of this covariance."""
        return z * self.factor if self.factor.ndim == 1 else z @ self.factor.T

    def pulled(self, gradient: Array) -> Array:
        """Gradients in the coordinates in which the covariance is one."""
        return gradient * self.factor if self.factor.ndim == 1 else gradient @ self.factor

    def whitened(self, x: Array) -> Array:
        """Rows in the coordinates in which the covariance is one."""
        if self.factor.ndim == 1:
            return x / self.factor
        return jax.scipy.linalg.solve_triangular(self.factor, x.T, lower=True).T


#: particles that there should be for every coordinate, to estimate covariances and not only scales
PER_COORDINATE = 10
#: the share of themselves by which variances are raised
RIDGE = 1e-9


def shape_of(x: Array, weights: Array) -> Shape:
    """The shape of weighted particles: of all of the covariance if they are enough to tell it."""
    n, d = x.shape
    if n < PER_COORDINATE * d:
        return Shape(deviations(weights @ (x - weights @ x) ** 2, RIDGE))
    _, covariance = moments(x, weights)
    return Shape(factor(covariance, RIDGE))


def correlation(x: Array, y: Array, shape: Shape) -> Array:
    """Of positions with this covariance: 1 - E |x - y|² / 2d, in coordinates in which it is one."""
    apart = shape.whitened(x - y)
    return 1 - 0.5 * jnp.mean(apart**2)


# ------------------------------------------------------------------------------------ the kernels


def _normal(omega: Omega, shape: tuple[int, ...]) -> tuple[Omega, Array]:
    return omega.draw(("", "proposal"), D.make("normal", (0.0, 1.0)), shape)


def random_walk(dimensions: int) -> Mover:
    """Random-walk Metropolis with the particles' covariance, scaled by 2.38/√d.

    Roberts, Gelman and Gilks, "Weak convergence and optimal scaling of random walk Metropolis
    algorithms" (1997).
    """
    base = 2.38 / math.sqrt(dimensions)

    def step(
        omega: Omega, target: Target, walkers: Walkers, shape: Shape, scale: Array
    ) -> tuple[Omega, Walkers, Array]:
        omega, z = _normal(omega, walkers.x.shape)
        x = walkers.x + base * scale * shape.spread(z)
        proposed = Walkers(x, target(x))
        return accept(omega, walkers, proposed, proposed.log_density - walkers.log_density)

    return Mover(
        shape_of,
        lambda target, x: Walkers(x, target(x)),
        step,
        correlation,
        0.234 + 0.2 / dimensions,
    )


#: steps of a trajectory, at most
LEAPFROGS = 64


def hamiltonian(dimensions: int, *, length: float | None) -> Mover:
    """Hamiltonian Monte Carlo whose mass is the inverse of the particles' covariance.

    `length` is the time of a trajectory, in units in which the particles' scales are one; None
    takes one leapfrog step, which is MALA. Neal, "MCMC using Hamiltonian dynamics" (2011).
    """
    base = 1.65 * dimensions ** (-1 / 6) if length is None else dimensions ** (-1 / 4)

    def evaluated(target: Target, x: Array) -> Walkers:
        value, back = jax.vjp(target, x)
        (gradient,) = back(jnp.ones_like(value))  # each row depends on its own particle alone
        return Walkers(x, value, gradient)

    def step(
        omega: Omega, target: Target, walkers: Walkers, shape: Shape, scale: Array
    ) -> tuple[Omega, Walkers, Array]:
        omega, p0 = _normal(omega, walkers.x.shape)
        epsilon = base * scale

        def leapfrog(_: Any, at: tuple[Walkers, Array]) -> tuple[Walkers, Array]:
            w, p = at
            p = p + 0.5 * epsilon * shape.pulled(w.gradient)
            w = evaluated(target, w.x + epsilon * shape.spread(p))
            return w, p + 0.5 * epsilon * shape.pulled(w.gradient)

        if length is None:
            proposed, p = leapfrog(0, (walkers, p0))
        else:
            steps = jnp.clip(jnp.round(length / epsilon), 1, LEAPFROGS).astype(int)
            proposed, p = jax.lax.fori_loop(0, steps, leapfrog, (walkers, p0))
        kinetic = 0.5 * jnp.sum(p0**2 - p**2, axis=-1)
        return accept(
            omega, walkers, proposed, proposed.log_density - walkers.log_density + kinetic
        )

    return Mover(shape_of, evaluated, step, correlation, 0.574 if length is None else 0.8)


def mover_named(name: MoverName, dimensions: int) -> Mover:
    """The mover of a name, for positions of so many coordinates."""
    if name == "random_walk":
        return random_walk(dimensions)
    return hamiltonian(dimensions, length=None if name == "mala" else 0.5 * math.pi)

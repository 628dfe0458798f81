"""Which temperature comes next: the one at which weights have become unequal enough.

Del Moral, Doucet and Jasra, "An adaptive sequential Monte Carlo method for approximate Bayesian
computation" (2012); Jasra, Stephens, Doucet and Tsagaris, "Inference for Lévy-driven stochastic
volatility models via adaptive sequential Monte Carlo" (2011).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ppl.inference.population import Population

Array = Any

#: halvings of the interval where a trial costs little, and where it is a run of the program
HALVINGS, DEAR_HALVINGS = 60, 20


def next_temperature(
    t: Array,
    population: Population,
    increments: Callable[[Array], Array],
    *,
    share: float | Array,
    halvings: int = HALVINGS,
) -> Array:
    """The largest temperature in (t, 1] that keeps `share` of the effective sample size.

    `increments(s)` (n,) is what log weights grow by on the way from t to s. The share is of the
    size that is left as soon as the temperature rises, when what is impossible loses its weight.
    Where nothing is left it is 1, as there is nothing to wait for.
    """

    def size(log_weights: Array) -> Array:
        return Population(log_weights).effective_size

    possible = increments(jnp.ones_like(t)) > -jnp.inf
    wanted = share * size(jnp.where(possible, population.log_weights, -jnp.inf))

    def enough(s: Array) -> Array:
        return size(population.scored(increments(s)).log_weights) >= wanted

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        good = enough(middle)
        return jnp.where(good, middle, low), jnp.where(good, high, middle)

    low, high = jax.lax.fori_loop(0, halvings, halve, (t, jnp.ones_like(t)))
    inside = jnp.where(low > t, low, high)  # never no step at all
    return jnp.where(enough(jnp.ones_like(t)), 1.0, inside)

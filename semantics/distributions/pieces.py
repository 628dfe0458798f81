"""Uniform numbers of which only the interval between known edges matters.

What inference does with such a number is a step function of it, so its exact law is that of one
finite choice among the intervals, each represented by its midpoint: tapes enumerate it.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.distributions import constraints

from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.supports import Interval


class Pieces(Law):
    """`count` numbers, uniform in [0, 1). `edges()` is (count, k), in any order: where in (0, 1)
    the use of each changes. It is asked for only when the numbers are enumerated."""

    name = "uniform between edges"
    is_finite = True

    def __init__(self, count: int, edges: Callable[[], Array]):
        super().__init__((count,))
        self._edges = edges

    @property
    def support(self) -> constraints.Constraint:
        return Interval(0.0, 1.0)

    def _draw(self, key: Array, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(key, shape, jnp.result_type(float))

    def _log_density(self, x: Array) -> Array:
        return jnp.zeros_like(x)

    def listed(self) -> tuple[Array, Array]:
        """Midpoints and log-lengths of the intervals, (k + 1, count) each. Some may be empty."""
        inner = jnp.sort(jnp.clip(self._edges(), 0.0, 1.0), axis=1)
        cuts = jnp.pad(jnp.pad(inner, ((0, 0), (1, 0))), ((0, 0), (0, 1)), constant_values=1.0)
        lower, upper = cuts[:, :-1].T, cuts[:, 1:].T
        return 0.5 * (lower + upper), jnp.log(upper - lower)

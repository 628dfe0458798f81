"""Populations: weighted particles, of which inference between suspension points sees the weights.

Meaning of n particles x_i with log weights l_i: the measure E[Σ exp(l_i) δ(x_i)]. Weights are
masses, not relative: a population starts at 1/n each, a score multiplies them, resampling keeps
their sum. So the sum is at all times an unbiased estimate of the evidence, however far each
particle has got.

Arrays of any library of the array API standard (NumPy, JAX) serve, also while JAX traces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True, eq=False)
class Population:
    """log_weights (n,); -inf where a particle's weight is zero."""

    log_weights: Array

    @staticmethod
    def fresh(n: int) -> Population:
        """n particles of a measure that nothing has been scored in: mass 1/n each."""
        return Population(np.full(n, -math.log(n)))

    @property
    def size(self) -> int:
        return self.log_weights.shape[0]

    @cached_property
    def _top(self) -> Array:
        """The largest log weight; 0 if every weight is zero."""
        xp = self.log_weights.__array_namespace__()
        top = xp.max(self.log_weights)
        return xp.where(top > -xp.inf, top, xp.zeros_like(top))

    @cached_property
    def _relative(self) -> Array:
        """Weights (n,) relative to the largest: the one exponential that everything is made of."""
        xp = self.log_weights.__array_namespace__()
        return xp.exp(self.log_weights - self._top)

    @cached_property
    def _total(self) -> Array:
        """Their sum; 1, for what divides by it, if every weight is zero."""
        xp = self.log_weights.__array_namespace__()
        total = xp.sum(self._relative)
        return xp.where(total > 0, total, xp.ones_like(total))

    @cached_property
    def log_mass(self) -> Array:
        """log Σ w, which estimates the log evidence; -inf if every weight is zero."""
        xp = self.log_weights.__array_namespace__()
        some = xp.max(self.log_weights) > -xp.inf
        return xp.where(some, self._top + xp.log(self._total), -xp.inf)

    @property
    def weights(self) -> Array:
        """Normalised weights (n,); all zero if every weight is zero. Divided where they are asked
        for, such as in a branch that is rarely taken."""
        return self._relative / self._total

    @cached_property
    def effective_size(self) -> Array:
        """(Σ w)² / Σ w², between 1 and n (Kish); 0 if every weight is zero."""
        xp = self.log_weights.__array_namespace__()
        # scaled first: XLA makes the square of an exponential another exponential
        squares = xp.sum((self._relative * (1 / self._total)) ** 2)
        return xp.where(squares > 0, 1 / xp.where(squares > 0, squares, 1.0), 0.0)

    def scored(self, increments: Array) -> Population:
        """Every weight times its particle's score since it was last weighted, in logarithms."""
        return Population(self.log_weights + increments)

    def push_evidence(self) -> tuple[Array, Population]:
        """The log mass, for whoever scores it elsewhere, and the particles without it: of mass 1
        together, if any weight is positive."""
        xp = self.log_weights.__array_namespace__()
        known = xp.where(self.log_mass > -xp.inf, self.log_mass, 0.0)
        return self.log_mass, Population(self.log_weights - known)

    def levelled(self) -> Population:
        """The same mass in equal weights, as after resampling."""
        xp = self.log_weights.__array_namespace__()
        return Population(xp.zeros_like(self.log_weights) + (self.log_mass - math.log(self.size)))


def relative_error(logs: np.ndarray) -> float:
    """The standard error of the mean of exponentials, as a share of the mean: by the delta method
    that of its logarithm."""
    top = np.max(logs)
    if not np.isfinite(top):
        return float("nan")
    z = np.exp(logs - top)
    return float(np.std(z, ddof=1) / np.mean(z) / np.sqrt(len(z)))

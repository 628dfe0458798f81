"""Exact inference for finite programs: run every path once.

Contract: `Enumerates`. The posterior is the finite measure itself: every execution with its exact
weight, executions that agree in everything observed merged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from ppl.semantics.diagnostics import fail
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.omega import Tape
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.program import Bound, Data, particles
from ppl.semantics.xla.values import RValue, spread_value


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Settings: the largest number of paths to run."""

    paths: int = 1_000_000

    def __post_init__(self) -> None:
        if self.paths < 1:
            raise fail("E811", f"paths = {self.paths}: it must be at least 1")


@dataclass(frozen=True)
class Enumerated:
    """A finite measure. `values`: a tree whose leaves vary along the particle axis, one entry an
    atom; `log_weights` (atoms,): the log of each atom's mass."""

    values: RValue
    log_weights: np.ndarray

    @property
    def log_evidence(self) -> float:
        """log of the total mass."""
        top = self.log_weights.max(initial=-np.inf)
        if not np.isfinite(top):
            return float(top)
        return float(top + np.log(np.sum(np.exp(self.log_weights - top))))


def run_exact(
    bound: Bound,
    data: Data,
    settings: Exact,
    *,
    observe: Callable[[RValue, Any], RValue],
) -> Enumerated:
    """All atoms. Raises E807 if a site has infinitely many values, or there are too many paths."""
    enumerator, trees = _compiled(bound, observe)
    paths = enumerator(data, limit=settings.paths)
    leaves, scores = paths.outputs
    log_weights = paths.log_probability + scores
    leaves, log_weights = _merged(leaves, log_weights)
    axis = (particles(len(log_weights)),)
    values = jax.tree.unflatten(trees[0], [Arr(leaf, axis) for leaf in leaves])
    return Enumerated(values, log_weights)


@lru_cache(maxsize=64)
def _compiled(
    bound: Bound, observe: Callable[[RValue, Any], RValue]
) -> tuple[Enumerator, list[Any]]:
    trees: list[Any] = []

    def run(data: Data, tape: Tape) -> Any:
        result, log_weight, state = bound.forward(data, tape, ())
        seen = spread_value(observe(result, state), ())
        leaves, tree = jax.tree.flatten(seen, is_leaf=lambda v: isinstance(v, Arr))
        trees[:] = [tree]
        return ([leaf.data for leaf in leaves], log_weight.data), state.omega

    return Enumerator(run), trees


def _merged(
    leaves: list[np.ndarray], log_weights: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """Equal executions as one atom; atoms of no mass are dropped unless none has any."""
    alive = log_weights > -np.inf
    if alive.any():
        leaves, log_weights = [x[alive] for x in leaves], log_weights[alive]
    n = len(log_weights)
    if not leaves or n == 0:
        total = np.logaddexp.reduce(log_weights) if n else -np.inf
        return [x[:1] for x in leaves], np.array([total])
    rows = np.concatenate([np.asarray(x).reshape(n, -1).astype(np.float64) for x in leaves], axis=1)
    _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    top = log_weights.max()
    mass = np.bincount(group.ravel(), np.exp(log_weights - top), minlength=len(first))
    return [x[first] for x in leaves], top + np.log(mass)

"""Exact inference for finite programs.

Contract: `Enumerates`. A program with few paths runs every one of them once: the posterior is the
finite measure itself, executions that agree in everything observed merged (`Enumerated`). One with
many is summed by variable elimination (`Factored`): the evidence, every site's marginal law, and
draws from the exact joint law.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from ppl.inference.recover import Observe, recover
from ppl.inference.weighted import Exact
from ppl.semantics.diagnostics import DiagnosticError, Note, fail
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.omega import Tape
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.faults import raise_faults
from ppl.semantics.xla.program import Bound, Data, particles
from ppl.semantics.xla.steps import check_room, with_room
from ppl.semantics.xla.values import RValue, spread_value


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


@dataclass(frozen=True)
class Factored:
    """A finite measure in factors. `marginals`: by site, probabilities of its options (last axis)
    for every element of its plates. `values`: as in `Enumerated`, but draws of equal weight."""

    values: RValue
    marginals: dict[str, np.ndarray]
    log_evidence: float
    draws: int


def run_exact(
    bound: Bound, data: Data, settings: Exact, *, seed: int, observe: Observe
) -> Enumerated | Factored:
    """The measure of a finite program. Raises E895 if it has no mass; E807 if a site has infinitely
    many values, or there are too many paths and the program cannot be summed (the reason is in the
    notes)."""
    try:
        shapes = bound.options(data)
    except DiagnosticError as error:
        if bound.late:
            raise
        return _few_paths(bound, data, settings, observe, error)
    paths = math.prod(float(s[-1]) ** math.prod(s[:-1]) for s in shapes.values())
    if paths <= settings.paths and not bound.late:
        return enumerate_paths(bound, data, settings, observe=observe)
    log_z, marginals = _sums(bound)(data, {k: np.zeros(s) for k, s in shapes.items()})
    if not log_z > -np.inf:
        raise_faults(jax.jit(bound.faults)(data, {}))
        raise _no_mass()
    values = recover(bound, data, {}, settings.draws, seed=seed, observe=observe)
    laws = {k: np.asarray(v) for k, v in marginals.items()}
    return Factored(values, laws, float(log_z), settings.draws)


def _no_mass() -> DiagnosticError:
    return fail(
        "E895",
        "every execution has weight zero, so that there is no posterior",
        hint="no execution agrees with the observations: look at the model's supports and data",
    )


def _few_paths(
    bound: Bound, data: Data, settings: Exact, observe: Observe, reason: DiagnosticError
) -> Enumerated:
    try:
        return enumerate_paths(bound, data, settings, observe=observe)
    except DiagnosticError as error:
        first, because = error.diagnostics[0], reason.diagnostics[0]
        if (first.code, first.span) == (because.code, because.span):
            raise
        note = Note(f"it cannot be summed site by site: {because.message}", because.span)
        raise DiagnosticError(replace(first, notes=(*first.notes, note))) from None


@lru_cache(maxsize=64)
def _sums(bound: Bound) -> Callable[..., Any]:
    return jax.jit(jax.value_and_grad(bound.log_evidence, argnums=1))


def enumerate_paths(
    bound: Bound,
    data: Data,
    settings: Exact,
    *,
    observe: Observe,
) -> Enumerated:
    """All atoms. Raises E807 if a site has infinitely many values, or there are too many paths."""
    return with_room(bound, lambda b: _enumerated(b, data, settings, observe))


def _enumerated(bound: Bound, data: Data, settings: Exact, observe: Observe) -> Enumerated:
    enumerator, trees = _compiled(bound, observe)
    paths = enumerator(data, limit=settings.paths)
    leaves, scores = paths.outputs
    log_weights = paths.log_probability + scores
    leaves, log_weights = _merged(leaves, log_weights)
    axis = (particles(len(log_weights)),)
    values = jax.tree.unflatten(trees[0], [Arr(leaf, axis) for leaf in leaves])
    check_room(values, bound)
    return Enumerated(values, log_weights)


@lru_cache(maxsize=64)
def _compiled(bound: Bound, observe: Observe) -> tuple[Enumerator, list[Any]]:
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
    """Equal executions as one atom; atoms of no mass are dropped. Raises E895 if none has any,
    or one has infinite mass."""
    alive = log_weights > -np.inf
    if not alive.any():
        raise _no_mass()
    if (log_weights == np.inf).any():
        raise fail(
            "E895",
            "an execution has infinite weight, so that there is no posterior",
            hint="look at each `factor`: its value is finite, or -infinity for what is impossible",
        )
    leaves, log_weights = [x[alive] for x in leaves], log_weights[alive]
    n = len(log_weights)
    if not leaves:
        return [], np.array([np.logaddexp.reduce(log_weights)])
    rows = np.concatenate([np.asarray(x).reshape(n, -1).astype(np.float64) for x in leaves], axis=1)
    bits = np.ascontiguousarray(rows + 0.0).view(np.int64)  # missing values are equal, too
    _, first, group = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    top = log_weights.max()
    mass = np.bincount(group.ravel(), np.exp(log_weights - top), minlength=len(first))
    return [x[first] for x in leaves], top + np.log(mass)

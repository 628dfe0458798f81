"""Sequential Monte Carlo in compiled code: all particles in one batch, resampled on the device.

Law: `ProperlyWeighted`, for the joint law of whole traces. The composition is that of `smc`, with
the same policy at the same suspension points; the evaluator calls it. Uniform numbers are drawn
outside the condition that says whether they are used, and all of it through Ω: tapes enumerate it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.population import Population
from ppl.inference.resample import SCHEMES, Resample
from ppl.inference.smc import Smc
from ppl.semantics.distributions.pieces import Pieces
from ppl.semantics.omega import Key
from ppl.semantics.xla.points import Decision, Future, Policy
from ppl.semantics.xla.program import Bound, Data, particles
from ppl.semantics.xla.state import Path
from ppl.semantics.xla.steps import check_room, with_room
from ppl.semantics.xla.values import RValue, spread_value

Observe = Callable[[RValue, Any], RValue]


@dataclass(frozen=True)
class Particles:
    """`values` (a tree whose leaves vary along the particle axis, each particle's from one
    lineage), `log_weights` (N,), whose mass is the evidence. At every suspension point, in order:
    `effective_sizes` before it, and whether the population was `resampled` (points,)."""

    values: RValue
    log_weights: np.ndarray
    effective_sizes: np.ndarray
    resampled: np.ndarray

    @property
    def log_evidence(self) -> float:
        """The log of the total mass."""
        return float(Population(self.log_weights).log_mass)


def run_particles(
    bound: Bound, data: Data, settings: Smc, *, seed: int, observe: Observe
) -> Particles:
    """N weighted particles. `observe(result, state)` picks what of each run to return.

    Raises E730 if a suspension point is where compiled code cannot stop, E801 if a site has no
    sampler.
    """
    return with_room(bound, lambda b: _run(b, data, settings, seed, observe))


def _run(bound: Bound, data: Data, settings: Smc, seed: int, observe: Observe) -> Particles:
    values, weights, history = compiled(bound, settings, observe)(data, seed)
    check_room(values, bound)
    sizes, due = (
        np.concatenate([np.zeros(0), *(np.atleast_1d(np.asarray(h[i])) for h in history)])
        for i in (0, 1)
    )
    return Particles(values, np.asarray(weights), sizes, due.astype(bool))


@lru_cache(maxsize=64)
def compiled(bound: Bound, settings: Smc, observe: Observe) -> Callable[..., Any]:
    """(data, seed) to what is observed, the log weights, and (effective size, whether it resampled)
    of each point or the steps of each loop. Compiled once for each of the arguments."""
    axis, policy = particles(settings.particles), compiled_policy(settings.policy)
    keep = settings.keep_history

    @jax.jit
    def run(data: Data, seed: Any) -> tuple[RValue, Any, Any]:
        omega = Key(jax.random.key(seed))
        result, front, state = bound.sequential(data, omega, axis, policy, history=keep)
        values = spread_value(observe(result, state), (axis,))
        return values, front.log_weights, front.history

    return run


def compiled_policy(resample: Resample) -> Policy:
    """The policy as the evaluator calls it."""
    scheme = SCHEMES[resample.scheme]

    def at_point(
        log_weights: Any, omega: Any, path: Path, future: Future | None = None
    ) -> tuple[Any, Decision]:
        population = Population(log_weights)
        w, due = population.weights, resample.due(population)
        count, mass = scheme.count(population.size), population.log_mass
        law = Pieces(count, lambda: scheme.edges(w))
        omega, u = omega.draw(path, law, (count,), where=jnp.broadcast_to(due, (count,)))
        level = lambda: jnp.full(population.size, mass - math.log(population.size))  # noqa: E731
        choose = lambda: (scheme.ancestors(w, u), level())  # noqa: E731
        return omega, Decision(population.effective_size, due, choose)

    return at_point

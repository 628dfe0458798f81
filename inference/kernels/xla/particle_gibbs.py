"""Particle Gibbs: the moved sites from one sweep of conditional SMC, given all others.

n particles run the program, the first along the present point (`semantics.xla.conditional`). Where
they are resampled, by independent draws from their weights, the first keeps its past, or with
ancestor sampling draws it: by weight times the density of the retained future. At the end one
particle is drawn by its weight. Law: `Invariant`, in whatever coordinates. Nothing is tuned.

Andrieu, Doucet and Holenstein (2010), section 4.5; Lindsten, Jordan and Schön (2014), algorithm 2.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from ppl.inference.kernels.particle import ParticleGibbs
from ppl.inference.kernels.xla.move import (
    Move,
    Path,
    Point,
    Step,
    Target,
    nothing_tuned,
    rate_of,
    real,
)
from ppl.inference.population import Population
from ppl.inference.resample import SCHEMES, Resample
from ppl.semantics import distributions as D
from ppl.semantics.distributions.pieces import Pieces
from ppl.semantics.omega import path_hash
from ppl.semantics.xla.points import Decision, Future, Policy


def particle_gibbs(kernel: ParticleGibbs, path: Path, moved: frozenset[str]) -> Move:
    """moved: the sites, all of whose coordinates it moves."""
    policy = conditional_policy(kernel)

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        omega, after, _ = sweep(
            target, point.z, point.k, moved, kernel.particles, policy, omega, path
        )
        changed = jnp.any(after.z != point.z) | jnp.any(after.k != point.k)
        return Step(after, tuned, omega, {rate_of(path[-1]): real(changed)})

    return Move(nothing_tuned, step, {rate_of(path[-1]): jnp.nan})


def sweep(
    target: Target,
    z: Any,
    k: Any,
    moved: frozenset[str],
    n: int,
    policy: Policy,
    omega: Any,
    path: Path,
    *,
    retained: bool = True,
    source: Any = None,
) -> tuple[Any, Point, Any]:
    """One of n particles that run through the moved sites given all others, drawn by its weight:
    the source, its point, and the log-weights of all. The first follows (z, k) if it is
    `retained`. They may have a `source` of their own."""
    density = target.density
    assert density.sweep is not None
    position = target.position(z, k)
    # the program draws at paths of its own
    inner = omega.enter(path_hash(path) >> 1) if source is None else source
    inner, log_weights, found = density.sweep(
        target.data, position, moved, n, policy, inner, retained=retained
    )
    omega = omega.leave(inner) if source is None else omega
    omega, who = categorical(omega, (*path, "which"), log_weights)
    new = {**position, **{name: u[who] for name, u in found.items()}}
    free = density.flatten(new) if density.sites else z
    return omega, target.point(free, density.flatten_discrete(new)), log_weights


#: a share of the particles by which their effective number may be off
ROUNDING = 1e-6


def conditional_policy(kernel: ParticleGibbs) -> Policy:
    """Multinomial resampling in which the first particle's ancestor is its own, or is drawn."""
    scheme = SCHEMES["multinomial"]
    # how weights that are equal were rounded may tell the retained particle from others: it must
    # not decide when to resample
    resample = Resample("multinomial", kernel.threshold - ROUNDING)
    n = kernel.particles

    def at_point(
        log_weights: Any, omega: Any, path: Path, future: Future | None = None
    ) -> tuple[Any, Decision]:
        population = Population(log_weights)
        w, due, mass = population.weights, resample.due(population), population.log_mass
        law = Pieces(n - 1, lambda: scheme.edges(w)[1:])
        where = jnp.broadcast_to(due, (n - 1,))
        omega, u = omega.draw(path, law, (n - 1,), where=where)
        own: Any = 0
        if kernel.ancestor_sampling and future is not None:
            ahead = jax.lax.cond(due, future, lambda: jnp.zeros_like(log_weights))
            omega, own = categorical(omega, (*path, "retained"), log_weights + ahead, due)

        def choose() -> tuple[Any, Any]:
            others = scheme.ancestors(w, u)
            ancestors = jnp.concatenate([jnp.full(1, own, others.dtype), others])
            return ancestors, jnp.full(n, mass - math.log(n))

        return omega, Decision(population.effective_size, due, choose)

    return at_point


def categorical(omega: Any, path: Path, logits: Any, where: Any = None) -> tuple[Any, Any]:
    """A draw with probabilities in proportion to the exponentials; what is no number has none."""
    logits = jnp.where(logits < jnp.inf, logits, -jnp.inf)
    return omega.draw(path, D.make("categorical_logit", (logits,)), (), where=where)

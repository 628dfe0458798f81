"""How a population is made anew at a temperature: resampled, and moved by a kernel.

Each is a `Rejuvenate` (see `annealing`), whose law is `Invariant(target)`: resampling keeps what
the population means, and so does moving particles by a kernel that leaves the target invariant.

Waste-free: Dau and Chopin, "Waste-free sequential Monte Carlo" (2022).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ppl.inference.annealing import Control, Rejuvenate
from ppl.inference.movers import Mover, Target, Walkers
from ppl.inference.particles import compiled_policy
from ppl.inference.population import Population
from ppl.inference.resample import Resample
from ppl.semantics.distributions.pieces import Pieces
from ppl.semantics.xla.points import decided

Array = Any
Omega = Any
Moves = int | Literal["auto"]

#: `auto` moves particles until their correlation with where they began is below this, or so often
CORRELATION, MOST = 0.3, 100


def resample_move(mover: Mover, resample: Resample, moves: Moves) -> Rejuvenate:
    """Resample, if `resample` finds it due, and move every particle `moves` times."""
    policy = compiled_policy(resample)

    def rejuvenate(
        omega: Omega,
        x: Array,
        population: Population,
        target: Target,
        control: Control,
        held: Array,
    ) -> Any:
        weights = population.log_weights
        omega, decision = policy(weights, omega, ("", "ancestor"), None)
        _, weights, x = decided(decision, weights, lambda ancestors: x[ancestors], x)
        omega, after, control, acceptance = _moved(mover, omega, x, target, control, held, moves)
        happened = (decision.due, acceptance, _share_moved(x, after))
        return omega, after, Population(weights), control, happened

    return rejuvenate


class _Way(NamedTuple):
    m: Array
    omega: Omega
    walkers: Walkers
    scale: Array
    acceptance: Array
    correlation: Array


def _moved(
    mover: Mover,
    omega: Omega,
    x: Array,
    target: Target,
    control: Control,
    held: Array,
    moves: Moves,
) -> tuple[Omega, Array, Control, Array]:
    """All particles after their moves, and the mean chance of acceptance of a move."""

    def more(way: _Way) -> Array:
        chosen = (
            (way.correlation > CORRELATION) & (way.m < MOST) if moves == "auto" else way.m < moves
        )
        return jnp.where(held, way.m < control.moves, chosen)

    def move(way: _Way) -> _Way:
        inner = way.omega.enter(way.m)
        inner, walkers, chances = mover.step(inner, target, way.walkers, control.tuning, way.scale)
        rate = jnp.mean(chances)
        scale = jnp.where(held, way.scale, driven(way.scale, rate, mover))
        left = mover.correlation(walkers.x, x, control.tuning) if moves == "auto" else zero
        total = way.acceptance + rate
        return _Way(way.m + 1, way.omega.leave(inner), walkers, scale, total, left)

    zero = jnp.zeros((), control.scale.dtype)
    start = mover.begin(target, x)
    way = _Way(jnp.zeros((), int), omega, start, control.scale, zero, zero + 1)
    end = jax.lax.while_loop(more, move, way)
    rate = end.acceptance / jnp.maximum(end.m, 1)
    return end.omega, end.walkers.x, control._replace(moves=end.m, scale=end.scale), rate


def driven(scale: Array, rate: Array, mover: Mover) -> Array:
    """The scale after a move with this rate of acceptance, one step of Robbins and Monro."""
    return jnp.clip(scale * jnp.exp(rate - mover.accept), 1e-4, 1e4)


def _share_moved(before: Array, after: Array) -> Array:
    rows = (before != after).reshape(before.shape[0], -1)
    return jnp.mean(jnp.any(rows, axis=1), dtype=jnp.result_type(float))


# ------------------------------------------------------------------------------------- waste-free


def waste_free(mover: Mover, ancestors: int) -> Rejuvenate:
    """Resample `ancestors` particles, move each in a chain that is as long as makes the population
    as large as it was, and keep every state of the chains."""

    def rejuvenate(
        omega: Omega,
        x: Array,
        population: Population,
        target: Target,
        control: Control,
        held: Array,
    ) -> Any:
        n = population.size
        omega, chosen = few(omega, population.weights, ancestors)

        def move(carry: Any, m: Array) -> Any:
            omega, walkers, scale = carry
            inner = omega.enter(m)
            inner, walkers, chances = mover.step(inner, target, walkers, control.tuning, scale)
            rate = jnp.mean(chances)
            scale = jnp.where(held, scale, driven(scale, rate, mover))
            return (omega.leave(inner), walkers, scale), (walkers.x, rate)

        first = x[chosen]
        begin = (omega, mover.begin(target, first), control.scale)
        steps = jnp.arange(n // ancestors - 1)
        (omega, _, scale), (rest, rates) = jax.lax.scan(move, begin, steps)
        states = jnp.concatenate([first[None], rest]).reshape(x.shape)
        control = control._replace(moves=jnp.asarray(len(steps)), scale=scale)
        moved = _share_moved(first, rest[-1])
        happened = (jnp.ones((), bool), jnp.mean(rates), moved)
        return omega, states, population.levelled(), control, happened

    return rejuvenate


def few(omega: Omega, weights: Array, m: int) -> tuple[Omega, Array]:
    """m ancestors of particles of these weights (n,), each in proportion to its weight: one uniform
    number moves m evenly spaced points (systematic)."""
    total = jnp.cumsum(weights)
    upto = total / jnp.where(total[-1] > 0, total[-1], 1.0)
    law = Pieces(1, lambda: (m * upto[:-1] % 1)[None])
    omega, u = omega.draw(("", "ancestor"), law, (1,))
    points = (jnp.arange(m) + u[0]) / m
    last = jnp.max(jnp.where(weights > 0, jnp.arange(len(weights)), 0))
    return omega, jnp.minimum(jnp.searchsorted(upto, points, side="right"), last)

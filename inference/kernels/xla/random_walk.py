"""Random-walk Metropolis: Gaussian steps of the free coordinates together, symmetric steps of the
integers one by one. Law: `Reversible`, given what is tuned, of each of these steps.

Metropolis et al. (1953). Tuned to accept 0.234 of the steps of several coordinates, 0.44 of one's
(Roberts, Gelman and Gilks, 1997).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from ppl.inference.kernels.basic import RandomWalk
from ppl.inference.kernels.xla.move import (
    Block,
    Move,
    Path,
    Point,
    Step,
    Target,
    metropolis,
    rate_of,
    real,
)
from ppl.inference.kernels.xla.tuning import Tuning, begin_tuning, gain, tune
from ppl.semantics import distributions as D

MANY, ONE = 0.234, 0.44
#: steps of integers are at most 2 to this power
LARGEST = 20


def random_walk(kernel: RandomWalk, block: Block, path: Path) -> Move:
    label = path[-1]
    n, m = len(block.z), len(block.k)
    rate = ONE if n == 1 else MANY
    first = min(math.log2(max(kernel.scale, 1.0)), LARGEST)

    def begin(target: Target, point: Point) -> Any:
        exponents = jnp.full(m, first, jnp.result_type(float))
        tuning = begin_tuning(kernel.scale, point.z[block.z], dense=kernel.dense)
        return tuning, (exponents, jnp.zeros((), int))

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        tuning, integers = tuned
        accepted = jnp.zeros(())
        if n:
            omega, point, probability, moved = walk(target, point, tuning, omega, block, path)
            if kernel.adapt:
                tuning = tune(tuning, point.z[block.z], probability, rate, adapting)
            accepted += moved
        if m:
            integers, omega, point, moved = walk_on_integers(
                target, point, integers, omega, adapting
            )
            accepted += moved
        stats = {rate_of(label): real(accepted / ((n > 0) + m))}
        if n:
            stats[f"scale of {label}"] = jnp.exp(tuning.log_scale)
        return Step(point, (tuning, integers), omega, stats)

    def walk_on_integers(
        target: Target, point: Point, tuned: Any, omega: Any, adapting: Any
    ) -> tuple[Any, Any, Point, Any]:
        """Every integer in turn."""
        exponents, steps = tuned
        largest, alive = LARGEST if kernel.adapt else int(first), target.alive_k

        def each(i: Any, carry: Any) -> Any:
            at = jnp.asarray(block.k)[i]
            return target.if_alive(alive[at], lambda carry: one(i, carry), carry)

        def one(i: Any, carry: Any) -> Any:
            point, exponents, omega, moved = carry
            omega, inner = omega, omega.enter(i)
            inner, by = _integer_step(exponents[i], largest, inner, path)
            proposed = target.point(point.z, point.k.at[jnp.asarray(block.k)[i]].add(by))
            log_ratio = proposed.log_density - point.log_density
            where = (*path, "integer")
            inner, point, probability, accepted = metropolis(
                point, proposed, log_ratio, inner, where
            )
            change = gain(steps) * (probability - ONE)
            tuned = jnp.clip(exponents[i] + change, 0.0, LARGEST)
            learns = adapting if kernel.adapt else False
            exponents = exponents.at[i].set(jnp.where(learns, tuned, exponents[i]))
            return point, exponents, omega.leave(inner), moved + accepted

        init = (point, exponents, omega, jnp.zeros((), int))
        point, exponents, omega, moved = jax.lax.fori_loop(0, m, each, init)
        return (exponents, steps + adapting), omega, point, moved

    stats = {rate_of(label): jnp.nan} | ({f"scale of {label}": jnp.nan} if n else {})
    return Move(begin, step, stats)


def walk(
    target: Target, point: Point, tuning: Tuning, omega: Any, block: Block, path: Path
) -> tuple[Any, Point, Any, Any]:
    """One Gaussian step of the block's free coordinates, accepted or not; see `metropolis`."""
    normal = D.make("normal", (0.0, 1.0))
    omega, noise = omega.draw((*path, "step"), normal, (len(block.z),))
    if target.alive:
        noise = jnp.where(target.alive_z[block.z], noise, 0.0)
    proposed = target.point(point.z.at[block.z].add(tuning.spread_out(noise)), point.k)
    return metropolis(point, proposed, proposed.log_density - point.log_density, omega, path)


def _integer_step(exponent: Any, largest: int, omega: Any, path: Path) -> tuple[Any, Any]:
    """Plus or minus 2^e, e uniform on 0, …, floor(exponent)."""
    powers = jnp.arange(largest + 1)
    logits = jnp.where(powers <= exponent, 0.0, -jnp.inf)
    omega, e = omega.draw((*path, "size"), D.make("categorical_logit", (logits,)), ())
    omega, up = omega.draw((*path, "sign"), D.make("bernoulli", (jnp.asarray(0.5),)), ())
    return omega, jnp.where(up, 1, -1) * 2**e

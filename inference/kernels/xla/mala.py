"""The Metropolis-adjusted Langevin algorithm. Law: `Reversible`, given what is tuned.

With step size s and the variances v of the coordinates, the proposal from x is
normal(x + s²/2 · v · grad log p(x), s²·v); it is accepted by the Metropolis-Hastings ratio of the
very law that it was drawn from. Roberts and Tweedie (1996); tuned to accept 0.574 (Roberts and
Rosenthal, 1998).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ppl.inference.kernels.basic import Mala
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
from ppl.inference.kernels.xla.tuning import begin_tuning, tune
from ppl.semantics import distributions as D

RATE = 0.574


def mala(kernel: Mala, block: Block, path: Path) -> Move:
    label = path[-1]

    def begin(target: Target, point: Point) -> Any:
        return begin_tuning(kernel.step_size, point.z[block.z])

    def step(target: Target, point: Point, tuning: Any, omega: Any, adapting: Any) -> Step:
        def log_density(x: Any) -> Any:
            return target.log_density(point.z.at[block.z].set(x), point.k)

        omega, after, probability, moved = langevin(
            log_density, point, tuning.spread, omega, block, path
        )
        if kernel.adapt:
            tuning = tune(tuning, after.z[block.z], probability, RATE, adapting)
        stats = {rate_of(label): real(moved), f"scale of {label}": jnp.exp(tuning.log_scale)}
        return Step(after, tuning, omega, stats)

    return Move(begin, step, {rate_of(label): jnp.nan, f"scale of {label}": jnp.nan})


def langevin(
    log_density: Any, point: Point, spread: Any, omega: Any, block: Block, path: Path
) -> tuple[Any, Point, Any, Any]:
    """One step of the block's coordinates, `spread` being s·sqrt(v); see `metropolis`."""
    x = point.z[block.z]
    normal = D.make("normal", (0.0, 1.0))
    omega, noise = omega.draw((*path, "step"), normal, (len(block.z),))
    y = x + drift(jax.grad(log_density)(x), spread) + spread * noise
    value, gradient = jax.value_and_grad(log_density)(y)
    back = (x - y - drift(gradient, spread)) / spread
    log_ratio = value - point.log_density + 0.5 * jnp.sum(noise**2) - 0.5 * jnp.sum(back**2)
    proposed = Point(point.z.at[block.z].set(y), point.k, value)
    return metropolis(point, proposed, log_ratio, omega, path)


def drift(gradient: Any, spread: Any) -> Any:
    return 0.5 * spread**2 * gradient

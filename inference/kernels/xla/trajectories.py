"""HMC and NUTS on a block of free coordinates: NumPyro's kernels, one trajectory a step.

Law: `Invariant`, given what is tuned. The other coordinates, and with them the density, may have
changed since the last trajectory, so potential and gradient are computed anew. NumPyro counts its
own steps of warm-up; they end with the chain's.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from ppl.inference.kernels.basic import HmcMove, NutsMove
from ppl.inference.kernels.xla.move import Block, Move, Path, Point, Step, Target, rate_of, real
from ppl.semantics import keys


def trajectories(kernel: HmcMove | NutsMove, block: Block, path: Path, warmup: int) -> Move:
    """warmup: how many trajectories there will be in warm-up, as far as is known."""
    label = path[-1]
    nuts = isinstance(kernel, NutsMove)

    def start(target: Target, point: Point, key: Any) -> tuple[Any, Any]:
        """NumPyro's state at the point, and its step."""

        def potential(x: Any) -> Any:
            return -target.log_density(point.z.at[block.z].set(x), point.k)

        x = point.z[block.z]
        value, gradient = jax.value_and_grad(potential)(x)
        init, step = hmc(potential, algo="NUTS" if nuts else "HMC")
        state = init(
            ParamInfo(x, value, gradient),
            warmup,
            step_size=kernel.step_size,
            dense_mass=kernel.dense_mass,
            target_accept_prob=kernel.target_accept,
            max_tree_depth=kernel.max_tree_depth if isinstance(kernel, NutsMove) else 10,
            trajectory_length=None if isinstance(kernel, NutsMove) else kernel.trajectory_length,  # type: ignore[arg-type]
            rng_key=key,
        )
        return state, step

    def begin(target: Target, point: Point) -> Any:
        state, _ = start(target, point, keys.key(0))
        return state.i, state.adapt_state._replace(rng_key=None)

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        key = omega.foreign_key((*path, "trajectory"))
        state, advance = start(target, point, key)
        i, adapted = tuned
        over = ~jnp.asarray(adapting) & (i < warmup)  # sooner than was thought
        settled = jnp.exp(adapted.ss_state[1])
        adapted = adapted._replace(
            step_size=jnp.where(over & (i > 0), settled, adapted.step_size),
            rng_key=state.adapt_state.rng_key,
        )
        i = jnp.where(over, warmup, i)
        new = advance(state._replace(i=i, adapt_state=adapted))
        after = Point(point.z.at[block.z].set(new.z), point.k, -new.potential_energy)
        stats = {
            rate_of(label): real(new.accept_prob),
            f"step_size of {label}": new.adapt_state.step_size,
            "diverging": new.diverging,
        }
        tuned = new.i, new.adapt_state._replace(rng_key=None)
        return Step(after, tuned, omega, stats)

    blank = {rate_of(label): jnp.nan, f"step_size of {label}": jnp.nan, "diverging": False}
    return Move(begin, step, blank)

"""NumPyro's Hamiltonian kernels (NUTS and HMC) on a Density, as a `Kernel` that chains run.

NumPyro's `hmc` keeps what its initialiser decides in a closure. Here the pair is rebuilt inside
each trace, so that data stay an argument of the compiled program; XLA drops what is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from ppl.inference.initialise import Point
from ppl.inference.kernels.flat import Kernel
from ppl.semantics import keys
from ppl.semantics.density import Density


@dataclass(frozen=True)
class Hamiltonian:
    """What fixes the compiled kernel; changing any of these compiles again."""

    algorithm: Literal["NUTS", "HMC"]
    warmup: int
    target_accept: float
    dense_mass: bool
    step_size: float
    max_tree_depth: int = 10
    trajectory_length: float | None = None


def hamiltonian_kernel(density: Density, settings: Hamiltonian) -> Kernel:
    """The kernel: invariant for the density once its warm-up of `settings.warmup` steps is over.

    Warm-up adapts the step size by dual averaging and the mass matrix in Stan's windows. Its state
    is of plain arrays: the words of its keys.
    """

    def build(data: Any, point: Point, key: Any) -> tuple[Any, Any]:
        def potential(z: Any) -> Any:
            return -density.log_density(data, density.unflatten(z))

        init, step = hmc(potential, algo=settings.algorithm)
        state = init(
            ParamInfo(point.z, -point.log_density, -point.gradient),
            settings.warmup,
            step_size=settings.step_size,
            dense_mass=settings.dense_mass,
            target_accept_prob=settings.target_accept,
            max_tree_depth=settings.max_tree_depth,
            trajectory_length=settings.trajectory_length,  # type: ignore[arg-type]  None for NUTS
            rng_key=key,
        )
        return state, step

    def begin(data: Any, point: Point, key: Any) -> Any:
        state, _ = build(data, point, key)
        state = state._replace(energy=state.potential_energy)  # no momentum has been drawn yet
        return with_keys(state, keys.words)

    def step(data: Any, state: Any) -> Any:
        here = Point(state.z, -state.potential_energy, -state.z_grad)
        state = with_keys(state, keys.wrap)
        return with_keys(build(data, here, state.rng_key)[1](state), keys.words)

    def read(state: Any) -> tuple[Any, dict[str, Any]]:
        stats = {
            "lp": -state.potential_energy,
            "energy": state.energy,
            "acceptance_rate": state.accept_prob,
            "diverging": state.diverging,
            "n_steps": state.num_steps,
            "step_size": state.adapt_state.step_size,
        }
        if settings.algorithm == "NUTS":
            # a trajectory of n leapfrog steps fills a binary tree of depth floor(log2 n) + 1
            depth = 32 - jax.lax.clz(state.num_steps.astype(jnp.int32))
            stats["tree_depth"] = depth
            stats["reached_max_treedepth"] = depth >= settings.max_tree_depth
        return state.z, stats

    return Kernel((density.key, settings), begin, step, read)


def with_keys(state: Any, change: Callable[[Any], Any]) -> Any:
    """NumPyro's state with its two keys changed."""
    adapt = state.adapt_state
    adapt = adapt._replace(rng_key=change(adapt.rng_key))
    return state._replace(rng_key=change(state.rng_key), adapt_state=adapt)

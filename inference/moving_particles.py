"""Resample-move in compiled code: `inference.resample_move`, all particles in one batch.

Composition and law are stated there. The kernels are those of chains (`kernels.xla`), as they are
set: nothing is tuned, since what particles learn of each other would tie their moves together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import jax.numpy as jnp

from ppl.inference.checkpoint import Checkpoint
from ppl.inference.cut import Cuts
from ppl.inference.kernels.algebra import Kernel, basic_kernels
from ppl.inference.kernels.basic import HmcMove, NutsMove, Prior
from ppl.inference.kernels.xla.compose import compose, repeat
from ppl.inference.kernels.xla.move import Target, rate_of
from ppl.inference.particles import Observe, Particles, compiled_policy, run_cuts
from ppl.inference.resample_move import Rmsmc
from ppl.inference.schedule import Progress
from ppl.semantics import distributions as D
from ppl.semantics import keys
from ppl.semantics.mixed import MixedDensity
from ppl.semantics.omega import Key
from ppl.semantics.xla.moving import Mover, Spot, run_moving
from ppl.semantics.xla.program import Bound, Data, particles
from ppl.semantics.xla.sharing import mesh_for
from ppl.semantics.xla.steps import with_room
from ppl.semantics.xla.values import spread_value


def run_moving_particles(
    bound: Bound,
    data: Data,
    settings: Rmsmc,
    *,
    seed: int,
    observe: Observe,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Particles:
    """Weighted particles; arguments as of `run_particles`.

    Raises:
        DiagnosticError: E855, E819, the kernel does not fit the program; E730, XLA cannot stop at
            one of its points; what `mixed_density` raises.
    """

    def run(bound: Bound) -> Particles:
        cuts, n = _compiled(bound, settings, observe), settings.particles
        return run_cuts(cuts, bound, (data, seed), n, checkpoint, progress)

    return with_room(bound, run)


@lru_cache(maxsize=64)
def _compiled(bound: Bound, settings: Rmsmc, observe: Observe) -> Cuts:
    mesh = mesh_for(settings.particles)
    axis, policy = particles(settings.particles, mesh), compiled_policy(settings.policy, mesh)
    kernel = settings.kernel or Prior()

    def run(data: Data, seed: Any) -> Any:
        mover = mover_of(kernel, settings.moves, data)
        result, state = run_moving(bound, data, Key(keys.key(seed)), axis, policy, mover)
        front = state.extra
        values = spread_value(observe(result, state), (axis,))
        return values, front.log_weights, front.history, front.lost, front.ancestors

    return Cuts(run)


def mover_of(kernel: Kernel, moves: int, data: Data) -> Mover:
    """So many steps of a kernel, of every particle by itself, on what of it there is so far."""

    def mover(omega: Any, spot: Spot, position: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        density = spot.density
        compose(kernel, spot.whole, 0, part=True)  # whether it fits the program
        if not position:
            return omega, position, jnp.full((), jnp.nan)
        turning = any(isinstance(k, HmcMove | NutsMove) for k in basic_kernels(kernel))
        ahead = bool(turning and density.sites and spot.alive)
        target = Target(_with_reference(spot) if ahead else density, data, spot.alive)
        move = repeat(compose(kernel, density, 0, prefix=True), moves)

        def one(omega: Any, position: Mapping[str, Any]) -> tuple[Any, Any]:
            z = density.flatten(position) if density.sites else jnp.zeros(0)
            if ahead:
                omega, drawn = omega.draw(("", "ahead"), D.make("normal", (0.0, 1.0)), z.shape)
                z = jnp.where(target.alive_z, z, drawn)
            point = target.point(z, density.flatten_discrete(position))
            done = move.step(target, point, move.begin(target, point), omega, False)
            rates = [v for name, v in done.stats.items() if name.startswith(rate_of(""))]
            rate = jnp.nanmean(jnp.stack(rates or [jnp.full((), jnp.nan)]))
            return done.omega, (target.position(done.point.z, done.point.k), rate)

        omega, _, (moved, rates) = omega.lanes(("", "lane"), one, position)
        return omega, moved, jnp.nanmean(rates)

    return mover


def _with_reference(spot: Spot) -> MixedDensity:
    """The density in which coordinates that are still to come are standard normal, so that
    trajectories through all coordinates turn round; they are drawn anew before each move."""
    density = spot.density

    def log_density(data: Any, position: Mapping[str, Any]) -> Any:
        z, alive = density.flatten(position), Target(density, data, spot.alive).alive_z
        return density.log_density(data, position) - 0.5 * jnp.sum(jnp.where(alive, 0.0, z**2))

    return replace(density, log_density=log_density)

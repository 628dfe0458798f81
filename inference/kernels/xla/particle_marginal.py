"""Particle marginal Metropolis-Hastings: parameters walk by estimates of their density.

For proposed parameters particles run the program with these given; their mean weight is an unbiased
estimate of the density of the parameters with everything else integrated out, and is accepted or
not like a density. What a filter drew belongs to the state: its estimate is kept until another is
accepted, and the other sites are those of a particle drawn by its weight. Law: `Invariant`, for
whatever number of particles, of the posterior of all sites.

Andrieu, Doucet and Holenstein (2010), section 4.4; Andrieu and Roberts, "The pseudo-marginal
approach" (2009).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp

from ppl.inference.kernels.particle import PSEUDO_MARGINAL, ParticleMarginal
from ppl.inference.kernels.xla.move import (
    Block,
    Move,
    Path,
    Point,
    Step,
    Target,
    chosen,
    metropolis,
    rate_of,
    real,
)
from ppl.inference.kernels.xla.particle_gibbs import sweep
from ppl.inference.kernels.xla.tuning import Tuning, begin_tuning, tune
from ppl.inference.particles import compiled_policy
from ppl.inference.population import Population
from ppl.inference.resample import Resample
from ppl.semantics import distributions as D


class Estimated(NamedTuple):
    """tuning: of the walk. log_density: the estimate at the present parameters; -inf where none was
    made yet, so that the first of a mass is accepted."""

    tuning: Tuning
    log_density: Any


def particle_marginal(
    kernel: ParticleMarginal, block: Block, path: Path, drawn: frozenset[str]
) -> Move:
    """block: the free coordinates of the parameters. drawn: all other sites."""
    label, suited = path[-1], math.log(PSEUDO_MARGINAL / math.sqrt(len(block.z)))

    def begin(target: Target, point: Point) -> Estimated:
        nothing = jnp.full((), -jnp.inf, jnp.result_type(float))
        return Estimated(begin_tuning(kernel.scale, point.z[block.z]), nothing)

    def step(target: Target, point: Point, tuned: Estimated, omega: Any, adapting: Any) -> Step:
        tuning, present = tuned
        normal = D.make("normal", (0.0, 1.0))
        omega, noise = omega.draw((*path, "step"), normal, (len(block.z),))
        z = point.z.at[block.z].add(tuning.spread * noise)
        omega, proposed, estimate = filtered(kernel, target, z, point.k, drawn, omega, path)
        omega, _, _, accepted = metropolis(point, proposed, estimate - present, omega, path)
        after = chosen(accepted, proposed, point)
        if kernel.adapt:
            tuning = tune(tuning, after.z[block.z], suited, tuning.log_scale, adapting)
        kept = Estimated(tuning, jnp.where(accepted, estimate, present))
        stats = {
            rate_of(label): real(accepted),
            f"scale of {label}": jnp.exp(tuning.log_scale),
            f"log density estimated by {label}": kept.log_density,
        }
        return Step(after, kept, omega, stats)

    names = (f"scale of {label}", f"log density estimated by {label}")
    return Move(begin, step, {rate_of(label): jnp.nan} | dict.fromkeys(names, jnp.nan))


def filtered(
    kernel: ParticleMarginal,
    target: Target,
    z: Any,
    k: Any,
    drawn: frozenset[str],
    omega: Any,
    path: Path,
) -> tuple[Any, Point, Any]:
    """A filter given the other coordinates in (z, k): the source, the point of one of its
    particles, and the log of the mass of all."""
    policy = compiled_policy(Resample(kernel.scheme, kernel.threshold))
    omega, point, log_weights = sweep(
        target, z, k, drawn, kernel.particles, policy, omega, path, retained=False
    )
    return omega, point, Population(log_weights).log_mass

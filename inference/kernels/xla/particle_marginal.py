"""Particle marginal Metropolis-Hastings: parameters walk by estimates of their density.

For proposed parameters particles run the program with these given; their mean weight is an unbiased
estimate of the density of the parameters with everything else integrated out, and is accepted or
not like a density. What a filter drew belongs to the state: its estimate is kept until another is
accepted, and the other sites are those of a particle drawn by its weight. Law: `Invariant`, for
whatever number of particles, of the posterior of all sites.

With a correlation the normal numbers x that a filter reads (`correlated`) belong to the state, too,
and are proposed with the parameters θ, accepted or not with them. Law: `Invariant` of θ and x with
density Z(θ, x) φ(x), Z the estimate and φ that of the standard normal law, by which a move of x is
reversible; the mean of Z over x is the density of θ, and so is the law of all sites the posterior.

Andrieu, Doucet and Holenstein (2010), section 4.4; Andrieu and Roberts, "The pseudo-marginal
approach" (2009); Deligiannidis, Doucet and Pitt (2018).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ppl.inference.kernels.particle import PSEUDO_MARGINAL, ParticleMarginal
from ppl.inference.kernels.xla.correlated import Numbers, count_of, moved
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
from ppl.semantics.xla.points import Policy, Sorted


class Estimated(NamedTuple):
    """tuning: of the walk. log_density: the estimate at the present parameters; -inf where none was
    made yet, so that the first of a mass is accepted. numbers: those that it was made with, if they
    are moved."""

    tuning: Tuning
    log_density: Any
    numbers: Any = None


def particle_marginal(
    kernel: ParticleMarginal, block: Block, path: Path, drawn: frozenset[str]
) -> Move:
    """block: the free coordinates of the parameters. drawn: all other sites."""
    label, suited = path[-1], math.log(PSEUDO_MARGINAL / math.sqrt(len(block.z)))
    normal = D.make("normal", (0.0, 1.0))

    def begin(target: Target, point: Point) -> Estimated:
        nothing, numbers = jnp.full((), -jnp.inf, jnp.result_type(float)), None
        if kernel.correlation:
            numbers = jnp.zeros(numbers_of(kernel, target, point, drawn))
        return Estimated(begin_tuning(kernel.scale, point.z[block.z]), nothing, numbers)

    def step(target: Target, point: Point, tuned: Estimated, omega: Any, adapting: Any) -> Step:
        tuning, *here = tuned
        present, numbers = here
        omega, noise = omega.draw((*path, "step"), normal, (len(block.z),))
        if numbers is not None:
            omega, new = omega.draw((*path, "numbers"), normal, numbers.shape)
            # those of an estimate that was never made are no draws
            numbers = jnp.where(present > -jnp.inf, moved(numbers, kernel.correlation, new), new)
        z = point.z.at[block.z].add(tuning.spread * noise)
        omega, proposed, estimate = filtered(
            kernel, target, z, point.k, drawn, omega, path, numbers
        )
        omega, _, _, accepted = metropolis(point, proposed, estimate - present, omega, path)
        after = chosen(accepted, proposed, point)
        kept = of_accepted(accepted, [estimate, numbers], here)
        if kernel.adapt:
            tuning = tune(tuning, after.z[block.z], suited, tuning.log_scale, adapting)
        stats = {
            rate_of(label): real(accepted),
            f"scale of {label}": jnp.exp(tuning.log_scale),
            f"log density estimated by {label}": kept[0],
        }
        return Step(after, Estimated(tuning, *kept), omega, stats)

    names = (f"scale of {label}", f"log density estimated by {label}")
    return Move(begin, step, {rate_of(label): jnp.nan} | dict.fromkeys(names, jnp.nan))


def of_accepted(accepted: Any, there: list[Any], here: list[Any]) -> list[Any]:
    """What belongs to the proposal if it was accepted, else to the present point."""
    return jax.tree.map(partial(jnp.where, accepted), there, here)


def filtered(
    kernel: ParticleMarginal,
    target: Target,
    z: Any,
    k: Any,
    drawn: frozenset[str],
    omega: Any,
    path: Path,
    numbers: Any = None,
) -> tuple[Any, Point, Any]:
    """A filter given the other coordinates in (z, k), by `numbers` if there are some: the source,
    the point of one of its particles, and the log of the mass of all."""
    n, policy = kernel.particles, policy_of(kernel)
    source = None if numbers is None else Numbers.of(numbers)
    omega, point, log_weights = sweep(
        target, z, k, drawn, n, policy, omega, path, retained=False, source=source
    )
    return omega, point, Population(log_weights).log_mass


def policy_of(kernel: ParticleMarginal) -> Policy:
    policy = compiled_policy(Resample(kernel.scheme, kernel.threshold))
    return Sorted(policy) if kernel.correlation else policy


def numbers_of(
    kernel: ParticleMarginal, target: Target, point: Point, drawn: frozenset[str]
) -> int:
    """How many numbers a filter reads. Raises E882 if it cannot be run by numbers."""
    density, n, policy = target.density, kernel.particles, policy_of(kernel)
    run = density.sweep
    assert run is not None

    def ended(source: Numbers, data: Any, z: Any, k: Any) -> Numbers:
        position = Target(density, data).position(z, k)
        return run(data, position, drawn, n, policy, source, retained=False)[0]

    return count_of(ended, target.data, point.z, point.k)

"""Sequential Monte Carlo in compiled code: all particles in one batch, resampled on the device.

Law: `ProperlyWeighted`, for the joint law of whole traces. The composition is that of `smc`, with
the same policy at the same suspension points; the evaluator calls it. Uniform numbers are drawn
outside the condition that says whether they are used, and all of it through Ω: tapes enumerate it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from ppl.inference.ancestry import genealogy, rows_of, shown
from ppl.inference.checkpoint import Checkpoint
from ppl.inference.cut import Cuts
from ppl.inference.guided import gives_up
from ppl.inference.population import Population
from ppl.inference.resample import SCHEMES, Resample
from ppl.inference.schedule import Progress
from ppl.inference.smc import Smc
from ppl.semantics import keys
from ppl.semantics.distributions.pieces import Pieces
from ppl.semantics.omega import Key
from ppl.semantics.processes import fetched
from ppl.semantics.xla.packed import Packed
from ppl.semantics.xla.points import Decision, Future, Policy
from ppl.semantics.xla.program import Bound, Data, particles
from ppl.semantics.xla.sharing import mesh_for, share, whole
from ppl.semantics.xla.standing import Stood, standing
from ppl.semantics.xla.state import Path
from ppl.semantics.xla.steps import check_room, with_room
from ppl.semantics.xla.values import RValue, spread_value

Observe = Callable[[RValue, Any], RValue]


@dataclass(frozen=True)
class Particles:
    """`values` (a tree whose leaves vary along the particle axis, each particle's from one
    lineage), `log_weights` (N,), whose mass is the evidence. At every suspension point, in order:
    `effective_sizes` before it, whether the population was `resampled`, and the log evidence of
    what was scored `so_far` (points,); whom each particle goes on from (points, n), if that is
    kept; if they moved, the share of moves that were `accepted`. How they `stood` at the end of a
    loop over data, if that was asked for."""

    values: RValue
    log_weights: np.ndarray
    effective_sizes: np.ndarray
    resampled: np.ndarray
    so_far: np.ndarray
    ancestors: Sequence[np.ndarray]
    stood: Stood | None = None
    accepted: np.ndarray | None = None

    @property
    def log_evidence(self) -> float:
        """The log of the total mass."""
        return float(Population(self.log_weights).log_mass)

    @property
    def genealogy(self) -> Mapping[str, np.ndarray]:
        """What the ancestors tell; nothing where they are not kept."""
        return genealogy(self.ancestors)


def run_particles(
    bound: Bound,
    data: Data,
    settings: Smc,
    *,
    seed: int,
    observe: Observe,
    guide: tuple[Bound, Data] | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    stands: bool = False,
) -> Particles:
    """N weighted particles. `observe(result, state)` picks what of each run to return. A `guide`
    proposes (`semantics.xla.guided`).

    `progress` hears of the steps of loops, the effective sample size and the log evidence so far.
    If it `stands`, there is what `inference.extend` goes on from, if the program can.
    With a `checkpoint` they go on where they were when an earlier process was killed.

    Raises E730 if a suspension point is where compiled code cannot stop, E801 if a site has no
    sampler, E868 if the guide's look-ahead is zero, E898 if the checkpoint is of another run.
    """
    helper, arguments = None, (data, seed)
    if guide is not None:
        helper, arguments = guide[0], (data, seed, guide[1])
    settings = replace(settings, guide=None)
    about = settings, observe, helper, stands

    def run(bound: Bound) -> Particles:
        cuts = compiled(bound, *about)
        return run_cuts(cuts, bound, arguments, settings.particles, checkpoint, progress)

    return with_room(bound, run)


def run_cuts(
    cuts: Cuts,
    bound: Bound,
    arguments: tuple[Any, ...],
    n: int,
    checkpoint: Checkpoint | None,
    progress: Progress | None,
) -> Particles:
    """The n particles of a `program` that was compiled."""
    run = cuts(*arguments)
    saved = checkpoint and checkpoint.begin(precision=str(jnp.result_type(float)))
    watch = None if progress is None else partial(tell, progress, n)
    values, weights, history, lost, ancestors, *stood = fetched(
        run(*arguments, checkpoint=saved and saved.part(bound.rooms), watch=watch)
    )
    if any(np.any(x) for x in lost):
        raise gives_up()
    check_room(values, bound)
    sizes, due, masses, *rates = (
        np.concatenate([np.zeros(0), *map(np.atleast_1d, column)])
        for column in (zip(*history, strict=True) if history else [()] * 3)
    )
    kept = stood[0].tree(beside=values) if stood else None
    told = sizes, due.astype(bool), masses, rows_of(ancestors)
    return Particles(values, np.asarray(weights), *told, kept, *rates)


def tell(progress: Progress, n: int, done: int, total: int | None, last: Any) -> None:
    """How the population is, of the last step of a loop with points."""
    points = [h for h in last[2] if h[0] is not None]
    told = (None, (*map(float, points[-1][:3]), None)) if points else None
    progress(done, total or done, {"phase": "particles", **shown(told, n)})


@lru_cache(maxsize=64)
def compiled(
    bound: Bound,
    settings: Smc,
    observe: Observe,
    helper: Bound | None = None,
    stands: bool = False,
) -> Cuts:
    """`program` cut at its loops, compiled once for data of each form."""
    return Cuts(program(bound, settings, observe, helper, stands))


def program(
    bound: Bound,
    settings: Smc,
    observe: Observe,
    helper: Bound | None = None,
    stands: bool = False,
) -> Callable[..., Any]:
    """(data, seed), and the data of a guide, to what is observed, the log weights, (effective size,
    whether it resampled, log mass) of each point or the steps of each loop, whether a guide gave a
    particle up, and the ancestors there, if they are few. And, if it `stands`, how the population
    stood at the end of a loop over data, as far as what is observed has it not."""
    mesh = mesh_for(settings.particles)
    axis, policy = particles(settings.particles, mesh), compiled_policy(settings.policy, mesh)
    keep = settings.keep_history
    meeting = standing(bound, policy, keep, helper) if stands else None

    def run(data: Data, seed: Any, known: Data | None = None) -> tuple[Any, ...]:
        omega, guide = Key(keys.key(seed)), None if helper is None else (helper, known or {})
        result, front, state = bound.sequential(
            data, omega, axis, policy, history=keep, guide=guide, meeting=meeting
        )
        values = spread_value(observe(result, state), (axis,))
        out = values, front.log_weights, front.history, front.lost, front.ancestors
        return (*out, Packed.of(front.stood, beside=values)) if stands else out

    return run


def compiled_policy(resample: Resample, mesh: Any = None) -> Policy:
    """The policy as the evaluator calls it, for particles that the devices of a mesh share."""
    scheme = SCHEMES[resample.scheme]

    def at_point(
        log_weights: Any, omega: Any, path: Path, future: Future | None = None
    ) -> tuple[Any, Decision]:
        population = Population(whole(log_weights, mesh))
        due, mass = resample.due(population), population.log_mass
        count = scheme.count(population.size)
        law = Pieces(count, lambda: scheme.edges(population.weights))
        omega, u = omega.draw(path, law, (count,), where=jnp.broadcast_to(due, (count,)))
        level = lambda: jnp.full(population.size, mass - math.log(population.size))  # noqa: E731
        choose = lambda: (share(scheme.ancestors(population.weights, u), mesh), level())  # noqa: E731
        return omega, Decision(population.effective_size, due, choose, mass)

    return at_point

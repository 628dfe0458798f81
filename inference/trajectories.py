"""Smoothed trajectories of a state-space model, drawn backwards through a compiled filter.

Law: each, weighted by the filter's estimate of the evidence, is `ProperlyWeighted`, for whole
traces (see `inference.backward`). What is drawn are choices; the program is run at them once more,
for every name and its result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from ppl.inference.checkpoint import Checkpoint
from ppl.inference.cut import Cuts
from ppl.inference.particles import Observe, compiled_policy, tell
from ppl.inference.schedule import Progress
from ppl.inference.smc import Smc
from ppl.semantics import keys
from ppl.semantics.omega import Key
from ppl.semantics.xla.backward import trajectories
from ppl.semantics.xla.program import ALL, Bound, Data, particles
from ppl.semantics.xla.sharing import mesh_for
from ppl.semantics.xla.sites import replayed
from ppl.semantics.xla.steps import check_room, with_room
from ppl.semantics.xla.values import RValue, spread_value


@dataclass(frozen=True)
class Smoothed:
    """`values` of each trajectory, the log of the mass that they share, and what was told of the
    points: (effective size, whether it was resampled, log evidence), each (points,)."""

    values: RValue
    log_evidence: float
    points: tuple[np.ndarray, ...]


def run_trajectories(
    bound: Bound,
    data: Data,
    settings: Smc,
    *,
    seed: int,
    observe: Observe,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Smoothed:
    """`settings.trajectories` of them. `observe(result, state)` picks what of each to return. With
    a `checkpoint` they go on where they were when an earlier process was killed.

    Raises:
        DiagnosticError: E876, the program is no state-space model; as `run_particles`.
    """

    def run(bound: Bound) -> Smoothed:
        cut = _compiled(bound, settings, observe)(data, seed)
        saved = checkpoint and checkpoint.begin(precision=str(jnp.result_type(float)))
        saved = saved and saved.part(bound.rooms)
        watch = None if progress is None else partial(tell, progress, settings.particles)
        values, mass, history = cut(data, seed, checkpoint=saved, watch=watch)
        check_room(values, bound)
        points = tuple(
            np.concatenate([np.atleast_1d(np.asarray(h[i])) for h in history]) for i in range(3)
        )
        return Smoothed(values, float(mass), points)

    return with_room(bound, run)


@lru_cache(maxsize=64)
def _compiled(bound: Bound, settings: Smc, observe: Observe) -> Cuts:
    m = settings.trajectories
    assert m is not None
    mesh, lanes = mesh_for(settings.particles), particles(m)
    axis, policy = particles(settings.particles, mesh), compiled_policy(settings.policy, mesh)

    def run(data: Data, seed: Any) -> Any:
        omega, found = trajectories(bound, data, Key(keys.key(seed)), axis, policy, m)
        given = {k: replace(v, axes=(lanes,)) for k, v in found.sites.items()}
        result, state = bound.execute(
            data, rule=replayed, omega=omega, axes=(lanes,), given=given, record=ALL
        )
        values = spread_value(observe(result, state), (lanes,))
        return values, found.log_mass, found.history

    return Cuts(run)

"""What populations tell of their points: who went on from each, and who of them has descendants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppl.inference.population import Population
from ppl.inference.resample import Resample

#: of one point: the effective size before it, whether it was resampled, the log mass, the particle
#: that each one after it goes on from
Row = tuple[float, bool, float, np.ndarray]
#: of all points so far, the newest first: (older, row)
Told = Any
#: (particles advanced in this step, particles, step, of the points so far)
Progress = Callable[[int, int, int, Told], None]


def told(
    older: Told,
    seen: Population,
    policy: Resample,
    ancestors: np.ndarray,
    log_mass: Any = None,
) -> Told:
    """What a policy made of the population that it has `seen`, whose log mass may be another where
    that looks ahead."""
    mass = float(seen.log_mass if log_mass is None else log_mass)
    return older, (float(seen.effective_size), bool(policy.due(seen)), mass, ancestors)


def shown(at: Told, n: int) -> dict[str, str]:
    """For who looks on: how n particles were at the last point."""
    if at is None:
        return {}
    size, _, mass, _ = at[1]
    return {"ESS": f"{size:.0f} of {n}", "log evidence": f"{mass:.2f}"}


def history(at: Told) -> dict[str, np.ndarray]:
    """By name, each (points,): see `Posterior.points`."""
    rows: list[Row] = []
    while at is not None:
        at, row = at
        rows.append(row)
    rows.reverse()
    return {
        "effective_sample_size": np.array([r[0] for r in rows], float),
        "resampled": np.array([r[1] for r in rows], bool),
        "log_evidence": np.array([r[2] for r in rows], float),
        **genealogy([r[3] for r in rows]),
    }


def genealogy(ancestors: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The particle that each goes on from at every point, (points, n), and how many of those there
    are at each have descendants in the end, (points,)."""
    if len({len(row) for row in ancestors}) != 1:  # none, or populations of several sizes
        return {}
    links = np.asarray(ancestors, np.int32)
    return {"ancestors": links, "lineages": survivors(links).sum(axis=1)}


def rows_of(ancestors: Sequence[Any]) -> list[np.ndarray]:
    """The particle that each goes on from, point by point, of points (n,) and the steps of loops
    (steps, n); none if they are not kept of one (None)."""
    if any(a is None for a in ancestors):
        return []
    return [row for a in ancestors for row in np.atleast_2d(a)]


def survivors(ancestors: np.ndarray) -> np.ndarray:
    """Of the particles at each point, (points, n), which have descendants in the end. Entry t of
    `ancestors` says whom each particle after point t goes on from."""
    alive = np.zeros(ancestors.shape, bool)
    children = np.ones(ancestors.shape[1], bool)
    for t in reversed(range(len(ancestors))):
        alive[t, ancestors[t, children]] = True
        children = alive[t]
    return alive

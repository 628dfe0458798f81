"""Metropolis-Hastings with proposals from the prior: one draw, picked at random, or all of a block.

The draws are made again by running the program, each from its law given the choices before it. The
densities of what is proposed cancel, in the coordinates of the density as anywhere, so the ratio
is that of all other factors: scores, and the densities of the draws that keep their coordinates.
Law: `Reversible`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np

from ppl.inference.kernels.basic import Prior
from ppl.inference.kernels.xla.move import (
    Move,
    Path,
    Point,
    Step,
    Target,
    metropolis,
    nothing_tuned,
    rate_of,
    real,
)
from ppl.semantics import distributions as D
from ppl.semantics.omega import path_hash


def prior(kernel: Prior, path: Path, draws: dict[str, np.ndarray]) -> Move:
    """draws: of every site's draws (booleans of the shape of its loops), those that it moves."""
    label = path[-1]
    draws = {site: own for site, own in draws.items() if own.any()}

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        chosen = {site: jnp.asarray(own) for site, own in draws.items()}
        if not kernel.block:
            omega, chosen = _one(draws, target.alive, omega, path)
        chosen = {site: own & target.alive.get(site, True) for site, own in chosen.items()}
        omega, after, _, moved = propose(target, point, chosen, omega, path)
        return Step(after, tuned, omega, {rate_of(label): real(moved)})

    return Move(nothing_tuned, step, {rate_of(label): jnp.nan})


def propose(
    target: Target, point: Point, chosen: dict[str, Any], omega: Any, path: Path
) -> tuple[Any, Point, Any, Any]:
    """The chosen draws from their laws, accepted or not; see `metropolis`."""
    density, data = target.density, target.data
    position = target.position(point.z, point.k)
    _, _, before = density.redraw(data, position, chosen, None)
    inner = omega.enter(path_hash(path) >> 1)  # the program draws at paths of its own
    inner, new, after = density.redraw(data, position, chosen, inner)
    omega = omega.leave(inner)
    z = density.flatten(new) if density.sites else point.z
    proposed = target.point(z, density.flatten_discrete(new))
    return metropolis(point, proposed, after - before, omega, path)


def _one(
    draws: dict[str, np.ndarray], alive: Mapping[str, Any], omega: Any, path: Path
) -> tuple[Any, dict[str, Any]]:
    """One of the draws that have been made, all with the same probability."""
    total = int(sum(own.sum() for own in draws.values()))
    even = jnp.full(total, 1 / total)
    if alive:
        wide = [jnp.ravel(jnp.broadcast_to(alive.get(k, True), v.shape)) for k, v in draws.items()]
        made = jnp.concatenate(wide)[np.concatenate([v.ravel() for v in draws.values()])]
        even = jnp.where(jnp.any(made), made / jnp.maximum(jnp.sum(made), 1), even)
    omega, pick = omega.draw((*path, "which"), D.make("categorical", (even,)), ())
    chosen, start = {}, 0
    for site, own in draws.items():
        number = np.full(prod(own.shape), -1)
        number[own.ravel()] = np.arange(start, start + own.sum())
        chosen[site] = jnp.asarray(number.reshape(own.shape)) == pick
        start += int(own.sum())
    return omega, chosen

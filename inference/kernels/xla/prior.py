"""Metropolis-Hastings with proposals from the prior: one draw, picked at random, or all of a block.

The draws are made again by running the program, each from its law given the choices before it. The
densities of what is proposed cancel, in the coordinates of the density as anywhere, so the ratio
is that of all other factors: scores, and the densities of the draws that keep their coordinates.
Law: `Reversible`.
"""

from __future__ import annotations

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
        omega, chosen = _all(draws, omega) if kernel.block else _one(draws, omega, path)
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


def _all(draws: dict[str, np.ndarray], omega: Any) -> tuple[Any, dict[str, Any]]:
    return omega, {site: jnp.asarray(own) for site, own in draws.items()}


def _one(draws: dict[str, np.ndarray], omega: Any, path: Path) -> tuple[Any, dict[str, Any]]:
    total = int(sum(own.sum() for own in draws.values()))
    even = D.make("categorical", (jnp.full(total, 1 / total),))
    omega, pick = omega.draw((*path, "which"), even, ())
    chosen, start = {}, 0
    for site, own in draws.items():
        number = np.full(prod(own.shape), -1)
        number[own.ravel()] = np.arange(start, start + own.sum())
        chosen[site] = jnp.asarray(number.reshape(own.shape)) == pick
        start += int(own.sum())
    return omega, chosen

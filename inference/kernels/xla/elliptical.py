"""Elliptical slice sampling of sites that are Gaussian given the others. Law: `Reversible`.

All the sites' coordinates together are moved, on an ellipse through the present ones and a draw
from the prior, in coordinates in which that is standard normal. Murray, Adams and MacKay,
"Elliptical slice sampling" (2010), figure 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ppl.inference.kernels.basic import EllipticalSlice
from ppl.inference.kernels.xla.move import (
    Block,
    Move,
    Path,
    Point,
    Step,
    Target,
    nothing_tuned,
    rate_of,
    real,
)
from ppl.semantics import distributions as D

#: a bracket shrunk so often is one point in floating point: the chain stays there
SHRINKS = 200


def elliptical_slice(
    kernel: EllipticalSlice, block: Block, path: Path, names: frozenset[str]
) -> Move:
    """The block is all coordinates of the sites in `names`."""
    label = path[-1]

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        white, data = target.density.whiten(names), target.data
        position = target.position(point.z, point.k)

        def replaced(z: Any, sites: dict[str, Any]) -> Any:
            return target.density.flatten({**target.density.unflatten(z), **sites})

        def at(f: Any) -> dict[str, Any]:
            standard = point.z.at[block.z].set(f)
            return target.position(standard, point.k)

        f = replaced(point.z, white.to_standard(data, position))[block.z]
        omega, f, moved = turn(lambda v: white.log_likelihood(data, at(v)), f, omega, path)
        z = replaced(point.z, white.from_standard(data, at(f)))
        new = target.point(jnp.where(moved, z, point.z), point.k)
        return Step(new, tuned, omega, {rate_of(label): real(moved)})

    return Move(nothing_tuned, step, {rate_of(label): jnp.nan})


def turn(
    log_likelihood: Callable[[Any], Any], f: Any, omega: Any, path: Path
) -> tuple[Any, Any, Any]:
    """From f (n,), standard normal a priori, to another: (source, it, whether it is another)."""
    omega, nu = omega.draw((*path, "ellipse"), D.make("normal", (0.0, 1.0)), (len(f),))
    omega, u = omega.draw((*path, "level"), D.make("uniform", (0.0, 1.0)), ())
    level = log_likelihood(f) + jnp.log(u)
    circle = D.make("uniform", (0.0, 2 * math.pi))
    omega, angle = omega.draw((*path, "angle"), circle, ())

    def at(angle: Any) -> Any:
        return f * jnp.cos(angle) + nu * jnp.sin(angle)

    def outside(carry: Any) -> Any:
        i, angle, _, _, _ = carry
        return ~(log_likelihood(at(angle)) > level) & (i < SHRINKS)

    def shrink(carry: Any) -> Any:
        i, angle, lower, upper, omega = carry
        lower, upper = jnp.where(angle < 0, angle, lower), jnp.where(angle < 0, upper, angle)
        inner = omega.enter(i)
        inner, angle = inner.draw((*path, "shrink"), D.make("uniform", (lower, upper)), ())
        return i + 1, angle, lower, upper, omega.leave(inner)

    begin = (jnp.zeros((), int), angle, angle - 2 * math.pi, angle, omega)
    i, angle, _, _, omega = jax.lax.while_loop(outside, shrink, begin)
    moved = i < SHRINKS
    return omega, jnp.where(moved, at(angle), f), moved

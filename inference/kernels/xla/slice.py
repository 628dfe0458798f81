"""Slice sampling by stepping out and shrinkage. Law: `Reversible` along each line.

Neal, "Slice sampling" (2003): figure 3 (the interval), figure 5 (the draw from it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ppl.inference.kernels.basic import Slice
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

#: an interval shrunk so often is one point in floating point: the chain stays there
SHRINKS = 200


def slice_move(kernel: Slice, block: Block, path: Path) -> Move:
    label, n = path[-1], len(block.z)

    def along(target: Target, point: Point, direction: Any, omega: Any) -> tuple[Any, Point, Any]:
        def log_density(t: Any) -> Any:
            return target.log_density(point.z + t * direction, point.k)

        omega, t, value = slice_on_line(
            log_density, point.log_density, kernel.width, kernel.steps, omega, path
        )
        return omega, Point(point.z + t * direction, point.k, value), t != 0

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        zero = jnp.zeros_like(point.z)
        if kernel.direction == "random":
            normal = D.make("normal", (0.0, 1.0))
            omega, noise = omega.draw((*path, "direction"), normal, (n,))
            if target.alive:
                noise = jnp.where(target.alive_z[block.z], noise, 0.0)
            length = jnp.sqrt(jnp.sum(noise**2))
            unit = zero.at[block.z].set(noise / jnp.where(length > 0, length, 1.0))
            omega, point, moved = along(target, point, unit, omega)
            return Step(point, tuned, omega, {rate_of(label): real(moved)})

        alive = target.alive_z

        def each(i: Any, carry: Any) -> Any:
            here = alive[jnp.asarray(block.z)[i]]
            return target.if_alive(here, lambda carry: one(i, carry), carry)

        def one(i: Any, carry: Any) -> Any:
            point, omega, moved = carry
            axis = zero.at[jnp.asarray(block.z)[i]].set(1.0)
            inner, point, went = along(target, point, axis, omega.enter(i))
            return point, omega.leave(inner), moved + went

        point, omega, moved = jax.lax.fori_loop(0, n, each, (point, omega, jnp.zeros((), int)))
        return Step(point, tuned, omega, {rate_of(label): real(moved / n)})

    return Move(nothing_tuned, step, {rate_of(label): jnp.nan})


def slice_on_line(
    log_density: Callable[[Any], Any],
    here: Any,
    width: float,
    steps: int,
    omega: Any,
    path: Path,
) -> tuple[Any, Any, Any]:
    """From 0, where the log density is `here`, to another number: (source, it, log density)."""
    uniform = D.make("uniform", (0.0, 1.0))
    omega, u = omega.draw((*path, "level"), uniform, ())
    level = here + jnp.log(u)
    omega, lower, upper = step_out(log_density, level, width, steps, omega, path)

    def draw(i: Any, lower: Any, upper: Any, omega: Any) -> tuple[Any, Any, Any]:
        inner = omega.enter(i)
        inner, t = inner.draw((*path, "shrink"), D.make("uniform", (lower, upper)), ())
        return omega.leave(inner), t, log_density(t)

    def outside(carry: Any) -> Any:
        i, _, _, _, value, _ = carry
        return ~(value > level) & (i < SHRINKS)

    def shrink(carry: Any) -> Any:
        i, lower, upper, t, _, omega = carry
        lower, upper = jnp.where(t < 0, t, lower), jnp.where(t < 0, upper, t)
        omega, t, value = draw(i, lower, upper, omega)
        return i + 1, lower, upper, t, value, omega

    omega, t, value = draw(0, lower, upper, omega)
    begin = (jnp.ones((), int), lower, upper, t, value, omega)
    _, _, _, t, value, omega = jax.lax.while_loop(outside, shrink, begin)
    found = value > level
    return omega, jnp.where(found, t, 0.0), jnp.where(found, value, here)


def step_out(
    log_density: Callable[[Any], Any],
    level: Any,
    width: float,
    steps: int,
    omega: Any,
    path: Path,
) -> tuple[Any, Any, Any]:
    """An interval around 0 of at most `steps` widths: (source, its ends)."""
    omega, u = omega.draw((*path, "place"), D.make("uniform", (0.0, 1.0)), ())
    omega, left = omega.draw((*path, "left"), D.make("discrete_uniform", (0, steps - 1)), ())
    lower = -width * u

    def grow(end: Any, room: Any, by: float) -> Any:
        def inside(carry: Any) -> Any:
            end, room = carry
            return (room > 0) & (log_density(end) > level)

        return jax.lax.while_loop(inside, lambda c: (c[0] + by, c[1] - 1), (end, room))[0]

    return omega, grow(lower, left, -width), grow(lower + width, steps - 1 - left, width)

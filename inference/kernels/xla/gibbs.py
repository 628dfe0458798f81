"""Gibbs sampling by enumeration: every choice of finitely many values, in turn, from its exact law
given all other coordinates. Law: `Reversible` for each choice. Geman and Geman (1984)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.kernels.basic import Gibbs
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


def gibbs(kernel: Gibbs, block: Block, path: Path, options: np.ndarray) -> Move:
    """options: how many values each discrete coordinate of the density has."""
    label = path[-1]

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        changed = jnp.zeros((), int)
        for count in sorted(set(options[block.k].tolist())):
            own = block.k[options[block.k] == count]
            omega, point, more = _sweep(target, point, own, count, omega, (*path, str(count)))
            changed += more
        return Step(point, tuned, omega, {rate_of(label): real(changed / len(block.k))})

    return Move(nothing_tuned, step, {rate_of(label): jnp.nan})


def _sweep(
    target: Target, point: Point, own: np.ndarray, count: int, omega: Any, path: Path
) -> tuple[Any, Point, Any]:
    """Each of the coordinates in `own`, of `count` values: (source, point, how many changed)."""

    def one(i: Any, carry: Any) -> Any:
        point, omega, changed = carry
        omega, inner = omega, omega.enter(i)
        inner, after = draw_option(target, point, jnp.asarray(own)[i], count, inner, path)
        moved = jnp.any(after.k != point.k)
        return after, omega.leave(inner), changed + moved

    init = (point, omega, jnp.zeros((), int))
    point, omega, changed = jax.lax.fori_loop(0, len(own), one, init)
    return omega, point, changed


def draw_option(
    target: Target, point: Point, at: Any, count: int, omega: Any, path: Path
) -> tuple[Any, Point]:
    """Coordinate `at` from its law given all others."""

    def with_option(option: Any) -> Any:
        return target.log_density(point.z, point.k.at[at].set(option))

    logs = jax.vmap(with_option)(jnp.arange(count))
    omega, option = omega.draw((*path, "option"), D.make("categorical_logit", (logs,)), ())
    return omega, Point(point.z, point.k.at[at].set(option), logs[option])

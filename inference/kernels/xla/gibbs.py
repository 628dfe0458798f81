"""Gibbs sampling by enumeration: choices of finitely many values, each from its exact law given all
other coordinates. Law: `Invariant`, `Reversible` for a single choice.

The elements of a plate, or the states of a chain, are drawn together from their joint law given the
rest where the program shows that it comes apart (`semantics.xla.mixed`), at the cost of one density
for each value; other choices in turn. Geman and Geman (1984); for chains Scott (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from ppl.semantics.omega import path_hash

#: (data, position, source) to the source and all coordinates of a site: `MixedDensity.given_rest`
Draw = Callable[[Any, Any, Any], tuple[Any, Any]]


def gibbs(
    kernel: Gibbs,
    block: Block,
    path: Path,
    options: np.ndarray,
    together: Mapping[str, tuple[np.ndarray, Draw]] | None = None,
) -> Move:
    """options: how many values each discrete coordinate of the density has. together: sites whose
    coordinates, by their numbers, are drawn at once."""
    label, sites = path[-1], dict(together or {})
    alone = np.setdiff1d(
        block.k, np.concatenate([np.zeros(0, int), *(k for k, _ in sites.values())])
    )

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        changed = jnp.zeros((), int)
        for name, (own, draw) in sites.items():
            inner = omega.enter(path_hash((*path, name)))
            inner, k = draw(target.data, target.position(point.z, point.k), inner)
            after = target.point(point.z, point.k.at[own].set(jnp.ravel(k)))
            changed += jnp.sum(after.k != point.k)
            point, omega = after, omega.leave(inner)
        for count in sorted(set(options[alone].tolist())):
            own = alone[options[alone] == count]
            omega, point, more = _sweep(target, point, own, count, omega, (*path, str(count)))
            changed += more
        return Step(point, tuned, omega, {rate_of(label): real(changed / len(block.k))})

    return Move(nothing_tuned, step, {rate_of(label): jnp.nan})


def _sweep(
    target: Target, point: Point, own: np.ndarray, count: int, omega: Any, path: Path
) -> tuple[Any, Point, Any]:
    """Each of the coordinates in `own`, of `count` values: (source, point, how many changed)."""

    alive = target.alive_k

    def each(i: Any, carry: Any) -> Any:
        here = alive[jnp.asarray(own)[i]]
        return target.if_alive(here, lambda carry: one(i, carry), carry)

    def one(i: Any, carry: Any) -> Any:
        point, omega, changed = carry
        omega, inner = omega, omega.enter(i)
        inner, after = draw_option(target, point, jnp.asarray(own)[i], count, inner, path)
        moved = jnp.any(after.k != point.k)
        return after, omega.leave(inner), changed + moved

    init = (point, omega, jnp.zeros((), int))
    point, omega, changed = jax.lax.fori_loop(0, len(own), each, init)
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

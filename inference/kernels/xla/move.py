"""What every kernel on XLA is: two pure functions on points of a mixed density.

`step` draws through Ω alone, at paths of its own, so that tapes enumerate the kernels whose choices
are finite. What it has tuned is a state beside the point; it may change while `adapting`, in
warm-up, and never after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import distributions as D
from ppl.semantics.mixed import MixedDensity

Path = tuple[str, ...]
T = TypeVar("T")


class Point(NamedTuple):
    """Free coordinates (size,), discrete ones (count,), and the log density."""

    z: Any
    k: Any
    log_density: Any


@dataclass(frozen=True)
class Target:
    """A mixed density given its data.

    alive: of sites, by path, which of their draws have been made (booleans of the shape of their
    loops), if not all. No factor depends on the others, and they need not be moved.
    """

    density: MixedDensity
    data: Any
    alive: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alive_z(self) -> Any:
        """Of free coordinates, whether their draws have been made (size,)."""
        return self._alive((s.path, s.unconstrained_shape) for s in self.density.sites)

    @property
    def alive_k(self) -> Any:
        """Of discrete ones (count,)."""
        return self._alive((s.path, s.shape) for s in self.density.discrete)

    def _alive(self, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> Any:
        parts = [jnp.zeros(0, bool)]
        for path, shape in shapes:
            own = jnp.asarray(self.alive.get(path, True))
            wide = jnp.reshape(own, own.shape + (1,) * (len(shape) - own.ndim))
            parts.append(jnp.ravel(jnp.broadcast_to(wide, shape)))
        return jnp.concatenate(parts)

    def if_alive(self, alive: Any, step: Callable[[T], T], carry: T) -> T:
        """What a step makes of the carry, if the coordinate that it moves is `alive`."""
        if not self.alive:
            return step(carry)
        return jax.lax.cond(alive, step, lambda carry: carry, carry)

    def position(self, z: Any, k: Any) -> dict[str, Any]:
        return {**self.density.unflatten(z), **self.density.unflatten_discrete(k)}

    def log_density(self, z: Any, k: Any) -> Any:
        return self.density.log_density(self.data, self.position(z, k))

    def point(self, z: Any, k: Any) -> Point:
        return Point(z, k, self.log_density(z, k))


class Block(NamedTuple):
    """The coordinates that a kernel moves: indices into z and k, known while compiling."""

    z: np.ndarray
    k: np.ndarray


class Step(NamedTuple):
    point: Point
    tuned: Any
    omega: Any
    stats: dict[str, Any]


@dataclass(frozen=True)
class Move:
    """begin(target, point): what it tunes. step(target, point, tuned, omega, adapting).

    stats: the names of what it tells of a step, and what stands there if it was not run.
    """

    begin: Callable[[Target, Point], Any]
    step: Callable[[Target, Point, Any, Any, Any], Step]
    stats: Mapping[str, Any]


def rate_of(label: str) -> str:
    """What the share of a kernel's moves that changed the point is called."""
    return f"acceptance_rate of {label}"


def nothing_tuned(target: Target, point: Point) -> Any:
    return ()


def metropolis(
    point: Point, proposed: Point, log_ratio: Any, omega: Any, path: Path
) -> tuple[Any, Point, Any, Any]:
    """The accept step: the proposal with probability min(1, exp(log_ratio)), else the point.

    Gives the source, the next point, that probability, and whether it was accepted. A ratio that is
    no number (a proposal of no density) is never accepted.
    """
    log_ratio = jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio)
    probability = jnp.exp(jnp.minimum(log_ratio, 0.0))
    omega, accepted = omega.draw((*path, "accept"), D.make("bernoulli", (probability,)), ())
    return omega, chosen(accepted, proposed, point), probability, accepted


def chosen(where: Any, a: Point, b: Point) -> Point:
    return Point(*(jnp.where(where, x, y) for x, y in zip(a, b, strict=True)))


def real(x: Any) -> Any:
    return jnp.asarray(x, jnp.result_type(float))

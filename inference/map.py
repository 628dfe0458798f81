"""The mode of a density by L-BFGS, from several starting points. Contract: `Approximates(mode)`.

Two modes are on offer. `jacobian=False` maximises the density in the program's own coordinates, the
usual posterior mode; `jacobian=True` that of the free coordinates, which depends on the maps chosen
but exists more often and is what a Laplace approximation is centred on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ppl.inference.initialise import explain_failure, find_point
from ppl.inference.settings import check_types
from ppl.semantics import keys
from ppl.semantics.density import Density, Position
from ppl.semantics.diagnostics import Note, fail
from ppl.semantics.precision import Precision, precision


@dataclass(frozen=True, kw_only=True)
class Map:
    """Settings: starting points tried, iterations from each at most, and the gradient (largest
    component) that counts as zero, in units of 1 + |log density|; by default the square root of
    the precision's epsilon.
    """

    restarts: int = 4
    iterations: int = 2000
    tolerance: float | None = None
    jacobian: bool = False
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("restarts", "iterations"):
            if getattr(self, name) < 1:
                raise fail("E811", f"{name} = {getattr(self, name)}: it must be at least 1")
        if self.tolerance is not None and not self.tolerance > 0:
            raise fail("E811", f"tolerance = {self.tolerance}: it must be positive")


@dataclass(frozen=True)
class Mode:
    """The best of the optima found: its position in free coordinates, the log density there in the
    coordinates that were asked for, the largest gradient component, and for each restart the value
    it reached, the iterations it took and whether it converged.
    """

    position: Mapping[str, np.ndarray]
    log_density: float
    gradient: float
    values: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray


class Optimum(NamedTuple):
    """Where an optimiser stopped, and whether that is an optimum."""

    z: Any
    value: Any
    gradient: Any
    iterations: Any
    converged: Any


def maximise(
    objective: Callable[[Any], Any], start: Any, *, iterations: int, tolerance: Any
) -> Optimum:
    """L-BFGS with a strong-Wolfe (zoom) line search from a flat position; traced.

    It has converged when no gradient component exceeds `tolerance` times 1 + |objective|, taken
    at the start or now, whichever is less: an objective that grows without bound never converges.
    """
    solver = optax.lbfgs()
    first_value = jnp.abs(objective(start))

    def loss(z: Any) -> Any:
        return -objective(z)

    value_and_grad = optax.value_and_grad_from_state(loss)

    def body(carry: Any) -> Any:
        z, state, i, _, _ = carry
        value, gradient = value_and_grad(z, state=state)
        updates, state = solver.update(
            gradient, state, z, value=value, grad=gradient, value_fn=loss
        )
        value, gradient = (optax.tree.get(state, name) for name in ("value", "grad"))
        return optax.apply_updates(z, updates), state, i + 1, value, gradient

    def small(value: Any, gradient: Any) -> Any:
        scale = 1 + jnp.minimum(jnp.abs(value), first_value)
        return jnp.isfinite(value) & (jnp.max(jnp.abs(gradient)) <= tolerance * scale)

    def unfinished(carry: Any) -> Any:
        *_, i, value, gradient = carry
        lost = ~jnp.isfinite(value) | ~jnp.all(jnp.isfinite(gradient))
        return (i < iterations) & ~small(value, gradient) & ~((i > 0) & lost)

    first = (
        start,
        solver.init(start),
        jnp.zeros((), jnp.int32),
        jnp.zeros(()),
        jnp.full_like(start, jnp.inf),
    )
    z, _, i, value, gradient = jax.lax.while_loop(unfinished, body, first)
    return Optimum(z, -value, -gradient, i, small(value, gradient))


@lru_cache(maxsize=64)
def _program(density: Density, jacobian: bool) -> Callable[..., Any]:
    """One restart, compiled: (data, seed, restart, iterations, tolerance)."""
    target = density.log_density if jacobian else density.log_density_no_jacobian
    assert target is not None

    def run(data: Any, seed: Any, restart: Any, iterations: Any, tolerance: Any) -> Any:
        point, ok = find_point(density, data, jax.random.fold_in(keys.wrap(seed), restart))
        optimum = maximise(
            lambda z: target(data, density.unflatten(z)),
            point.z,
            iterations=iterations,
            tolerance=tolerance,
        )
        return optimum, ok

    return jax.jit(run)


def run_map(
    density: Density,
    data: Any,
    settings: Map | None = None,
    *,
    seed: int,
    start: Position | None = None,
) -> Mode:
    """The highest mode that the restarts found. Raises E810 if no start is found, E812 if none of
    the restarts converges, naming the site that ran away."""
    settings = settings or Map()
    if not settings.jacobian and density.log_density_no_jacobian is None:
        raise fail(
            "E812",
            "this density is known in free coordinates only",
            hint="ask for jacobian = true",
        )
    if density.size == 0:
        raise fail(
            "E814",
            "there is no continuous site to optimise",
            hint="a finite program is solved exactly by the method `exact`",
        )
    with precision(settings.precision):
        tolerance = settings.tolerance or float(jnp.finfo(jnp.result_type(float)).eps) ** 0.5
        program = _program(density, settings.jacobian)
        words = keys.seed_words(seed)
        data = jax.device_put(data)
        found = jax.device_get(
            [
                program(data, words, r, settings.iterations, tolerance)
                for r in range(settings.restarts)
            ]
        )
        started = [optimum for optimum, ok in found if ok]
        if not started:
            raise explain_failure(density, data, words)
    values = np.array([o.value for o in started])
    sizes = np.array([np.max(np.abs(o.gradient)) for o in started])
    converged = np.array([o.converged for o in started])
    if not converged.any():
        raise _not_converged(density, started, sizes, settings)
    best = int(np.argmax(np.where(converged, values, -np.inf)))
    return Mode(
        position=density.unflatten(started[best].z),
        log_density=float(values[best]),
        gradient=float(sizes[best]),
        values=values,
        iterations=np.array([o.iterations for o in started]),
        converged=converged,
    )


def _not_converged(
    density: Density, found: list[Optimum], sizes: np.ndarray, settings: Map
) -> Exception:
    best = int(np.argmax([np.nan_to_num(o.value, nan=-np.inf) for o in found]))
    optimum = found[best]
    far = np.where(np.isnan(optimum.z), np.inf, np.abs(optimum.z))
    site = density.site_of(int(np.argmax(far)))
    return fail(
        "E812",
        f"none of {len(found)} restarts reached a mode",
        span=site.span,
        notes=[
            Note(
                f"after {optimum.iterations} of at most {settings.iterations} iterations the best "
                f"has log density {optimum.value:.6g} and a gradient of {sizes[best]:.3g}"
            ),
            Note(
                f"`{site.path}` has gone farthest, to {np.max(far):.3g} in free coordinates",
                site.span,
            ),
        ],
        hint="the density may be unbounded where a scale goes to zero; give the scale a prior that "
        "vanishes there, use jacobian = true, or sample with nuts",
    )

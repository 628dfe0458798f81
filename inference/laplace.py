"""The Laplace approximation: a Gaussian at the mode, in free coordinates.

Its precision is minus the Hessian of the log density there, Jacobian included. Contract:
`Approximates(Gaussian at the mode)`; exact where the density is Gaussian in free coordinates.
Tierney & Kadane, JASA 81 (1986).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.map import Map, run_map
from ppl.inference.settings import check_types
from ppl.semantics import keys
from ppl.semantics.density import Density
from ppl.semantics.diagnostics import Note, fail
from ppl.semantics.precision import Precision, precision


@dataclass(frozen=True, kw_only=True)
class Laplace:
    """Settings: draws from the Gaussian; how the mode is looked for, as in `Map`."""

    draws: int = 1000
    restarts: int = 4
    iterations: int = 2000
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.draws < 1:
            raise fail("E811", f"draws = {self.draws}: it must be at least 1")
        self.optimiser  # noqa: B018  checks its own numbers

    @property
    def optimiser(self) -> Map:
        return Map(
            restarts=self.restarts,
            iterations=self.iterations,
            jacobian=True,
            precision=self.precision,
        )


@dataclass(frozen=True)
class LaplaceFit:
    """The approximation and draws from it.

    `mean` (size,) and `covariance` (size, size) are in flat free coordinates; `position` has
    leading axes (1, draw); `log_evidence` is the mass of the Gaussian that touches the density
    at its mode; `log_weights` (draw,) are target over normalised approximation, whose spread tells
    how good it is.
    """

    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: float
    position: Mapping[str, np.ndarray]
    log_weights: np.ndarray


_NEWTON_STEPS = 8


@lru_cache(maxsize=64)
def _program(density: Density) -> Callable[..., Any]:
    def run(data: Any, z: Any) -> Any:
        """Polish the mode by Newton steps while they help; return it with its negated Hessian."""

        def log_density(v: Any) -> Any:
            return density.log_density(data, density.unflatten(v))

        gradient = jax.grad(log_density)

        def negated_hessian(v: Any) -> Any:
            h = -jax.jacfwd(gradient)(v)
            return (h + h.T) / 2

        def step(_: Any, carry: Any) -> Any:
            z, h = carry
            g = gradient(z)
            new = z + jnp.linalg.solve(h, g)
            better = jnp.max(jnp.abs(gradient(new))) < jnp.max(jnp.abs(g))
            new = jnp.where(better, new, z)  # a NaN step compares false
            return new, negated_hessian(new)

        z, h = jax.lax.fori_loop(0, _NEWTON_STEPS, step, (z, negated_hessian(z)))
        return z, h, log_density(z)

    return jax.jit(run)


@lru_cache(maxsize=64)
def _sampler(density: Density, draws: int) -> Callable[..., Any]:
    def run(data: Any, seed: Any, mode: Any, scale: Any, log_scale: Any) -> Any:
        key = jax.random.fold_in(keys.wrap(seed), 2**31 - 1)
        noise = jax.random.normal(key, (draws, density.size))
        z = mode + noise @ scale.T
        log_q = -0.5 * jnp.sum(noise**2, -1) - log_scale
        log_p = jax.vmap(lambda v: density.log_density(data, density.unflatten(v)))(z)
        return z, log_p - log_q

    return jax.jit(run)


def run_laplace(
    density: Density, data: Any, settings: Laplace | None = None, *, seed: int
) -> LaplaceFit:
    """Fit and draw. Raises what `run_map` raises, and E813, naming the sites along the flat
    direction, if the log density does not curve down everywhere at its mode."""
    settings = settings or Laplace()
    with precision(settings.precision):
        mode = run_map(density, data, settings.optimiser, seed=seed)
        data = jax.device_put(data)
        z, h, value = jax.device_get(_program(density)(data, density.flatten(mode.position)))
        curvature, directions = np.linalg.eigh(h) if np.isfinite(h).all() else (None, None)
        if curvature is None or curvature[0] <= density.size * np.finfo(h.dtype).eps * max(
            curvature[-1], 0
        ):
            raise _not_definite(density, curvature, directions)
        scale = directions / np.sqrt(curvature)  # scale @ scale.T is the covariance
        log_scale = (density.size * np.log(2 * np.pi) - np.sum(np.log(curvature))) / 2
        draws, log_weights = jax.device_get(
            _sampler(density, settings.draws)(data, keys.seed_words(seed), z, scale, log_scale)
        )
    return LaplaceFit(
        mean=z,
        covariance=scale @ scale.T,
        log_evidence=float(value + log_scale),
        position=density.unflatten(draws[None]),
        log_weights=log_weights,
    )


def _not_definite(density: Density, curvature: Any, directions: Any) -> Exception:
    if curvature is None:
        notes, span = [Note("the second derivatives at the mode are not finite")], None
    else:
        load = directions[:, 0] ** 2
        share = {s.path: 0.0 for s in density.sites}
        for i, part in enumerate(load):
            share[density.site_of(i).path] += part
        sites = [s for s in density.sites if share[s.path] > 0.05]
        names = ", ".join(f"`{s.path}`" for s in sites)
        span = sites[0].span
        notes = [
            Note(
                f"along {names} it curves by {-curvature[0]:.3g}, against {-curvature[-1]:.3g} in "
                "the steepest direction",
                span,
            )
        ]
    return fail(
        "E813",
        "the log density does not curve down in every direction at its mode",
        span=span,
        notes=notes,
        hint="give the sites named here priors that determine them, or sample with nuts",
    )

"""The No-U-Turn sampler (Hoffman & Gelman 2014; multinomial, Betancourt 2017), NumPyro's kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppl.inference.schedule import Init, Mode, Schedule
from ppl.inference.settings import check_types
from ppl.semantics.density import Density
from ppl.semantics.diagnostics import fail
from ppl.semantics.precision import Precision

if TYPE_CHECKING:
    from ppl.inference.kernels.flat import Kernel
    from ppl.inference.sampling import Draws


@dataclass(frozen=True, kw_only=True)
class Nuts:
    """Settings of NUTS. Contract: `Invariant(density)` once warm-up is over.

    `target_accept` is the mean acceptance statistic that warm-up tunes the step size to;
    `dense_mass` adapts a full mass matrix instead of a diagonal; `step_size` is the first one
    tried; trajectories have at most 2^max_tree_depth - 1 leapfrog steps. A chain starts at a point
    of positive density that is `init`: "uniform" in (-2, 2) in every free coordinate, or from the
    "prior", which is better where far from it the density is rugged (differential equations). The
    sites in `noncenter`
    (of location-scale families) move in standardised coordinates.
    """

    warmup: int = 1000
    draws: int = 1000
    chains: int = 4
    thin: int = 1
    target_accept: float = 0.8
    max_tree_depth: int = 10
    dense_mass: bool = False
    step_size: float = 1.0
    init: Init = "uniform"
    mode: Mode = "auto"
    noncenter: tuple[str, ...] = ()
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_hamiltonian(self.target_accept, self.step_size)
        if not 1 <= self.max_tree_depth <= 20:
            raise fail("E811", f"max_tree_depth = {self.max_tree_depth}: it must be from 1 to 20")
        self.schedule  # noqa: B018  checks its own numbers

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.warmup, self.draws, self.chains, self.thin)


def check_hamiltonian(target_accept: float, step_size: float) -> None:
    """Raise E811 for settings no Hamiltonian kernel can run with."""
    if not 0 < target_accept < 1:
        raise fail("E811", f"target_accept = {target_accept}: it must lie between 0 and 1")
    if not step_size > 0:
        raise fail("E811", f"step_size = {step_size}: it must be positive")


def nuts_kernel(density: Density, settings: Nuts) -> Kernel:
    """The kernel, with its warm-up. Apart from the settings, because it imports NumPyro."""
    from ppl.inference.hamiltonian import Hamiltonian, hamiltonian_kernel

    return hamiltonian_kernel(
        density,
        Hamiltonian(
            algorithm="NUTS",
            warmup=settings.warmup,
            target_accept=settings.target_accept,
            dense_mass=settings.dense_mass,
            step_size=settings.step_size,
            max_tree_depth=settings.max_tree_depth,
        ),
    )


def run_nuts(density: Density, data: Any, settings: Nuts | None = None, **options: Any) -> Draws:
    """Draws from the density's normalised measure; see `run_chains` for options, seeds and errors.

    Stats: lp, energy, acceptance_rate, diverging, n_steps, step_size, tree_depth,
    reached_max_treedepth.
    """
    from ppl.inference.chains import run_chains

    settings = settings or Nuts()
    return run_chains(
        density,
        nuts_kernel(density, settings),
        data,
        settings.schedule,
        mode=settings.mode,
        init=settings.init,
        numbers=settings.precision,
        **options,
    )

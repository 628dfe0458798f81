"""Hamiltonian Monte Carlo with trajectories of a fixed length (Neal 2011), NumPyro's kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppl.inference.nuts import check_hamiltonian
from ppl.inference.schedule import Init, Mode, Schedule
from ppl.inference.settings import check_types
from ppl.semantics.density import Density
from ppl.semantics.diagnostics import fail
from ppl.semantics.precision import Precision

if TYPE_CHECKING:
    from ppl.inference.kernels.flat import Kernel
    from ppl.inference.sampling import Draws


@dataclass(frozen=True, kw_only=True)
class Hmc:
    """Settings of HMC. Contract: `Invariant(density)` once warm-up is over.

    `trajectory_length` is the time a trajectory integrates for, in units where the mass matrix
    makes the target's scales one. The other settings are those of `Nuts`.
    """

    warmup: int = 1000
    draws: int = 1000
    chains: int = 4
    thin: int = 1
    trajectory_length: float = math.pi / 2
    target_accept: float = 0.8
    dense_mass: bool = False
    step_size: float = 1.0
    init: Init = "uniform"
    mode: Mode = "auto"
    noncenter: tuple[str, ...] = ()
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_hamiltonian(self.target_accept, self.step_size)
        if not self.trajectory_length > 0:
            raise fail("E811", f"trajectory_length = {self.trajectory_length}: it must be positive")
        self.schedule  # noqa: B018  checks its own numbers

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.warmup, self.draws, self.chains, self.thin)


def hmc_kernel(density: Density, settings: Hmc) -> Kernel:
    """The kernel, with its warm-up. Apart from the settings, because it imports NumPyro."""
    from ppl.inference.hamiltonian import Hamiltonian, hamiltonian_kernel

    return hamiltonian_kernel(
        density,
        Hamiltonian(
            algorithm="HMC",
            warmup=settings.warmup,
            target_accept=settings.target_accept,
            dense_mass=settings.dense_mass,
            step_size=settings.step_size,
            trajectory_length=settings.trajectory_length,
        ),
    )


def run_hmc(density: Density, data: Any, settings: Hmc | None = None, **options: Any) -> Draws:
    """Draws from the density's normalised measure; see `run_chains` for options, seeds and errors.

    Stats: lp, energy, acceptance_rate, diverging, n_steps, step_size.
    """
    from ppl.inference.chains import run_chains

    settings = settings or Hmc()
    return run_chains(
        density,
        hmc_kernel(density, settings),
        data,
        settings.schedule,
        mode=settings.mode,
        init=settings.init,
        numbers=settings.precision,
        **options,
    )

"""Particle Gibbs: sweeps of conditional sequential Monte Carlo, and moves of what they leave.

Composition: a chain whose step is `kernels.pgibbs` on the trajectory, and then another kernel on
the parameters given it. Law: `Invariant(posterior)` of every step.

Andrieu, Doucet and Holenstein, "Particle Markov chain Monte Carlo methods" (2010); Lindsten, Jordan
and Schön, "Particle Gibbs with ancestor sampling" (2014).
"""

from __future__ import annotations

from dataclasses import dataclass

from ppl.inference.kernels.algebra import Kernel, check_kernel
from ppl.inference.kernels.particle import ParticleGibbs
from ppl.inference.mcmc import Mcmc


@dataclass(frozen=True, kw_only=True)
class Pgibbs:
    """Settings: of the sweeps, `particles`, whether they sample ancestors, and the share of
    effective particles below which they resample; of the chains, as `mcmc`.

    A sweep moves all random choices, or the `sites` that are named; `then` is a kernel of
    `ppl.kernels` that moves the others after each sweep.
    """

    particles: int = 100
    ancestor_sampling: bool = True
    threshold: float = 1.0
    sites: tuple[str, ...] | str = ()
    then: Kernel | None = None
    chains: int = 4
    draws: int = 1_000
    warmup: int = 500
    thin: int = 1

    def __post_init__(self) -> None:
        if self.then is not None:
            check_kernel(self.then)
        Mcmc(
            kernel=self.kernel,
            chains=self.chains,
            draws=self.draws,
            warmup=self.warmup,
            thin=self.thin,
        )

    @property
    def kernel(self) -> Kernel:
        """One step of a chain."""
        sites = tuple(self.sites.split(",")) if isinstance(self.sites, str) else self.sites
        sweep: Kernel = ParticleGibbs(
            particles=self.particles,
            ancestor_sampling=self.ancestor_sampling,
            threshold=self.threshold,
        )
        sweep = sweep.on(*sites) if any(sites) else sweep
        return sweep if self.then is None else sweep.then(self.then)

"""Particle marginal Metropolis-Hastings: parameters by the estimates of particle filters.

Composition: a chain of `kernels.particle.ParticleMarginal`. Law: `Invariant(posterior)` of every
step, for any number of particles.

Andrieu, Doucet and Holenstein, "Particle Markov chain Monte Carlo methods" (2010).
"""

from __future__ import annotations

from dataclasses import dataclass

from ppl.inference.kernels.algebra import Kernel
from ppl.inference.kernels.particle import ParticleMarginal
from ppl.inference.mcmc import Mcmc
from ppl.inference.resample import SchemeName
from ppl.semantics.diagnostics import fail


@dataclass(frozen=True, kw_only=True)
class Pmmh:
    """Settings: the `parameters`, continuous sites by name, that a random walk proposes; of the
    filters that draw all others, `particles`, and when and how they resample, as `smc`; the `scale`
    of the walk, which warm-up adapts; the `correlation` of the random numbers of one filter with
    those of the next; of the chains, as `mcmc`.

    Take so many particles that the standard deviation of the estimated log density, at parameters
    of the posterior, is about 1 to 1.5.
    """

    parameters: tuple[str, ...] | str = ()
    particles: int = 200
    threshold: float = 0.5
    scheme: SchemeName = "systematic"
    scale: float = 1.0
    adapt: bool = True
    correlation: float = 0.0
    chains: int = 4
    draws: int = 1_000
    warmup: int = 500
    thin: int = 1

    def __post_init__(self) -> None:
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
        named = self.parameters
        sites = tuple(s for s in (named.split(",") if isinstance(named, str) else named) if s)
        if not sites:
            raise fail(
                "E811",
                "parameters: none is named",
                hint='name the sites that the walk proposes: ppl.pmmh(parameters="mu,sigma")',
            )
        walk = ParticleMarginal(
            particles=self.particles,
            threshold=self.threshold,
            scheme=self.scheme,
            scale=self.scale,
            adapt=self.adapt,
            correlation=self.correlation,
        )
        return walk.on(*sites)

"""Kernels that run particles, as a user names them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ppl.inference.kernels.algebra import Kernel
from ppl.inference.resample import SchemeName
from ppl.semantics.diagnostics import fail

#: the step of a walk by estimates, in standard deviations times the root of the dimension
PSEUDO_MARGINAL = 2.562


@dataclass(frozen=True, kw_only=True)
class ParticleGibbs(Kernel):
    """Conditional sequential Monte Carlo: `particles` go from suspension point to suspension point,
    one of them along the present trace, and one of those that arrive is the next.

    With `ancestor_sampling` the present trace may take any particle's past at every point, which
    changes early choices far more often; it runs what is left of the program once for every
    particle and point. They are resampled where their effective size is below `threshold` of their
    number.

    Andrieu, Doucet and Holenstein (2010); Lindsten, Jordan and Schön (2014).
    """

    name: ClassVar[str] = "pgibbs"
    particles: int = 20
    ancestor_sampling: bool = True
    threshold: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_particles(self.particles, self.threshold)


@dataclass(frozen=True, kw_only=True)
class ParticleMarginal(Kernel):
    """Random-walk Metropolis of the sites that it is `on`, with a particle filter's estimate of
    their density in the place of the density itself; all other sites are a particle of that filter.

    It moves every site, and is no part of a larger kernel. Resampling is that of `smc`. The walk is
    that of `random_walk`, but where that adapts its scale to how often it is accepted, this one
    takes 2.562 standard deviations over the root of the dimension, which suits estimates: their
    acceptance tells of their noise as well, and could shrink steps without end. With a
    `correlation` above 0 the filter's random numbers are moved, and not drawn anew, so that the
    estimates of one step have errors in common; compiled filters then resample particles in the
    order of their states.

    Andrieu, Doucet and Holenstein (2010), section 4.4; Deligiannidis, Doucet and Pitt (2018);
    Sherlock, Thiery, Roberts and Rosenthal (2015), on the scale.
    """

    name: ClassVar[str] = "pmmh"
    particles: int = 200
    threshold: float = 0.5
    scheme: SchemeName = "systematic"
    scale: float = 1.0
    adapt: bool = True
    correlation: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_particles(self.particles, self.threshold)
        if not 0 <= self.correlation < 1:
            raise fail(
                "E811", f"correlation = {self.correlation}: it must be at least 0, and below 1"
            )
        if not 0 < self.scale < math.inf:
            raise fail("E811", f"scale = {self.scale}: it must be positive")


def check_particles(particles: int, threshold: float) -> None:
    """Raise E811 for fewer than two particles, or no share of them."""
    if particles < 2:
        raise fail("E811", f"particles = {particles}: it must be at least 2")
    if not 0 <= threshold <= 1:
        raise fail("E811", f"threshold = {threshold}: it must be between 0 and 1")

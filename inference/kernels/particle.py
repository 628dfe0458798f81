"""Particle Gibbs, as a user names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ppl.inference.kernels.algebra import Kernel
from ppl.semantics.diagnostics import fail


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


def check_particles(particles: int, threshold: float) -> None:
    """Raise E811 for fewer than two particles, or no share of them."""
    if particles < 2:
        raise fail("E811", f"particles = {particles}: it must be at least 2")
    if not 0 <= threshold <= 1:
        raise fail("E811", f"threshold = {threshold}: it must be between 0 and 1")

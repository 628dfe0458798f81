"""Markov kernels for `ppl.mcmc(kernel=…)`, and how they are combined.

from ppl import kernels
kernel = kernels.hmc().on("mu", "tau").then(kernels.gibbs().on("z"))
posterior = ppl.infer(target, ppl.mcmc(kernel=kernel))
"""

from __future__ import annotations

from ppl.inference.kernels.algebra import Kernel as Kernel
from ppl.inference.kernels.algebra import mixture as mixture
from ppl.inference.kernels.basic import EllipticalSlice as elliptical_slice
from ppl.inference.kernels.basic import Gibbs as gibbs
from ppl.inference.kernels.basic import HmcMove as hmc
from ppl.inference.kernels.basic import Mala as mala
from ppl.inference.kernels.basic import NutsMove as nuts
from ppl.inference.kernels.basic import Prior as prior
from ppl.inference.kernels.basic import RandomWalk as random_walk
from ppl.inference.kernels.basic import Slice as slice
from ppl.inference.kernels.particle import ParticleGibbs as pgibbs
from ppl.inference.kernels.programmed import involution as involution
from ppl.inference.kernels.programmed import proposal as proposal

__all__ = [
    "Kernel",
    "elliptical_slice",
    "gibbs",
    "hmc",
    "involution",
    "mala",
    "mixture",
    "nuts",
    "pgibbs",
    "prior",
    "proposal",
    "random_walk",
    "slice",
]

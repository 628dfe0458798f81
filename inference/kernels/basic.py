"""The basic kernels, as a user names them: what each moves, and how it is tuned.

Each is a description; `inference.kernels.xla` has the kernels themselves, of the same names. All
leave the posterior invariant once warm-up is over: what adapts does so in warm-up alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from ppl.inference.kernels.algebra import Kernel, basic_kernels
from ppl.inference.kernels.particle import ParticleGibbs, ParticleMarginal
from ppl.inference.kernels.programmed import Involution, Proposal
from ppl.semantics.diagnostics import fail


@dataclass(frozen=True, kw_only=True)
class RandomWalk(Kernel):
    """Metropolis with symmetric steps: Gaussian in the free coordinates of continuous sites, all at
    once; of integers one after the other, by plus or minus a power of two up to `scale`.

    With `adapt`, warm-up learns the spread of every free coordinate (with `dense`, the covariance
    of all), and the scale that accepts 0.234 of the steps, or 0.44 of those of one number.
    Metropolis et al. (1953); Roberts, Gelman and Gilks (1997); Haario, Saksman and Tamminen (2001);
    Andrieu and Thoms, "A tutorial on adaptive MCMC" (2008).
    """

    name: ClassVar[str] = "random_walk"
    scale: float = 1.0
    adapt: bool = True
    dense: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("scale", self.scale)


@dataclass(frozen=True, kw_only=True)
class Slice(Kernel):
    """Slice sampling by stepping out and shrinkage: of every free coordinate in turn, or along one
    random `direction`. An interval is of `width` at first, and grows to at most `steps` widths.

    Neal, "Slice sampling" (2003), figures 3 and 5.
    """

    name: ClassVar[str] = "slice"
    width: float = 2.0
    steps: int = 100
    direction: Literal["coordinates", "random"] = "coordinates"

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("width", self.width)
        if self.steps < 1:
            raise fail("E811", f"steps = {self.steps}: it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class EllipticalSlice(Kernel):
    """Elliptical slice sampling of all its sites at once, whose priors must be Gaussian given the
    other sites; nothing to tune. Murray, Adams and MacKay (2010)."""

    name: ClassVar[str] = "elliptical_slice"


@dataclass(frozen=True, kw_only=True)
class Mala(Kernel):
    """The Metropolis-adjusted Langevin algorithm: Gaussian steps about half a step up the gradient.

    With `adapt`, warm-up learns the spread of every coordinate, and the step size that accepts
    0.574 of the steps. Roberts and Tweedie (1996); Roberts and Rosenthal (1998).
    """

    name: ClassVar[str] = "mala"
    step_size: float = 0.5
    adapt: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("step_size", self.step_size)


@dataclass(frozen=True, kw_only=True)
class HmcMove(Kernel):
    """One trajectory of Hamiltonian Monte Carlo, as of `ppl.hmc`."""

    name: ClassVar[str] = "hmc"
    trajectory_length: float = math.pi / 2
    target_accept: float = 0.8
    dense_mass: bool = False
    step_size: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("trajectory_length", self.trajectory_length)
        _hamiltonian(self)


@dataclass(frozen=True, kw_only=True)
class NutsMove(Kernel):
    """One trajectory of the No-U-Turn sampler, as of `ppl.nuts`."""

    name: ClassVar[str] = "nuts"
    target_accept: float = 0.8
    max_tree_depth: int = 10
    dense_mass: bool = False
    step_size: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _hamiltonian(self)
        if not 1 <= self.max_tree_depth <= 20:
            raise fail("E811", f"max_tree_depth = {self.max_tree_depth}: it must be from 1 to 20")


@dataclass(frozen=True, kw_only=True)
class Gibbs(Kernel):
    """Every choice of finitely many values in turn, from its exact law given all others.

    Geman and Geman (1984).
    """

    name: ClassVar[str] = "gibbs"


@dataclass(frozen=True, kw_only=True)
class Prior(Kernel):
    """Metropolis-Hastings with proposals from the prior: one random choice, picked at random, or in
    a `block` all of them together, given the choices before them."""

    name: ClassVar[str] = "prior"
    block: bool = False


#: what XLA runs; the machine has its own kernels besides
ON_XLA = (
    RandomWalk,
    Slice,
    EllipticalSlice,
    Mala,
    HmcMove,
    NutsMove,
    Gibbs,
    Prior,
    ParticleGibbs,
    ParticleMarginal,
    Proposal,
    Involution,
)


#: those that XLA runs on the prefixes of a program, too: they need densities and laws alone
ON_PREFIXES = (RandomWalk, Slice, Mala, HmcMove, NutsMove, Gibbs, Prior)


def moves_prefixes(kernel: Kernel) -> bool:
    """Whether XLA moves particles on their way by every kernel in it."""
    return all(isinstance(k, ON_PREFIXES) for k in basic_kernels(kernel))


def runs_on_xla(kernel: Kernel) -> bool:
    """Whether XLA has every kernel in it."""
    return all(isinstance(k, ON_XLA) for k in basic_kernels(kernel))


def _positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise fail("E811", f"{name} = {value}: it must be positive")


def _hamiltonian(kernel: HmcMove | NutsMove) -> None:
    _positive("step_size", kernel.step_size)
    if not 0 < kernel.target_accept < 1:
        raise fail("E811", f"target_accept = {kernel.target_accept}: it must lie between 0 and 1")

"""Methods that go from the prior to the posterior by temperatures: their settings.

At temperature t the measure is the prior times the t-th power of the likelihood, in the free
coordinates of a density. `inference/populations.py` runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.inference.annealing import Annealing, Bridge
from ppl.inference.movers import MoverName, mover_named
from ppl.inference.rejuvenate import Moves, resample_move, waste_free
from ppl.inference.resample import SCHEMES, Resample, SchemeName
from ppl.inference.settings import check_types
from ppl.semantics.diagnostics import fail
from ppl.semantics.precision import Precision

#: temperatures of a run that chooses them itself, at most
ROOM = 250
#: a ladder of K steps has its k-th temperature at (k / K) to this power: most of them are small
POWER = 4


@dataclass(frozen=True, kw_only=True)
class TemperedSmc:
    """Settings of sequential Monte Carlo over temperatures.

    Each of `replicas` populations of `particles` is reweighted, resampled by `scheme` and moved by
    `kernel` at temperatures that leave `threshold` of the effective sample size. `moves` is their
    number at each, or "auto": until positions have lost most of their correlation with where they
    began. `temperatures` gives a ladder instead (ending at 1), or its number of steps; then
    `threshold` says when to resample.

    Contract: `ProperlyWeighted` with a `pilot`, a population of its own that chooses temperatures,
    moves, scales and covariances, to which the others keep. Without one each chooses its own, and
    the evidence has a bias of order coordinates / particles.
    """

    particles: int = 1000
    replicas: int = 4
    kernel: MoverName = "hmc"
    moves: Moves = "auto"
    threshold: float = 0.5
    temperatures: int | tuple[float, ...] | None = None
    scheme: SchemeName = "systematic"
    pilot: bool = True
    noncenter: tuple[str, ...] = ()
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        _hold(self)
        _check_counts(self, "particles", "replicas", least=1)
        if self.moves != "auto" and self.moves < 1:
            raise fail("E811", f"moves = {self.moves}: it must be at least 1, or auto")
        if self.scheme not in SCHEMES:
            raise fail("E811", f"scheme = {self.scheme}: it must be one of {', '.join(SCHEMES)}")
        _check_share("threshold", self.threshold)
        ladder_of(self.temperatures)

    def annealing(self, bridge: Bridge, dimensions: int) -> Annealing:
        """How a population of these settings is made."""
        ladder = ladder_of(self.temperatures)
        mover = mover_named(self.kernel, dimensions)
        resample = Resample(self.scheme, 1.0 if ladder is None else self.threshold)
        rejuvenate = resample_move(mover, resample, self.moves)
        return Annealing(
            bridge,
            rejuvenate,
            mover.tune,
            self.particles,
            ROOM if ladder is None else len(ladder),
            ladder,
            self.threshold,
        )


@dataclass(frozen=True, kw_only=True)
class Ais:
    """Settings of annealed importance sampling (Neal 2001).

    Every one of `particles` goes alone from the prior to the posterior, with `moves` moves of
    `kernel` at each of the `temperatures`: a ladder that ends at 1, or its number of steps, or
    None, so that each leaves `threshold` of the effective sample size. A pilot population, which is
    not resampled either, chooses scales of the kernel, and temperatures if they are not given.

    Contract: `ProperlyWeighted`, with independent particles.
    """

    particles: int = 1000
    temperatures: int | tuple[float, ...] | None = 100
    threshold: float = 0.95
    kernel: MoverName = "hmc"
    moves: int = 1
    noncenter: tuple[str, ...] = ()
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        _hold(self)
        _check_counts(self, "particles", "moves", least=1)
        _check_share("threshold", self.threshold)
        ladder_of(self.temperatures)

    @property
    def pilot(self) -> bool:
        return True

    @property
    def replicas(self) -> int:
        return 1

    def annealing(self, bridge: Bridge, dimensions: int) -> Annealing:
        """How a population of these settings is made."""
        ladder = ladder_of(self.temperatures)
        mover = mover_named(self.kernel, dimensions)
        return Annealing(
            bridge,
            resample_move(mover, Resample("systematic", 0.0), self.moves),
            mover.tune,
            self.particles,
            ROOM if ladder is None else len(ladder),
            ladder,
            self.threshold,
        )


@dataclass(frozen=True, kw_only=True)
class WasteFree:
    """Settings of waste-free sequential Monte Carlo over temperatures (Dau and Chopin 2022).

    As `TemperedSmc`, but at each temperature only `ancestors` particles are resampled, each begins
    a chain of moves, and all states of the chains are the next `particles`.

    Contract: as `TemperedSmc`.
    """

    particles: int = 10_000
    ancestors: int = 200
    replicas: int = 4
    kernel: MoverName = "random_walk"
    threshold: float = 0.5
    temperatures: int | tuple[float, ...] | None = None
    pilot: bool = True
    noncenter: tuple[str, ...] = ()
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        _hold(self)
        _check_counts(self, "particles", "ancestors", "replicas", least=1)
        if self.particles % self.ancestors or self.particles < 2 * self.ancestors:
            raise fail(
                "E811",
                f"particles = {self.particles}, ancestors = {self.ancestors}: chains of equal "
                "length, of two states at least, must make up the particles",
                hint=f"use particles = {self.ancestors * max(2, self.particles // self.ancestors)}",
            )
        _check_share("threshold", self.threshold)
        ladder_of(self.temperatures)

    def annealing(self, bridge: Bridge, dimensions: int) -> Annealing:
        """How a population of these settings is made."""
        ladder = ladder_of(self.temperatures)
        mover = mover_named(self.kernel, dimensions)
        return Annealing(
            bridge,
            waste_free(mover, self.ancestors),
            mover.tune,
            self.particles,
            ROOM if ladder is None else len(ladder),
            ladder,
            self.threshold,
        )


def _hold(settings: Any) -> None:
    """Lists and arrays among the settings as tuples, so that compiled programs are found again."""
    for name in ("noncenter", "temperatures"):
        value = getattr(settings, name)
        if isinstance(value, (list, np.ndarray)):
            object.__setattr__(settings, name, tuple(np.asarray(value).tolist()))


def _check_counts(settings: Any, *names: str, least: int) -> None:
    for name in names:
        value = getattr(settings, name)
        if value < least:
            raise fail("E811", f"{name} = {value}: it must be at least {least}")


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise fail("E811", f"{name} = {value}: it must be between 0 and 1")


def ladder_of(temperatures: int | tuple[float, ...] | None) -> np.ndarray | None:
    """The temperatures after 0, in order, the last of them 1; None where none are given.

    Raises:
        DiagnosticError: E811, they are something else.
    """
    if temperatures is None:
        return None
    if isinstance(temperatures, int) and not isinstance(temperatures, bool):
        if temperatures < 1:
            raise fail("E811", f"temperatures = {temperatures}: there must be at least 1")
        return (np.arange(1, temperatures + 1) / temperatures) ** POWER
    try:
        ladder = np.asarray(temperatures, float)
    except (TypeError, ValueError):
        ladder = np.zeros(0)
    steps = np.diff(ladder, prepend=0.0) if ladder.ndim == 1 else np.zeros(0)
    if not len(steps) or not np.all(steps > 0) or ladder[-1] != 1:
        raise fail(
            "E811",
            f"temperatures = {temperatures!r}: they must rise from above 0 and end with 1",
            hint="as in temperatures=(0.01, 0.1, 0.4, 1.0), or give their number",
        )
    return ladder


Settings = TemperedSmc | Ais | WasteFree

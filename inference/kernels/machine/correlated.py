"""Random numbers of a filter that are moved a little, rather than drawn anew.

Every draw of a run is a function of one uniform number, u = Φ(x), by its step, slot and path. A
move takes each x to ρ x + sqrt(1 - ρ²) ε, ε standard normal, which is reversible for the standard
normal law; numbers that the run before did not use are drawn. So two estimates have errors in
common, which cancel from their ratio. (Draws of vectors use more numbers than u, and these are
new.)

Deligiannidis, Doucet and Pitt, "The correlated pseudomarginal method" (2018); Dahlin, Lindsten,
Kronander and Schön, "Accelerating pseudo-marginal Metropolis-Hastings by correlating auxiliary
variables" (2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from ppl.inference.choices import UNIFORM
from ppl.semantics.machine.omega import Source, bits
from ppl.semantics.machine.paths import step_hash
from ppl.semantics.machine.state import Draw, State

STANDARD = NormalDist()
#: (step, slot, path)
Place = tuple[int, int, int]
#: numbers in (0, 1) that a normal quantile is taken of
LEAST, MOST = 1e-300, 1 - 2**-53


class Numbers:
    """The numbers of one run: moved from those `before` by the correlation, or drawn from `fresh`,
    whose steps begin at `turn`. used: the normal number of every draw."""

    def __init__(self, before: Mapping[Place, float], correlation: float, fresh: Source, turn: int):
        self.before, self.correlation = before, correlation
        self.fresh, self.turn = fresh, turn
        self.noise = math.sqrt(1 - correlation**2)
        self.used: dict[Place, float] = {}

    def at(self, step: int, slot: int) -> Numbered:
        """The source of one particle in one step."""
        return Numbered(self, step, slot)


class Numbered:
    """A source of randomness; no two draws of it are at one path."""

    def __init__(self, numbers: Numbers, step: int, slot: int):
        self.numbers, self.step, self.slot = numbers, step, slot
        self.fresh = numbers.fresh.at(numbers.turn + step, slot)

    def at(self, step: int, slot: int) -> Numbered:
        return self.numbers.at(step, slot)

    def begin(self, state: State) -> Draw:
        return self.draw

    def draw(self, path: int, family: Any, args: tuple[Any, ...]) -> Any:
        """A draw by its number."""
        numbers, place = self.numbers, (self.step, self.slot, path)
        u = self.fresh.draw(path, UNIFORM, ((), 0))
        x = STANDARD.inv_cdf(min(max(u, LEAST), MOST))
        old = numbers.before.get(place)
        if old is not None:
            x = numbers.correlation * old + numbers.noise * x
        numbers.used[place] = x
        u = min(max(STANDARD.cdf(x), LEAST), MOST)
        z = bits(step_hash(path, "more") ^ getattr(self.fresh, "stream", 0))
        return family.sample(u, z, *args)

    def mark(self) -> None:
        """What a frame that is run again draws is the same."""

    def restore(self, mark: Any) -> None:
        """Nothing to restore."""

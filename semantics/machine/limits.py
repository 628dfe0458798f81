"""Limits of runs on the machine: steps, time and memory.

`fuel` is counted: the same program, data and seed end in the same way everywhere. It is for one
run, from start to end or between two suspension points. `seconds` and `memory` are for all runs
under one `Budget` together. The clock and the memory are looked at when a run starts and every
SLICE steps, so that counting costs one subtraction a step. Steps are calls of recursive functions
and of function values, and turns of loops that could go on; the rest ends by itself.
"""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from ppl.semantics.diagnostics import fail

#: steps between two looks at the clock
SLICE = 10_000
MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How far the runs of one call may go; None is no limit.

    fuel: steps of one run. seconds: of wall-clock time, all runs together. memory: megabytes by
    which the process may grow meanwhile.

    Raises:
        DiagnosticError: E811, a limit is not a positive number.
    """

    fuel: int | None = 1_000_000
    seconds: float | None = None
    memory: float | None = None

    def __post_init__(self) -> None:
        for name in ("fuel", "seconds", "memory"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (
                (whole or (isinstance(value, float) and name != "fuel")) and value > 0
            ):
                what = "a positive whole number" if name == "fuel" else "a positive number"
                raise fail("E811", f"{name} = {value!r}: it must be {what}, or None")

    def begin(self) -> Budget:
        """The limits, counted from now."""
        deadline = math.inf if self.seconds is None else time.monotonic() + self.seconds
        ceiling = math.inf if self.memory is None else resident() + self.memory * MEGABYTE
        return Budget(self, deadline, ceiling)


@dataclass(frozen=True)
class Budget:
    """Limits that have begun to count."""

    limits: Limits
    deadline: float = math.inf
    ceiling: float = math.inf

    def meter(self) -> Meter:
        """What one run may use. Raises Exhausted if time or memory are used up already."""
        self.check(None)
        return Meter(self)

    def check(self, place: Any) -> None:
        """Raises Exhausted if time or memory are used up."""
        if self.deadline < math.inf and time.monotonic() > self.deadline:
            raise Exhausted("seconds", self.limits, place)
        if self.ceiling < math.inf and resident() > self.ceiling:
            raise Exhausted("memory", self.limits, place)


class Meter:
    """What is left of one run's fuel, beyond the slice that it is using up."""

    __slots__ = ("_budget", "_left")

    def __init__(self, budget: Budget):
        self._budget = budget
        fuel = budget.limits.fuel
        self._left = sys.maxsize if fuel is None else fuel

    def again(self) -> Meter:
        """A meter with the fuel that this one had, and no other limit."""
        return Meter(Budget(self._budget.limits))

    def more(self, place: Any) -> int:
        """The next slice, for code at `place`. Raises Exhausted if there is none."""
        if self._left <= 0:
            raise Exhausted("fuel", self._budget.limits, place)
        self._budget.check(place)
        slice = min(SLICE, self._left)
        self._left -= slice
        return slice


class Exhausted(Exception):
    """A run reached the limit `what` in the code numbered `place`."""

    def __init__(self, what: str, limits: Limits, place: Any):
        self.what, self.limits, self.place = what, limits, place


def resident() -> int:
    """The bytes of memory that the process holds; where that is not told, the most it ever held."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        raise fail("E811", "memory: this system does not tell how much a process holds") from None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024

"""What a run changes: the weight, what it records, its memo table.

Everything but the memo table's fresh entries is replaced, never mutated, so that a mark of a run is
a few references; fresh entries are undone in the order they were made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

from ppl.semantics.machine.limits import Meter
from ppl.semantics.machine.memo import EMPTY, Table

#: (path, family, arguments) -> value
Draw = Callable[[Any, Any, tuple[Any, ...]], Any]


#: what a source says of a choice that it has not been given
FREE = object()


class Omega(Protocol):
    """A source of randomness for one run at a time."""

    def begin(self, state: State) -> Draw: ...

    def mark(self) -> Any: ...

    def restore(self, mark: Any) -> None: ...


class Dead(Exception):
    """The weight has become zero: the run ends here, since no result of it can matter."""


class Depth:
    """How often runs within runs were too deep for Python's stack, one after the other.

    Each is run again as blocks, which are shallow. Where runs nest without end blocks are too deep
    as well, at every level, and to try both at each would take twice as long for every level.
    """

    __slots__ = ("failures",)
    MOST = 20

    def __init__(self) -> None:
        self.failures = 0

    def failed(self, code: Any, error: RecursionError) -> None:
        """Raises DiagnosticError, E849, if that happened too often."""
        self.failures += 1
        if self.failures > self.MOST:
            raise code.explained(error) from None


class State:
    """One run. `w` is its log weight; `draw` draws; `code` is the compiled program it runs.

    sites, kept, observed, nested: linked lists, newest first: (older, path, value) for sites, kept
    values and what runs inside gave, (older, path, name, score) for observations.
    """

    __slots__ = (
        "w",
        "draw",
        "omega",
        "code",
        "sites",
        "kept",
        "observed",
        "nested",
        "fresh",
        "memo",
        "fuel",
        "meter",
        "marked",
        "stream",
        "__dict__",  # for what few runs have: a run is made in a microsecond
    )

    sites: Any
    kept: Any
    observed: Any
    nested: Any
    #: inside `normalize`: the random functions that were drawn in it
    owned: set[int] | None = None
    #: inside `rejection`: no score may be above 0
    bounded = False

    def __init__(self, omega: Omega, code: Any, *, weight: Any = 0.0, meter: Meter | None = None):
        self.w = weight
        self.omega, self.code = omega, code
        self.sites = self.kept = self.observed = self.nested = None
        self.marked: Any = START
        self.fresh: dict[Any, Any] = {}
        #: a `Table`; inside a nested run, its `Outside`
        self.memo: Any = EMPTY
        #: steps before the meter is asked for more, if there is a limit
        self.fuel = None if meter is None else meter.more(None)
        self.meter = meter
        if code.keyed:
            #: the 64 bits that draws in line are mixed with
            self.stream: int = omega.stream  # type: ignore[attr-defined]
            self.draw: Draw = omega.draw  # type: ignore[attr-defined]
        elif code.settings is not None:
            self.draw = code.settings.drawing(self, omega.begin(self))
        elif code.named:
            self.draw = recording(self, omega.begin(self))
        else:
            self.draw = omega.begin(self)

    def begin(self, omega: Omega, weight: float, meter: Meter | None) -> None:
        """Another run of the same keyed code, after one that left nothing here."""
        self.w, self.omega = weight, omega
        self.stream, self.draw = omega.stream, omega.draw  # type: ignore[attr-defined]
        if meter is not None:
            self.meter, self.fuel = meter, meter.more(None)

    @cached_property
    def root(self) -> Any:
        """The path that its own nested runs begin below."""
        return self.code.root

    @cached_property
    def depth(self) -> Depth:
        return Depth()

    def renew(self) -> None:
        """Fuel as at the beginning, and time and memory without limits: the run is over, and what
        is run now are functions that it returned."""
        if self.meter is not None:
            self.meter = self.meter.again()
            self.fuel = self.meter.more(None)

    def frozen_memo(self) -> Table:
        """The memo table as a value, fresh entries included."""
        if self.fresh:
            self.memo = self.memo.extended(self.fresh)
            self.fresh = {}
        return self.memo


#: the mark of a run of keyed code at its beginning
START = 0.0, None, None, None, None, 0, None


def recording(state: State, draw: Draw) -> Draw:
    """A `draw` of named paths, which records the sites."""

    def record(path: Any, family: Any, args: tuple[Any, ...]) -> Any:
        value = draw(path[0], family, args)
        state.sites = (state.sites, path, value)
        return value

    return record


def mark(s: State) -> None:
    """Remember where the run is, before code that may have to be run again."""
    s.marked = s.w, s.sites, s.kept, s.observed, s.nested, len(s.fresh), s.omega.mark()


def restore(s: State) -> None:
    """Back to the mark."""
    s.w, s.sites, s.kept, s.observed, s.nested, size, omega = s.marked
    while len(s.fresh) > size:
        s.fresh.popitem()
    s.omega.restore(omega)


def dead(*_: Any) -> Any:
    """End a run of weight zero."""
    raise Dead


def burn(s: State, place: Any) -> None:
    """One step, in the code numbered `place`."""
    s.fuel -= 1  # type: ignore[operator]
    if s.fuel < 0:  # type: ignore[operator]
        refill(s, place)


def refill(s: State, place: Any) -> None:
    """More fuel for a run that has used up its slice."""
    s.fuel = s.meter.more(place) - 1  # type: ignore[union-attr]


def keep(s: State, path: Any, value: Any, type: Any) -> None:
    """Record a value bound by `~`."""
    s.kept = (s.kept, path, value, type)


def note(s: State, path: Any, name: str, score: Any) -> Any:
    """Record an observation's score, and return it."""
    s.observed = (s.observed, path, name, score)
    return score

"""What a run changes: the weight, what it records, its memo table.

Everything but the memo table's fresh entries is replaced, never mutated, so that a mark of a run is
a few references; fresh entries are undone in the order they were made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ppl.semantics.machine.memo import EMPTY, Table

#: (path, family, arguments) -> value
Draw = Callable[[Any, Any, tuple[Any, ...]], Any]


class Omega(Protocol):
    """A source of randomness for one run at a time."""

    def begin(self, state: State) -> Draw: ...

    def mark(self) -> Any: ...

    def restore(self, mark: Any) -> None: ...


class Dead(Exception):
    """The weight has become zero: the run ends here, since no result of it can matter."""


class OutOfFuel(Exception):
    """A run used up its fuel, in the code numbered `place`."""

    def __init__(self, place: Any):
        self.place = place


class State:
    """One run. `w` is its log weight; `draw` draws; `code` is the compiled program it runs.

    sites, kept, observed: linked lists, newest first: (older, path, value) for sites and kept
    values, (older, path, name, score) for observations.
    """

    __slots__ = (
        "w",
        "draw",
        "omega",
        "code",
        "sites",
        "kept",
        "observed",
        "fresh",
        "memo",
        "fuel",
        "marked",
        "owned",
        "bounded",
        "root",
    )

    def __init__(self, omega: Omega, code: Any, *, weight: Any = 0.0, fuel: int | None = None):
        self.w = weight
        self.omega, self.code = omega, code
        self.sites: Any = None
        self.kept: Any = None
        self.observed: Any = None
        self.fresh: dict[Any, Any] = {}
        self.memo: Table = EMPTY
        self.fuel = fuel
        self.marked: Any = None
        #: inside `normalize`: the random functions that were drawn in it
        self.owned: set[int] | None = None
        #: inside `rejection`: no score may be above 0
        self.bounded = False
        #: the path that its own nested runs begin below
        self.root: Any = code.root
        draw = omega.begin(self)
        if code.settings is not None:
            self.draw = code.settings.drawing(self, draw)
        else:
            self.draw = _recording(self, draw) if code.named else draw

    def frozen_memo(self) -> Table:
        """The memo table as a value, fresh entries included."""
        if self.fresh:
            self.memo = self.memo.extended(self.fresh)
            self.fresh = {}
        return self.memo


def _recording(state: State, draw: Draw) -> Draw:
    def record(path: Any, family: Any, args: tuple[Any, ...]) -> Any:
        value = draw(path[0], family, args)
        state.sites = (state.sites, path, value)
        return value

    return record


def mark(s: State) -> None:
    """Remember where the run is, before code that may have to be run again."""
    s.marked = s.w, s.sites, s.kept, s.observed, len(s.fresh), s.omega.mark()


def restore(s: State) -> None:
    """Back to the mark."""
    s.w, s.sites, s.kept, s.observed, size, omega = s.marked
    while len(s.fresh) > size:
        s.fresh.popitem()
    s.omega.restore(omega)


def dead(*_: Any) -> Any:
    """End a run of weight zero."""
    raise Dead


def burn(s: State, place: int) -> None:
    """One unit of fuel less."""
    s.fuel -= 1  # type: ignore[operator]
    if s.fuel < 0:  # type: ignore[operator]
        raise OutOfFuel(place)


def keep(s: State, path: Any, value: Any, type: Any) -> None:
    """Record a value bound by `~`."""
    s.kept = (s.kept, path, value, type)


def note(s: State, path: Any, name: str, score: Any) -> Any:
    """Record an observation's score, and return it."""
    s.observed = (s.observed, path, name, score)
    return score

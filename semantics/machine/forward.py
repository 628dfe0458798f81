"""Runs forward: observations are drawn instead of scored, and scores count for nothing.

Choices that are given keep their values; all others are drawn. Programs are compiled so that
observations can be looked at (`Options.settable`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppl.semantics.machine.distributions.combinators import log_probs, sized_as
from ppl.semantics.machine.distributions.shapes import shape, shape_drawn
from ppl.semantics.machine.paths import Named, Path, path_of, step_hash
from ppl.semantics.machine.state import FREE, Draw, Omega, State

#: (path's hash, family) -> value or FREE
Given = Callable[[int, Any], Any]


def nothing(path: int, family: Any) -> Any:
    """No choice is given."""
    return FREE


class Forward:
    """A source of randomness for one run forward. `made` has the observations that were drawn, by
    path, name and number."""

    def __init__(self, source: Omega, given: Given = nothing):
        self._source, self._given = source, given
        self.made: dict[tuple[Path, str, int], Any] = {}

    def begin(self, state: State) -> Draw:
        fresh, given = self._source.begin(state), self._given

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            value = given(path, family)
            if value is FREE or (type(value) is tuple and _of_other_size(value, family, args)):
                return fresh(path, family, args)
            return value

        return draw

    def earlier(self, path: int) -> Any:
        """What inference inside the program gave at a path, or FREE."""
        return self._given(path, None)

    def observed(
        self, state: State, path: Named, name: str, family: Any, args: tuple[Any, ...], x: Any
    ) -> float:
        key = _, _, k = self.numbered(path, name)
        step = f"predict {name}" if k == 1 else f"predict {name}#{k}"
        draw = self._source.begin(state)
        self.made[key] = draw(step_hash(path[0], step), family, sized_as(family, args, x))
        return 0.0

    def numbered(self, path: Named, name: str) -> tuple[Path, str, int]:
        """The place of the next observation of a name at a path."""
        steps, k = path_of(path), 1
        while (steps, name, k) in self.made:
            k += 1
        return steps, name, k

    def mark(self) -> Any:
        return len(self.made), self._source.mark()

    def restore(self, mark: Any) -> None:
        size, source = mark
        while len(self.made) > size:
            self.made.popitem()
        self._source.restore(source)


class Scoring(Forward):
    """A source for a run with the choices given; `made` has the log probability of every
    observation, of each of the independent elements of an array."""

    def observed(
        self, state: State, path: Named, name: str, family: Any, args: tuple[Any, ...], x: Any
    ) -> float:
        self.made[self.numbered(path, name)] = log_probs(family, x, args)
        return 0.0


def _of_other_size(value: tuple[Any, ...], family: Any, args: tuple[Any, ...]) -> bool:
    """Whether an array is none that the law could draw: the data are of another size."""
    drawn = shape_drawn(family, args)
    return drawn is not None and drawn != shape(value)

"""Runs in which some choices are given: a trace replayed, scored, and completed where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.paths import Path, hash_of
from ppl.semantics.machine.state import Dead, Draw, Omega, State


class Replay:
    """Given values are scored by their densities; other choices are drawn from `rest`.

    After a run, `used` has the hashes of the paths that were given and met: the others have become
    unreachable. Without `rest`, a choice that is not given is an error (E802).
    """

    def __init__(self, given: Mapping[Path, Any], rest: Omega | None = None):
        self.given = {hash_of(path): value for path, value in given.items()}
        self.rest = rest
        self.used: set[int] = set()

    def begin(self, state: State) -> Draw:
        given, used = self.given, self.used
        other = self.rest.begin(state) if self.rest is not None else None

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            if path in given:
                used.add(path)
                value = given[path]
                state.w = w = state.w + family.log_prob(value, *args)
                if not w > float("-inf"):
                    raise Dead
                return value
            if other is None:
                raise fail("E802", f"the trace has no value for a choice from `{family.name}`")
            return other(path, family, args)

        return draw

    def mark(self) -> Any:
        return None if self.rest is None else self.rest.mark()

    def restore(self, mark: Any) -> None:
        if self.rest is not None:
            self.rest.restore(mark)

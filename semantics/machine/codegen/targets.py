"""What happens to the value of a computation, and the path that it runs at."""

from __future__ import annotations

from dataclasses import dataclass

from ppl.semantics.machine.codegen.paths import At


@dataclass(frozen=True)
class Target:
    """What happens to a value: returned, given to a frame, assigned to a variable, or dropped."""

    kind: str
    name: str = ""

    @property
    def last(self) -> bool:
        return self.kind in ("return", "give")


RETURN, DROP = Target("return"), Target("drop")
Path = At | str | None  # without names, with names, or for pure code

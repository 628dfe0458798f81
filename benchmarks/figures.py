"""What a figure is, and the line it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One comparison. `ok` when ours / theirs is at most the target."""

    name: str
    ours: float
    theirs: float
    target: float
    unit: str

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def ok(self) -> bool:
        return self.ratio <= self.target

    def line(self) -> str:
        verdict = "ok" if self.ok else "SHORT"
        ours, theirs = f"{self.ours:.4g} {self.unit}", f"{self.theirs:.4g} {self.unit}"
        return (
            f"{self.name:28} ours {ours:>14}  theirs {theirs:>14}"
            f"  ratio {self.ratio:6.3f}  target {self.target:5.2f}  {verdict}"
        )


#: the part of a figure's name before the slash, and the function that measures it
Measure = Callable[[Callable[[str], bool]], Iterator[Figure]]
"""Given `wanted(name)`, measures and yields the wanted figures only."""

"""What a figure is, and the line it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


Measure = Callable[[Sequence[str]], Iterator[Figure]]
"""Given the names of the figures that are wanted, measures and yields them."""

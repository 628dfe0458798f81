"""Laws that a run meets with parameters outside their range: a scale of 0, a negative rate.

They have no density, so the run has weight zero, and nothing says why.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ppl.semantics.machine.distributions.combinators import Product, elements
from ppl.semantics.machine.distributions.family import Family
from ppl.semantics.machine.forward import Forward
from ppl.semantics.machine.omega import MachineKey
from ppl.semantics.machine.paths import Named
from ppl.semantics.machine.state import Draw, State


class Illegal(NamedTuple):
    """A law without a density: its family, its arguments, and what is observed from it, None if it
    is drawn from."""

    family: str
    args: tuple[Any, ...]
    observed: str | None

    def __str__(self) -> str:
        shown = ", ".join(f"{a:.4g}" if isinstance(a, float) else str(a) for a in self.args)
        return f"{self.family}({shown})"


class Watching(Forward):
    """A source of randomness for one run forward. `met`: the first law of illegal parameters."""

    def __init__(self, key: MachineKey):
        super().__init__(key)
        self.met: Illegal | None = None

    def begin(self, state: State) -> Draw:
        forward = super().begin(state)

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            self._look(family, args, None)
            return forward(path, family, args)

        return draw

    def observed(
        self, state: State, path: Named, name: str, family: Any, args: tuple[Any, ...], x: Any
    ) -> float:
        self._look(family, args, name)
        return 0.0

    def _look(self, family: Family, args: tuple[Any, ...], observed: str | None) -> None:
        if self.met is None and (found := _illegal(family, args)) is not None:
            self.met = Illegal(family.name, found, observed)


def _illegal(family: Family, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The illegal arguments of a law, or of the first of its elements that has some."""
    if isinstance(family, Product):
        if any(type(a) is tuple for a in args):
            parts = elements(family, args) or ()
            each = (_illegal(part, own) for part, own in parts)
            return next((bad for bad in each if bad is not None), None)
        family = family.base
    try:
        return None if family.legal(*args) else args
    except (ArithmeticError, ValueError):
        return args

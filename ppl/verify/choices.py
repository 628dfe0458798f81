"""The choices that make one program: each through one `draw`, the first alternative the simplest.

So Hypothesis shrinks programs towards small ones. Nothing is ever rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from hypothesis import strategies as st

from ppl.verify.finite_types import Type

Text = Callable[[], str]
PRIMES = (7, 5, 11, 13, 3, 17, 19, 23)


class _Unit(st.SearchStrategy):
    def __init__(self, make: Callable):
        super().__init__()
        self.make = make

    def do_draw(self, data):
        return self.make()


@dataclass(frozen=True)
class Env:
    """The names in scope. `fixed` may not be shadowed: data, functions, names of this block."""

    types: Mapping[str, Type]
    fixed: frozenset[str] = frozenset()

    def let(self, **names: Type) -> Env:
        """With names that this block binds."""
        return Env({**self.types, **names}, self.fixed | names.keys())

    def inside(self, protected: frozenset[str]) -> Env:
        """As seen from a block inside, which may shadow all but the protected names."""
        return Env(self.types, protected)


class Choices:
    """One program's worth of choices, names and primes; `features` as in `programs`."""

    def __init__(self, draw: Callable, features: frozenset[str]):
        self.draw = draw
        self.features = features
        self.primes = count()
        self.names = count(1)
        #: data and functions: never shadowed
        self.protected: frozenset[str] = frozenset()
        #: whether a top-level function other than the model is being made
        self.top_level = False

    # -- choices

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def flip(self, one_in: int = 2) -> bool:
        return self.integer(0, one_in - 1) == one_in - 1

    def within(self, make: Callable):
        """The choices that `make` makes, as one unit that shrinking can delete or replace."""
        return self.draw(_Unit(make))

    def repeat(self, most: int, make: Callable[[], object]) -> None:
        """Call `make` up to `most` times; each time can be deleted by itself."""

        def again() -> bool:
            if self.integer(0, 3) == 0:
                return False
            make()
            return True

        for _ in range(most):
            if not self.within(again):
                break

    def pick(self, options: list[tuple[int, Text]]) -> str:
        """One of the alternatives, by weight; shrinks to the first."""
        ticket = self.integer(0, sum(w for w, _ in options) - 1)
        for w, make in options:
            if ticket < w:
                return make()
            ticket -= w
        raise AssertionError

    def on(self, feature: str) -> bool:
        return feature in self.features

    def fresh(self, env: Env, stem: str = "x") -> str:
        """A new name, or now and then one of an outer block that it shadows."""
        outer = sorted(env.types.keys() - env.fixed - self.protected)
        if outer and self.on("shadowing") and self.flip(8):
            return outer[self.integer(0, len(outer) - 1)]
        return f"{stem}{next(self.names)}"

    # -- numbers

    def prime(self) -> int:
        return PRIMES[next(self.primes) % len(PRIMES)]

    def fraction(self) -> str:
        prime = self.prime()
        return f"{self.integer(1, prime - 1)}/{prime}"

"""The choices that make one program: each through one `draw`, the first alternative the simplest.

So Hypothesis shrinks programs towards small ones. Nothing is ever rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, pairwise
from random import Random

from hypothesis import strategies as st

from ppl.verify.finite_types import Type

Text = Callable[[], str]
PRIMES = (7, 5, 11, 13, 3, 17, 19, 23)
#: of the numbers that a program is given instead
WHOLES = (13, 23, 11, 29, 17, 19)
#: the name of the probabilities that are data
NUMBERS = "p"


#: those of a range are looked up, for a program is hundreds of choices
_integers = cache(st.integers)


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
        #: whether probabilities are data; those that are, as parts of a whole
        self.lifting = False
        self.lifted: list[tuple[int, ...]] = []

    # -- choices

    def integer(self, low: int, high: int) -> int:
        return self.draw(_integers(low, high))

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
        part = self.integer(1, prime - 1)
        return self.shares(part, prime - part)[0]

    def shares(self, *parts: int) -> list[str]:
        """Positive parts, as shares of the whole: fractions, or the data that they are."""
        if not self.lifting:
            return [f"{part}/{sum(parts)}" for part in parts]
        at = len(numbers(self.lifted))
        self.lifted.append(parts)
        if len(parts) == 2:
            return [f"{NUMBERS}[{at}]", f"1 - {NUMBERS}[{at}]"]
        return [f"{NUMBERS}[{at + i}]" for i in range(len(parts))]


def numbers(groups: Sequence[tuple[int, ...]]) -> list[float]:
    """The shares of all the parts, in order; of two parts the first."""
    shown = ((sum(parts), parts[:1] if len(parts) == 2 else parts) for parts in groups)
    return [part / whole for whole, parts in shown for part in parts]


def other_numbers(groups: Sequence[tuple[int, ...]], k: int) -> tuple[tuple[int, ...], ...]:
    """As many parts of other primes. Seeded: the kth of them are always the same."""
    chance, out = Random(repr((groups, k))), []
    for i, parts in enumerate(groups):
        whole = WHOLES[(i + k) % len(WHOLES)]
        ends = [0, *sorted(chance.sample(range(1, whole), len(parts) - 1)), whole]
        out.append(tuple(b - a for a, b in pairwise(ends)))
    return tuple(out)

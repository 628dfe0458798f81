"""The refined types that finite programs are generated from.

Finer than the language's own types, so that whatever is generated is right by construction:
`Nat(3)` is {0, 1, 2} (a safe index of an array of length 3), `Prob` is the open interval, arrays
have their length, a distribution the number of its options and whether it gives all of its type
positive probability, a measure a bound on the number of its paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class Type:
    """Base class."""


@dataclass(frozen=True)
class Bool(Type):
    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True)
class Nat(Type):
    """0, …, size - 1."""

    size: int

    def __str__(self) -> str:
        return "nat"


@dataclass(frozen=True)
class Prob(Type):
    """Strictly between 0 and 1."""

    def __str__(self) -> str:
        return "prob"


@dataclass(frozen=True)
class Unit(Type):
    def __str__(self) -> str:
        return "unit"


@dataclass(frozen=True)
class Tuple(Type):
    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


@dataclass(frozen=True)
class Record(Type):
    fields: tuple[tuple[str, Type], ...]

    def __str__(self) -> str:
        return "{" + ", ".join(f"{k}: {v}" for k, v in self.fields) + "}"


@dataclass(frozen=True)
class Array(Type):
    item: Type
    length: int

    def __str__(self) -> str:
        return f"[{self.item}]"


@dataclass(frozen=True)
class Fun(Type):
    params: tuple[Type, ...]
    result: Type

    def __str__(self) -> str:
        if len(self.params) == 1 and not isinstance(self.params[0], (Fun, Tuple)):
            return f"{self.params[0]} -> {self.result}"
        return f"({', '.join(map(str, self.params))}) -> {self.result}"


@dataclass(frozen=True)
class Dist(Type):
    """At most `options` values; `full`: every value of `item` has positive probability."""

    item: Type
    options: int
    full: bool = False

    def __str__(self) -> str:
        return f"dist[{self.item}]"


@dataclass(frozen=True)
class Measure(Type):
    """Of positive mass, with at most `paths` paths."""

    item: Type
    paths: int

    def __str__(self) -> str:
        return f"measure[{self.item}]"


def fits(have: Type, want: Type) -> bool:
    """Whether every value of one type can stand where the other is wanted."""
    match have, want:
        case Nat(a), Nat(b):
            return a <= b
        case Tuple(a), Tuple(b):
            return len(a) == len(b) and all(map(fits, a, b))
        case Record(a), Record(b):
            return [k for k, _ in a] == [k for k, _ in b] and all(
                fits(x, y) for (_, x), (_, y) in zip(a, b, strict=True)
            )
        case Array(a, m), Array(b, n):
            return m == n and fits(a, b)
        case Fun(a, r), Fun(b, q):
            return len(a) == len(b) and all(map(fits, b, a)) and fits(r, q)
        case Dist(a, m, f), Dist(b, n, g):
            # full on its own type is not full on a wider one
            return m <= n and (a == b and f if g else fits(a, b))
        case Dist(a, m), Measure(b, n):
            return m <= n and fits(a, b)
        case Measure(a, m), Measure(b, n):
            return m <= n and fits(a, b)
        case _:
            return have == want


def parts(t: Type) -> Iterator[Type]:
    """What is reached from a value of this type by one field, index or call."""
    match t:
        case Tuple(items):
            yield from items
        case Record(fields):
            yield from (x for _, x in fields)
        case Array(item, _):
            yield item
        case Fun(_, result):
            yield result
        case _:
            pass


def first_order(t: Type) -> bool:
    """Whether values of this type are data: no functions, distributions or measures inside."""
    return not isinstance(t, (Fun, Dist, Measure)) and all(map(first_order, parts(t)))

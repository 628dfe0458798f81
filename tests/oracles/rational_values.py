"""The values, distributions and paths of the rational oracle (`rational`).

A value is a bool, an int, a Fraction, a str, () for unit, a tuple, or one of the classes below.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeAlias


class NotFinite(Exception):
    """The program is outside what can be enumerated in rational arithmetic."""


class Array(tuple):
    """An array; `Array((1, 2))`."""


@dataclass(frozen=True)
class Record:
    """Fields sorted by name: two records are equal when their sorted fields are."""

    fields: tuple[tuple[str, Any], ...]

    @staticmethod
    def of(fields: Mapping[str, Any]) -> Record:
        return Record(tuple(sorted(fields.items())))


@dataclass(frozen=True)
class Log:
    """log(of), of >= 0."""

    of: Fraction


@dataclass(frozen=True)
class Cons:
    """A constructor of an inductive type applied to its arguments."""

    name: str
    args: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Fun:
    """A function value: (arguments, named arguments, state) -> outcomes."""

    call: Callable[[tuple, Mapping[str, Any], State], Outcomes]


@dataclass(frozen=True, eq=False)
class Measure:
    """(path, state) -> outcomes."""

    run: Callable[[tuple, State], Outcomes]


@dataclass(frozen=True, eq=False)
class Dist:
    """A distribution: its options with their probabilities, or (to observe only) a density."""

    table: tuple[tuple[Any, Fraction], ...] | None
    density_of: Callable[[Any], Fraction] | None = None
    #: made by an elementwise constructor from scalars: observing an array is a product
    elementwise: bool = False

    def density(self, value: Any) -> Fraction:
        if self.elementwise and isinstance(value, Array):
            return math.prod((self.density(v) for v in value), start=Fraction(1))
        if self.density_of is not None:
            return self.density_of(value)
        return sum((p for v, p in self.table or () if v == value), Fraction(0))

    def options(self) -> tuple[tuple[Any, Fraction], ...]:
        if self.table is None:
            raise NotFinite("a draw from a distribution without finite support")
        return self.table


def table(pairs: Iterator[tuple[Any, Fraction]] | list, *, elementwise: bool = False) -> Dist:
    """The distribution with these options, equal ones merged, impossible ones left out."""
    law: dict[Any, Fraction] = {}
    for value, p in pairs:
        if p < 0:
            raise NotFinite(f"a negative probability: {p}")
        if p:
            law[value] = law.get(value, Fraction(0)) + p
    if sum(law.values()) != 1:
        raise NotFinite(f"probabilities sum to {sum(law.values())}, not 1")
    return Dist(tuple(law.items()), elementwise=elementwise)


def product(dists: list[Dist]) -> Dist:
    """Independent draws, as an array."""
    rows = itertools.product(*(d.options() for d in dists))
    return table(
        [(Array(v for v, _ in r), math.prod((p for _, p in r), start=Fraction(1))) for r in rows]
    )


@dataclass(frozen=True)
class State:
    """One path through the program so far."""

    fuel: int
    weight: Fraction = Fraction(1)
    #: the probability of the draws, without the scores
    prior: Fraction = Fraction(1)
    sites: Mapping[str, Any] = field(default_factory=dict)
    memo: Mapping[tuple, Any] = field(default_factory=dict)
    #: the steps already taken, by path: repeats of a step in one frame are numbered
    steps: frozenset[tuple] = frozenset()
    #: paths of frames that have run or scored something
    used: frozenset[tuple] = frozenset()

    def step(self, path: tuple, name: str) -> tuple[tuple, State]:
        """The path one step down: `name`, or `name#2`, … if this frame has used it."""
        for k in itertools.count(1):
            taken = (*path, name if k == 1 else f"{name}#{k}")
            if taken not in self.steps:
                return taken, replace(self.use(path), steps=self.steps | {taken})
        raise AssertionError

    def use(self, path: tuple) -> State:
        return self if path in self.used else replace(self, used=self.used | {path})

    def score(self, w: Fraction | int) -> Iterator[State]:
        """This state with its weight times w; none if that is 0."""
        if w < 0:
            raise NotFinite(f"a negative weight: {w}")
        if w:
            yield replace(self, weight=self.weight * w)


def spell(path: tuple) -> str:
    """`theta[3]`, `hs[2]/h`, `x[1,2]`: steps joined by `/`, indices in brackets."""
    out = ""
    for numeric, group in itertools.groupby(path, lambda part: not isinstance(part, str)):
        parts = list(group)
        if numeric:
            out += "[" + ",".join(str(p[0]) for p in parts) + "]"
        else:
            out += ("/" if out else "") + "/".join(parts)
    return out


Outcomes: TypeAlias = Iterator[tuple[Any, State]]


def loop(
    body: Callable[[int, tuple, State], Outcomes], n: int, path: tuple, state: State
) -> Outcomes:
    """`body(i, path[i])` for each i in turn; the array of results."""

    def go(done: tuple, state: State) -> Outcomes:
        if len(done) == n:
            yield Array(done), state
        else:
            for v, after in body(len(done), (*path, (len(done),)), state):
                yield from go((*done, v), after)

    return go((), state)


def constant(value: Any) -> Any:
    """A literal: a float is the decimal number that it is written as."""
    if value is None:
        return ()
    return Fraction(repr(value)) if isinstance(value, float) else value


def datum(x: Any) -> Any:
    """Python data as a value: lists are arrays, dicts records, a float the decimal it prints as."""
    if isinstance(x, (list, Array)):
        return Array(map(datum, x))
    if isinstance(x, tuple):
        return tuple(map(datum, x))
    if isinstance(x, Mapping):
        return Record.of({k: datum(v) for k, v in x.items()})
    return constant(x)

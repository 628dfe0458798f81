"""The types of programs, shared by the checker and the IR.

A type is read as a quasi-Borel space: a set together with its random elements, so that functions
and measures are spaces like any other. Numbers carry a kind (int, real) and a range ([0,1], at
least 0, any), which together form a lattice:

    bit <: nat <: int <: real      bit <: prob <: pos <: real      nat <: pos

`bit` is the type of the literals 0 and 1 and has no name in the language. `dist[A] <: measure[A]`.
"""

from __future__ import annotations

from dataclasses import dataclass


class Type:
    """Base class. Types are immutable, hashable, and print in the language's own syntax."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Base(Type):
    """A type without parts: unit, bool, text, a number, or an opaque host type."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Tuple(Type):
    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


@dataclass(frozen=True, slots=True)
class Record(Type):
    """Fields in declaration order; two records are the same type when their sorted fields are."""

    fields: tuple[tuple[str, Type], ...]

    def __str__(self) -> str:
        return "{" + ", ".join(f"{k}: {v}" for k, v in self.fields) + "}"

    def get(self, name: str) -> Type | None:
        return next((t for k, t in self.fields if k == name), None)


@dataclass(frozen=True, slots=True)
class Array(Type):
    item: Type

    def __str__(self) -> str:
        return f"[{self.item}]"


@dataclass(frozen=True, slots=True)
class Fun(Type):
    params: tuple[Type, ...]
    result: Type

    def __str__(self) -> str:
        if len(self.params) == 1 and not isinstance(self.params[0], (Fun, Tuple)):
            return f"{self.params[0]} -> {self.result}"
        return f"({', '.join(map(str, self.params))}) -> {self.result}"


@dataclass(frozen=True, slots=True)
class Dist(Type):
    """A probability distribution with a density that can be evaluated."""

    item: Type

    def __str__(self) -> str:
        return f"dist[{self.item}]"


@dataclass(frozen=True, slots=True)
class Measure(Type):
    """An unnormalised measure: what `~` runs."""

    item: Type

    def __str__(self) -> str:
        return f"measure[{self.item}]"


@dataclass(frozen=True, slots=True)
class Option(Type):
    """`A?`: only on data parameters; the body of the model sees `A`."""

    item: Type

    def __str__(self) -> str:
        return f"{self.item}?"


@dataclass(frozen=True, slots=True)
class Data(Type):
    """A user-declared inductive type applied to its arguments."""

    name: str
    args: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.args))}]" if self.args else self.name


#: the name of the type of maps, `map[k, v]`, which is no declared type but is written like one
MAP = "map"

UNIT, BOOL, TEXT = Base("unit"), Base("bool"), Base("text")
BIT, NAT, INT = Base("bit"), Base("nat"), Base("int")
PROB, POS, REAL = Base("prob"), Base("pos"), Base("real")
OPAQUE = {n: Base(n) for n in ("lm", "context", "token", "trace")}
NUMBERS: dict[str, Base] = {t.name: t for t in (BIT, NAT, INT, PROB, POS, REAL)}
NAMED: dict[str, Base] = {t.name: t for t in (UNIT, BOOL, TEXT, NAT, INT, PROB, POS, REAL)} | OPAQUE

#: kind (0 int, 1 real) and range (0 [0,1], 1 at least 0, 2 any) of each number type
_RANK = {BIT: (0, 0), NAT: (0, 1), INT: (0, 2), PROB: (1, 0), POS: (1, 1), REAL: (1, 2)}
_ATOM = {v: k for k, v in _RANK.items()}


def is_number(t: Type) -> bool:
    return isinstance(t, Base) and t in _RANK


def is_real(t: Type) -> bool:
    """Whether a number type is held in floating point."""
    return isinstance(t, Base) and t in _RANK and _RANK[t][0] == 1


def number_below(a: Base, b: Base) -> bool:
    """a <: b in the lattice of numbers."""
    (ka, ra), (kb, rb) = _RANK[a], _RANK[b]
    return ka <= kb and ra <= rb


def number_join(a: Base, b: Base) -> Base:
    """The least number type above both."""
    (ka, ra), (kb, rb) = _RANK[a], _RANK[b]
    return _ATOM[max(ka, kb), max(ra, rb)]


def rank(t: Type) -> int:
    """How many array constructors stand around the element type."""
    n = 0
    while isinstance(t, Array):
        t, n = t.item, n + 1
    return n

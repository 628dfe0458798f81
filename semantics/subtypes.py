"""The order on types that the IR uses.

In the IR a change of kind (int to real) is an explicit `to_real`, so the order changes the *range*
of numbers only: `nat <: int` and `prob <: pos <: real`. Primitives take numbers of either kind;
`across_kinds` is their order, the whole lattice of numbers.
"""

from __future__ import annotations

from functools import reduce

from ppl.semantics.types import (
    Array,
    Base,
    Data,
    Dist,
    Fun,
    Measure,
    Option,
    Record,
    Tuple,
    Type,
    is_number,
    is_real,
    number_below,
    number_join,
)


def below(a: Type, b: Type, *, across_kinds: bool = False) -> bool:
    """a <: b. Constructors are covariant, parameters of functions contravariant.

    Functions are compared within kinds always: nothing converts what goes through a function.
    """

    def down(x: Type, y: Type) -> bool:
        return below(x, y, across_kinds=across_kinds)

    match a, b:
        case Base(), Base() if is_number(a) and is_number(b):
            return number_below(a, b) and (across_kinds or is_real(a) == is_real(b))
        case (Array(x), Array(y)) | (Dist(x), Dist(y) | Measure(y)) | (Measure(x), Measure(y)):
            return down(x, y)
        case Option(x), Option(y):
            return down(x, y)
        case (Tuple(xs), Tuple(ys)) if len(xs) == len(ys):
            return all(map(down, xs, ys))
        case Record(xs), Record(ys):
            left, right = dict(xs), dict(ys)
            return left.keys() == right.keys() and all(down(left[k], right[k]) for k in left)
        case (Fun(ps, r), Fun(qs, s)) if len(ps) == len(qs):
            return all(map(below, qs, ps)) and below(r, s)
        case Data(n, xs), Data(m, ys):
            return n == m and len(xs) == len(ys) and all(map(down, xs, ys))
        case _:
            return a == b


def join(a: Type, b: Type, *, across_kinds: bool = False) -> Type | None:
    """The least type above both, or None; of two functions, the one that is above the other."""
    if a == b or below(a, b, across_kinds=across_kinds):
        return b
    if below(b, a, across_kinds=across_kinds):
        return a

    def up(x: Type, y: Type) -> Type | None:
        return join(x, y, across_kinds=across_kinds)

    def all_up(xs: tuple[Type, ...], ys: tuple[Type, ...]) -> tuple[Type, ...] | None:
        joined = tuple(map(up, xs, ys)) if len(xs) == len(ys) else (None,)
        return None if None in joined else joined  # type: ignore[return-value]

    match a, b:
        case Base(), Base() if is_number(a) and is_number(b):
            same_kind = is_real(a) == is_real(b)
            return number_join(a, b) if across_kinds or same_kind else None
        case (Array(x), Array(y)) | (Dist(x), Dist(y)):
            item = up(x, y)
            return None if item is None else type(a)(item)
        case ((Dist(x) | Measure(x)), (Dist(y) | Measure(y))):
            item = up(x, y)
            return None if item is None else Measure(item)
        case Tuple(xs), Tuple(ys):
            items = all_up(xs, ys)
            return None if items is None else Tuple(items)
        case Record(xs), Record(ys) if dict(xs).keys() == dict(ys).keys():
            right = dict(ys)
            items = all_up(tuple(t for _, t in xs), tuple(right[k] for k, _ in xs))
            return (
                None
                if items is None
                else Record(tuple(zip((k for k, _ in xs), items, strict=True)))
            )
        case Data(n, xs), Data(m, ys) if n == m:
            items = all_up(xs, ys)
            return None if items is None else Data(n, items)
        case _:
            return None


def seen(t: Type) -> Type:
    """The type of a data parameter inside its model: the holes of `A?` are filled there."""
    match t:
        case Option(item):
            return seen(item)
        case Array(item):
            return Array(seen(item))
        case Tuple(items):
            return Tuple(tuple(map(seen, items)))
        case Record(fields):
            return Record(tuple((name, seen(field)) for name, field in fields))
        case _:
            return t


def join_all(types: list[Type], *, across_kinds: bool = False) -> Type | None:
    """The join of one or more types."""

    def up(a: Type | None, b: Type | None) -> Type | None:
        return None if a is None or b is None else join(a, b, across_kinds=across_kinds)

    return reduce(up, types) if types else None

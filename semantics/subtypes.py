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
    """The least type above both, or None."""
    return _bound(a, b, up=True, across_kinds=across_kinds)


def _bound(a: Type, b: Type, *, up: bool, across_kinds: bool) -> Type | None:
    """The join, or with `up` false the meet: what functions take is turned round."""
    if below(a, b, across_kinds=across_kinds):
        return b if up else a
    if below(b, a, across_kinds=across_kinds):
        return a if up else b

    def same(x: Type, y: Type) -> Type | None:
        return _bound(x, y, up=up, across_kinds=across_kinds)

    def all_same(xs: tuple[Type, ...], ys: tuple[Type, ...]) -> tuple[Type, ...] | None:
        bounds = tuple(map(same, xs, ys)) if len(xs) == len(ys) else (None,)
        return None if None in bounds else bounds  # type: ignore[return-value]

    match a, b:
        case Base(), Base() if is_number(a) and is_number(b):
            # of one kind they are ordered, and met above
            return number_join(a, b) if up and across_kinds else None
        case (Array(x), Array(y)) | (Dist(x), Dist(y)) | (Measure(x), Measure(y)):
            item = same(x, y)
            return None if item is None else type(a)(item)
        case ((Dist(x) | Measure(x)), (Dist(y) | Measure(y))):
            item = same(x, y)
            return None if item is None else (Measure if up else Dist)(item)
        case Tuple(xs), Tuple(ys):
            items = all_same(xs, ys)
            return None if items is None else Tuple(items)
        case Record(xs), Record(ys) if dict(xs).keys() == dict(ys).keys():
            right = dict(ys)
            items = all_same(tuple(t for _, t in xs), tuple(right[k] for k, _ in xs))
            names = (k for k, _ in xs)
            return None if items is None else Record(tuple(zip(names, items, strict=True)))
        case (Fun(ps, r), Fun(qs, s)) if len(ps) == len(qs):
            params = [
                _bound(p, q, up=not up, across_kinds=False) for p, q in zip(ps, qs, strict=True)
            ]
            result = _bound(r, s, up=up, across_kinds=False)
            if result is None or None in params:
                return None
            return Fun(tuple(params), result)  # type: ignore[arg-type]
        case Data(n, xs), Data(m, ys) if n == m:
            items = all_same(xs, ys)
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

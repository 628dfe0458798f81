"""Maps from keys to values, as immutable values: putting a key shares all but a path of the rest.

Keys are compared by structure. Everything that can be seen of a map is a function of its keys and
values alone, whatever the order in which they were put: keys come sorted (numbers by size, false
before true, texts by code points, compound ones by size and then part by part), and equal maps are
equal keys for other maps and for memoised functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import total_ordering
from typing import Any

from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.machine.memo import EMPTY, Table
from ppl.semantics.machine.values import equal, flat


@total_ordering
class _NotANumber:
    """What stands for NaN in keys: equal to itself, above all numbers."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "nan"


_NAN = _NotANumber()


def canonical(key: Any) -> Any:
    """What a key is found and sorted by: hashable, ordered, and flat however deep the key is."""
    if type(key) is tuple:
        return tuple([_NAN if x != x else x for x in flat(key)])
    return _NAN if key != key else key


@total_ordering
class Map:
    """An immutable map. `table` maps what keys are found by to (key, value)."""

    __slots__ = ("_entries", "_hash", "table")

    def __init__(self, table: Table = EMPTY):
        self.table = table
        self._entries: tuple[tuple[Any, Any], ...] | None = None
        self._hash: int | None = None

    @classmethod
    def of(cls, pairs: Iterable[tuple[Any, Any]]) -> Map:
        return cls(EMPTY.updated((canonical(k), (k, v)) for k, v in pairs))

    def __len__(self) -> int:
        return len(self.table)

    def get(self, key: Any, otherwise: Any = None) -> Any:
        found = self.table.get(canonical(key))
        return otherwise if found is None else found[1]

    def __contains__(self, key: Any) -> bool:
        return self.table.get(canonical(key)) is not None

    def put(self, key: Any, value: Any) -> Map:
        return Map(self.table.updated([(canonical(key), (key, value))]))

    def remove(self, key: Any) -> Map:
        at = canonical(key)
        return self if self.table.get(at) is None else Map(self.table.without(at))

    def entries(self) -> tuple[tuple[Any, Any], ...]:
        """Keys and values in the order of the keys. Sorted once."""
        if self._entries is None:
            found = sorted(self.table.items(), key=lambda entry: entry[0])
            self._entries = tuple([pair for _, pair in found])
        return self._entries

    def __iter__(self) -> Iterator[Any]:
        return (k for k, _ in self.entries())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Map) or len(self) != len(other):
            return False
        missing = (None, None)
        for at, (_, value) in self.table.items():
            found = other.table.get(at, missing)
            if found is missing or not equal(value, found[1]):
                return False
        return True

    def _parts(self) -> tuple[Any, ...]:
        return flat(tuple([(canonical(k), canonical(v)) for k, v in self.entries()]))

    def __lt__(self, other: Map) -> bool:
        return self._parts() < other._parts()

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self._parts())
        return self._hash

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{k!r}: {v!r}" for k, v in self.entries()) + "}"


_NOTHING = Map()


def value_at(m: Map, key: Any, span: Span | None) -> Any:
    found = m.get(key, _NOTHING)
    if found is _NOTHING and key not in m:
        shown = repr(key) if len(repr(key)) < 60 else "a key"
        raise fail(
            "E872",
            f"the map has no value for {shown}",
            span=span,
            hint="`get(m, key, otherwise)` says what it is then, `lookup(m, key)` is an option",
        )
    return found


MAPS: dict[str, Callable[..., Any]] = {
    "value_at": value_at,
    "empty_map": lambda: _NOTHING,
    "map_of": Map.of,
    "get": lambda m, key, otherwise: m.get(key, otherwise),
    "has": lambda m, key: key in m,
    "put": lambda m, key, value: m.put(key, value),
    "remove": lambda m, key: m.remove(key),
    "keys": tuple,
    "values": lambda m: tuple([v for _, v in m.entries()]),
    "items": lambda m: m.entries(),
    "size": len,
}

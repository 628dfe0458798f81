"""Tables as values: memoised draws of a particle, maps of a program. They are copied by sharing.

Up to SMALL entries a table is a dict that is copied when it grows; above that it is a hash array
mapped trie (Bagwell, "Ideal hash trees", 2001), which shares all but a path of its nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SMALL = 64
_BITS = 5
_MISSING = object()


class Table:
    """An immutable map from hashable keys. `extended`, `updated` and `without` give new ones."""

    __slots__ = ("_small", "_root", "_size")

    def __init__(self, small: dict[Any, Any] | None, root: Any = None, size: int = 0):
        self._small, self._root, self._size = small, root, size

    def __len__(self) -> int:
        return self._size if self._small is None else len(self._small)

    def get(self, key: Any, default: Any = None) -> Any:
        if self._small is not None:
            return self._small.get(key, default)
        return _find(self._root, hash(key), key, default)

    def extended(self, entries: Mapping[Any, Any]) -> Table:
        """This table with `entries`, whose keys it does not have."""
        if self._small is not None:
            if len(self._small) + len(entries) <= SMALL:
                return Table({**self._small, **entries})
            root: Any = None
            for k, v in self._small.items():
                root = _insert(root, 0, hash(k), k, v)
        else:
            root = self._root
        for k, v in entries.items():
            root = _insert(root, 0, hash(k), k, v)
        return Table(None, root, len(self) + len(entries))

    def updated(self, entries: Iterable[tuple[Any, Any]]) -> Table:
        """This table with each key of `entries` at its last value there."""
        small, root, size = self._small, self._root, len(self)
        if small is not None:
            small = {**small, **dict(entries)}
            if len(small) <= SMALL:
                return Table(small)
            root, entries, size = None, small.items(), 0
        for k, v in entries:
            h = hash(k)
            size += _find(root, h, k, _MISSING) is _MISSING
            root = _insert(root, 0, h, k, v)
        return Table(None, root, size)

    def without(self, key: Any) -> Table:
        """This table but for `key`, which it has."""
        if self._small is not None:
            return Table({k: v for k, v in self._small.items() if k != key})
        if len(self) - 1 <= SMALL // 2:  # well below where it grew, so that it does not flutter
            return Table({k: v for k, v in self.items() if k != key})
        return Table(None, _delete(self._root, 0, hash(key), key), len(self) - 1)

    def items(self) -> Iterator[tuple[Any, Any]]:
        if self._small is not None:
            yield from self._small.items()
            return
        todo = [self._root]
        while todo:
            node = todo.pop()
            if isinstance(node, _Branch):
                todo += node.children
            elif node is not None:
                yield from node.entries


EMPTY = Table({})


class _Leaf:
    """Entries whose keys have one hash."""

    __slots__ = ("hash", "entries")

    def __init__(self, hash: int, entries: tuple[tuple[Any, Any], ...]):
        self.hash, self.entries = hash, entries


class _Branch:
    """Children of the set bits of `bitmap`, in order."""

    __slots__ = ("bitmap", "children")

    def __init__(self, bitmap: int, children: tuple[Any, ...]):
        self.bitmap, self.children = bitmap, children


def _find(node: Any, h: int, key: Any, default: Any) -> Any:
    shift = 0
    while isinstance(node, _Branch):
        bit = 1 << ((h >> shift) & 31)
        if not node.bitmap & bit:
            return default
        node = node.children[(node.bitmap & (bit - 1)).bit_count()]
        shift += _BITS
    if node is not None and node.hash == h:
        for k, v in node.entries:
            if k == key:
                return v
    return default


def _insert(node: Any, shift: int, h: int, key: Any, value: Any) -> Any:
    if node is None:
        return _Leaf(h, ((key, value),))
    if isinstance(node, _Leaf):
        if node.hash == h:
            others = tuple([e for e in node.entries if e[0] != key])
            return _Leaf(h, (*others, (key, value)))
        node = _Branch(1 << ((node.hash >> shift) & 31), (node,))
    bit = 1 << ((h >> shift) & 31)
    place = (node.bitmap & (bit - 1)).bit_count()
    before, after = node.children[:place], node.children[place:]
    if node.bitmap & bit:
        child = _insert(after[0], shift + _BITS, h, key, value)
        return _Branch(node.bitmap, (*before, child, *after[1:]))
    return _Branch(node.bitmap | bit, (*before, _Leaf(h, ((key, value),)), *after))


def _delete(node: Any, shift: int, h: int, key: Any) -> Any:
    """The node without a key that it has; None if nothing is left."""
    if isinstance(node, _Leaf):
        others = tuple([e for e in node.entries if e[0] != key])
        return _Leaf(h, others) if others else None
    bit = 1 << ((h >> shift) & 31)
    place = (node.bitmap & (bit - 1)).bit_count()
    child = _delete(node.children[place], shift + _BITS, h, key)
    before, after = node.children[:place], node.children[place + 1 :]
    if child is not None:
        if isinstance(child, _Leaf) and not before and not after:
            return child
        return _Branch(node.bitmap, (*before, child, *after))
    if len(node.children) == 2 and isinstance((*before, *after)[0], _Leaf):
        return (*before, *after)[0]
    return _Branch(node.bitmap & ~bit, (*before, *after)) if before or after else None

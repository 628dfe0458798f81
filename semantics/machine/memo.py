"""Tables of memoised draws, as values: a particle's table is copied by sharing it.

Up to SMALL entries a table is a dict that is copied when it grows; above that it is a hash array
mapped trie (Bagwell, "Ideal hash trees", 2001), which shares all but a path of its nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SMALL = 64
_BITS = 5
_MISSING = object()


class Table:
    """An immutable map. `extended(entries)` is a new one with more entries."""

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
            return _Leaf(h, (*node.entries, (key, value)))
        node = _Branch(1 << ((node.hash >> shift) & 31), (node,))
    bit = 1 << ((h >> shift) & 31)
    place = (node.bitmap & (bit - 1)).bit_count()
    before, after = node.children[:place], node.children[place:]
    if node.bitmap & bit:
        child = _insert(after[0], shift + _BITS, h, key, value)
        return _Branch(node.bitmap, (*before, child, *after[1:]))
    return _Branch(node.bitmap | bit, (*before, _Leaf(h, ((key, value),)), *after))

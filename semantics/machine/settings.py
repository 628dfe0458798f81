"""Names whose values are set from outside, on the machine: `do` and `given`.

A setting is found by the names on a path and the indices between them, wherever a run meets it: at
a binder, in an iteration of the loop that it runs, at a draw. An intervention skips what is run
there; conditioning scores the value instead of drawing it. Code that looks for settings is compiled
for programs that have some.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.distributions.combinators import elements
from ppl.semantics.machine.distributions.family import NEVER
from ppl.semantics.machine.distributions.table import joint
from ppl.semantics.machine.paths import Named, step_hash
from ppl.semantics.machine.state import Dead, Draw, State, note

#: what is found where nothing is set
NOTHING: tuple[()] = ()
Found = tuple[Any] | tuple[()]


@dataclass(frozen=True)
class Set:
    """A value for what is at `index` of a name (numbers from 0, slices of them, or arguments of a
    memoised function, spelled): a number, or nested tuples of the shape of what is addressed.
    `scored`: conditioned on."""

    index: tuple[int | slice | str, ...]
    value: Any
    scored: bool

    def at(self, indices: tuple[Any, ...], name: str) -> Found:
        """The value for the element at `indices`, all of it."""
        if len(indices) < len(self.index):
            return NOTHING
        places = []
        for spec, i in zip(self.index, indices, strict=False):
            if isinstance(spec, slice):
                start = spec.start or 0
                if type(i) is not int or not (start <= i and (spec.stop is None or i < spec.stop)):
                    return NOTHING
                places.append(i - start)
            elif not _is(spec, i):
                return NOTHING
        value = self.value
        for i in (*places, *indices[len(self.index) :]):
            if type(value) is not tuple:
                return (value,)  # a number for all elements
            if not (type(i) is int and i < len(value)):
                raise fail(
                    "E856",
                    f"the value for `{name}` has {len(value)} elements, and there is an element "
                    f"{i} in the program",
                )
            value = value[i]
        return (value,)

    def reaches_into(self, indices: tuple[Any, ...]) -> bool:
        """Whether it may set an element of what is at `indices`."""
        return all(
            spec.start is None or spec.start <= i if isinstance(spec, slice) else _is(spec, i)
            for spec, i in zip(self.index, indices, strict=False)
        )


def _is(spec: int | str, i: Any) -> bool:
    return str(i) == spec if isinstance(spec, str) else spec == i


#: in a trie of names, where one ends
_END = object()
_UNSET: tuple[str, list[Set], tuple[Any, ...]] = "", [], ()


class Settings:
    """All that is set, by the names on the path.

    Names are kept from the last backwards: a path that is no name of these, however deep in a
    recursion, is left at the first step that differs.
    """

    def __init__(self, entries: Iterable[tuple[tuple[str, ...], Set]]):
        self._trie: dict[Any, Any] = {}
        for names, entry in entries:
            node = self._trie
            for name in reversed(names):
                node = node.setdefault(name, {})
            node.setdefault(_END, ("/".join(names), []))[1].insert(0, entry)  # the latest first

    def of(self, path: Named) -> tuple[str, list[Set], tuple[Any, ...]]:
        """What may be set at a path, the name that it has, and the path's indices."""
        node: dict[Any, Any] | None = self._trie
        indices: list[Any] = []
        while path[1] is not None:
            if isinstance(path[2], str):
                node = node.get(path[2])
                if node is None:
                    return _UNSET
            else:
                indices.append(path[2][0])
            path = path[1]
        name, found = node.get(_END, _UNSET[:2])
        return name, found, tuple(reversed(indices))

    def drawing(self, state: State, draw: Draw) -> Draw:
        """A `draw` of named paths, in which what is set is set. It records the sites."""

        def one(path: Named, family: Any, args: tuple[Any, ...]) -> Any:
            name, entries, indices = self.of(path)
            if not entries:
                return draw(path[0], family, args)
            return value(name, entries, indices, path[0], family, args)

        def value(
            name: str, entries: list[Set], indices: Any, at: int, family: Any, args: Any
        ) -> Any:
            found = decided(entries, indices, name)
            if found == NOTHING:
                return draw(at, family, args)
            parts = elements(family, args)
            if found and (type(found[0]) is tuple or (parts is None and not joint(family))):
                return seen(found[0], entries[0].scored, family, args)
            if parts is None:
                raise fail(
                    "E858",
                    f"elements of `{name}` cannot be set one by one: `{family.name}` draws them "
                    "together",
                    hint=f"set all of it to an array: `{name}`",
                )
            return tuple(
                value(name, entries, (*indices, i), step_hash(at, (i,)), *part)
                for i, part in enumerate(parts)
            )

        def seen(x: Any, scored: bool, family: Any, args: Any) -> Any:
            if scored:
                state.w = state.w + family.log_prob(x, *args)
                if not state.w > NEVER:
                    raise Dead
            return x

        def record(path: Named, family: Any, args: tuple[Any, ...]) -> Any:
            x = one(path, family, args)
            state.sites = (state.sites, path, x)
            return x

        return record


def decided(entries: list[Set], indices: tuple[Any, ...], name: str) -> Found | None:
    """The value for all of what is at `indices`; None if its elements are set one by one."""
    for e in entries:
        if len(e.index) > len(indices):
            if e.reaches_into(indices):
                return None
        elif found := e.at(indices, name):
            return found
    return NOTHING


def set_at(s: State, path: Named, is_array: bool) -> Found:
    """The value that an intervention gives to all of what is run at a path, in a tuple."""
    if s.owned is not None:  # names inside nested inference are no names of the program
        return NOTHING
    name, entries, indices = s.code.settings.of(path)
    if not entries or entries[0].scored:
        return NOTHING
    found = decided(entries, indices, name)
    # how many elements an array has is known when it has been run: see `put`
    return found if found and (type(found[0]) is tuple) == is_array else NOTHING


def put(s: State, path: Named, value: Any) -> Any:
    """A value that was run, with the elements that interventions set."""
    if type(value) is not tuple or s.owned is not None:
        return value
    name, entries, indices = s.code.settings.of(path)
    if not entries or entries[0].scored:
        return value

    def changed(x: Any, at: tuple[Any, ...]) -> Any:
        found = decided(entries, at, name)
        if found and (type(found[0]) is tuple) == (type(x) is tuple):
            return found[0]
        if found == NOTHING or type(x) is not tuple:
            return x
        return tuple(changed(v, (*at, i)) for i, v in enumerate(x))

    return changed(value, indices)


def put_block(s: State, k: Any, v: Any) -> Any:
    """The block that does."""
    return k[1], put(s, k[2], v)


# -------------------------------------------------------- runs in which observations are not scored


def seen(s: State, path: Named, name: str, family: Any, x: Any, args: tuple[Any, ...]) -> Any:
    """The score of an observation, recorded; a source of randomness that looks at observations
    gives it instead."""
    observed = getattr(s.omega, "observed", None)
    if observed is not None:
        return observed(s, path, name, family, args, x)
    return note(s, path, name, family.log_prob(x, *args))


def dead(s: State) -> None:
    """End a run of weight zero, unless its scores count for nothing."""
    if not hasattr(s.omega, "observed"):
        raise Dead
    s.w = 0.0

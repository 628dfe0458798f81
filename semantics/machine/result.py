"""What a run gives back."""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ppl.semantics import types as T
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.code import FAILURES, Code
from ppl.semantics.machine.memoise import known
from ppl.semantics.machine.paths import (
    Named,
    Path,
    folded,
    hash_of,
    indexed,
    longer,
    path_of,
    spell,
    spelled,
)
from ppl.semantics.machine.state import State
from ppl.semantics.machine.values import from_python, to_python


class ByPath(Mapping[Path, Any]):
    """Values by path, whose steps are listed when they are asked for: of deep recursion they would
    be as many as the square of its depth. `by_hash`: by the hashes of their paths. `repeated`: the
    first path that has come before."""

    def __init__(self, entries: Iterable[tuple[Named, Any]]):
        self.by_hash: dict[int, Any] = {}
        self.repeated: Named | None = None
        self._paths: list[Named] = []
        for path, value in entries:
            if path[0] not in self.by_hash:
                self._paths.append(path)
            elif self.repeated is None:
                self.repeated = path
            self.by_hash[path[0]] = value

    def __getitem__(self, path: Path) -> Any:
        return self.by_hash[hash_of(path)]

    def __iter__(self) -> Iterator[Path]:
        met: dict[int, Path] = {}
        return (folded(path, longer, (), met) for path in self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def items(self) -> ItemsView[Path, Any]:
        return _Items(self)


class _Items(ItemsView[Path, Any]):
    def __iter__(self) -> Iterator[tuple[Path, Any]]:
        assert isinstance(self._mapping, ByPath)
        return zip(self._mapping, self._mapping.by_hash.values(), strict=True)


@dataclass(frozen=True, eq=False)
class Execution:
    """One execution: its value, its log weight, and what was drawn and observed on the way.

    An execution of weight zero ended early: `alive` is false and it has no result.
    """

    state: State
    value: Any
    type: T.Type
    alive: bool = True

    def __init__(self, state: State, value: Any, type: T.Type, alive: bool = True):
        # a frozen dataclass's own takes as long as a short run
        fields = self.__dict__
        fields["state"], fields["value"], fields["type"], fields["alive"] = (
            state, value, type, alive
        )  # fmt: skip

    @property
    def log_weight(self) -> Any:
        """The sum of the scores (in rational arithmetic a `Log`)."""
        return self.state.w if self.alive else -math.inf

    @property
    def result(self) -> Any:
        """The value as Python sees it: numbers, lists, tuples, dicts, `Con`s, functions; None of an
        execution of weight zero."""
        kind, t = type(self.value), self.type  # numbers in no time: there is one an execution
        if kind is float or (kind is int and (t is T.NAT or t is T.INT)):
            return self.value
        return self._result

    @cached_property
    def _result(self) -> Any:
        return self.python(self.value, self.type) if self.alive else None

    def python(self, value: Any, type: T.Type) -> Any:
        code: Code = self.state.code
        return to_python(value, type, code.constructors, lambda f, t: Function(f, t, self.state))

    @cached_property
    def trace(self) -> ByPath:
        """The value of every random choice, by path, in the order of drawing."""
        entries = ByPath((at, v) for _, at, v in reversed(list(_listed(self.state.sites))))
        if (twice := entries.repeated) is not None:
            raise fail(
                "E504",
                f"two random choices have the same name `{spell(path_of(twice))}`",
                hint="bind the draws to different names with `~`",
            )
        return entries

    @cached_property
    def nested(self) -> ByPath:
        """What inference inside the program gave (its own draws are no choices), by path."""
        return ByPath((at, value) for _, at, value in _listed(self.state.nested))

    @cached_property
    def sites(self) -> Mapping[str, Any]:
        """The value of every random choice, by its path's name: `theta[3]`."""
        cells, met = reversed(list(_listed(self.state.sites))), {}
        return {folded(at, spelled, "", met) or "result": _plain(v) for _, at, v in cells}

    @cached_property
    def kept_paths(self) -> Mapping[Path, Any]:
        """The value of every name bound by `~`, by path; of lazy ones, those that were drawn."""
        entries = reversed(list(_listed(self.state.kept)))
        if self.state.code.generated.lazy:
            entries = ((c, at, known(self.state, v), t) for c, at, v, t in entries)
            entries = (entry for entry in entries if entry[2] is not None)
        return ByPath((at, self.python(v, t)) for _, at, v, t in entries)

    @cached_property
    def kept(self) -> Mapping[str, Any]:
        """The value of every name bound by `~`, by its path's name."""
        return {spell(path): v for path, v in self.kept_paths.items()}

    @cached_property
    def observed(self) -> Mapping[str, Any]:
        """The log probability of every observation: `y[3]`; repeats are numbered, `y#2[3]`."""
        out: dict[str, Any] = {}
        met: dict[int, tuple[Any, ...]] = {}
        for _, named, name, score in reversed(list(_listed(self.state.observed))):
            indices = folded(named, indexed, (), met)
            k, key = 1, (name, *((i,) for i in indices))
            while (spelled := spell(key)) in out:
                k += 1
                key = (f"{name}#{k}", *key[1:])
            out[spelled] = score
        return out


def _listed(cell: Any) -> Any:
    while cell is not None:
        yield cell
        cell = cell[0]


def _plain(x: Any) -> Any:
    return [_plain(v) for v in x] if type(x) is tuple else x


@dataclass(frozen=True, eq=False)
class Function:
    """A function of an execution, callable from Python.

    A memoised one draws what it was not asked for before, and remembers it.
    """

    value: Any
    type: T.Fun
    state: State

    def __call__(self, *args: Any) -> Any:
        if len(args) != len(self.type.params):
            raise TypeError(f"a function of {len(self.type.params)} arguments got {len(args)}")
        given = tuple(from_python(a, t) for a, t in zip(args, self.type.params, strict=True))
        code: Code = self.state.code
        try:
            self.state.renew()
            out = code.whole(self.state, code.apply(self.state, self.value, given))
        except FAILURES as error:
            raise code.explained(error) from None
        return to_python(
            out, self.type.result, code.constructors, lambda f, t: Function(f, t, self.state)
        )

    def __repr__(self) -> str:
        return f"<function of type {self.type}>"

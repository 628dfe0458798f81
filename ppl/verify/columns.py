"""Executions of compiled code, which are columns of numbers, found among those of the machine.

Compiled code has one column for every number that some execution has: sites, values bound by name
and the result, missing (NaN) where an execution does not come to them. The machine's executions
have names and values. A row is the execution whose every number it has: an assignment of all
choices determines the path, so that it is one at most.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.semantics.machine import Execution
from ppl.verify.runnable import Atom

#: (name, indices) of a number
Leaf = tuple[str, tuple[int, ...]]

#: how far apart two equal numbers may be: in sums and products of some tens of terms
ROUNDING = 1e-9

RESULT = "result"


def leaves(name: str, indices: tuple[int, ...], value: Any) -> Iterator[tuple[Leaf, float]]:
    """The numbers in a value of the machine's, by name and place."""
    if isinstance(value, Mapping):
        for k, v in value.items():
            yield from leaves(f"{name}.{k}", indices, v)
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from leaves(name, (*indices, i), v)
    elif isinstance(value, tuple):
        for k, v in enumerate(value):
            yield from leaves(f"{name}.{k}", indices, v)
    elif isinstance(value, (bool, int, float)):
        yield (name, indices), float(value)


def spelled(name: str, value: Any) -> Iterator[tuple[Leaf, float]]:
    """As `leaves`, of a name with indices in brackets: `hs[2]/h` is the element 2 of `hs/h`."""
    groups = re.findall(r"\[([\d,]+)\]", name)
    indices = tuple(int(i) for group in groups for i in group.split(","))
    yield from leaves(re.sub(r"\[[\d,]+\]", "", name), indices, value)


def numbers_of(execution: Execution, names: Collection[str]) -> dict[Leaf, float]:
    """What a row of that execution must have, of the names that there are columns of.

    Where a distribution may be of several families there is a column for each: the value is then
    that of the name that it was bound to.
    """
    out: dict[Leaf, float] = {}
    for name, value in {**execution.sites, **execution.kept}.items():
        for (leaf, indices), x in spelled(name, value):
            while leaf not in names and "/" in leaf:
                leaf = leaf.rpartition("/")[0]
            if leaf in names:
                out[leaf, indices] = x
    if any(name.startswith(RESULT) for name in names):
        out.update(leaves(RESULT, (), execution.result))
    return out


@dataclass(frozen=True)
class Columns:
    """Which number stands where in a row: `shapes` by name, in the order of the row."""

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def places(self) -> dict[Leaf, int]:
        out: dict[Leaf, int] = {}
        for name, shape in self.shapes.items():
            for indices in np.ndindex(*shape):
                out[name, indices] = len(out)
        return out

    def atom(self, row: np.ndarray) -> Atom:
        """A row by itself, for reports."""
        found = [
            (name + (f"[{','.join(map(str, at))}]" if at else ""), _short(x))
            for (name, at), x in zip(self.places, row.tolist(), strict=True)
            if not math.isnan(x)
        ]
        sites = tuple((k, v) for k, v in found if not k.startswith(RESULT))
        return Atom(sites or None, tuple(v for k, v in found if k.startswith(RESULT)))


def _short(x: float) -> Hashable:
    return int(x) if x == int(x) else round(x, 9)


def identified(
    rows: np.ndarray, columns: Columns, executions: Mapping[Any, Execution]
) -> list[Atom]:
    """The execution that each row (n, width) is, by its atom; one of its own if it is none's."""
    places, names = columns.places, columns.shapes.keys()
    out: list[Any] = [None] * len(rows)
    for atom, execution in executions.items():
        numbers = numbers_of(execution, names)
        if not numbers.keys() <= places.keys():
            continue
        at = [places[leaf] for leaf in numbers]
        same = np.all(np.abs(rows[:, at] - list(numbers.values())) <= ROUNDING, axis=1)
        for i in np.flatnonzero(same):
            out[i] = atom
    return [columns.atom(row) if k is None else k for row, k in zip(rows, out, strict=True)]

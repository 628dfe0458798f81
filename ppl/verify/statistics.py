"""What is compared at the sequential level: functions of a trial, and the law each must have.

A statistic reads one row of numbers from every trial, and tells how much the rows speak against its
law. Cells and bounds are fixed before the first trial is seen, by the law itself or by trials of
their own, so that each is an e-process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

import numpy as np

from ppl.verify import evalues
from ppl.verify.evalues import CELLS

#: the name of the joint log density among the numbers of an execution
JOINT = "log density"


@dataclass(frozen=True)
class Worst:
    """Where the rows are furthest from the law."""

    at: str
    unit: str
    expected: float
    found: float


class Statistic(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def read(self) -> Callable[[Any], Any]:
        """Of a trial a row: a number, or a few."""
        ...

    def evidence(self, rows: Any) -> Any:
        """The log e-value after each row."""
        ...

    def visible(self, rows: Any, evidence: float, z: float) -> float:
        """The smallest difference that as many rows would have shown with this log e-value, with
        the probability of z standard deviations."""
        ...

    def worst(self, rows: Any) -> Worst: ...


@dataclass(frozen=True)
class Known:
    """A trial falls into a cell; the cells' probabilities are known."""

    name: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    read: Callable[[Any], int]

    def evidence(self, rows: Any) -> Any:
        return evalues.against(rows, self.probabilities)

    def visible(self, rows: Any, evidence: float, z: float) -> float:
        return evalues.visible_shift(self.probabilities, len(rows), evidence, z)

    def worst(self, rows: Any) -> Worst:
        p, q = np.asarray(self.probabilities), _frequencies(rows, len(self.labels))
        k = _furthest(q - p, p)
        return Worst(_at(self.name, self.labels[k]), "probability", float(p[k]), float(q[k]))


@dataclass(frozen=True)
class Alike:
    """A trial makes two values, each of which falls into a cell, by one unknown law."""

    name: str
    labels: tuple[str, ...]
    read: Callable[[Any], tuple[int, int]]

    def evidence(self, rows: Any) -> Any:
        return evalues.alike(rows[:, 0], rows[:, 1], len(self.labels))

    def visible(self, rows: Any, evidence: float, z: float) -> float:
        """Two streams of n tell as much as one of n / 2, and a second law has to be learned."""
        p, n = _frequencies(rows, len(self.labels)), len(rows) // 2
        return evalues.visible_shift(p.tolist(), n, evidence + evalues.redundancy(p, n), z)

    def worst(self, rows: Any) -> Worst:
        p, q = (_frequencies(rows[:, i], len(self.labels)) for i in range(2))
        k = _furthest(q - p, (p + q) / 2)
        return Worst(_at(self.name, self.labels[k]), "probability", float(p[k]), float(q[k]))


@dataclass(frozen=True)
class Fair:
    """A trial moves from a cell to a cell, and every move is as likely as its reverse."""

    name: str
    labels: tuple[str, ...]
    read: Callable[[Any], tuple[int, int]]

    def evidence(self, rows: Any) -> Any:
        return evalues.fair(rows[:, 0], rows[:, 1], len(self.labels))

    def _moves(self, rows: Any) -> dict[tuple[int, int], tuple[int, int]]:
        flows = np.zeros((len(self.labels),) * 2, int)
        np.add.at(flows, (rows[:, 0], rows[:, 1]), 1)
        ends = combinations(range(len(self.labels)), 2)
        return {(i, j): (int(flows[i, j]), int(flows[j, i])) for i, j in ends}

    def visible(self, rows: Any, evidence: float, z: float) -> float:
        worst = 0.0
        for there, back in self._moves(rows).values():
            if moves := there + back:
                shift = evalues.visible_shift((0.5, 0.5), moves, evidence, z)
                worst = max(worst, min(1.0, 2 * shift) * moves / len(rows))
        return worst

    def worst(self, rows: Any) -> Worst:
        moves = self._moves(rows)
        i, j = max(
            moves, key=lambda k: (d := moves[k][0] - moves[k][1]) ** 2 / max(1, sum(moves[k]))
        )
        there, back = moves[i, j]
        if back > there:
            i, j, there, back = j, i, back, there
        at = f"{_at(self.name, self.labels[i])}\n   to     {_at(self.name, self.labels[j])}"
        n = len(rows)
        return Worst(at, "probability of the move", back / n, there / n)


@dataclass(frozen=True)
class Mean:
    """A trial gives a number between two bounds, whose mean is known.

    total: what a mass is a share of.
    """

    name: str
    mean: float
    low: float
    high: float
    read: Callable[[Any], float]
    total: float = 1.0
    unit: str = "mass"

    def evidence(self, rows: Any) -> Any:
        return evalues.mean_is(rows, self.mean, self.low, self.high)

    def visible(self, rows: Any, evidence: float, z: float) -> float:
        seen = evalues.visible_mean(rows, self.mean, self.low, self.high, evidence, z)
        return seen / self.total

    def worst(self, rows: Any) -> Worst:
        return Worst(self.name, self.unit, self.mean, float(np.mean(rows)))


# ------------------------------------------------------------------------------------------- cells


@dataclass(frozen=True)
class Cells:
    """A division of values into at most eight cells."""

    labels: tuple[str, ...]
    of: Callable[[Any], int]


def by_value(masses: Mapping[Any, float]) -> tuple[Cells, tuple[float, ...]]:
    """The likeliest values, and all others together; with their probabilities."""
    total = sum(masses.values())
    ordered = sorted(masses, key=lambda v: -masses[v])
    own = ordered if len(ordered) < CELLS else ordered[: CELLS - 1]
    number = {v: i for i, v in enumerate(own)}
    rest = sum(masses[v] for v in ordered[len(own) :]) / total
    labels = (*map(str, own), "anything else")
    probabilities = (*(masses[v] / total for v in own), rest)
    return Cells(labels, lambda v: number.get(v, len(own))), probabilities


def by_size(edges: Sequence[float] | np.ndarray, name: str = "") -> Cells:
    """Intervals between edges; what is no number is in the last cell."""
    cuts = np.asarray(edges, float)
    ends = ["-inf", *(f"{c:.4g}" for c in cuts), "inf"]
    labels = tuple(f"{name or 'it'} in ({a}, {b}]" for a, b in zip(ends, ends[1:], strict=False))
    return Cells(labels, lambda v: int(np.searchsorted(cuts, v)))


def learned(pilot: Sequence[float], name: str = "") -> Cells:
    """Cells about as likely as each other in a pilot; one a value, if there are few."""
    seen = np.unique(np.asarray(pilot, float))
    if len(seen) < CELLS:
        masses = {float(v): 1.0 for v in seen}
        return Cells(
            (*(f"{name or 'it'} = {v:.6g}" for v in masses), "anything else"),
            by_value(masses)[0].of,
        )
    quantiles = np.quantile(pilot, np.arange(1, CELLS) / CELLS)
    return by_size(np.unique(quantiles), name)


def most(values: Sequence[Mapping[str, float]]) -> list[str]:
    """The names that occur most often, in the order in which they are met; as many as cells."""
    counts: dict[str, int] = {}
    for value in values:
        for name in value:
            counts[name] = counts.get(name, 0) + 1
    first = set(sorted(counts, key=lambda k: -counts[k])[:CELLS])
    return [name for name in counts if name in first]


def readers_of(
    pilot: Sequence[Mapping[str, float]], seed: int
) -> dict[str, Callable[[Mapping[str, float]], float]]:
    """The most frequent numbers, and two random directions in the space of those that every value
    has, which see how they go together. NaN where a value does not have the number."""
    found: dict[str, Callable[[Mapping[str, float]], float]] = {
        name: lambda x, name=name: x.get(name, math.nan) for name in most(pilot)
    }
    names = [k for k in pilot[0] if all(k in x for x in pilot) and k != JOINT]
    if len(names) < 2:
        return found
    scale = np.std([[x[k] for k in names] for x in pilot], axis=0)
    for i, along in enumerate(np.random.default_rng(seed).normal(size=(2, len(names)))):
        weights = (along / np.where(scale > 0, scale, 1.0)).tolist()

        def read(x: Mapping[str, float], weights: Any = weights) -> float:
            return sum(w * x.get(k, math.nan) for k, w in zip(names, weights, strict=True))

        found[f"direction {i + 1}"] = read
    return found


def numbers_of(value: Any, name: str = "") -> dict[str, float]:
    """Every number in a value, by where it stands."""
    if isinstance(value, Mapping):
        parts = [(f"{name}.{k}" if name else str(k), v) for k, v in value.items()]
    elif hasattr(value, "tolist") and getattr(value, "shape", ()) != ():
        return numbers_of(value.tolist(), name)
    elif isinstance(value, (list, tuple)):
        parts = [(f"{name}[{i}]", v) for i, v in enumerate(value)]
    elif isinstance(value, (bool, int, float)) or getattr(value, "shape", None) == ():
        return {name: float(value)}
    else:
        return {}
    return {k: x for part, v in parts for k, x in numbers_of(v, part).items()}


def _frequencies(rows: Any, k: int) -> Any:
    return np.bincount(np.ravel(rows), minlength=k) / np.size(rows)


def _furthest(difference: Any, p: Any) -> int:
    return int(np.argmax(np.abs(difference) / np.sqrt(np.maximum(p * (1 - p), 1e-12))))


def _at(name: str, label: str) -> str:
    return label if not name or label.startswith(name) else f"{name}: {label}"

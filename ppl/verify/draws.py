"""Random choices of inference code, for transformers that people write: each has a name.

    i = categorical(omega, "ancestor", weights)
    accept = bernoulli(omega.at(step, chain), "accept", p)

A choice is a function of the source, its step and slot (`omega.at`), and the name: no two choices
of one step and slot may have one name, or they are the same random number. No program's path is
one of these names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.distributions.family import Family, Options, always, too_many
from ppl.semantics.machine.omega import Source
from ppl.semantics.machine.paths import hash_of

#: a choice's name, and what tells it from others of that name
Name = str | tuple[str | int, ...]

#: how far from 1 probabilities may sum, which is rounding
SLACK = 1e-9


class Label(int):
    """The hash of a name that no program has; it remembers the name, for reports."""

    name: str

    @staticmethod
    def of(name: Name) -> Label:
        first, *rest = (name,) if isinstance(name, str) else name
        steps = [x if isinstance(x, str) else (x,) for x in rest]
        label = Label(hash_of(("", str(first), *steps)))
        label.name = str(first) + (f"[{','.join(map(str, rest))}]" if rest else "")
        return label


def bernoulli(omega: Source, name: Name, p: float) -> bool:
    """True with probability p. Raises E743 unless 0 <= p <= 1."""
    return omega.draw(Label.of(name), _CHOICE, ((False, True), _law(name, (1 - p, p))))


def categorical(omega: Source, name: Name, weights: Sequence[float]) -> int:
    """An index, by probabilities that sum to 1. Raises E743 if they are not such."""
    return omega.draw(
        Label.of(name), _CHOICE, (tuple(range(len(weights))), _law(name, tuple(weights)))
    )


def index(omega: Source, name: Name, n: int) -> int:
    """One of 0, …, n - 1, each as likely."""
    return categorical(omega, name, (1 / n,) * n if n > 0 else ())


def uniform(omega: Source, name: Name, edges: Iterable[float] = ()) -> float:
    """A number in (0, 1), in whose use nothing changes but at `edges`.

    Between neighbouring edges every number must be used alike: an enumeration tries one in each
    interval, its midpoint. Edges outside (0, 1) do not matter; where some are missing, the law that
    is found is not the code's, and right code fails.
    """
    cuts = (0.0, *sorted({float(e) for e in edges if 0 < e < 1}), 1.0)
    return omega.draw(Label.of(name), _BETWEEN, (cuts,))


def _law(name: Name, p: tuple[float, ...]) -> tuple[float, ...]:
    if not p or any(not x >= 0 for x in p) or not abs(math.fsum(p) - 1) <= SLACK:
        what = name if isinstance(name, str) else Label.of(name).name
        raise fail(
            "E743",
            f"the choice `{what}` has the probabilities {[float(x) for x in p]}",
            hint="they must be nonnegative and sum to 1: clip an acceptance ratio, "
            "`min(1, ratio)`, and divide weights by their sum",
        )
    return p


def _pick(u: float, z: int, values: tuple[Any, ...], p: tuple[float, ...]) -> Any:
    total = 0.0
    for value, q in zip(values, p, strict=True):
        total += q
        if u < total:
            return value
    return max(zip(p, values, strict=True))[1]  # rounded to just below 1


def _options(values: tuple[Any, ...], p: tuple[float, ...]) -> Options:
    if len(values) > 10_000:
        raise too_many(len(values))
    return list(zip(values, p, strict=True))


def _intervals(cuts: tuple[float, ...]) -> Options:
    return [((a + b) / 2, b - a) for a, b in zip(cuts, cuts[1:], strict=False)]


#: (values, probabilities)
_CHOICE = Family(
    "choice",
    lambda x, values, p: math.log(p[values.index(x)]),
    _pick,
    always,
    lambda x, values, p: x in values,
    values=_options,
    discrete=True,
)

#: (cuts): uniform on (0, 1), and used in one way between neighbours
_BETWEEN = Family(
    "uniform between edges",
    lambda u, cuts: 0.0,
    lambda u, z, cuts: u,
    always,
    lambda u, cuts: 0 < u < 1,
    values=_intervals,
)

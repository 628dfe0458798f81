"""A model, its data, and what is known of its posterior."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

Number = Fraction | float
#: mass by value of the result, in the form of `tests.oracles.compare.plain`
Law = Mapping[Hashable, Number]

TRAITS = {
    "finite": "every random choice has finitely many values",
    "rational": "finite, and every mass is a fraction (the law and the evidence are given as such)",
    "summed": "finite, and its choices can be eliminated one by one",
    "smooth": "continuous choices are what a gradient method may move, the others can be summed out",
    "gaussian": "the density of the continuous choices is Gaussian, so that Laplace's method is exact",
    "machine": "the compiler sends it to the machine",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model applied to data.

    evidence: the total mass. law: the normalised law of the result, if it is discrete. means: by
    name, a function of the result as the posterior holds it (a tree of arrays led by (chain, draw),
    or functions) and its posterior expectation, a number or an array of them. marginals: by site,
    the probabilities of its options (last axis).
    """

    name: str
    source: str
    traits: frozenset[str]
    evidence: Number
    data: Mapping[str, Any] = field(default_factory=dict)
    law: Law | None = None
    means: Mapping[str, tuple[Callable[[Any], Any], Any]] = field(default_factory=dict)
    marginals: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.traits <= TRAITS.keys(), self.traits - TRAITS.keys()
        assert self.law is not None or self.means, "nothing is known of the posterior"
        if "rational" in self.traits:
            assert self.law is not None
            assert all(isinstance(x, Fraction) for x in (self.evidence, *self.law.values()))


def traits(words: str) -> frozenset[str]:
    """Traits in one string."""
    return frozenset(words.split())


def normalised(joint: Iterable[tuple[Hashable, Number]]) -> tuple[dict[Hashable, Number], Number]:
    """The law and the evidence of a list of (value, mass)."""
    masses: defaultdict[Hashable, Any] = defaultdict(int)
    for value, mass in joint:
        masses[value] += mass
    total = sum(masses.values())
    return {k: m / total for k, m in masses.items() if m}, total


def corpus() -> list[Case]:
    """The cases of every file in `models/`."""
    from tests.known_answers import models

    names = sorted(m.name for m in iter_modules(models.__path__))
    found = [import_module(f"{models.__name__}.{name}").CASES for name in names]
    return [case for cases in found for case in cases]

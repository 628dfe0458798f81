"""A finite program as transformers see it, and its exact law.

The law is that of whole traces: every random choice by its path, and the result. It is computed by
running every path, in rational arithmetic where the program allows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import ppl
from ppl.inference.choices import ACCEPT, ANCESTOR, SITE
from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.machine import Execution, Machine, Replay, Suspended, enumerate_paths
from ppl.semantics.machine.paths import Path, hash_of, spell
from ppl.semantics.machine.state import Omega
from ppl.semantics.machine.tape import Path as Run
from ppl.target import Target

#: paths beyond which the law is computed in floating point alone
RATIONAL = 3_000


def canonical(value: Any) -> Hashable:
    """A value that can be compared: numbers to nine decimals, records by field, no functions."""
    if isinstance(value, Mapping):
        return tuple((k, canonical(value[k])) for k in sorted(value, key=repr))
    if isinstance(value, (list, tuple)):
        return tuple(map(canonical, value))
    if hasattr(value, "tolist"):  # arrays and scalars of NumPy and JAX
        return canonical(value.tolist())
    if isinstance(value, (float, Fraction)):
        return round(float(value), 9)
    if hasattr(value, "args") and hasattr(value, "name"):
        return (value.name, *map(canonical, value.args))
    return "a function" if callable(value) else value


@dataclass(frozen=True)
class Atom:
    """One point of a law: sites by name (none, if results alone are compared), and the result."""

    sites: tuple[tuple[str, Hashable], ...] | None
    result: Hashable

    def __str__(self) -> str:
        if self.sites is None:
            return f"result = {self.result!r}"
        return ", ".join(f"{k} = {v!r}" for k, v in (*self.sites, ("result", self.result)))


def trace_of(execution: Execution) -> Atom:
    """All sites and the result."""
    sites = tuple(sorted((k, canonical(v)) for k, v in execution.sites.items()))
    return Atom(sites, canonical(execution.result))


def kept_of(execution: Execution) -> Atom:
    """The values bound by name, and the result: what passes must keep."""
    kept = tuple(sorted((k, canonical(v)) for k, v in execution.kept.items()))
    return Atom(kept, canonical(execution.result))


@dataclass(frozen=True)
class Law:
    """Masses of atoms, unnormalised. `executions`: of each atom one. `rational`: whether the masses
    were computed as fractions."""

    masses: Mapping[Hashable, float]
    executions: Mapping[Hashable, Execution]
    paths: int
    rational: bool

    @property
    def evidence(self) -> float:
        return sum(self.masses.values())

    def tempered(self, power: float) -> Mapping[Hashable, float]:
        """The masses with every execution's scores raised to a power."""
        if power == 1:
            return self.masses
        tilt = {k: math.exp((power - 1) * e.log_weight) for k, e in self.executions.items()}
        return {k: m * tilt[k] for k, m in self.masses.items()}


@dataclass(frozen=True, eq=False)
class Runnable:
    """A program applied to its data: what a transformer is given.

    `source` and `target` are for reports and for whoever wants more.
    """

    target: Target
    source: str

    @staticmethod
    def of(program: Any) -> Runnable:
        """Of a generated program, a target, or a text whose last model takes no data.

        Raises:
            DiagnosticError: E745 if it is none of these; what is wrong with the program.
        """
        if isinstance(program, Runnable):
            return program
        if isinstance(program, Target):
            text = program.model._compiled.function(program.model.name).span.source.text
            return Runnable(program, text.strip("\n"))
        if isinstance(program, str):
            models = list(compiled(program))
            if models:
                return Runnable(models[-1](), program.strip("\n"))
        elif hasattr(program, "source") and hasattr(program, "model"):
            target = compiled(program.source)[program.model](**program.data)
            return Runnable(target, repr(program).strip("\n"))
        raise fail(
            "E745",
            f"there is nothing to check in {_shown(program)}",
            hint="give a program of `programs()`, a model applied to its data, or a text",
        )

    @cached_property
    def machine(self) -> Machine:
        return self.target.sampler.machine

    @cached_property
    def data(self) -> Any:
        return self.machine.bind(self.target.sampler.plain)

    def run(self, omega: Omega) -> Execution:
        """One run forward. Its `log_weight` is the sum of the scores."""
        return self.machine.run(self.data, omega)

    def start(self) -> Suspended:
        """A run that has not begun and stops at the suspension points."""
        return self.machine.start(self.data)

    def replay(self, trace: Mapping[Path, Any], omega: Omega | None = None) -> Execution:
        """The run in which these sites have these values. Its `log_weight` is the joint log
        density: of the given sites and of the scores. Other sites are drawn from `omega`; without
        it they are an error (E802). What the run does not come to is not in its `trace`."""
        return self.machine.run(self.data, Replay(trace, omega))

    def law(self, limit: int, atom: Callable[[Execution], Atom] = trace_of) -> Law:
        """Its exact law. Raises E807 if the program is not finite or has more paths than that."""
        return law_of(self.machine, self.target.sampler.plain, limit, atom)

    @cached_property
    def program(self) -> ir.Program:
        return self.target.sampler.program


#: programs of one text share what is compiled for it
compiled = lru_cache(maxsize=32)(ppl.compile)


def _shown(program: Any) -> str:
    return "a text without a model" if isinstance(program, str) else f"a {type(program).__name__}"


def law_of(
    machine: Machine, data: Any, limit: int, atom: Callable[[Execution], Atom] = trace_of
) -> Law:
    """The exact law of a program. Raises E807."""
    paths = enumerate_paths(machine, data, limit=limit)
    weights = [p.weight for p in paths]
    exact = len(paths) <= RATIONAL and _rational(machine, data, limit)
    if exact and len(exact) == len(paths):  # both meet the tapes in one order
        weights = [p.weight for p in exact]
    masses: dict[Hashable, Any] = {}
    executions: dict[Hashable, Execution] = {}
    for path, w in zip(paths, weights, strict=True):
        if w > 0:
            key = atom(path.execution)
            masses[key] = masses.get(key, 0) + w
            executions[key] = path.execution
    return Law({k: float(m) for k, m in masses.items()}, executions, len(paths), bool(exact))


def _rational(machine: Machine, data: Any, limit: int) -> list[Run]:
    try:
        return enumerate_paths(machine, data, limit=limit, rational=True)
    except DiagnosticError:  # E840, or what a primitive says of fractions
        return []


def names_of(law: Law) -> dict[int, str]:
    """What the sites of a law, and our own inference's choices, are called, by their hashes."""
    sites = {hash_of(path): spell(path) for e in law.executions.values() for path in e.trace}
    return {ANCESTOR: "ancestor", SITE: "site", ACCEPT: "accept", **sites}

"""The exact level: what a subject gives, over all outcomes of its own and the program's choices.

Each kind of subject becomes a `Found`: masses by what is compared, and for each the path that gives
most of it. Which of them must equal which is the contract's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from ppl.semantics import ir
from ppl.semantics.diagnostics import fail
from ppl.semantics.ir_verify import verify
from ppl.semantics.machine import Machine
from ppl.verify.contracts import Contract, Invariant, Reversible
from ppl.verify.runnable import Atom, Law, Runnable, kept_of, law_of, names_of
from ppl.verify.steps import Steps
from ppl.verify.subjects import (
    Compiled,
    Enumeration,
    Kernel,
    Pair,
    Resampler,
    Rewrite,
    Sampler,
    Sequential,
    Subject,
    atom_of,
    comparable,
    execution_of,
    logarithm,
    state_of,
    weighted,
    wrong,
)
from ppl.verify.tapes import Budget, Choice, Outcome, Watched, outcomes, replayed


@dataclass(frozen=True)
class Witness:
    """A path, how much it gives, and what runs it: what comes out on a tape, and its choices."""

    mass: float
    tape: tuple[int, ...]
    again: Callable[[tuple[int, ...]], tuple[Any, tuple[Choice, ...]]]


@dataclass
class Found:
    """law: what should be found, by the program. masses: what was. notes: what is not covered."""

    law: Mapping[Hashable, float]
    names: Mapping[int, str] = field(default_factory=dict)
    masses: dict[Hashable, float] = field(default_factory=dict)
    witnesses: dict[Hashable, Witness] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rational: bool = False
    paths: int = 0
    #: whether masses were computed in single precision
    rounded: Callable[[], bool] = bool

    def add(self, key: Hashable, mass: float, path: Outcome, run: Callable[[Watched], Any]) -> None:
        self.masses[key] = self.masses.get(key, 0.0) + mass
        if key not in self.witnesses or mass > self.witnesses[key].mass:
            self.witnesses[key] = Witness(mass, path.tape, partial(replayed, run, self.names))

    def add_weighted(self, path: Outcome, run: Callable[[Watched], Any]) -> None:
        for value, log_weight in weighted(path.value):
            self.add(atom_of(value), path.probability * math.exp(log_weight), path, run)


def find(subject: Subject, model: Runnable, contract: Contract, budget: Budget) -> Found:
    """Everything that the subject can do.

    Raises:
        TooMany: more paths than the budget. Reused: two choices were made at one place.
        DiagnosticError: E807, the program is not finite; E742 to E745, the subject is wrong.
    """
    if isinstance(subject, Rewrite):
        return _rewrite(subject, model, budget)
    law = model.law(budget.left)
    budget.spend(law.paths)
    found = Found(law.masses, names_of(law), rational=law.rational)
    match subject:
        case Sampler():
            run = partial(subject.run, model)
            for path in outcomes(run, found.names, budget):
                found.add_weighted(path, run)
        case Sequential():
            steps = Steps(subject, model, found.names, budget)
            for path in steps.ends():
                found.add_weighted(path, steps.whole)
        case Compiled():
            _compiled(subject, model, law, found, budget)
        case Resampler():
            _resample(subject, found, budget)
        case Kernel():
            _kernel(subject, model, law, found, contract, budget)
        case Enumeration():
            _enumerate(subject, model, found)
        case Pair():
            _pair(subject, model, law, found, budget)
    if not isinstance(subject, (Kernel, Resampler, Pair)):
        _match_results(found)
    if any("a function" in _leaves(k) for k in found.law):
        found.notes.append("functions in results: they are not compared")
    found.paths = budget.used
    return found


def _compiled(subject: Compiled, model: Runnable, law: Law, found: Found, budget: Budget) -> None:
    from ppl.verify.compiled import enumerated, in_single, once_more

    found.rounded = partial(in_single, subject.run, model)
    for key, row in enumerated(subject.run, model, law, budget):
        found.masses[key] = found.masses.get(key, 0.0) + row.mass
        if key not in found.witnesses or row.most > found.witnesses[key].mass:
            found.witnesses[key] = Witness(
                row.most, row.tape, partial(once_more, subject.run, model)
            )


def _match_results(found: Found) -> None:
    """If the subject gives results without traces, the law is that of the result."""
    whole = {k.sites is not None for k in found.masses if isinstance(k, Atom)}
    if whole == {True, False}:
        raise wrong("some values are executions and others not", "give all in one form")
    if whole == {False}:
        found.law = _results(found.law)
        found.notes.append("traces: the subject gives results alone")


def _results(law: Mapping[Hashable, float]) -> dict[Hashable, float]:
    out: dict[Hashable, float] = {}
    for atom, mass in law.items():
        key = Atom(None, atom.result)  # pyright: ignore[reportAttributeAccessIssue]
        out[key] = out.get(key, 0.0) + mass
    return out


def _leaves(atom: Any) -> list[Any]:
    todo, out = [getattr(atom, "result", atom)], []
    while todo:
        x = todo.pop()
        todo.extend(x) if isinstance(x, tuple) else out.append(x)
    return out


@lru_cache(maxsize=4)
def _verified(program: ir.Program) -> Machine:
    """What runs a program that a pass gave, on any data."""
    verify(program)
    return Machine(program)


def _rewrite(subject: Rewrite, model: Runnable, budget: Budget) -> Found:
    law = model.law(budget.left, kept_of)
    budget.spend(law.paths)
    after = subject.run(model.program)
    if not isinstance(after, ir.Program):
        raise wrong(f"it gave {after!r}", "a pass gives a program of the IR")
    other = law_of(_verified(after), model.target.sampler.plain, budget.left, kept_of)
    budget.spend(other.paths)
    found = Found(law.masses, rational=law.rational and other.rational, paths=budget.used)
    found.masses.update(other.masses)
    if any("a function" in _leaves(k) for k in found.law):
        found.notes.append("functions in results: they are not compared")
    found.notes.append("choices that no name keeps: a pass may drop them")
    return found


def _resample(subject: Resampler, found: Found, budget: Budget) -> None:
    n = min(subject.particles, len(found.law))
    masses = [0.0] * n
    for i, mass in enumerate(found.law.values()):
        masses[i % n] += mass
    log_weights = [math.log(m) for m in masses]

    def run(omega: Watched) -> Any:
        return subject.run(list(log_weights), omega)

    found.law = {Particle(i): m for i, m in enumerate(masses)}
    for path in outcomes(run, found.names, budget):
        try:
            ancestors, new = (list(x) for x in path.value)
            pairs = [(int(a), float(w)) for a, w in zip(ancestors, new, strict=True)]
        except (TypeError, ValueError):
            raise wrong(
                f"it gave {path.value!r}", "give the ancestors and as many log weights"
            ) from None
        for ancestor, log_weight in weighted(pairs):
            mass = path.probability * math.exp(log_weight)
            found.add(Particle(ancestor), mass, path, run)
    if n < 3:
        found.notes.append(f"populations of more than {n}: the program has no more traces")


@dataclass(frozen=True)
class Particle:
    """One particle of the population that is resampled."""

    number: int

    def __str__(self) -> str:
        return f"particle {self.number}"


def _kernel(
    subject: Kernel, model: Runnable, law: Law, found: Found, contract: Contract, budget: Budget
) -> None:
    assert isinstance(contract, (Invariant, Reversible))
    found.law = law.tempered(contract.temperature)
    total = sum(found.law.values())
    for x, state in _states(subject, model, law, found, budget).items():

        def run(omega: Watched, state: Any = state) -> Any:
            return subject.run(model, state, omega)

        for path in outcomes(run, found.names, budget):
            flow = found.law[x] / total * path.probability
            found.add((x, state_of(path.value)), flow, path, run)
    if all(x == y for x, y in found.masses):  # pyright: ignore
        found.notes.append("anything: the kernel never moves, which keeps every law")


def _states(
    subject: Kernel, model: Runnable, law: Law, found: Found, budget: Budget
) -> dict[Hashable, Any]:
    """Every state of positive mass."""
    if subject.begin is None:
        return {k: model.replay(e.trace) for k, e in law.executions.items()}
    begun = outcomes(partial(subject.begin, model), found.names, budget)
    alive = (path.value for path in begun if execution_of(path.value).alive)
    states = {state_of(s): s for s in alive}
    if states.keys() != law.masses.keys():
        raise wrong(
            f"`begin` makes {len(states)} states, and the program has {len(law.masses)} traces",
            "begin with a run forward that draws every site",
        )
    return states


def _enumerate(subject: Enumeration, model: Runnable, found: Found) -> None:
    seen: set[Hashable] = set()
    for value, log_weight in weighted(subject.run(model)):
        key = atom_of(value)
        if key in seen:
            raise fail("E747", f"the enumeration lists twice: {key}", hint="merge equal atoms")
        seen.add(key)
        found.masses[key] = math.exp(log_weight)


def _pair(subject: Pair, model: Runnable, law: Law, found: Found, budget: Budget) -> None:
    run = partial(subject.sample, model)
    points: dict[Hashable, Any] = {}
    for path in outcomes(run, found.names, budget):
        key = Atom(None, comparable(path.value))
        points[key] = path.value
        found.add(key, path.probability, path, run)
    for e in law.executions.values():
        points.setdefault(Atom(None, comparable(e.result)), e.result)
    logs = {k: subject.log_density(model, x) for k, x in points.items()}
    density = {k: math.exp(logarithm(x, f"the log density at {k}")) for k, x in logs.items()}
    found.law = {k: p for k, p in density.items() if p > 0}
    found.notes.append("points that are neither drawn nor results of the program")

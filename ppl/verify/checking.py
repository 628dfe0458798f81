"""`check(subject, program, contract)`: does a transformer keep its law on this program?"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.verify.contracts import (
    Approximates,
    Contract,
    Invariant,
    Reversible,
    SameDensity,
    Sides,
)
from ppl.verify.exact import Found, Witness, find
from ppl.verify.runnable import Runnable
from ppl.verify.subjects import subject_of
from ppl.verify.tapes import Budget, Reused, TooMany, Watched, replayed
from ppl.verify.verdict import Counterexample, Report, Verdict

#: paths of program and subject that a check runs by default
LIMIT = 200_000

#: differences of one mass, as a share of the total, that are rounding. Sums of 10^5 products of
#: some tens of factors are off by less than 10^-11.
TOLERANCE = 1e-9


def check(subject: Any, program: Any, contract: Contract, *, limit: int = LIMIT) -> Verdict:
    """Whether the subject keeps the contract's law on the program, by every outcome of the random
    choices of both.

    subject: see `ppl.verify.subjects`. program: of `programs()`, a model applied to its data, or
    a text whose last model takes none. limit: the number of paths that may be run.

    Never flaky: it makes no random choice. INCONCLUSIVE if the program is not finite or has no
    mass, or if there are more paths than the limit, which a few of them may tell at once.

    Raises:
        DiagnosticError: E742, E743, E747, the subject does not keep to its protocol; E744, the
            contract is not one of such subjects; E745, E746, something else is no program or
            setting; or what is wrong with the program.
    """
    if limit < 1:
        raise fail("E746", f"limit = {limit}: it must be at least 1")
    subject, model = subject_of(subject, contract), Runnable.of(program)
    budget = Budget(limit)
    try:
        found = find(subject, model, contract, budget)
    except TooMany as many:
        return _undecided(contract, many.why, Report(paths=budget.used))
    except Reused as again:
        return _reused(model, contract, again, budget)
    except DiagnosticError as error:
        if error.diagnostics[0].code != "E807":
            raise
        return _undecided(contract, error.diagnostics[0].message, Report(paths=budget.used))
    arithmetic = "rational arithmetic" if found.rational else "floating point"
    if not (sum(found.law.values()) > 0 or isinstance(contract, SameDensity)):
        why = "every execution of the program has weight zero, so that nothing can be told apart"
        return _undecided(contract, why, Report(arithmetic=arithmetic, paths=found.paths))
    sides = contract.sides(found.law, found.masses)  # pyright: ignore[reportArgumentType]
    compared = len({*sides[0], *sides[1]})
    if len(found.law) == 1:
        found.notes.append("weights and ancestors: the program has a single outcome")
    report = Report(
        arithmetic=arithmetic, paths=found.paths, compared=compared, not_covered=tuple(found.notes)
    )
    if isinstance(contract, Approximates):
        return _approximate(model, contract, found, sides, report)
    return _equal(model, contract, found, sides, report)


def differences(sides: Sides) -> Mapping[Hashable, float]:
    """Found minus expected."""
    expected, found = sides
    return {k: found.get(k, 0.0) - expected.get(k, 0.0) for k in {**expected, **found}}


def _equal(
    model: Runnable, contract: Contract, found: Found, sides: Sides, report: Report
) -> Verdict:
    expected, have = sides
    known = isinstance(contract, (Reversible, SameDensity))  # probabilities, whatever was found
    total = 1.0 if known else sum(expected.values())
    off = differences(sides)
    worst = max(off, key=lambda k: abs(off[k])) if off else None
    distance = abs(off[worst]) / total if off else 0.0
    more = {"smallest_effect": TOLERANCE, "distance": distance}
    if distance <= TOLERANCE:
        return Verdict("PASS", contract, contract.says, report, **more)
    why = f"it is not so that {contract.says}{_pattern(contract, expected, have)}"
    example = _example(model, contract, found, sides, worst)
    return Verdict("FAIL", contract, why, report, example, **more)


def _approximate(
    model: Runnable, contract: Approximates, found: Found, sides: Sides, report: Report
) -> Verdict:
    off = differences(sides)
    distance = 0.5 * sum(map(abs, off.values()))
    why = f"{contract.says}: here the distance is {distance:.6g}"
    more = {"smallest_effect": TOLERANCE, "distance": distance}
    if contract.within is None:
        why += ", and no bound is stated"
        return Verdict("INCONCLUSIVE", contract, why, report, **more)
    if distance <= contract.within + TOLERANCE:
        return Verdict("PASS", contract, why, report, **more)
    worst = max(off, key=lambda k: abs(off[k]))
    example = _example(model, contract, found, sides, worst)
    return Verdict("FAIL", contract, why, report, example, **more)


def _undecided(contract: Contract, why: str, report: Report) -> Verdict:
    return Verdict("INCONCLUSIVE", contract, why, report)


def _reused(model: Runnable, contract: Contract, again: Reused, budget: Budget) -> Verdict:
    """Every law fails: the two choices are one and the same random number."""
    choice = again.choice
    why = f"two choices are made at one place, so that a key gives both one value: `{choice.name}`"
    example = Counterexample(
        model.source, f"`{choice.name}` in step {choice.step}, slot {choice.slot}",
        "number of choices", 1, 2, again.tape, (*again.choices, choice),
    )  # fmt: skip
    return Verdict("FAIL", contract, why, Report(paths=budget.used), example)


def _pattern(
    contract: Contract, expected: Mapping[Hashable, float], have: Mapping[Hashable, float]
) -> str:
    """What the differences have in common, if it is the total or that the total is right."""
    if isinstance(contract, (Invariant, Reversible)) or not sum(expected.values()) > 0:
        return ""
    if abs(sum(have.values()) / sum(expected.values()) - 1) <= TOLERANCE:
        return ": the total is right, its parts are not"
    ratios = [have.get(k, 0.0) / m for k, m in expected.items() if m > 0]
    if have.keys() <= expected.keys() and max(ratios) - min(ratios) <= TOLERANCE * max(ratios):
        return f": every {contract.unit} is {ratios[0]:.6g} times what it should be"
    return ""


def _example(
    model: Runnable, contract: Contract, found: Found, sides: Sides, worst: Any
) -> Counterexample:
    expected, have = sides
    witness = _witness(found, contract, worst)
    run = None if witness is None else witness.run
    tape = None if witness is None else witness.tape
    choices = () if witness is None else replayed(witness.run, found.names, witness.tape)[1]
    at = f"{worst[0]}\n   to     {worst[1]}" if isinstance(worst, tuple) else str(worst)
    return Counterexample(
        model.source, at, contract.unit, expected.get(worst, 0.0), have.get(worst, 0.0),
        tape, choices, _again(run, found.names, tape),
    )  # fmt: skip


def _again(
    run: Callable[[Watched], Any] | None, names: Mapping[int, str], tape: tuple[int, ...] | None
) -> Callable[[], Any] | None:
    if run is None or tape is None:
        return None
    return lambda: replayed(run, names, tape)[0]


def _witness(found: Found, contract: Contract, worst: Any) -> Witness | None:
    if isinstance(contract, Invariant):
        into = [w for (_, y), w in found.witnesses.items() if y == worst]  # pyright: ignore
        return max(into, key=lambda w: w.mass, default=None)
    return found.witnesses.get(worst)

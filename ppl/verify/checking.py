"""`check(subject, program, contract)`: does a transformer keep its law on this program?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, Literal

from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.verify.contracts import (
    Approximates,
    Compared,
    Contract,
    Invariant,
    Reversible,
    SameDensity,
    Sides,
)
from ppl.verify.exact import Found, Witness, find
from ppl.verify.rounding import SINGLE
from ppl.verify.runnable import Law, Runnable
from ppl.verify.sequential import POWER, Decision, Plan, Undecided
from ppl.verify.sizes import Largest, planned
from ppl.verify.subjects import Numeric, Subject, subject_of
from ppl.verify.tapes import Budget, Reused, TooMany
from ppl.verify.verdict import Counterexample, Report, Verdict

#: paths of program and subject that a check runs by default
LIMIT = 200_000

#: differences of one mass, as a share of the total, that are rounding. Sums of 10^5 products of
#: some tens of factors are off by less than 10^-11.
TOLERANCE = 1e-9


Level = Literal["auto", "exact", "numeric", "sequential"]

#: paths that a program's own law may have at the sequential level, and is otherwise not computed
KNOWN = 20_000


def check(
    subject: Any,
    program: Any,
    contract: Contract,
    *,
    limit: int = LIMIT,
    level: Level = "auto",
    plan: Plan | None = None,
    bound: float | None = None,
    steps: int = 1,
) -> Verdict:
    """Whether the subject keeps the contract's law on the program.

    By every outcome of the random choices of both, if there are no more than `limit` (level exact);
    else by quadrature and derivatives where the subject has them (numeric); else by independent
    random trials (sequential). `level` demands one of them.

    subject: see `ppl.verify.subjects`. program: of `programs()`, a model applied to its data, or
    a text whose last model takes none; None for subjects that are about no program. plan: how many
    trials, and how rarely they may be wrong. bound: on the weights of the program and of what a
    sampler gives, for trials. steps: of a kernel, in each trial.

    Never flaky: trials are seeded by what is checked. INCONCLUSIVE if the program has no mass, or
    no level that was allowed could decide.

    Raises:
        DiagnosticError: E742, E743, E747, the subject does not keep to its protocol; E744, the
            contract is not one of such subjects; E745, E746, something else is no program or
            setting; or what is wrong with the program.
    """
    if limit < 1:
        raise fail("E746", f"limit = {limit}: it must be at least 1")
    if level not in (known := Level.__args__):
        raise fail("E746", f"level = {level!r}: it must be one of {', '.join(known)}")
    if bound is not None and not bound > 0:
        raise fail("E746", f"bound = {bound}: it must be positive")
    if steps < 1:
        raise fail("E746", f"steps = {steps}: there must be at least 1")
    if isinstance(subject, Largest):
        return _largest(subject, Runnable.of(program), contract, limit)
    subject = subject_of(subject, contract)
    if isinstance(subject, Numeric):
        if level not in ("auto", "numeric"):
            raise fail(
                "E746", f"a `{type(subject).__name__}` is checked at the numeric level alone"
            )
        return subject.verdict(program, contract)
    model = Runnable.of(program)
    because = ""
    if level in ("auto", "exact"):
        verdict, undecided = _exactly(subject, model, contract, limit)
        if level == "exact" or not undecided:
            return verdict
        because = verdict.why
    if level in ("auto", "numeric"):
        from ppl.verify.numeric import by_quadrature

        verdict = by_quadrature(subject, model, contract)
        if level == "numeric" or verdict.outcome != "INCONCLUSIVE":
            return replace(verdict, report=replace(verdict.report, because=because))
    verdict = _by_trials(subject, model, contract, limit, plan or Plan(), bound, steps)
    return replace(verdict, report=replace(verdict.report, because=because))


def _largest(subject: Largest, model: Runnable, contract: Contract, limit: int) -> Verdict:
    """The verdict of the largest size that can be enumerated, at the exact level."""
    *larger, smallest = sorted(subject.sizes, reverse=True)
    for n in larger:
        made = subject_of(subject.make(n), contract)
        if planned(made, model) > limit:
            continue
        verdict = check(made, model, contract, limit=limit, level="exact")
        if verdict.outcome != "INCONCLUSIVE" or not verdict.report.paths:
            return replace(verdict, report=replace(verdict.report, size=n))
    verdict = check(subject.make(smallest), model, contract, limit=limit, level="exact")
    return replace(verdict, report=replace(verdict.report, size=smallest))


def _by_trials(
    subject: Subject,
    model: Runnable,
    contract: Contract,
    limit: int,
    plan: Plan,
    bound: float | None,
    steps: int,
) -> Verdict:
    from ppl.verify.trials import by_trials

    law = _law(model, min(limit, KNOWN))
    report = Report(
        "sequential", "rational arithmetic" if law and law.rational else "floating point"
    )
    if law is not None and not law.evidence > 0:
        return Verdict("INCONCLUSIVE", contract, NO_MASS, report)
    try:
        decision, trials = by_trials(subject, model, contract, law, plan, bound=bound, steps=steps)
    except Undecided as why:
        return Verdict("INCONCLUSIVE", contract, str(why), report)
    report = replace(
        report, trials=decision.trials, compared=len(trials.statistics),
        alpha=plan.alpha**2, not_covered=trials.notes,
    )  # fmt: skip
    return judged(decision, contract, report, model.source)


def judged(decision: Decision, contract: Contract, report: Report, source: str) -> Verdict:
    """A decision by trials as a verdict."""
    if decision.kept is None:
        return Verdict("INCONCLUSIVE", contract, decision.why, report)
    if decision.kept:
        seen = decision.visible
        return Verdict("PASS", contract, contract.says, report, smallest_effect=seen, power=POWER)
    worst = decision.worst
    assert worst is not None
    example = Counterexample(
        source, worst.at, worst.unit, worst.expected, worst.found, None, (), trials=decision.trials
    )
    odds = f"e-value 10^{min(decision.log_evalue, 1e6) / 2.302585:.1f}"
    why = f"it is not so that {contract.says} ({odds}, on fresh trials)"
    return Verdict(
        "FAIL", contract, why, report, example, distance=abs(worst.found - worst.expected)
    )


def _law(model: Runnable, limit: int) -> Law | None:
    try:
        return model.law(limit)
    except DiagnosticError as error:
        if error.diagnostics[0].code != "E807":
            raise
        return None


NO_MASS = "every execution of the program has weight zero, so that nothing can be told apart"


def _exactly(
    subject: Subject, model: Runnable, contract: Contract, limit: int
) -> tuple[Verdict, bool]:
    """The verdict of the exact level, and whether another level might know more."""
    assert isinstance(contract, Compared)  # as `subject_of` has seen to
    budget = Budget(limit)
    try:
        found = find(subject, model, contract, budget)
    except TooMany as many:
        return _undecided(contract, many.why, Report(paths=budget.used)), True
    except Reused as again:
        return _reused(model, contract, again, budget), False
    except DiagnosticError as error:
        if error.diagnostics[0].code != "E807":
            raise
        why = error.diagnostics[0].message
        return _undecided(contract, why, Report(paths=budget.used)), True
    arithmetic = "rational arithmetic" if found.rational else "floating point"
    if not (sum(found.law.values()) > 0 or isinstance(contract, SameDensity)):
        return _undecided(
            contract, NO_MASS, Report(arithmetic=arithmetic, paths=found.paths)
        ), False
    sides = contract.sides(found.law, found.masses)  # pyright: ignore[reportArgumentType]
    compared = len({*sides[0], *sides[1]})
    if len(found.law) == 1:
        found.notes.append("weights and ancestors: the program has a single outcome")
    report = Report(
        arithmetic=arithmetic, paths=found.paths, compared=compared, not_covered=tuple(found.notes)
    )
    if isinstance(contract, Approximates):
        return _approximate(model, contract, found, sides, report), False
    return _equal(model, contract, found, sides, report), False


def differences(sides: Sides) -> Mapping[Hashable, float]:
    """Found minus expected."""
    expected, found = sides
    return {k: found.get(k, 0.0) - expected.get(k, 0.0) for k in {**expected, **found}}


def _equal(
    model: Runnable, contract: Compared, found: Found, sides: Sides, report: Report
) -> Verdict:
    expected, have = sides
    known = isinstance(contract, (Reversible, SameDensity))  # probabilities, whatever was found
    total = 1.0 if known else sum(expected.values())
    off = differences(sides)
    worst = max(off, key=lambda k: abs(off[k])) if off else None
    distance = abs(off[worst]) / total if off else 0.0
    allowed = SINGLE if TOLERANCE < distance <= SINGLE and found.rounded() else TOLERANCE
    more: dict[str, Any] = {"smallest_effect": allowed, "distance": distance}
    if distance <= allowed:
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
    more: dict[str, Any] = {"smallest_effect": TOLERANCE, "distance": distance}
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
    contract: Compared, expected: Mapping[Hashable, float], have: Mapping[Hashable, float]
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
    model: Runnable, contract: Compared, found: Found, sides: Sides, worst: Any
) -> Counterexample:
    expected, have = sides
    witness = _witness(found, contract, worst)
    tape = None if witness is None else witness.tape
    choices = () if witness is None else witness.again(witness.tape)[1]
    at = f"{worst[0]}\n   to     {worst[1]}" if isinstance(worst, tuple) else str(worst)
    return Counterexample(
        model.source, at, contract.unit, expected.get(worst, 0.0), have.get(worst, 0.0),
        tape, choices, None if witness is None else lambda: witness.again(witness.tape)[0],
    )  # fmt: skip


def _witness(found: Found, contract: Contract, worst: Any) -> Witness | None:
    if isinstance(contract, Invariant):
        into = [w for (_, y), w in found.witnesses.items() if y == worst]  # pyright: ignore
        return max(into, key=lambda w: w.mass, default=None)
    return found.witnesses.get(worst)

"""What a check says: PASS, FAIL with a counterexample, or INCONCLUSIVE and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ppl.semantics.diagnostics import Diagnostic, DiagnosticError
from ppl.verify.contracts import Contract
from ppl.verify.tapes import Choice

Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE"]

#: units of what paths add up to
ENUMERATED = ("mass", "probability", "probability of the move")


class LawBroken(DiagnosticError, AssertionError):
    """A transformer does not keep its law. `verdict` has the counterexample."""

    def __init__(self, verdict: Verdict, diagnostic: Diagnostic):
        super().__init__(diagnostic)
        self.verdict = verdict


@dataclass(frozen=True)
class Counterexample:
    """A program and a point where two masses that must be equal are not.

    at: the trace, result, particle or move. tape: of the path that gives it most of what was found
    (None if no path gives it), choices: what that path chose. trials: how many it was found by,
    where paths were not enumerated. `replay()` runs the subject on the path.
    """

    program: str
    at: str
    unit: str
    expected: float
    found: float
    tape: tuple[int, ...] | None
    choices: tuple[Choice, ...]
    again: Callable[[], Any] | None = field(default=None, repr=False, compare=False)
    trials: int = 0

    def replay(self) -> Any:
        """What the subject gives on the tape, once more: set a breakpoint and look.

        Raises:
            ValueError: no path gives it, or the path does not end; or many trials show it together.
        """
        if self.trials:
            raise ValueError(f"{self.trials:,} trials show this together, and none alone")
        if self.again is None:
            raise ValueError("no path gives this, or it ends before it does")
        return self.again()

    def __str__(self) -> str:
        out = [
            f"at        {self.at}",
            f"expected  {self.unit} {self.expected:.9g}",
            f"found     {self.unit} {self.found:.9g}",
        ]
        if self.trials:
            out.append(f"in {self.trials:,} trials")
        elif self.tape is None:
            out += ["no path gives it"] if self.unit in ENUMERATED else []
        else:
            out.append(f"given by the tape {self.tape}:")
            out += [f"  {choice}" for choice in self.choices]
        if self.program:
            out += ["of the program", *("  " + line for line in self.program.split("\n"))]
        return "\n".join(out)


@dataclass(frozen=True)
class Report:
    """How a verdict was reached.

    level: which level of the kit decided. arithmetic: that of the program's own law; the subject's
    is always in floating point. paths: of program and subject together, that were run. trials:
    random ones, at the levels that make them, and alpha: the probability at most with which they
    make a FAIL of a law that is kept. compared: masses, statistics or points that were compared.
    because: why no level before this one decided. size: of a subject of several. not_covered: what
    the check says nothing about.
    """

    level: str = "exact"
    arithmetic: str = "floating point"
    paths: int = 0
    compared: int = 0
    not_covered: tuple[str, ...] = ()
    trials: int = 0
    alpha: float | None = None
    because: str = ""
    size: int | None = None

    def __str__(self) -> str:
        out = f"decided at the {self.level} level: "
        if self.trials:
            out += f"{self.trials:,} trials, {self.compared:,} statistics"
        elif self.level == "numeric":
            out += f"{self.compared:,} numbers compared"
        else:
            out += f"{self.paths:,} paths"
            if self.compared:
                out += f", {self.compared:,} masses compared with a law in {self.arithmetic}"
        if self.alpha is not None:
            out += f"\na law that is kept fails with probability {self.alpha:.1g} at most"
        if self.size is not None:
            out += f"\nsize {self.size}, the largest of which all paths could be run"
        if self.because:
            out += f"\nnot decided before: {self.because}"
        return out + "".join(f"\nnot covered: {x}" for x in self.not_covered)


@dataclass(frozen=True)
class Verdict:
    """smallest_effect: the smallest difference of one mass that would have been a FAIL, as a share
    of the total; None if nothing was compared. distance: the largest difference that was found, in
    the same unit (for `Approximates`: the total variation distance). power: the probability with
    which the smallest effect would have been seen. why: in a line."""

    outcome: Outcome
    contract: Contract
    why: str
    report: Report
    counterexample: Counterexample | None = None
    smallest_effect: float | None = None
    distance: float | None = None
    power: float = 1.0

    @property
    def ok(self) -> bool:
        return self.outcome == "PASS"

    def assert_ok(self) -> None:
        """Nothing if it is a PASS.

        Raises:
            LawBroken: FAIL; it is an AssertionError and a DiagnosticError, E740.
            DiagnosticError: E741, INCONCLUSIVE.
        """
        if self.outcome == "FAIL":
            raise LawBroken(self, Diagnostic("E740", f"{self}\n"))
        if self.outcome == "INCONCLUSIVE":
            hint = "check it on smaller programs, with fewer particles, or with a higher limit"
            raise DiagnosticError(Diagnostic("E741", str(self), hint=hint))

    def __str__(self) -> str:
        out = [f"{self.outcome} {type(self.contract).__name__}: {self.why}"]
        if self.counterexample is not None:
            out.append(str(self.counterexample))
        if self.smallest_effect is not None and self.ok:
            sure = "" if self.power == 1 else f" with probability {self.power:g}"
            effect = f"a difference of {self.smallest_effect:.1g} of the total would have failed"
            out.append(effect + sure)
        return "\n".join([*out, str(self.report)])

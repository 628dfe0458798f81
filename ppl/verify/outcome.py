"""What a run of `ppl verify` found: a line and a page for every law that was checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ppl.verify.checking import check
from ppl.verify.contracts import Contract
from ppl.verify.properties import Law
from ppl.verify.search import Searched, search
from ppl.verify.verdict import Verdict

#: (law, programs decided, programs in all)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Checked:
    """One law. facts: what there is to say of how it was decided, by name. text: the verdict in
    full, where it is not that of many programs. plot: an SVG."""

    name: str
    contract: str
    outcome: str
    why: str
    facts: Mapping[str, str]
    text: str = ""
    plot: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome == "PASS"

    def __str__(self) -> str:
        out = [f"{self.outcome} {self.name}: {self.why}"]
        out += [f"  {name}: {fact}" for name, fact in self.facts.items() if fact]
        if self.text and not self.ok:
            out += ["", *("  " + line for line in self.text.split("\n")), ""]
        return "\n".join(out)


def on_programs(law: Law, progress: Progress | None = None) -> Checked:
    """A law of `@preserves`, on generated programs."""
    settings = dict(law.settings)
    examples = settings["examples"]

    def report(found: Searched) -> None:
        if progress is not None:
            progress(law.name, found.programs, examples)

    found = search(law.name, law.make, law.contract, progress=report, **settings)
    failure = found.failure
    facts = {
        "level": ", ".join(f"{k} ({n} programs)" for k, n in found.levels.items()),
        "paths": f"{found.paths:,}",
        "sizes": ", ".join(f"{k} ({n} programs)" for k, n in sorted(found.sizes.items())),
        "smallest effect": f"{found.effect:.1g} of the total" if found.effect else "",
        "undecided": f"{found.undecided} programs: {found.why}" if found.undecided else "",
        "not covered": "; ".join(f"{k} ({n} programs)" for k, n in found.not_covered.items()),
        "seconds": f"{found.seconds:.1f}",
    }
    if failure is not None:
        smaller = f"made smaller, from {failure.first} lines to {failure.lines}"
        facts["found"] = f"after {failure.after:.1f} s, then {smaller}"
        facts["with"] = ", ".join(f"{k} = {v}" for k, v in failure.sizes.items())
        why, text = failure.verdict.why, str(failure.verdict)
    else:
        why, text = f"{law.contract.says}, on {found.programs} programs", ""
        if not found.programs:
            why = f"nothing was decided: {found.why}"
    return Checked(law.name, _kind(law.contract), found.outcome, why, facts, text)


def on_program(name: str, subject: Any, contract: Contract, program: Any) -> Checked:
    """A law of one program."""
    return of_verdict(name, check(subject, program, contract))


def of_verdict(name: str, verdict: Verdict, plot: str = "") -> Checked:
    """A verdict as a part of a report."""
    report = verdict.report
    effect = verdict.smallest_effect
    facts = {
        "level": report.level,
        "paths": f"{report.paths:,}" if report.paths else "",
        "trials": f"{report.trials:,}" if report.trials else "",
        "compared": f"{report.compared:,}" if report.compared else "",
        "smallest effect": f"{effect:.1g}" if effect and verdict.ok else "",
        "not covered": "; ".join(report.not_covered),
    }
    kind = _kind(verdict.contract)
    return Checked(name, kind, verdict.outcome, verdict.why, facts, str(verdict), plot)


def _kind(contract: Contract) -> str:
    return type(contract).__name__

"""A law on many generated programs, without pytest: how many kept it, and the smallest failure.

Never flaky: the seed is a hash of what is checked, and a program has one verdict, whenever it
is asked for. Shrinking makes the program smaller, and what else was drawn with it: numbers of
particles, steps. It is given so much time, after which the smallest failure so far is the one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import blake2b
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify.checking import Level, check
from ppl.verify.contracts import Contract
from ppl.verify.evalues import share
from ppl.verify.programs import Program, programs
from ppl.verify.sequential import Plan
from ppl.verify.verdict import Verdict

#: paths that a check of one program may run, unless it is said otherwise
LIMIT = 20_000
#: rounds of generation, each of which gives some programs that there have been
ROUNDS = 12
#: seconds that making a failure smaller may take
SHRINK = 60.0

_SETTINGS = settings(
    database=None,
    deadline=None,
    derandomize=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    verbosity=settings.default.verbosity,
)


@dataclass(frozen=True)
class Failure:
    """verdict: of the smallest program. sizes: what was drawn with it. after: seconds until the
    first failure, of `first` lines. shrinking: seconds it then took."""

    verdict: Verdict
    sizes: Mapping[str, Any]
    after: float
    first: int
    shrinking: float

    @property
    def lines(self) -> int:
        """Of the smallest program."""
        example = self.verdict.counterexample
        return 0 if example is None else len(example.program.strip().split("\n"))


@dataclass
class Searched:
    """What a search did. undecided: programs that were not decided, with the first reason, `why`.
    paths: that were run. effect: the smallest difference that every check would have seen. levels,
    sizes, not_covered: by how many programs."""

    undecided: int = 0
    why: str = ""
    paths: int = 0
    seconds: float = 0.0
    levels: dict[str, int] = field(default_factory=dict)
    effect: float = 0.0
    sizes: dict[int, int] = field(default_factory=dict)
    not_covered: dict[str, int] = field(default_factory=dict)
    failure: Failure | None = None
    #: those that were decided, and their texts, each with what was drawn with it
    keys: set[str] = field(default_factory=set, repr=False)
    texts: set[str] = field(default_factory=set, repr=False)

    @property
    def programs(self) -> int:
        """How many distinct ones were decided."""
        return len(self.keys)

    @property
    def outcome(self) -> str:
        """PASS, FAIL, or INCONCLUSIVE if nothing could be decided."""
        if self.failure is not None:
            return "FAIL"
        return "PASS" if self.programs else "INCONCLUSIVE"

    def count(self, key: str, verdict: Verdict, text: str = "") -> None:
        """One more program."""
        report = verdict.report
        self.paths += report.paths
        if verdict.outcome == "INCONCLUSIVE":
            self.undecided += 1
            self.why = self.why or verdict.why
            return
        self.keys.add(key)
        self.texts.add(text or key)
        self.levels[report.level] = self.levels.get(report.level, 0) + 1
        self.effect = max(self.effect, verdict.smallest_effect or 0.0)
        if report.size is not None:
            self.sizes[report.size] = self.sizes.get(report.size, 0) + 1
        for note in report.not_covered:
            self.not_covered[note] = self.not_covered.get(note, 0) + 1


def search(
    name: str,
    make: Callable[..., Any],
    contract: Contract,
    *,
    examples: int = 30,
    limit: int = LIMIT,
    level: Level = "exact",
    sizes: Mapping[str, Sequence[Any]] | None = None,
    alpha: float = 0.01,
    trials: int = 1_000,
    epoch: int = 0,
    shrink: float = SHRINK,
    stop: float = float("inf"),
    progress: Callable[[Searched], None] | None = None,
    variants: int = 1,
    others: Callable[[Any], Any] = lambda subject: subject,
    among: st.SearchStrategy[Any] | None = None,
    **strategy: Any,
) -> Searched:
    """Whether `make(program, **sizes)` keeps the contract on that many distinct programs.

    name: of the subject; with the epoch it makes the seed. sizes: values to draw from, the simplest
    first. variants: programs of one text, which differ in their probabilities: these are data, so
    that a subject is made, and compiled, once for all of them. others: what is made of the subject
    for all of them but the first, a smaller one for instance. alpha, trials: of random trials,
    where the level makes them: the probability at most with which any program fails of which the
    law is kept. shrink: seconds for making a failure smaller. stop: seconds after which no more
    programs are tried. strategy: arguments of `programs`; or `among`, another strategy of programs,
    whose numbers are data if there are variants (`Program.again`).
    """
    cases = st.tuples(
        st.fixed_dictionaries({k: st.sampled_from(list(v)) for k, v in (sizes or {}).items()}),
        programs(lifted=variants > 1, **strategy) if among is None else among,
    )
    run = _Run(
        make, contract, limit, level, examples, alpha, trials, shrink, stop, progress, variants,
        others,
    )  # fmt: skip
    for k in range(ROUNDS):
        if run.enough or not run.round(cases, seed_of(name, contract, strategy, epoch, k)):
            break
    run.found.seconds = time.perf_counter() - run.began
    return run.found


def joined(parts: Sequence[Searched]) -> Searched:
    """Searches of one subject as one; what they have in common is counted once among programs."""
    out = Searched()
    for part in parts:
        out.keys |= part.keys
        out.texts |= part.texts
        out.undecided += part.undecided
        out.paths += part.paths
        out.seconds += part.seconds
        out.why = out.why or part.why
        out.effect = max(out.effect, part.effect)
        out.failure = out.failure or part.failure
        for mine, other in (
            (out.levels, part.levels),
            (out.sizes, part.sizes),
            (out.not_covered, part.not_covered),
        ):
            for k, n in other.items():
                mine[k] = mine.get(k, 0) + n
    return out


def seed_of(*parts: Any) -> int:
    """A number that depends on what is checked alone."""
    return int.from_bytes(blake2b(_spelled(parts).encode(), digest_size=8).digest(), "big")


def _spelled(part: Any) -> str:
    """As `repr`, but for sets, which stand in another order in every process."""
    if isinstance(part, (set, frozenset)):
        return f"{{{', '.join(sorted(map(_spelled, part)))}}}"
    if isinstance(part, Mapping):
        return f"{{{', '.join(f'{k}: {_spelled(v)}' for k, v in part.items())}}}"
    if isinstance(part, (list, tuple)):
        return f"({', '.join(map(_spelled, part))})"
    return repr(part)


class _Stop(Exception):
    """A failure: Hypothesis shrinks it."""


class _Run:
    def __init__(
        self,
        make: Callable[..., Any],
        contract: Contract,
        limit: int,
        level: Level,
        examples: int,
        alpha: float,
        trials: int,
        shrink: float,
        stop: float,
        progress: Callable[[Searched], None] | None,
        variants: int,
        others: Callable[[Any], Any],
    ):
        self.make, self.contract, self.limit, self.level = make, contract, limit, level
        self.alpha, self.trials = alpha, trials
        self.examples, self.shrink, self.stop, self.progress = examples, shrink, stop, progress
        self.variants, self.others = variants, others
        self.found, self.began = Searched(), time.perf_counter()
        self.verdicts: dict[str, Verdict] = {}
        #: the last failure that was run; of Hypothesis's final run, the smallest
        self.last: tuple[Verdict, Mapping[str, Any], Any] | None = None
        self.first: tuple[float, int] | None = None

    @property
    def passed(self) -> float:
        return time.perf_counter() - self.began

    @property
    def enough(self) -> bool:
        found = self.found
        return found.programs >= self.examples or self.passed > self.stop

    def round(self, cases: st.SearchStrategy[Any], seed: int) -> bool:
        """Some more programs. Whether to go on."""
        phases = [Phase.generate, *([Phase.shrink] if self.shrink > 0 else [])]
        wanted = max(10, -(-(self.examples - self.found.programs) // self.variants))
        run = settings(_SETTINGS, max_examples=wanted, phases=phases)(
            seeded(seed)(given(cases)(self.one))
        )
        before = len(self.verdicts)
        try:
            run()
        except _Stop:
            assert self.last is not None and self.first is not None
            (verdict, sizes), (after, lines) = self.trimmed(), self.first
            self.found.failure = Failure(verdict, sizes, after, lines, self.passed - after)
            return False
        return len(self.verdicts) > before

    def one(self, case: Any) -> None:
        sizes, program = case
        subject = cache(lambda: self.make(program, **sizes))
        other = cache(lambda: self.others(subject()))
        for k in range(self.variants):
            self.variant(program.again(k) if k else program, sizes, other if k else subject)

    def variant(self, program: Any, sizes: Mapping[str, Any], subject: Callable[[], Any]) -> None:
        drawn = json.dumps(sizes, default=repr, sort_keys=True)
        key, text = repr(program) + drawn, program.source + drawn
        verdict = self.verdicts.get(key)
        if verdict is None:
            if self.first is None and self.enough:
                return
            if self.first is not None and self.passed - self.first[0] > self.shrink:
                return  # what has failed so far is small enough
            verdict = self.verdicts[key] = self.decide(program, subject)
            if self.first is None:
                self.found.count(key, verdict, text)
                if self.progress is not None:
                    self.progress(self.found)
        if verdict.outcome == "FAIL":
            if self.first is None:
                self.first = self.passed, len(str(program).strip().split("\n"))
            self.last = verdict, sizes, program
            raise _Stop

    def trimmed(self) -> tuple[Verdict, Mapping[str, Any]]:
        """The last failure, without the functions that it does not need: to leave one out is many
        choices less at once, and other choices after it, which Hypothesis does not try."""
        assert self.last is not None
        verdict, sizes, program = self.last
        if not isinstance(program, Program) or self.shrink <= 0:
            return verdict, sizes
        for part in program.source.split("\n\n")[:-1]:
            smaller = replace(program, source=program.source.replace(f"{part}\n\n", "", 1))
            try:
                found = self.decide(smaller, lambda p=smaller: self.make(p, **sizes))
            except DiagnosticError:  # it is needed
                continue
            if found.outcome == "FAIL":
                verdict, program = found, smaller
        return verdict, sizes

    def decide(self, program: Any, subject: Callable[[], Any]) -> Verdict:
        # again, a program would have a smaller share
        plan = Plan(alpha=share(self.alpha, len(self.verdicts)) ** 0.5, trials=self.trials)
        try:
            return check(
                subject(), program, self.contract, limit=self.limit, level=self.level, plan=plan
            )
        except DiagnosticError as error:
            error.add_note(f"on the program\n{program!r}")
            raise

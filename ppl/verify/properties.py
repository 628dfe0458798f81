"""Laws as tests: a check on many generated programs, for pytest.

@preserves(ProperlyWeighted(), paths=12)
def test_my_resampler(program):
    return Resampler(my_resampler)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import Phase, event, given, reject, settings

from ppl.verify.checking import LIMIT, Level, check
from ppl.verify.contracts import Contract
from ppl.verify.evalues import share
from ppl.verify.programs import programs
from ppl.verify.sequential import Plan


@dataclass(frozen=True)
class Law:
    """What `preserves` states, for those who run it without pytest (`ppl verify`): of what the
    function makes for a program, with the settings of `search`."""

    name: str
    make: Callable[[Any], Any]
    contract: Contract
    settings: Mapping[str, Any]


def preserves(
    contract: Contract,
    *,
    limit: int = LIMIT,
    examples: int = 30,
    shrink: bool = True,
    level: Level = "exact",
    alpha: float = 0.01,
    trials: int = 1_000,
    **strategy: Any,
) -> Callable[[Callable[[Any], Any]], Callable[[], None]]:
    """A test that what the function gives for a program keeps the contract on it.

    `strategy`: arguments of `programs`; few `paths` keep checks quick. Programs on which the
    verdict is INCONCLUSIVE do not count as examples, and Hypothesis fails the test if most are.
    What fails is shrunk to a small program first, which takes a minute or so, unless `shrink` is
    false.

    `level`: as for `check`. At the sequential level (or "auto", which may come to it) `alpha` is
    the probability at most with which any of the programs fails of which the law is kept; each
    program spends a share of it, however many there are.
    """
    verdicts: dict[Any, Any] = {}

    def decorate(test: Callable[[Any], Any]) -> Callable[[], None]:
        def run(program: Any) -> None:
            if (key := repr(program)) not in verdicts:  # again, it would have a smaller share
                plan = Plan(alpha=share(alpha, len(verdicts)) ** 0.5, trials=trials)
                subject = test(program)
                verdicts[key] = check(
                    subject, program, contract, limit=limit, level=level, plan=plan
                )
            verdict = verdicts[key]
            if verdict.outcome == "INCONCLUSIVE":
                event(f"inconclusive: {verdict.why}")
                reject()
            verdict.assert_ok()

        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(run, name, getattr(test, name))
        phases = [p for p in Phase if shrink or p != Phase.shrink]
        options = settings(max_examples=examples, deadline=None, phases=phases)
        out = options(given(programs(**strategy))(run))
        kept = {"limit": limit, "examples": examples, "level": level, "alpha": alpha}
        out.law = Law(test.__name__, test, contract, {**kept, "trials": trials, **strategy})  # pyright: ignore
        return out

    return decorate

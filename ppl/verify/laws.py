"""Plain functions that draw, against a law that is stated or another function's.

    same_law(sample, {0: 0.2, 1: 0.5, 2: 0.3})
    same_law(sample, scipy.stats.gamma(2.5))
    same_law(fast, slow)

`sample(rng)` draws all its randomness from a NumPy generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppl.semantics.diagnostics import fail
from ppl.verify.checking import judged
from ppl.verify.contracts import SameLaw
from ppl.verify.evalues import CELLS
from ppl.verify.sequential import Plan, decide, seed_of
from ppl.verify.statistics import (
    Alike,
    Cells,
    Known,
    Statistic,
    by_size,
    by_value,
    learned,
    numbers_of,
    readers_of,
)
from ppl.verify.subjects import comparable
from ppl.verify.verdict import Report, Verdict

#: draws of the reference that cells are chosen by
PILOT = 512
#: cells of probabilities at which tails are looked at
TAILS = (0.002, 0.02, 0.1, 0.5, 0.9, 0.98, 0.998)


def same_law(
    sample: Callable[[Any], Any], reference: Any, *, plan: Plan | None = None, name: str = ""
) -> Verdict:
    """Whether draws have the law of the reference, at the sequential level.

    reference: probabilities by value; a distribution of numbers, with its `cdf`; or a function that
    draws. With a `cdf`, arrays are independent draws: each, and how they go together, is
    compared. Else every number in the values is, and random combinations of them. name: tells apart
    functions that have one name, which otherwise see the same seeds.

    Raises:
        DiagnosticError: E744, it is none of these; E746, probabilities that do not sum to 1.
    """
    plan = plan or Plan()
    if not callable(sample):
        raise fail("E744", f"a {type(sample).__name__} draws nothing", hint="give a function")
    seed = seed_of(name, sample, type(reference).__name__)
    if isinstance(reference, Mapping):
        statistics = _of_values(reference)
    elif callable(cdf := getattr(reference, "cdf", None)):
        statistics = _of_ranks(cdf, np.size(_first(sample, seed)))
    elif callable(reference):
        return _two(sample, reference, plan, seed_of(seed, reference))
    else:
        raise fail(
            "E744",
            f"a {type(reference).__name__} is no law",
            hint="give probabilities by value, a distribution with a `cdf`, or a function",
        )
    decision = decide(lambda s: sample(np.random.default_rng(s)), statistics, plan, seed)
    return judged(decision, SameLaw(), _report(decision, statistics, plan), "")


def _first(sample: Callable[[Any], Any], seed: int) -> Any:
    return sample(np.random.default_rng(seed_of(seed, "pilot")))


def _report(decision: Any, statistics: Any, plan: Plan) -> Report:
    return Report(
        "sequential", trials=decision.trials, compared=len(statistics), alpha=plan.alpha**2,
        not_covered=("differences within a cell",),
    )  # fmt: skip


def _of_values(reference: Mapping[Any, float]) -> tuple[Statistic, ...]:
    masses = {comparable(k): float(p) for k, p in reference.items()}
    if not (abs(sum(masses.values()) - 1) <= 1e-9 and min(masses.values()) >= 0):
        raise fail("E746", f"the probabilities sum to {sum(masses.values()):.6g}, and not to 1")
    cells, p = by_value(masses)
    return (Known("", cells.labels, p, lambda x: cells.of(comparable(x))),)


def _of_ranks(cdf: Callable[[Any], Any], n: int) -> tuple[Statistic, ...]:
    """Of n independent numbers: the ranks of a few, their tails, and how they go together."""
    even, tails = by_size(np.arange(1, CELLS) / CELLS, "rank"), by_size(TAILS, "rank")
    widths = tuple(np.diff((0.0, *TAILS, 1.0)).tolist())
    flat = (1 / CELLS,) * CELLS

    def rank(x: Any, i: int) -> float:
        return float(cdf(np.ravel(x)[i]))

    found: list[Statistic] = []
    for i in range(min(n, 4)):
        name = f"[{i}]" if n > 1 else ""
        found.append(Known(name, even.labels, flat, lambda x, i=i: even.of(rank(x, i))))
        found.append(Known(name, tails.labels, widths, lambda x, i=i: tails.of(rank(x, i))))
    for i in range(min(n - 1, 3)):
        apart = Cells(even.labels, even.of)
        found.append(
            Known(
                f"[{i}] - [{i + 1}], modulo 1", apart.labels, flat,
                lambda x, i=i: even.of((rank(x, i) - rank(x, i + 1)) % 1.0),
            )
        )  # fmt: skip
    return tuple(found)


def _two(
    sample: Callable[[Any], Any], reference: Callable[[Any], Any], plan: Plan, seed: int
) -> Verdict:
    def one(draw: Callable[[Any], Any], s: int) -> dict[str, float]:
        return numbers_of(draw(np.random.default_rng(s)), "value")

    pilot = [one(reference, seed_of(seed, "pilot", i)) for i in range(PILOT)]
    if not any(pilot):
        raise fail("E744", "the functions draw no numbers", hint="compare functions that do")
    found: list[Statistic] = []
    for name, read in readers_of(pilot, seed).items():
        cells = learned([v for x in pilot if (v := read(x)) == v], name)

        def pair(t: Any, read: Any = read, cells: Any = cells) -> tuple[int, int]:
            return cells.of(read(t[0])), cells.of(read(t[1]))

        found.append(Alike(name, cells.labels, pair))

    def trial(s: int) -> tuple[Any, Any]:
        return one(reference, seed_of(s, "reference")), one(sample, seed_of(s, "sample"))

    decision = decide(trial, found, plan, seed)
    return judged(decision, SameLaw(), _report(decision, found, plan), "")

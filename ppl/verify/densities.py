"""Continuous distributions: a density that integrates to one, and draws that have it.

    check(Distribution(sample, log_density, low=0), None, SameDensity())

The density is integrated by quadrature, as a whole and over cells; draws are then counted in the
cells, at the sequential level. So a density that is not normalised, one that is another's, and
coordinates that go together in another way are each told apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ppl.verify.checking import judged
from ppl.verify.contracts import Contract, SameDensity
from ppl.verify.evalues import CELLS
from ppl.verify.quadrature import Integral, Range, integral, integrals
from ppl.verify.sequential import Plan, decide, seed_of
from ppl.verify.statistics import Known, Mean, Statistic, by_size
from ppl.verify.subjects import Numeric, wrong
from ppl.verify.verdict import Counterexample, Report, Verdict

#: draws by which cells are chosen, and by which quadrature is centred
PILOT = 512
#: how far a mass may be from 1 beyond what quadrature is unsure of
TOLERANCE = 1e-6
#: quadrature whose estimated error is larger tells nothing
ROUGH = 1e-3
#: waves, of random directions, whose mean says how two coordinates go together
WAVES = 3


@dataclass(frozen=True)
class Distribution(Numeric):
    """sample(rng) -> a number, or an array of two, from a NumPy generator; log_density(points) ->
    log densities (n,), for points (n,) or (n, 2). low, high: bounds of every coordinate."""

    sample: Callable[[Any], Any]
    log_density: Callable[[Any], Any]
    low: float = -np.inf
    high: float = np.inf
    plan: Plan = field(default_factory=Plan)
    takes = (SameDensity,)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        seed = seed_of(self.sample, self.log_density)
        draws = [self.draw(seed_of(seed, "pilot", i)) for i in range(PILOT)]
        pilot, d = np.array(draws), len(draws[0])
        if d > 2:
            why = f"draws have {d} coordinates, and quadrature is for one or two"
            return Verdict("INCONCLUSIVE", contract, why, Report("numeric"))
        ranges = tuple(self.range(pilot[:, i]) for i in range(d))
        whole = integral(self.log, ranges)
        if not whole.error <= ROUGH:
            why = f"the estimated error of the density's integral is {whole.error:.1g}"
            return Verdict("INCONCLUSIVE", contract, why, Report("numeric"))
        off = abs(float(np.expm1(whole.log)))
        if off > TOLERANCE + 10 * whole.error:
            mass = float(np.exp(whole.log))
            why = f"it is not so that {contract.says}: the density integrates to {mass:.6g}"
            example = Counterexample("", "the whole range", "total", 1.0, mass, None, ())
            return Verdict(
                "FAIL", contract, why, Report("numeric", compared=1), example, distance=off
            )
        statistics = self.statistics(pilot, ranges, seed)
        decision = decide(self.draw, statistics, self.plan, seed)
        report = Report(
            "sequential", trials=decision.trials, compared=len(statistics) + 1,
            alpha=self.plan.alpha**2, not_covered=("differences within a cell",),
        )  # fmt: skip
        return judged(decision, contract, report, "")

    def draw(self, seed: int) -> Any:
        """A draw, as a vector. Raises E742 if it is no number, or outside the bounds."""
        found = self.sample(np.random.default_rng(seed))
        x = np.ravel(np.asarray(found, float))
        if not (np.isfinite(x) & (x >= self.low) & (x <= self.high)).all():
            raise wrong(f"it drew {found!r}", "state the bounds with `low` and `high`")
        return x

    def range(self, x: Any) -> Range:
        low, middle, high = np.quantile(x, (0.16, 0.5, 0.84))
        scale = max(float(high - low) / 2, 1e-9)
        if np.isfinite(self.low) != np.isfinite(self.high):
            end = self.low if np.isfinite(self.low) else self.high
            scale = max(abs(float(middle) - end), 1e-9)
        return Range(self.low, self.high, float(middle), scale)

    def log(self, points: Any) -> Any:
        logs = np.asarray(self.log_density(points[:, 0] if points.shape[1] == 1 else points), float)
        if logs.shape != (len(points),):
            raise wrong(
                f"the log density of {points.shape} numbers is of the shape {logs.shape}",
                "give one number a point",
            )
        return logs

    def statistics(self, pilot: Any, ranges: tuple[Range, ...], seed: int) -> list[Statistic]:
        found: list[Statistic] = []
        for i, part in enumerate(ranges):
            name = f"x[{i}]" if len(ranges) > 1 else "x"
            edges = np.unique(np.quantile(pilot[:, i], np.arange(1, CELLS) / CELLS))
            ends = (self.low, *edges.tolist(), self.high)
            masses = []
            for a, b in zip(ends, ends[1:], strict=False):
                inner = replace(part, low=a, high=b)
                box = tuple(inner if j == i else r for j, r in enumerate(ranges))
                masses.append(np.exp(integral(self.log, box).log))
            cells = by_size(edges, name)
            p = tuple((np.array(masses) / np.sum(masses)).tolist())
            found.append(Known(name, cells.labels, p, lambda x, i=i, c=cells: c.of(x[i])))
        if len(ranges) > 1:
            found += self.waves(pilot, ranges, seed)
        return found

    def waves(self, pilot: Any, ranges: tuple[Range, ...], seed: int) -> list[Statistic]:
        """(1 + cos(a · x)) / 2, whose means are parts of the characteristic function."""
        along = np.random.default_rng(seed_of(seed, "waves")).normal(size=(WAVES, len(ranges)))
        along = along / np.array([r.scale for r in ranges])

        def wave(a: Any) -> Callable[[Any], float]:
            return lambda x: float(1 + np.cos((x - centre) @ a)) / 2

        centre = np.array([r.centre for r in ranges])
        whole, *parts = integrals(
            lambda x: (
                self.log(x),
                np.stack([np.ones(len(x)), *((1 + np.cos((x - centre) @ a)) / 2 for a in along)]),
            ),
            ranges,
        )
        return [
            Mean(f"wave {i + 1}", _share(part, whole), 0.0, 1.0, wave(a), unit="mean")
            for i, (a, part) in enumerate(zip(along, parts, strict=True))
        ]


def _share(part: Integral, whole: Integral) -> float:
    return float(np.exp(part.log - whole.log))

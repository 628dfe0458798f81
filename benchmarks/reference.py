"""`make reference`: fourteen real models against reference posteriors from long Stan runs.

    python -m benchmarks.reference [--only NAME] [--seed 1]

One line a model: seconds (compilation included), the worst |mean - reference mean| in reference
standard deviations, the worst ratio of standard deviations, and the verdict. The rule is in
`reference/README.md`. The exit status is 1 if any model fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "reference"
NAMES = tuple(sorted(p.parent.name for p in FOLDER.glob("*/model.ppl")))

#: what NUTS needs beyond its defaults: a dense mass matrix where coefficients are correlated (raw,
#: uncentred predictors), smaller steps where the posterior has a neck, a start from the prior where
#: a differential equation is stiff far from it
SETTINGS: dict[str, dict[str, Any]] = {
    **{
        name: {"dense_mass": True}
        for name in ("ark", "kidscore", "kilpisjarvi", "log_earnings", "mesquite", "nes1980")
    },
    "diamonds": {"dense_mass": True, "draws": 1000},
    "eight_schools": {"target_accept": 0.95},
    "lotka_volterra": {"init": "prior"},
}
STANDARD_ERRORS, SDS, SD_RATIO = 5.0, 0.05, 0.10


@dataclass(frozen=True)
class Match:
    """How one parameter compares; all differences are in reference standard deviations."""

    parameter: str
    difference: float
    allowed: float
    sd_ratio: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.allowed and abs(self.sd_ratio - 1) <= SD_RATIO


def compare(draws: np.ndarray, parameter: str, reference: Mapping[str, float]) -> Match:
    """Draws of a scalar, of shape (chain, draw), against its reference summary."""
    from arviz import mcse

    error = float(mcse(np.asarray(draws), method="mean"))
    combined = np.hypot(error, reference["mcse_mean"]) / reference["sd"]
    return Match(
        parameter,
        float(abs(draws.mean() - reference["mean"]) / reference["sd"]),
        float(max(STANDARD_ERRORS * combined, SDS)),
        float(draws.std(ddof=1) / reference["sd"]),
    )


def site_of(parameter: str, names: Mapping[str, str]) -> tuple[str, tuple[int, ...]]:
    """`beta[2]` to ("beta", (1,)): reference names count from 1."""
    parameter = names.get(parameter, parameter)
    name, _, index = parameter.partition("[")
    return name, tuple(int(i) - 1 for i in index.rstrip("]").split(",") if i)


def fit(name: str, *, seed: int) -> tuple[float, list[Match]]:
    """Seconds, and the comparison of every parameter."""
    import ppl

    folder = FOLDER / name
    data = json.loads((folder / "data.json").read_text())
    reference = json.loads((folder / "reference.json").read_text())
    method = ppl.nuts(**{"chains": 4, "warmup": 1000, "draws": 1500, **SETTINGS.get(name, {})})
    start = perf_counter()
    target = getattr(ppl.load(str(folder / "model.ppl")), name)(**data)
    posterior = ppl.infer(target, method, seed=seed)
    matches = []
    for parameter, summary in reference["summary"].items():
        site, index = site_of(parameter, reference.get("sites", {}))
        draws = posterior[site] if site in posterior else posterior.result[site]
        draws = np.asarray(draws)[(slice(None), slice(None), *index)]
        matches.append(compare(draws, parameter, summary))
    return perf_counter() - start, matches


def report(names: tuple[str, ...], *, seed: int) -> Iterator[tuple[str, bool]]:
    for name in names:
        seconds, matches = fit(name, seed=seed)
        bad = [m.parameter for m in matches if not m.ok]
        difference = max(m.difference for m in matches)
        ratio = max((m.sd_ratio for m in matches), key=lambda r: abs(np.log(r)))
        verdict = "FAILS: " + ", ".join(bad) if bad else "matches"
        worst = f"mean {difference:6.3f} sd  sd ratio {ratio:6.3f}"
        yield f"{name:16} {seconds:7.1f} s  {worst}  {verdict}", not bad


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.reference")
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    good = True
    for line, ok in report((options.only,) if options.only else NAMES, seed=options.seed):
        print(line, flush=True)
        good &= ok
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Figures of a calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.verify.ranks import band, differences

if TYPE_CHECKING:
    from ppl.verify.calibration import Calibration

#: even ranks leave the band in one of so many figures
LEVEL = 0.95
COLUMNS = 4


def figure(calibration: Calibration) -> Any:
    """One panel a quantity: the empirical distribution of its ranks less the even one, in a band
    for all panels together; the last has the TARP curve, expected coverage by credibility."""
    from matplotlib.figure import Figure

    from ppl.verify.calibration import TARP

    ranks, draws = calibration.ranks, calibration.draws
    rows = -(-(len(ranks) + 1) // COLUMNS)
    made = Figure(figsize=(3.1 * COLUMNS, 2.4 * rows), layout="constrained")
    axes = made.subplots(rows, COLUMNS, squeeze=False).ravel()
    n = len(next(iter(ranks.values())))
    x, low, high = band(n, draws, 1 - (1 - LEVEL) / len(ranks))
    for panel, (name, found) in zip(axes, ranks.items(), strict=False):
        off = differences(found, draws, x)
        outside = ((off < low - 1e-12) | (off > high + 1e-12)).any()
        panel.fill_between(x, low, high, color="0.85", linewidth=0)
        panel.plot(x, off, color="tab:red" if outside else "tab:blue", linewidth=1.2)
        panel.axhline(0, color="0.5", linewidth=0.6)
        panel.set_title(name, fontsize="small")
    last = axes[len(ranks)]
    last.fill_between(x, np.clip(x + low, 0, 1), np.clip(x + high, 0, 1), color="0.85", linewidth=0)
    last.plot(x, x + differences(ranks[TARP], draws, x), color="tab:blue", linewidth=1.2)
    last.plot([0, 1], [0, 1], color="0.5", linewidth=0.6)
    last.set_title("TARP: coverage by credibility", fontsize="small")
    for panel in axes[len(ranks) + 1 :]:
        panel.set_axis_off()
    outcome = calibration.verdict.outcome
    made.suptitle(f"{outcome} after {n:,} simulations: ranks less even ones", fontsize="medium")
    return made

"""The programs that are timed against WebPPL compute what they should: exact values, or one model's
value by two methods. Each statistical check allows 4.5 standard errors with a fixed seed: a false
alarm with probability 7e-6 had it been random."""

from __future__ import annotations

import math

import pytest

from benchmarks import machine
from benchmarks.ours_machine import DATA, measure

#: the size of an expression is 1 + 2 · 0.4 sizes; f(1) and f(2.5) are one height if no change lies
#: between; a customer's square has mean 3² + 1
EXACT = {"geometric": 9, "pcfg": 5, "piecewise": math.exp(-1.5), "crp": 20 * 10}


@pytest.mark.parametrize("name", EXACT)
def test_means_of_forward_runs(name):
    found = measure(name, "forward", 600)
    assert abs(found["mean"] - EXACT[name]) < 4.5 * found["error"]
    assert found["error"] < 0.2 * EXACT[name] or name == "piecewise"


def smoothed_sum(ys):
    """E[Σ x_t | ys] of a Gaussian walk: the solution of its normal equations."""
    import numpy as np

    n = len(ys)
    steps = np.eye(n) - np.eye(n, k=-1)
    precision = steps.T @ steps / 0.25 + np.eye(n)
    return float(np.linalg.solve(precision, np.array(ys)).sum())


def test_the_filter_finds_the_smoothed_mean():
    """600 particles: within 2.4. With 300, the means of 12 seeds had a standard deviation of 0.73, so
    0.52 here: a false alarm at 4.6 of them, 4e-6."""
    assert measure("walk_filter", "smc", 600)["mean"] == pytest.approx(
        smoothed_sum(DATA["walk_filter"]["ys"]), abs=2.4
    )


def test_every_contest_has_both_programs():
    for contest in machine.CONTESTS.values():
        for end in ("ppl", "wppl"):
            assert (machine.HERE / "models" / f"{contest.model}.{end}").exists()
    assert {f"{name}{end}" for name in machine.CONTESTS for end in ("", "-start")} < {
        *machine.NAMES
    }


def test_without_npm_it_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="node and npm"):
        machine.webppl()

"""Ranks that must be even: their cells, their simultaneous band, and what their shape means.

The rank of a number among L others of its own law is 0, …, L, each as likely.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ppl.verify.statistics import Known

#: cells of ranks: few, since simulations are few
CELLS = 4
#: simulations by which a band is made
SIMULATED = 2_000


def rank(truth: float, others: Any, rng: Any) -> int:
    """How many of the others are below; ties are broken at random."""
    others = np.asarray(others)
    below, equal = int(np.sum(others < truth)), int(np.sum(others == truth))
    return below + int(rng.integers(equal + 1))


def even(name: str, draws: int, read: Any) -> Known:
    """The statistic that ranks among so many draws are even."""
    cells = min(CELLS, draws + 1)
    of = np.arange(draws + 1) * cells // (draws + 1)
    p = np.bincount(of, minlength=cells) / (draws + 1)
    ends = [(int(np.argmax(of == c)), int(np.sum(of <= c)) - 1) for c in range(cells)]
    labels = tuple(f"{name}: rank {a} to {b} of {draws}" for a, b in ends)
    return Known(name, labels, tuple(p.tolist()), lambda trial: int(of[read(trial)]))


def pattern(ranks: Any, draws: int) -> str:
    """What the shape of ranks says of the posterior."""
    u = (np.asarray(ranks) + 0.5) / (draws + 1)
    shift, spread = float(np.mean(u) - 0.5), float(np.var(u) * 12 - 1)
    sigmas = abs(shift) * np.sqrt(12 * len(u)), abs(spread) * np.sqrt(len(u) / 0.8)
    if max(sigmas) < 3:
        return ""
    if sigmas[0] > sigmas[1]:
        return "its draws are too " + ("small" if shift > 0 else "large")
    return "its draws are too " + ("alike" if spread > 0 else "spread out")


@lru_cache(maxsize=32)
def band(n: int, draws: int, level: float) -> tuple[Any, Any, Any]:
    """(x, low, high): between the last two, the differences of the empirical distribution function
    of n even ranks from its mean are at all x at once, with probability `level`.

    The pointwise level is found by simulation (seed 0). Säilynoja, Bürkner and Vehtari, "Graphical
    test for discrete uniformity and its applications in goodness of fit evaluation and multiple
    sample comparison" (2022).
    """
    from scipy.stats import binom

    x = np.unique(np.linspace(1, draws, min(draws, 64)).astype(int)) / (draws + 1)
    rng = np.random.default_rng(0)
    made = (rng.integers(draws + 1, size=(SIMULATED, n)) + 0.5) / (draws + 1)
    counts = np.stack([np.sum(made < at, 1) for at in x], 1)
    tails = np.minimum(binom.cdf(counts, n, x), binom.sf(counts - 1, n, x))
    gamma = np.quantile(2 * tails.min(1), 1 - level)
    low, high = binom.ppf(gamma / 2, n, x), binom.isf(gamma / 2, n, x)
    return x, low / n - x, high / n - x


def differences(ranks: Any, draws: int, x: Any) -> Any:
    """The empirical distribution function of ranks at x, less its mean."""
    u = (np.asarray(ranks) + 0.5) / (draws + 1)
    return np.array([np.mean(u < at) for at in x]) - x

"""E-processes: evidence against a hypothesis that may be watched as it grows (testing by betting).

An e-process starts at 1, and under the null its expectation at every stopping time is at most 1. So
the chance that it ever reaches 1 / α is at most α (Ville's inequality), however often one looks and
whenever one stops; and the mean of several e-processes is one.

Everything is given as the logarithm of the e-value after each trial, (…, n) for trials (…, n).

- `against`: cells of known probabilities, by the Dirichlet-½ mixture of likelihood ratios
  (Krichevsky and Trofimov, "The performance of universal encoding", 1981).
- `alike`: two streams of cells with one unknown law (Turner, Ly and Grünwald, "Generic E-variables
  for exact sequential k-sample tests", 2021).
- `fair`: moves from cell to cell of which each is as likely as its reverse.
- `mean_is`: numbers in a bounded range with a known mean, by a grid of bets (Waudby-Smith and
  Ramdas, "Estimating means of bounded random variables by betting", 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any

#: cells of a test: more see finer differences, and each costs half a log n of evidence
CELLS = 8
#: bets on a mean are these shares of the largest legal one, and their negatives
SHARES = 2.0 ** -np.arange(8)


def against(cells: Array, probabilities: Array) -> Array:
    """Trials fall into cell k with `probabilities[k]`; where that is 0, one trial is enough."""
    cells, p = np.asarray(cells), np.asarray(probabilities, float)
    k, t = len(p), np.arange(cells.shape[-1])
    with np.errstate(divide="ignore"):
        bets = np.log((_before(cells, k) + 0.5) / (t + k / 2)) - np.log(p)[cells]
    return np.cumsum(bets, -1)


def alike(first: Array, second: Array, k: int) -> Array:
    """Trial t falls into cell `first[t]`, and independently into `second[t]`, by one law.

    Each pair is a bet: the product of how much likelier the cells are by their own stream's past
    than by both streams' together. Its mean is at most 1 by the inequality of means.
    """
    t = np.arange(np.shape(first)[-1])[:, None]
    own = [(_counts_before(np.asarray(x), k) + 0.5) / (t + k / 2) for x in (first, second)]
    shared = (own[0] + own[1]) / 2
    bets = 0.0
    for x, q in zip((first, second), own, strict=True):
        at = np.asarray(x)[..., None]
        bets = bets + np.log(np.take_along_axis(q / shared, at, -1)[..., 0])
    return np.cumsum(bets, -1)


def fair(first: Array, second: Array, k: int) -> Array:
    """Moves from cell `first[t]` to `second[t]`: given its two ends, either way is as likely."""
    first, second = np.asarray(first), np.asarray(second)
    pair = np.minimum(first, second) * k + np.maximum(first, second)
    this = _before(2 * pair + (first < second), 2 * k * k)
    other = _before_of(2 * pair + (first < second), 2 * pair + (first > second), 2 * k * k)
    bets = np.log(2 * (this + 0.5) / (this + other + 1))
    return np.cumsum(np.where(first == second, 0.0, bets), -1)


def mean_is(x: Array, mean: float, low: float, high: float = np.inf) -> Array:
    """Numbers whose mean is `mean`, and that lie between `low` and `high`.

    Numbers beyond `high` are legal evidence that the mean is larger, so they end bets on a smaller
    one and no others. If `high` is infinite, a mean that is too small is not seen.
    """
    above = np.cumsum(_bets(np.asarray(x, float), mean, mean - low), -1)
    inside = np.asarray(x) <= high
    if np.isfinite(high):
        below = np.cumsum(_bets(-np.asarray(x, float), -mean, high - mean), -1)
        broken = np.maximum.accumulate(~inside, -1)
        below = np.where(broken, -np.inf, below)
    else:
        below = np.full_like(above, -np.inf)
    return average(np.concatenate([above, below]))


def _bets(x: Array, mean: float, room: float) -> Array:
    """Logarithms of the factors 1 + λ (x - mean), (bets, …, n), for λ up to 1 / room."""
    if room <= 0:  # nothing may be above the mean
        bet = np.where(x > mean, np.inf, 0.0)
        return np.broadcast_to(bet, (len(SHARES), *x.shape))
    rate = (SHARES / room).reshape(-1, *(1,) * x.ndim)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.maximum(1 + rate * (x - mean), 0.0))


def average(logs: Array, weights: Array | None = None) -> Array:
    """The logarithm of the mean of e-values, over the first axis."""
    logs = np.asarray(logs, float)
    top = np.max(logs, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.exp(logs - np.where(np.isfinite(top), top, 0.0))
        mean = np.average(scaled, 0, weights)
        found = np.log(mean) + np.where(np.isfinite(top), top, 0.0)
    return np.where(top == np.inf, np.inf, found)


def share(total: float, k: int) -> float:
    """What the k-th check of a suite may spend of the suite's α, k = 0, 1, …: in all at most α,
    however many checks there are."""
    return total / ((k + 1) * (k + 2))


def crossing(logs: Array, alpha: float) -> int | None:
    """The first trial after which an e-process is at least 1 / α."""
    over = np.asarray(logs) >= -np.log(alpha)
    return int(np.argmax(over)) if over.any() else None


# ------------------------------------------------------------------------------- what would be seen


def visible_shift(probabilities: Sequence[float], n: int, evidence: float, z: float) -> float:
    """The smallest δ such that if some one cell were likelier or rarer by δ (the others giving
    way in proportion), n trials of `against` would give a log e-value of at least `evidence` with
    the probability of z standard deviations. Of the two directions and all cells the worst; a
    difference that no cell has room for does not count. 1 if none would be seen."""
    p = np.asarray(probabilities, float)
    cells = {x: k for k, x in enumerate(p.tolist()) if 0 < x < 1}  # equal cells are alike
    return max(
        (_visible(p, k, s, n, evidence, z) for k in cells.values() for s in (1, -1)), default=0.0
    )


def _visible(p: Array, k: int, sign: int, n: int, evidence: float, z: float) -> float:
    def seen(delta: float) -> bool:
        q = p * (1 - (p[k] + sign * delta)) / (1 - p[k])
        q[k] = p[k] + sign * delta
        log = np.log(np.maximum(q, 1e-300) / np.where(p > 0, p, 1.0))
        gain = float(q @ log)
        spread = math.sqrt(n * max(float(q @ log**2) - gain**2, 0.0))
        most = n * gain - z * spread
        return most >= evidence and most - redundancy(q, n) >= evidence

    return _smallest(seen, 1 - p[k] if sign > 0 else p[k])


def redundancy(q: Array, n: int) -> float:
    """What the mixture pays, in logs, for not knowing the cells' probabilities q beforehand: at
    the expected counts, against the likelihood that knows them."""
    from scipy.special import gammaln

    q = np.asarray(q, float)
    k, counts = len(q), n * q
    mixture = np.sum(gammaln(counts + 0.5)) - k * gammaln(0.5) + gammaln(k / 2)
    mixture = mixture - gammaln(n + k / 2)
    known = np.sum(np.where(counts > 0, counts * np.log(np.maximum(q, 1e-300)), 0.0))
    return float(known - mixture)


def visible_mean(
    x: Array, mean: float, low: float, high: float, evidence: float, z: float
) -> float:
    """The smallest distance from `mean` at which numbers that spread as x do would be seen by
    `mean_is`, with the probability of z standard deviations; in the worse direction."""
    x = np.asarray(x, float)
    centred = x - np.mean(x) + mean

    def seen(sign: int) -> float:
        room = mean - low if sign > 0 else high - mean
        if not 0 < room < np.inf:
            return 0.0

        def enough(delta: float) -> bool:
            bets = _bets(sign * centred + delta, sign * mean, room)
            gain, spread = np.sum(bets, -1), np.std(bets, -1) * np.sqrt(len(x))
            with np.errstate(invalid="ignore"):
                won = gain - z * spread - np.log(2 * len(SHARES))
            return bool(np.nanmax(np.where(np.isfinite(won), won, -np.inf)) >= evidence)

        return _smallest(enough, (high if np.isfinite(high) else max(x.max(), mean)) - low)

    return max(seen(1), seen(-1))


def _smallest(seen: Any, largest: float) -> float:
    """By bisection, to two digits or more; `largest` if not even that is seen."""
    low, high = 0.0, largest * (1 - 1e-12)
    if not seen(high):
        return largest
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def _counts_before(cells: Array, k: int) -> Array:
    """(…, n, k): how often each cell came before each trial."""
    one = cells[..., None] == np.arange(k)
    return np.cumsum(one, -2) - one


def _before(cells: Array, k: int) -> Array:
    """How often each trial's own cell came before it."""
    return _before_of(cells, cells, k)


def _before_of(cells: Array, asked: Array, k: int) -> Array:
    """How often the cell that is asked for came before each trial."""
    return np.take_along_axis(_counts_before(cells, k), asked[..., None], -1)[..., 0]

"""How far Markov chains can be trusted: rank-normalised split R-hat, bulk and tail sample sizes.

After Vehtari, Gelman, Simpson, Carpenter and Bürkner, "Rank-normalization, folding, and
localization", Bayesian Analysis 16 (2021). ArviZ computes the same numbers (a test holds us to
them); it takes seconds to import, which a run from the command line does not have.

Arrays are (chain, draw, variable); results are (variable,). Variables with a missing draw give NaN.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

#: variables transformed at once: bounds the memory of the FFT
_BATCH = 64


class Convergence(NamedTuple):
    ess_bulk: Floats
    ess_tail: Floats
    r_hat: Floats


def convergence(draws: Floats) -> Convergence:
    """All three for each variable; NaN with fewer than four draws a chain."""
    chains, length, variables = draws.shape
    if length < 4:
        nothing = np.full(variables, np.nan)
        return Convergence(nothing, nothing, nothing)
    parts = [_batch(draws[:, :, i : i + _BATCH]) for i in range(0, variables, _BATCH)]
    if not parts:
        return Convergence(*np.empty((3, 0)))
    return Convergence(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _batch(draws: Floats) -> Convergence:
    split = _split(draws)
    bulk = _normal_scores(split)
    folded = _normal_scores(np.abs(split - np.median(split, axis=(0, 1))))
    tails = [_split((draws <= np.quantile(draws, p, axis=(0, 1))) * 1.0) for p in (0.05, 0.95)]
    missing = np.isnan(draws).any(axis=(0, 1))
    constant = np.ptp(draws, axis=(0, 1)) == 0
    columns = (
        _ess(bulk),
        np.minimum(*map(_ess, tails)),
        np.where(constant, np.nan, np.maximum(_r_hat(bulk), _r_hat(folded))),
    )
    return Convergence(*(np.where(missing, np.nan, c) for c in columns))


def _split(draws: Floats) -> Floats:
    """Each chain as two: its first and its last half."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _normal_scores(draws: Floats) -> Floats:
    """Ranks over all chains (ties share their mean rank) as normal quantiles (Blom 1958)."""
    flat = draws.reshape(-1, draws.shape[-1])
    twice = np.empty(flat.shape, np.int64)  # the ranks
    for v in range(flat.shape[1]):
        _, where, counts = np.unique(flat[:, v], return_inverse=True, return_counts=True)
        twice[:, v] = (2 * np.cumsum(counts) - (counts - 1))[where]
    taken = np.flatnonzero(np.bincount(twice.ravel()))
    levels = (taken / 2 - 3 / 8) / (len(flat) + 1 / 4)
    scores = np.zeros(taken[-1] + 1)
    scores[taken] = [_inverse(p) for p in levels.tolist()]
    return scores[twice].reshape(draws.shape)


#: of the normal distribution function (Wichura 1988); SciPy's takes longer to import than to use
_inverse = NormalDist().inv_cdf


def _r_hat(draws: Floats) -> Floats:
    """sqrt(pooled variance / variance within chains)."""
    n = draws.shape[1]
    between = n * draws.mean(axis=1).var(axis=0, ddof=1)
    within = draws.var(axis=1, ddof=1).mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt((between / within + n - 1) / n)


def _ess(draws: Floats) -> Floats:
    """Draws over autocorrelation time, summed by Geyer's initial monotone sequence (1992)."""
    chains, n, _ = draws.shape
    covariance = _autocovariance(draws).mean(axis=0)  # (lag, variable)
    within = covariance[0] * n / (n - 1)
    total = covariance[0] + (draws.mean(axis=1).var(axis=0, ddof=1) if chains > 1 else 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = 1 - (within - covariance) / total
    correlation[0] = 1.0
    last = max((n - 1) // 2 - 1, 0)  # the last pair of lags (2k, 2k + 1) far enough from the end
    even, odd = correlation[0 : 2 * last + 1 : 2], correlation[1 : 2 * last + 2 : 2]
    pairs = even + odd
    index = np.arange(last + 1)[:, None]
    stop = np.where((pairs <= 0).any(axis=0), np.argmax(pairs <= 0, axis=0), last)
    monotone = np.minimum.accumulate(pairs, axis=0)
    time = -1 + 2 * np.where(index < stop, monotone, 0).sum(axis=0)
    time += np.maximum(np.take_along_axis(even, stop[None], axis=0)[0], 0)
    time = np.maximum(time, 1 / np.log10(chains * n))
    # a constant says all there is to say
    return np.where(np.ptp(draws, axis=(0, 1)) == 0, chains * n, chains * n / time)


def _autocovariance(draws: Floats) -> Floats:
    """Of each chain at lags 0 … n - 1, divisor n, by the fast Fourier transform."""
    n = draws.shape[1]
    size = 2 ** int(np.ceil(np.log2(2 * n)))
    spectrum = np.fft.rfft(draws - draws.mean(axis=1, keepdims=True), size, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :n] / n

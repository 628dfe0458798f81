"""Discrete families of the indices of an array.

`values` are arithmetic on the arguments as they come, so that they are exact on fractions.
"""

from __future__ import annotations

import math
from math import inf, log, log1p
from typing import Any

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions.family import Family, finite, nonnegative, whole
from ppl.semantics.machine.state import Dead


def _weights(p: tuple[Any, ...]) -> bool:
    return all(nonnegative(w) for w in p) and any(w > 0 for w in p)


def _search(u: float, weights: tuple[Any, ...]) -> int:
    """The first index at which the running sum exceeds u times the total; never one of weight 0."""
    left = u * sum(weights)
    last = 0
    for i, w in enumerate(weights):
        if w > 0:
            if left < w:
                return i
            left -= w
            last = i
    return last


def _normalised(p: tuple[Any, ...]) -> list[tuple[int, Any]]:
    total = sum(p)
    return [(i, w / total) for i, w in enumerate(p)]


def _index(k: Any, p: tuple[Any, ...]) -> bool:
    return 0 <= k < len(p) and whole(k)


def _categorical_sample(u: float, z: int, p: tuple[Any, ...]) -> int:
    total = sum(p)
    if not (0 < total < inf and min(p) >= 0):
        raise Dead
    left, last = u * total, 0
    for i, w in enumerate(p):
        if left < w:
            return i
        if w > 0:
            left -= w
            last = i
    return last  # u times the total was rounded up


def _categorical_log_prob(k: Any, p: tuple[Any, ...]) -> float:
    if type(k) is int and 0 <= k < len(p) and min(p) >= 0 and p[k] > 0 and (total := sum(p)) < inf:
        return log(p[k]) - log(total)
    return Family.log_prob(_categorical, k, p)


_categorical = Family(
    "categorical",
    lambda k, p: log(p[int(k)]) - log(sum(p)),
    lambda u, z, p: _search(u, p),
    _weights,
    _index,
    values=_normalised,
    discrete=True,
    quick=_categorical_sample,
    quick_log_prob=_categorical_log_prob,
)


def _softmax(logits: tuple[float, ...]) -> tuple[float, ...]:
    top = max(logits)
    return tuple(math.exp(x - top) for x in logits)


_categorical_logit = Family(
    "categorical_logit",
    lambda k, logits: logits[int(k)] - special.log_sum_exp(logits),
    lambda u, z, logits: _search(u, _softmax(logits)),
    lambda logits: any(x > -inf for x in logits) and all(x < inf for x in logits),
    _index,
    values=lambda logits: _normalised(_softmax(logits)),
    discrete=True,
)


def _ordered_density(k: int, eta: float, cuts: tuple[float, ...]) -> float:
    """log(sigmoid(cuts[k] - eta) - sigmoid(cuts[k-1] - eta)), factored so that nothing cancels."""
    k = int(k)
    out = 0.0
    if k < len(cuts):
        out -= special.softplus(eta - cuts[k])
    if k > 0:
        out -= special.softplus(cuts[k - 1] - eta)
        if k < len(cuts):
            out += special.log1m_exp(cuts[k - 1] - cuts[k])
    return out


def _ordered_draw(u: float, z: int, eta: float, cuts: tuple[float, ...]) -> int:
    latent = eta + log(u) - log1p(-u)
    return sum(latent > c for c in cuts)


_ordered_logistic = Family(
    "ordered_logistic",
    _ordered_density,
    _ordered_draw,
    lambda eta, cuts: finite(eta) and all(a < b for a, b in zip(cuts, cuts[1:], strict=False)),
    lambda k, eta, cuts: 0 <= k <= len(cuts) and whole(k),
    values=lambda eta, cuts: [
        (k, math.exp(_ordered_density(k, eta, cuts))) for k in range(len(cuts) + 1)
    ],
    discrete=True,
)

INDICES: dict[str, Family] = {
    f.name: f for f in (_categorical, _categorical_logit, _ordered_logistic)
}

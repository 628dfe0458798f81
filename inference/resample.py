"""Resampling: which particles go on, and how often.

Law: a scheme chooses n ancestors such that particle i is chosen n·w_i times in expectation, w the
normalised weights; with each child given the mean weight, the population keeps its meaning.

A scheme is a deterministic function of uniform numbers, and says at which *edges* what it does with
each number changes. So its exact law is that of one finite choice a number, among the intervals
between edges, each represented by its midpoint through the same code: tapes enumerate it.

Douc, Cappé and Moulines, "Comparison of resampling schemes for particle filtering" (2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ppl.inference.population import Population

Array = Any

#: (count, edges, where) -> (count,) numbers uniform in (0, 1). `edges()` is (count, k), unordered:
#: where in (0, 1) the use of each number changes. Where `where` is false they are not used.
Uniforms = Callable[[int, Callable[[], Array], Array], Array]

SchemeName = Literal["multinomial", "stratified", "systematic", "residual"]


@dataclass(frozen=True)
class Scheme:
    """count(n): how many uniform numbers n ancestors take. edges(w): (count, k).
    ancestors(w, u): (n,) indices of particles of positive weight, `u` having shape (count,)."""

    count: Callable[[int], int]
    edges: Callable[[Array], Array]
    ancestors: Callable[[Array, Array], Array]


def _cumulative(w: Array) -> Array:
    xp = w.__array_namespace__()
    c = xp.cumsum(w)
    return c / xp.where(c[-1] > 0, c[-1], xp.ones_like(c[-1]))


def _inverse(w: Array, points: Array) -> Array:
    """The first particle at which the cumulative weight is above each point of [0, 1]."""
    xp = w.__array_namespace__()
    last = xp.max(xp.where(w > 0, xp.arange(w.shape[0]), 0))  # a point may be rounded up to 1
    return xp.minimum(xp.searchsorted(_cumulative(w), points, side="right"), last)


def _rows(w: Array, row: Array) -> Array:
    xp = w.__array_namespace__()
    return xp.broadcast_to(row, (w.shape[0], row.shape[0]))


def _slots(w: Array) -> Array:
    xp = w.__array_namespace__()
    return xp.arange(w.shape[0], dtype=w.dtype)


# n independent draws from the weights
_MULTINOMIAL = Scheme(
    lambda n: n,
    lambda w: _rows(w, _cumulative(w)[:-1]),
    _inverse,
)

# one draw in each of n equal strata of the cumulative weight
_STRATIFIED = Scheme(
    lambda n: n,
    lambda w: w.shape[0] * _cumulative(w)[None, :-1] - _slots(w)[:, None],
    lambda w, u: _inverse(w, (_slots(w) + u) / w.shape[0]),
)

# the same draw in each of n equal strata
_SYSTEMATIC = Scheme(
    lambda n: 1,
    lambda w: (w.shape[0] * _cumulative(w)[:-1] % 1)[None],
    lambda w, u: _inverse(w, (_slots(w) + u[0]) / w.shape[0]),
)


def _shares(w: Array) -> tuple[Array, Array, Array]:
    """Whole copies of every particle, their running sum, and what is left to be drawn."""
    xp = w.__array_namespace__()
    share = w.shape[0] * w
    whole = xp.floor(share)
    return whole, xp.cumsum(whole), share - whole


def _residual_edges(w: Array) -> Array:
    xp = w.__array_namespace__()
    _, upto, rest = _shares(w)
    drawn = _slots(w) >= upto[-1]
    return xp.where(drawn[:, None], _cumulative(rest)[None, :-1], 0.0)


def _residual_ancestors(w: Array, u: Array) -> Array:
    xp = w.__array_namespace__()
    whole, upto, rest = _shares(w)
    slots = _slots(w)
    given = xp.searchsorted(upto, slots, side="right")
    return xp.where(slots < upto[-1], xp.minimum(given, w.shape[0] - 1), _inverse(rest, u))


# the whole part of n·w in copies, the rest by independent draws from the remainders
_RESIDUAL = Scheme(lambda n: n, _residual_edges, _residual_ancestors)

SCHEMES: dict[str, Scheme] = {
    "multinomial": _MULTINOMIAL,
    "stratified": _STRATIFIED,
    "systematic": _SYSTEMATIC,
    "residual": _RESIDUAL,
}


@dataclass(frozen=True)
class Resample:
    """The policy at a suspension point: resample when the effective size is below a share of n.

    Law: `ProperlyWeighted`, whatever decides *when*, since that is a function of the weights.
    """

    scheme: SchemeName = "systematic"
    threshold: float = 0.5

    def due(self, population: Population) -> Array:
        """Whether to resample now. A population without mass goes on as it is."""
        size = population.effective_size
        return (size < self.threshold * population.size) & (size > 0)

    def __call__(self, population: Population, uniforms: Uniforms) -> tuple[Array, Population]:
        """Each new particle's ancestor, (n,) indices, and the new weights. Pure."""
        scheme, n = SCHEMES[self.scheme], population.size
        w = population.weights
        xp = w.__array_namespace__()
        due = self.due(population)
        u = uniforms(scheme.count(n), lambda: scheme.edges(w), due)
        same = xp.arange(n)
        ancestors = xp.where(due, scheme.ancestors(w, u), same)
        levelled = population.levelled().log_weights
        return ancestors, Population(xp.where(due, levelled, population.log_weights))

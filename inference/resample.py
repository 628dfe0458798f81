"""Resampling: which particles go on, and how often.

Law: a scheme chooses n ancestors such that particle i is chosen n·w_i times in expectation, w the
normalised weights; with each child given the mean weight, the population keeps its meaning.

A scheme is a deterministic function of uniform numbers, and says at which *edges* what it does with
each number changes. So its exact law is that of one finite choice a number, among the intervals
between edges, each represented by its midpoint through the same code: tapes enumerate it.

Douc, Cappé and Moulines, "Comparison of resampling schemes for particle filtering" (2005); Gerber,
Chopin and Whiteley, "Negative association, ordering and convergence of resampling methods" (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ppl.inference.population import Population

Array = Any

#: (count, edges, where) -> (count,) numbers uniform in (0, 1). `edges()` is (count, k), unordered:
#: where in (0, 1) the use of each number changes. Where `where` is false they are not used.
Uniforms = Callable[[int, Callable[[], Array], Array], Array]

#: whether to resample: one boolean, from the weights as arrays of NumPy or JAX
When = Callable[[Population], Array]

#: numbers in a block of running sums, and so few that they are summed as they are
_BLOCK, _FEW = 16, 256

SchemeName = Literal["multinomial", "stratified", "systematic", "residual", "ssp"]


@dataclass(frozen=True)
class Scheme:
    """count(n): how many uniform numbers n ancestors take. edges(w): (count, k).
    ancestors(w, u): (n,) indices of particles of positive weight, `u` having shape (count,)."""

    count: Callable[[int], int]
    edges: Callable[[Array], Array]
    ancestors: Callable[[Array, Array], Array]


def _cumulative(w: Array) -> Array:
    c, total = _sums(w)
    return c / total


def _sums(w: Array) -> tuple[Array, Array]:
    """Running sums, and what to divide them by."""
    xp = w.__array_namespace__()
    c = _running(w)
    return c, xp.where(c[-1] > 0, c[-1], xp.ones_like(c[-1]))


def _running(x: Array) -> Array:
    """Running sums of floating-point numbers. XLA's own add up to sixteen of them for every one,
    one by one; on CPUs it takes a third of the time to multiply blocks by a triangular matrix."""
    xp, n = x.__array_namespace__(), x.shape[0]
    if xp is np or n <= _FEW or not _on_cpu():
        return xp.cumsum(x)
    rows = -(-n // _BLOCK)
    blocks = xp.reshape(xp.pad(x, (0, rows * _BLOCK - n)), (rows, _BLOCK))
    within = blocks @ xp.triu(xp.ones((_BLOCK, _BLOCK), x.dtype))
    before = xp.pad(_running(within[:, -1])[:-1], (1, 0))
    return xp.reshape(within + before[:, None], (-1,))[:n]


def _on_cpu() -> bool:
    import jax

    return jax.default_backend() == "cpu"


def _inverse(w: Array, points: Array) -> Array:
    """The first particle at which the cumulative weight is above each point of [0, 1]."""
    xp = w.__array_namespace__()
    last = xp.max(xp.where(w > 0, xp.arange(w.shape[0]), 0))  # a point may be rounded up to 1
    return xp.minimum(xp.searchsorted(_cumulative(w), points, side="right"), last)


def _holders(upto: Array) -> Array:
    """Whose each of n slots is, in linear time, where the first `upto[i]` of them are of particles
    up to i: whole numbers (n,), which do not fall. n for slots that are nobody's."""
    xp, n = upto.__array_namespace__(), upto.shape[0]
    upto = upto.astype(xp.int32)
    if xp is np:
        return np.searchsorted(upto, np.arange(n), side="right")
    # how many particles' slots have ended: up to 2^24 whole numbers are exact in single precision
    ends = xp.zeros(n, xp.float32 if n < 2**24 else xp.int32).at[upto].add(1, mode="drop")
    return (_running(ends) if n < 2**24 else xp.cumsum(ends)).astype(xp.int32)


def _first_in_order(w: Array, slots: Callable[[Array], Array]) -> Array:
    """`_inverse` of n points in order. slots: from a cumulative weight times n to how many of them
    are below it; at the total, to which it may be rounded, are all."""
    xp, n = w.__array_namespace__(), w.shape[0]
    c, total = _sums(w)
    return _holders(xp.where(c < total, slots(c * (n / total)), 1.0 * n))


def _of_strata(share: Array, u: Array) -> Array:
    """How many slots j have j + u[j] below each share of n."""
    xp = share.__array_namespace__()
    whole = xp.floor(share)
    at = xp.minimum(whole, share.shape[0] - 1).astype(xp.int32)
    return whole + xp.where(xp.take(u, at) < share - whole, 1.0, 0.0)


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
    lambda w, u: _first_in_order(w, lambda share: _of_strata(share, u)),
)

# the same draw in each of n equal strata
_SYSTEMATIC = Scheme(
    lambda n: 1,
    lambda w: (w.shape[0] * _cumulative(w)[:-1] % 1)[None],
    lambda w, u: _first_in_order(w, lambda share: w.__array_namespace__().ceil(share - u[0])),
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
    return xp.where(slots < upto[-1], _holders(upto), _inverse(rest, u))


# the whole part of n·w in copies, the rest by independent draws from the remainders
_RESIDUAL = Scheme(lambda n: n, _residual_edges, _residual_ancestors)


def _duels(w: Array) -> tuple[Array, Array, Array]:
    """Of the Srinivasan sampling process: whole copies; at which of n - 1 duels one more is made;
    and with what probability the next particle stays in the game.

    Fractions of a copy are moved between the particle in the game and the next, until one of them
    has none, or a whole one, and leaves. Who stays is random; what is then left of a copy is not:
    it is the fraction of their running sum.
    """
    xp = w.__array_namespace__()
    whole, _, rest = _shares(w)
    upto = xp.cumsum(rest)
    mine, next_ = (upto - xp.floor(upto))[:-1], rest[1:]
    made = xp.floor(upto[1:]) > xp.floor(upto[:-1])
    whom = xp.where(made, 1 - next_, next_)
    both = xp.where(made, 2 - mine - next_, mine + next_)
    return whole, made, whom / xp.where(both > 0, both, xp.ones_like(both))


def _ssp_ancestors(w: Array, u: Array) -> Array:
    xp = w.__array_namespace__()
    n, (whole, made, stays) = w.shape[0], _duels(w)
    entered = xp.concat([xp.ones(1, dtype=bool), u < stays])  # the first is in the game
    left = n - xp.sum(whole) - xp.sum(xp.where(made, 1.0, 0.0))  # a copy lost by rounding
    copies = xp.concat([xp.where(made, 1.0, 0.0), xp.reshape(left, (1,))])
    # who leaves at once takes the copy made then; others that of the duel that they lose later
    at_once = xp.concat([xp.zeros(1), copies[:-1]])
    so_far = xp.cumsum(xp.where(entered, 1, 0))
    later = xp.take(copies, xp.searchsorted(so_far, so_far + 1, side="left") - 1)
    counts = whole + xp.where(entered, later, at_once)
    return xp.minimum(_holders(xp.cumsum(counts)), n - 1)


# every particle's number of copies is n·w rounded up or down, by one number a particle
_SSP = Scheme(lambda n: n - 1, lambda w: _duels(w)[2][:, None], _ssp_ancestors)

SCHEMES: dict[str, Scheme] = {
    "multinomial": _MULTINOMIAL,
    "stratified": _STRATIFIED,
    "systematic": _SYSTEMATIC,
    "residual": _RESIDUAL,
    "ssp": _SSP,
}


@dataclass(frozen=True)
class Resample:
    """The policy at a suspension point: resample when the effective size is below a share of n, or
    when a predicate of the population says so.

    Law: `ProperlyWeighted`, whatever decides *when*, since that is a function of the weights.
    """

    scheme: SchemeName = "systematic"
    threshold: float = 0.5
    when: When | None = None

    def due(self, population: Population) -> Array:
        """Whether to resample now. A population without mass goes on as it is."""
        size = population.effective_size
        if self.when is not None:
            return self.when(population) & (size > 0)
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

"""The forward and backward recursions of a chain in linear space, with no exponential in the loop,
and both in one loop.

For a coupling that is the same at every step. Instants are the times between steps, 0 … T; what
arrives at the first is one. Either recursion multiplies by what arrives, divides by the sum (the
*mass*) and goes through the coupling:

    alpha_t(i) = arrival_t(i) predicted_t(i),       predicted_0 = start,
    predicted_{t+1}(o) = Σ_i alpha_t(i) coupling(i, o) / Σ alpha_t
    gamma_t(o) = arrival_t(o) beta_t(o),            beta_T = final,
    beta_{t-1}(i) = Σ_o coupling(i, o) gamma_t(o) / Σ gamma_t

so that they are one recursion, the second with the coupling turned round and from the other end:
what a turn of a loop costs over few states is paid once for both. Everything else is computed for
all instants at once. With the filtered law alpha_t / Σ alpha_t, the posterior law of the state at t
is filtered_t beta_t over its sum. Where no number that is not zero is below `_small` or above its
inverse, products of up to four do not underflow: zeros are paths that are impossible, and
everything else is right to rounding. Where one is, the range of the scores may have been too wide,
and the caller runs the recursions in logarithms instead.

Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77(2), 1989, section V.A.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial, reduce
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ppl.semantics.xla.axes import Arr, Axes, Axis, contract, elementwise, rename, spread, union
from ppl.semantics.xla.forward import Moments, Scores, add, at_all_times, sum_out, time_first

#: pairs of states up to which a matrix product costs less written out as products and a sum
FEW = 100

#: the two recursions, where they are one array
_WAYS = Axis(-(2**31), "way", 2)


def in_linear_space(s: Scores) -> tuple[Arr, Any]:
    """(the log-sum, whether it can be relied on)."""
    p = _parts(s)
    (predicted,) = _recursions(s, [_forward(p, s.state_axes)])
    ahead = _ahead(s, p, predicted)
    return ahead.total, ahead.fine


def moments_in_linear_space(s: Scores) -> tuple[Moments, Any]:
    """(the log-sum and its derivatives, whether they can be relied on)."""
    p = _parts(s)
    axes = union(s.state_axes, s.final.axes)
    predicted, behind = _recursions(s, [_forward(p, axes), _backward(s, p, axes)])
    ahead, beta = _ahead(s, p, predicted), _flipped(behind, p.instants)
    gamma = _times(beta, p.arrival)
    visits = _times(ahead.filtered, beta)
    norm = sum_out(visits, s.into)
    visits = _times(visits, _inverted(norm))
    entering = _times(ahead.filtered, _inverted(norm))
    leaving = _times(gamma, _inverted(sum_out(gamma, s.into)))
    pairs = _counts(
        _part(entering, p.instants, s.time, 0),
        rename(_part(leaving, p.instants, s.time, 1), s.left),
        s.time,
    )
    moments = Moments(
        ahead.total,
        _at(visits, p.instants, 0),
        _at(visits, p.instants, s.time.size),
        rename(_part(visits, p.instants, s.time, 1), s.left),
        _times(pairs, p.coupling),
    )
    return moments, ahead.fine & _none(_strays(beta, s.into))


class _Parts(NamedTuple):
    """The scores of a chain, each over its largest, which `gains` adds up; arrivals over `into` and
    the instants. `wide`: what in them is too small to be multiplied."""

    start: Arr
    coupling: Arr
    arrival: Arr
    final: Arr
    instants: Axis
    gains: tuple[Arr, ...]
    wide: tuple[Arr, ...]


def _parts(s: Scores) -> _Parts:
    instants = replace(s.time, size=s.time.size + 1)
    table = spread(add([*s.fixed, Arr(jnp.zeros(()))]), union(s.into, s.out))
    coupling, top, wide_coupling = _scaled(table, table.axes)
    scores = add([at_all_times(m, s.time) for m in s.moving] or [Arr(jnp.zeros(()))])
    others = [a for a in s.state_axes if a not in s.into]
    arrival, most, wide = _scaled(spread(scores, (*s.out, *others, s.time)), s.out)
    start, first, wide_start = _scaled(s.start, s.into)
    final, end, wide_final = _scaled(s.final, s.into)
    return _Parts(
        start,
        coupling,
        _after_one(rename(arrival, s.entered), s.time, instants),
        final,
        instants,
        (first, sum_out(elementwise(jnp.add, most, top), (s.time,)), end),
        (wide, wide_coupling, wide_start, wide_final),
    )


class _Recursion(NamedTuple):
    """Where it starts, what arrives at every instant, and what it goes through."""

    start: Arr
    arrival: Arr
    coupling: Arr


def _forward(p: _Parts, axes: Axes) -> _Recursion:
    return _Recursion(spread(p.start, axes), p.arrival, p.coupling)


def _backward(s: Scores, p: _Parts, axes: Axes) -> _Recursion:
    turned = rename(p.coupling, {**s.left, **s.entered})
    return _Recursion(spread(p.final, axes), _flipped(p.arrival, p.instants), turned)


def _recursions(s: Scores, ways: list[_Recursion]) -> list[Arr]:
    """What each predicts at all instants, in the order in which it comes to them."""
    few = prod(a.size for a in (*s.into, *s.out)) <= FEW
    multiplied = _sum_of_products if few else contract
    stacked = few and len(ways) == 2
    run = [_Recursion(*map(_stacked, *ways))] if stacked else ways
    instants = replace(s.time, size=s.time.size + 1)

    def step(now: list[Arr], arrived: list[Arr]) -> tuple[list[Arr], list[Arr]]:
        return [one(*x) for x in zip(now, arrived, run, strict=True)], now

    def one(predicted: Arr, arrived: Arr, way: _Recursion) -> Arr:
        weighted = _times(predicted, arrived)
        ahead = multiplied(weighted, way.coupling, s.into)
        scale = _inverted(sum_out(weighted, s.into))
        return spread(_times(rename(ahead, s.entered), scale), predicted.axes)

    arrivals = [time_first(way.arrival, instants) for way in run]
    _, seen = jax.lax.scan(step, [way.start for way in run], arrivals)
    found = [at_all_times(x, instants) for x in seen]
    return [_at(found[0], _WAYS, k) for k in (0, 1)] if stacked else found


def _stacked(a: Arr, b: Arr) -> Arr:
    axes = union(a.axes, b.axes)
    return Arr(jnp.stack([spread(a, axes).data, spread(b, axes).data]), (_WAYS, *axes))


def _sum_of_products(a: Arr, b: Arr, axes: Axes) -> Arr:
    return sum_out(_times(a, b), axes)


class _Ahead(NamedTuple):
    """The log-sum, the law of the state at each instant given what came before, and whether they
    can be relied on."""

    total: Arr
    filtered: Arr
    fine: Any


def _ahead(s: Scores, p: _Parts, predicted: Arr) -> _Ahead:
    alpha = _times(predicted, p.arrival)
    mass = sum_out(alpha, s.into)
    filtered = _times(alpha, _inverted(mass))
    ended = sum_out(_times(_at(filtered, p.instants, s.time.size), p.final), s.into)
    gains = [*p.gains, _sum_of_logs(mass, p.instants), elementwise(jnp.log, ended)]
    # the checks of a step are joined before they are reduced along time, which is what costs
    at_instants = (_strays(x, s.into) for x in (filtered, mass))
    steps = [p.wide[0], *(_part(x, p.instants, s.time, 1) for x in at_instants)]
    wide = reduce(partial(elementwise, jnp.logical_or), steps)
    return _Ahead(add(gains), filtered, _none(wide, *p.wide[1:], _strays(ended, ())))


def _sum_of_logs(a: Arr, axis: Axis) -> Arr:
    """Σ log a along an axis, by logarithms of the products of four, which do not underflow."""
    i = a.axes.index(axis)
    data = jnp.moveaxis(a.data, i, -1)
    data = jnp.pad(data, [(0, 0)] * (data.ndim - 1) + [(0, -axis.size % 4)], constant_values=1)
    p, q, r, s = jnp.moveaxis(data.reshape(*data.shape[:-1], 4, -1), -2, 0)
    rest = (*a.axes[:i], *a.axes[i + 1 :])
    return Arr(jnp.sum(jnp.log(p * q * r * s), axis=-1), rest)


def _counts(entering: Arr, leaving: Arr, time: Axis) -> Arr:
    """Σ_t entering_t · leaving_t. A matrix product of few numbers costs less written out."""
    pairs = prod(a.size for a in union(entering.axes, leaving.axes) if a != time)
    if pairs > FEW:
        return contract(entering, leaving, (time,))
    return sum_out(_times(entering, leaving), (time,))


def _after_one(a: Arr, time: Axis, instants: Axis) -> Arr:
    """What arrives at every instant: at the first, one."""
    ahead = [(int(x == time), 0) for x in a.axes]
    axes = tuple(instants if x == time else x for x in a.axes)
    return Arr(jnp.pad(a.data, ahead, constant_values=1), axes)


def _flipped(a: Arr, axis: Axis) -> Arr:
    return Arr(jnp.flip(a.data, a.axes.index(axis)), a.axes)


def _part(a: Arr, instants: Axis, time: Axis, start: int) -> Arr:
    """As many instants as there are steps, from `start` on, as an axis of steps."""
    i = a.axes.index(instants)
    axes = tuple(time if x == instants else x for x in a.axes)
    return Arr(jax.lax.slice_in_dim(a.data, start, start + time.size, axis=i), axes)


def _at(a: Arr, instants: Axis, t: int) -> Arr:
    i = a.axes.index(instants)
    return Arr(jax.lax.index_in_dim(a.data, t, i, keepdims=False), (*a.axes[:i], *a.axes[i + 1 :]))


def _scaled(score: Arr, axes: Axes) -> tuple[Arr, Arr, Arr]:
    """exp(score) over its largest along `axes`; the logarithm of that; whether other than zeros any
    is too small to be multiplied, if it has not become zero."""
    places = _places(score, axes)
    most = jnp.max(score.data, axis=places, keepdims=True)
    most = jnp.where(most > -jnp.inf, most, 0.0)
    rest = tuple(a for a in score.axes if a not in axes)
    below = score.data - most
    scaled = jnp.exp(below)
    wide = jnp.any((scaled < _small(score)) & (score.data > -jnp.inf), axis=places)
    return Arr(scaled, score.axes), Arr(jnp.squeeze(most, places), rest), Arr(wide, rest)


def _places(a: Arr, axes: Axes) -> tuple[int, ...]:
    return tuple(i for i, x in enumerate(a.axes) if x in axes)


def _times(a: Arr, b: Arr) -> Arr:
    return elementwise(jnp.multiply, a, b)


def _inverse(x: Any) -> Any:
    return jnp.where(x > 0, 1 / jnp.where(x > 0, x, 1.0), 0.0)


def _inverted(a: Arr) -> Arr:
    return elementwise(_inverse, a)


def _small(a: Arr) -> float:
    """More than the fourth root of the least normal number."""
    return float(jnp.finfo(a.dtype).tiny) ** 0.23


def _strays(a: Arr, axes: Axes) -> Arr:
    """Whether any of some numbers along `axes` is too small or too large to be multiplied, and not
    zero."""
    small = _small(a)
    strays = (a.data > 0) & ((a.data < small) | (a.data > 1 / small))
    return Arr(jnp.any(strays, axis=_places(a, axes)), tuple(x for x in a.axes if x not in axes))


def _none(*flags: Arr) -> Any:
    return ~reduce(jnp.logical_or, [jnp.any(f.data) for f in flags])

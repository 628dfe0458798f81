"""The forward and backward recursions of a chain in linear space, with no exponential in the loop.

For a coupling that is the same at every step. What enters a step is divided by its sum, the *mass*,
one step late, and the backward recursion by the same masses, so that a step is a matrix product
and a product; everything else is computed for all instants at once. Instants are the times
between steps: one more than there are steps.

    filtered_0 ∝ start,  filtered_t(o) = arrival_t(o) Σ_i filtered_{t-1}(i) coupling(i, o) / mass_t
    beta_T ∝ final,      beta_{t-1}(i) = Σ_o coupling(i, o) arrival_t(o) beta_t(o) / mass_t

Then filtered_t beta_t is the posterior law of the state at t. Where no number that is not zero is
below `_small` or above its inverse, products of up to four do not underflow: zeros are paths that
are impossible, and everything else is right to rounding. Where one is, the range of the scores may
have been too wide, and the caller runs the recursions in logarithms instead.

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

#: steps a turn of the loop. Its own cost is that of a step over few states; measured on CPU with
#: three states, two steps take 0.8 of the time of one, but four (no longer fused) four times it.
UNROLL = 2
#: pairs of states up to which their counts are sums of products, and not a matrix product
FEW = 32


def in_linear_space(s: Scores) -> tuple[Arr, Any]:
    """(the log-sum, whether it can be relied on)."""
    ahead = _forward(s)
    return ahead.total, ahead.fine


def moments_in_linear_space(s: Scores) -> tuple[Moments, Any]:
    """(the log-sum and its derivatives, whether they can be relied on)."""
    ahead = _forward(s)
    axes = union(s.state_axes, s.final.axes)
    instants, spare = _instants(s), _spare(s)
    ratio = _times(ahead.arrival, _inverted(_part(ahead.mass, instants, s.time, 1)))

    def step(beta: Arr, ratio: Arr) -> tuple[Arr, Arr]:
        weighted = _times(rename(beta, s.left), ratio)
        return spread(contract(weighted, ahead.coupling, s.out), axes), beta

    end = _times(ahead.final, _inverted(ahead.ended))
    ratios = _padded(time_first(ratio, s.time), before=spare)
    _, betas = jax.lax.scan(step, spread(end, axes), ratios, reverse=True, unroll=UNROLL)
    beta = at_all_times(Arr(betas.data[spare - 1 :], betas.axes), instants)
    visits = _times(ahead.filtered, beta)
    entering = _part(ahead.filtered, instants, s.time, 0)
    leaving = _times(ratio, rename(_part(beta, instants, s.time, 1), s.left))
    moments = Moments(
        ahead.total,
        _at(visits, instants, 0),
        _at(visits, instants, s.time.size),
        rename(_part(visits, instants, s.time, 1), s.left),
        _times(_counts(entering, leaving, s.time), ahead.coupling),
    )
    return moments, ahead.fine & _none(_strays(beta, s.into))


class _Forward(NamedTuple):
    """`filtered`: the law of the state at each instant given what came before, and `mass`: what it
    was divided by."""

    total: Arr
    filtered: Arr
    mass: Arr
    ended: Arr
    coupling: Arr
    arrival: Arr
    final: Arr
    fine: Any


def _forward(s: Scores) -> _Forward:
    instants, spare = _instants(s), _spare(s)
    table = spread(add([*s.fixed, Arr(jnp.zeros(()))]), union(s.into, s.out))
    coupling, top, wide_coupling = _scaled(table, table.axes)
    scores = add([at_all_times(m, s.time) for m in s.moving] or [Arr(jnp.zeros(()))])
    others = [a for a in s.state_axes if a not in s.into]
    arrival, most, wide = _scaled(spread(scores, (*s.out, *others, s.time)), s.out)
    start, first, wide_start = _scaled(s.start, s.into)
    final, end, wide_final = _scaled(s.final, s.into)

    def step(alpha: Arr, arrived: Arr) -> tuple[Arr, Arr]:
        scale = _inverted(sum_out(alpha, s.into))
        reached = _times(contract(alpha, coupling, s.into), _times(arrived, scale))
        return spread(rename(reached, s.entered), s.state_axes), alpha

    arrivals = _padded(time_first(arrival, s.time), behind=spare)
    _, alphas = jax.lax.scan(step, spread(start, s.state_axes), arrivals, unroll=UNROLL)
    visited = at_all_times(Arr(alphas.data[: instants.size], alphas.axes), instants)
    mass = sum_out(visited, s.into)
    filtered = _times(visited, _inverted(mass))
    ended = sum_out(_times(_at(filtered, instants, s.time.size), final), s.into)
    gains = [
        first,
        _sum_of_logs(mass, instants),
        sum_out(elementwise(jnp.add, most, top), (s.time,)),
        end,
        elementwise(jnp.log, ended),
    ]
    # the checks of a step are joined before they are reduced along time, which is what costs
    steps = [wide, *(_part(_strays(x, s.into), instants, s.time, 1) for x in (filtered, mass))]
    wide = reduce(partial(elementwise, jnp.logical_or), steps)
    fine = _none(wide, wide_coupling, wide_start, wide_final, _strays(ended, ()))
    return _Forward(add(gains), filtered, mass, ended, coupling, arrival, final, fine)


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


def _instants(s: Scores) -> Axis:
    return replace(s.time, size=s.time.size + 1)


def _spare(s: Scores) -> int:
    """Steps to add, so that a state enters a step at every instant, and turns of the loop are full:
    what those steps compute is not read."""
    return 1 + (s.time.size + 1) % UNROLL


def _padded(steps: Arr, *, before: int = 0, behind: int = 0) -> Arr:
    """More steps, which score nothing; time leads."""
    ends = [(before, behind)] + [(0, 0)] * (jnp.ndim(steps.data) - 1)
    return Arr(jnp.pad(steps.data, ends, constant_values=1), steps.axes)


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

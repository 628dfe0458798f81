"""The forward and backward recursions of a chain in linear space, with no exponential in the loop.

For a coupling that is the same at every step. What enters a step is normalised by its sum, what is
to come by its largest entry, so a step is a matrix product, a product and a quotient.

A number between 0 and `SMALL` says that the range of the scores may have been too wide: products
of up to three numbers of at least `SMALL` do not underflow, so where there is none, zeros are
paths that are impossible and everything else is right to rounding. Where there is one, the caller
runs the recursions in logarithms instead.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics.xla.axes import Arr, Axes, contract, elementwise, rename, spread, union
from ppl.semantics.xla.forward import (
    Moments,
    Scores,
    add,
    at_all_times,
    log_sum_exp,
    sum_out,
    time_first,
)

SMALL = 1e-100
#: steps a turn of the loop. Its own cost is that of a step over few states; measured on CPU with
#: three states, two steps take 0.8 of the time of one, but four (no longer fused) four times it.
UNROLL = 2


def in_linear_space(s: Scores) -> tuple[Arr, Any]:
    """(the log-sum, whether it can be relied on)."""
    total, _, _, _, fine = _forward(s)
    return total, fine


def moments_in_linear_space(s: Scores) -> tuple[Moments, Any]:
    """(the log-sum and its derivatives, whether they can be relied on)."""
    total, end, before, (coupling, arrival), fine = _forward(s)
    final, _ = _scaled(s.final, s.into)
    axes = union(s.state_axes, s.final.axes)

    def step(beta: Arr, arrived: Arr) -> tuple[Arr, Arr]:
        # scaled by the largest of the last step's entries, which is there before this product is
        most = jnp.max(beta.data, axis=_places(beta, s.into), keepdims=True)
        ahead = _times(rename(beta, s.left), arrived)
        before = spread(contract(ahead, coupling, s.out), axes)
        return Arr(before.data * _inverse(most), axes), ahead

    beta, aheads = jax.lax.scan(
        step, spread(final, axes), arrival, length=s.time.size, reverse=True, unroll=UNROLL
    )
    ahead = at_all_times(aheads, s.time)
    joint = _times(contract(before, coupling, s.into), ahead)
    scale = _inverted(sum_out(joint, s.out))
    counts = contract(before, _times(ahead, scale), (s.time,))
    start, _ = _scaled(s.start, s.into)
    moments = Moments(
        total,
        _normalised(_times(start, beta), s.into),
        _normalised(_times(end, final), s.into),
        _times(joint, scale),
        _times(counts, coupling),
    )
    largest = Arr(jnp.max(ahead.data, axis=_places(ahead, s.out), keepdims=True), ahead.axes)
    level = Arr(ahead.data * _inverse(largest.data), ahead.axes)
    return moments, fine & _kept(level) & _kept(final)


def _forward(s: Scores) -> tuple[Arr, Arr, Arr, tuple[Arr, Arr], Any]:
    """(log-sum, last state, state entering each step, (coupling, arrivals), whether it is fine)."""
    table = spread(add([*s.fixed, Arr(jnp.zeros(()))]), union(s.into, s.out))
    coupling, top = _scaled(table, table.axes)
    scores = add([at_all_times(m, s.time) for m in s.moving] or [Arr(jnp.zeros(()))])
    others = [a for a in s.state_axes if a not in s.into]
    arrivals, most = _scaled(spread(scores, (*s.out, *others, s.time)), s.out)
    arrival = time_first(arrivals, s.time)
    start, first = _scaled(s.start, s.into)

    def step(alpha: Arr, arrived: Arr) -> tuple[Arr, Arr]:
        scale = _inverted(sum_out(alpha, s.into))
        reached = _times(contract(alpha, coupling, s.into), _times(arrived, scale))
        return spread(rename(reached, s.entered), s.state_axes), alpha

    last, history = jax.lax.scan(
        step, spread(start, s.state_axes), arrival, length=s.time.size, unroll=UNROLL
    )
    visited = at_all_times(history, s.time)
    masses = sum_out(visited, s.into)
    steps = elementwise(lambda m, k: jnp.log(m) + k, masses, most)
    gains = sum_out(elementwise(jnp.add, steps, top), (s.time,))
    entering, end = _times(visited, _inverted(masses)), _normalised(last, s.into)
    ended = log_sum_exp(add([elementwise(jnp.log, last), s.final]), s.into)
    total = add([first, gains, ended])
    fine = _kept(coupling) & _kept(arrival) & _kept(entering) & _kept(end) & _kept(start)
    return total, end, entering, (coupling, arrival), fine


def _scaled(score: Arr, axes: Axes) -> tuple[Arr, Arr]:
    """exp(score) over its largest along `axes`, and the logarithm of that."""
    places = _places(score, axes)
    most = jnp.max(score.data, axis=places, keepdims=True)
    most = jnp.where(most > -jnp.inf, most, 0.0)
    rest = tuple(a for a in score.axes if a not in axes)
    return Arr(jnp.exp(score.data - most), score.axes), Arr(jnp.squeeze(most, places), rest)


def _places(a: Arr, axes: Axes) -> tuple[int, ...]:
    return tuple(i for i, x in enumerate(a.axes) if x in axes)


def _times(a: Arr, b: Arr) -> Arr:
    return elementwise(jnp.multiply, a, b)


def _inverse(x: Any) -> Any:
    return jnp.where(x > 0, 1 / jnp.where(x > 0, x, 1.0), 0.0)


def _inverted(a: Arr) -> Arr:
    return elementwise(_inverse, a)


def _normalised(a: Arr, axes: Axes) -> Arr:
    return _times(a, _inverted(sum_out(a, axes)))


def _kept(a: Arr) -> Any:
    return ~jnp.any((a.data > 0) & (a.data < SMALL))

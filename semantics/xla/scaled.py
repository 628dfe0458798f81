"""The forward and backward recursions of a chain in linear space, with no exponential in the loop.

For a coupling that is the same at every step. The filtered probabilities are normalised at every
step, what is to come by its largest entry, so a step is a matrix product, a product and a quotient.

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


def in_linear_space(s: Scores) -> tuple[Arr, Any]:
    """(the log-sum, whether it can be relied on)."""
    total, _, _, _, fine = _forward(s)
    return total, fine


def moments_in_linear_space(s: Scores) -> tuple[Moments, Any]:
    """(the log-sum and its derivatives, whether they can be relied on)."""
    total, end, entering, (coupling, arrival), fine = _forward(s)
    final, _ = _scaled(s.final, s.into)
    axes = union(s.state_axes, s.final.axes)

    def step(beta: Arr, arrived: Arr) -> tuple[Arr, Arr]:
        ahead = _times(rename(beta, s.left), arrived)
        beta = contract(ahead, coupling, s.out)
        most = jnp.max(beta.data, axis=_places(beta, s.into), keepdims=True)
        return spread(Arr(beta.data * _inverse(most), beta.axes), axes), ahead

    beta, aheads = jax.lax.scan(
        step, spread(final, axes), arrival, length=s.time.size, reverse=True
    )
    ahead = at_all_times(aheads, s.time)
    before = at_all_times(entering, s.time)
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
    return moments, fine & _kept(aheads) & _kept(final)


def _forward(s: Scores) -> tuple[Arr, Arr, Arr, tuple[Arr, Arr], Any]:
    """(log-sum, last state, state entering each step, (coupling, arrivals), whether all is fine)."""
    table = spread(add([*s.fixed, Arr(jnp.zeros(()))]), union(s.into, s.out))
    coupling, top = _scaled(table, table.axes)
    scores = add([at_all_times(m, s.time) for m in s.moving] or [Arr(jnp.zeros(()))])
    others = [a for a in s.state_axes if a not in s.into]
    arrivals, most = _scaled(spread(scores, (*s.out, *others, s.time)), s.out)
    arrival = time_first(arrivals, s.time)
    start, first = _scaled(s.start, s.into)

    def step(alpha: Arr, arrived: Arr) -> tuple[Arr, tuple[Arr, Arr]]:
        reached = _times(contract(alpha, coupling, s.into), arrived)
        mass = sum_out(reached, s.out)
        after = rename(_times(reached, _inverted(mass)), s.entered)
        return spread(after, s.state_axes), (alpha, mass)

    begin = spread(_normalised(start, s.into), s.state_axes)
    end, (entering, masses) = jax.lax.scan(step, begin, arrival, length=s.time.size)
    steps = elementwise(lambda m, k: jnp.log(m) + k, at_all_times(masses, s.time), most)
    gains = sum_out(elementwise(jnp.add, steps, top), (s.time,))
    mass = elementwise(jnp.log, sum_out(start, s.into))
    ended = log_sum_exp(add([elementwise(jnp.log, end), s.final]), s.into)
    total = add([first, mass, gains, ended])
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

"""The forward recursion of a chain, and its derivative.

A chain has state axes `into` (entering a step) and `out` (leaving it) and log-scores over them, some
the same at every step, some with time leading. `log_sum` adds up all paths:

    alpha_0(i)     = start(i)
    alpha_{t+1}(o) = log Σ_i exp(alpha_t(i) + coupling_t(i, o)) + arrival_t(o)
    log_sum        = log Σ_o exp(alpha_T(o) + final(o))

Its derivative with respect to a score is the posterior probability of the states it mentions, so
one backward recursion gives all of them at once, vectorised over time; differentiating the forward
recursion step by step would store and read every step's residuals.

Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77(2), 1989.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import functions as F
from ppl.semantics.xla.axes import Arr, Axes, Axis, contract, elementwise, rename, spread, union


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["start", "fixed", "moving", "final"],
    meta_fields=["time", "into", "out"],
)
@dataclass(frozen=True)
class Scores:
    """`start` and `final` are over `into`; `fixed` over both; `moving` too, with time leading (not
    among their axes)."""

    start: Arr
    fixed: tuple[Arr, ...]
    moving: tuple[Arr, ...]
    final: Arr
    time: Axis
    into: Axes
    out: Axes

    @property
    def entered(self) -> dict[Axis, Axis]:
        """The axis at which a state that left a step enters the next."""
        return dict(zip(self.out, self.into, strict=True))

    @property
    def left(self) -> dict[Axis, Axis]:
        return dict(zip(self.into, self.out, strict=True))

    @property
    def state_axes(self) -> Axes:
        """What the filtered scores vary along: the state, and what the scores depend on besides."""
        inside = {*self.into, *self.out}
        every = union(self.start.axes, *(s.axes for s in (*self.fixed, *self.moving)))
        return union([a for a in every if a not in inside], self.into)

    def step(self, now: tuple[Arr, ...]) -> tuple[list[Arr], list[Arr]]:
        """A step's scores that mention the state entered from, and the others."""
        scores = [*self.fixed, *now]
        coupling = [s for s in scores if set(self.into) & set(s.axes)]
        return coupling, [s for s in scores if not set(self.into) & set(s.axes)]


def add(scores: Any) -> Arr:
    return reduce(lambda a, b: elementwise(jnp.add, a, b), scores)


def log_sum_exp(score: Arr, axes: Axes) -> Arr:
    """log Σ exp along named axes."""
    places = tuple(score.axes.index(a) for a in axes)
    rest = tuple(a for a in score.axes if a not in axes)
    return Arr(F.REDUCTIONS["logsumexp"](score.data, places), rest)


def filtered(s: Scores) -> tuple[Arr, Arr]:
    """(alpha_T, alpha_0 … alpha_{T-1} with time leading), over `into`."""

    def step(reach: Reach, alpha: Arr, now: tuple[Arr, ...]) -> tuple[Arr, Any]:
        coupling, arrival = s.step(now)
        reached, fine = reach(alpha, coupling, s.into)
        after = add([reached, *arrival])
        return spread(rename(after, s.entered), s.state_axes), fine

    return _recursion(s, step, spread(s.start, s.state_axes), reverse=False)


def smoothed(s: Scores) -> tuple[Arr, Arr]:
    """(beta_0, beta_1 … beta_T with time leading), over `into`: the log-sum of what is still to
    come, from each state."""
    axes = union(s.state_axes, s.final.axes)

    def step(reach: Reach, beta: Arr, now: tuple[Arr, ...]) -> tuple[Arr, Any]:
        coupling, arrival = s.step(now)
        ahead, fine = reach(add([rename(beta, s.left), *arrival]), coupling, s.out)
        return spread(ahead, axes), fine

    return _recursion(s, step, spread(s.final, axes), reverse=True)


#: (scores over a state, coupling, axes of that state) to the log-sums over it, and whether those
#: can be relied on
Reach = Callable[[Arr, list[Arr], Axes], tuple[Arr, Any]]


def _recursion(s: Scores, step: Any, begin: Arr, *, reverse: bool) -> tuple[Arr, Arr]:
    """Scan over time; where the coupling is the same at every step, in linear space if no score is
    so small beside the largest that it would be lost, and again in logarithms if one was."""

    def scan(reach: Reach) -> tuple[Arr, Arr, Any]:
        def one(carry: tuple[Arr, Any], now: tuple[Arr, ...]) -> Any:
            state, fine = carry
            after, good = step(reach, state, now)
            return (after, fine & good), state

        (end, fine), history = jax.lax.scan(
            one, (begin, jnp.array(True)), s.moving, length=s.time.size, reverse=reverse
        )
        return end, history, fine

    def in_logarithms(state: Arr, coupling: list[Arr], axes: Axes) -> tuple[Arr, Any]:
        return log_sum_exp(spread(add([state, *coupling]), union(s.into, s.out)), axes), True

    fixed, others = s.step(())
    if not fixed or others or any(set(s.into) & set(m.axes) for m in s.moving):
        return scan(in_logarithms)[:2]
    table = add(fixed)
    top = jnp.max(table.data)
    linear = Arr(jnp.exp(table.data - top), table.axes)
    kept = jnp.all((linear.data > _SMALL) | (table.data == -jnp.inf)) & jnp.isfinite(top)

    def in_linear_space(state: Arr, _: list[Arr], axes: Axes) -> tuple[Arr, Any]:
        places = tuple(state.axes.index(a) for a in axes)
        most = jnp.max(state.data, axis=places, keepdims=True)
        most = jnp.where(most > -jnp.inf, most, 0.0)
        weights = jnp.exp(state.data - most)
        fine = jnp.all((weights > _SMALL) | (state.data == -jnp.inf))
        sums = contract(Arr(weights, state.axes), linear, axes)
        rest = tuple(a for a in state.axes if a not in axes)
        shift = Arr(jnp.squeeze(most, places) + top, rest)
        return elementwise(lambda x, k: jnp.log(x) + k, sums, shift), fine

    end, history, fine = scan(in_linear_space)
    return jax.lax.cond(fine & kept, lambda: (end, history), lambda: scan(in_logarithms)[:2])


#: products of two numbers above this are not lost to underflow
_SMALL = 1e-150


@jax.custom_jvp
def log_sum(s: Scores) -> Arr:
    """The log of the sum over all paths, along whatever else the scores vary along."""
    end, _ = filtered(s)
    return log_sum_exp(spread(add([end, s.final]), s.into), s.into)


@log_sum.defjvp
def _log_sum_jvp(primals: tuple[Scores], tangents: tuple[Scores]) -> tuple[Arr, Arr]:
    (s,), (d,) = primals, tangents
    end, alphas = filtered(s)
    out = log_sum_exp(spread(add([end, s.final]), s.into), s.into)
    first, betas = smoothed(s)

    def probability(log_score: Arr) -> Arr:
        # out = -inf means that no path is possible; then no path has any probability
        return elementwise(
            lambda x, z: jnp.exp(jnp.where(z > -jnp.inf, x - z, -jnp.inf)), log_score, out
        )

    time = s.time
    alpha, beta = (Arr(h.data, (time, *h.axes)) for h in (alphas, betas))
    now = tuple(Arr(m.data, (time, *m.axes)) for m in s.moving)
    alpha, beta, *now = (rename(a, {}) for a in (alpha, beta, *now))
    pair = probability(
        spread(add([alpha, *s.fixed, *now, rename(beta, s.left)]), union(s.into, s.out))
    )
    terms = [
        _inner(probability(add([s.start, first])), d.start, out.axes),
        _inner(probability(add([end, s.final])), d.final, out.axes),
    ]
    arrived = _sum_out(pair, s.into)
    for score, moved in [*zip(d.fixed, s.fixed, strict=True), *zip(d.moving, now, strict=True)]:
        tangent = (
            score if time not in moved.axes else rename(Arr(score.data, (time, *score.axes)), {})
        )
        weight = pair if set(s.into) & set(moved.axes) else arrived
        if time not in moved.axes:
            weight = _sum_out(weight, (time,))
        terms.append(_inner(weight, tangent, out.axes))
    return out, spread(add(terms), out.axes)


def _sum_out(a: Arr, axes: Axes) -> Arr:
    places = tuple(i for i, x in enumerate(a.axes) if x in axes)
    return Arr(jnp.sum(a.data, axis=places), tuple(x for x in a.axes if x not in axes))


def _inner(weight: Arr, tangent: Arr, keep: Axes) -> Arr:
    """Σ weight · tangent over the axes that are not kept."""
    weight = _sum_out(
        weight, tuple(a for a in weight.axes if a not in tangent.axes and a not in keep)
    )
    product = elementwise(lambda w, t: jnp.where(w > 0, w * t, 0.0), weight, tangent)
    return _sum_out(product, tuple(a for a in product.axes if a not in keep))

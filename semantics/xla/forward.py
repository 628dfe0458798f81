"""The forward recursion of a chain, and its derivative.

A chain has state axes `into` (entering a step) and `out` (leaving it) and log-scores over them,
some the same at every step, some with time leading. `log_sum` adds up all paths:

    alpha_0(i)     = start(i)
    alpha_{t+1}(o) = log Σ_i exp(alpha_t(i) + coupling_t(i, o)) + arrival_t(o)
    log_sum        = log Σ_o exp(alpha_T(o) + final(o))

Its derivative with respect to a score is the posterior probability of the states it mentions, so
one backward recursion gives all of them at once, vectorised over time; differentiating the forward
recursion step by step would store and read every step's residuals. Where the coupling is the same
at every step, `scaled` does both in linear space, and the recursions here are what it falls back
on when a score is too small beside the others for that.

Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77(2), 1989.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ppl.semantics import functions as F
from ppl.semantics.xla.axes import Arr, Axes, Axis, elementwise, rename, spread, union


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
    def steady(self) -> bool:
        """Whether the coupling of states is the same at every step."""
        return not any(set(self.into) & set(m.axes) for m in self.moving)

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


class Moments(NamedTuple):
    """The log-sum and its derivatives: posterior probabilities of the first and last state (over
    `into`), of the state every step leaves in (over time and `out`), and of pairs (over `into` and
    `out`; over time too unless the coupling is steady, then summed)."""

    log_sum: Arr
    first: Arr
    last: Arr
    arrived: Arr
    pairs: Arr


def add(scores: Any) -> Arr:
    return reduce(lambda a, b: elementwise(jnp.add, a, b), scores)


def log_sum_exp(score: Arr, axes: Axes) -> Arr:
    """log Σ exp along named axes."""
    places = tuple(score.axes.index(a) for a in axes)
    rest = tuple(a for a in score.axes if a not in axes)
    return Arr(F.REDUCTIONS["logsumexp"](score.data, places), rest)


def filtered(s: Scores) -> tuple[Arr, Arr]:
    """(alpha_T, alpha_0 … alpha_{T-1} with time leading), over `into`."""

    def step(alpha: Arr, now: tuple[Arr, ...]) -> tuple[Arr, Arr]:
        coupling, arrival = s.step(now)
        reached = log_sum_exp(spread(add([alpha, *coupling]), union(s.into, s.out)), s.into)
        after = add([reached, *arrival])
        return spread(rename(after, s.entered), s.state_axes), alpha

    return jax.lax.scan(step, spread(s.start, s.state_axes), s.moving, length=s.time.size)


def smoothed(s: Scores) -> tuple[Arr, Arr]:
    """(beta_0, beta_1 … beta_T with time leading), over `into`: the log-sum of what is still to
    come, from each state."""
    axes = union(s.state_axes, s.final.axes)

    def step(beta: Arr, now: tuple[Arr, ...]) -> tuple[Arr, Arr]:
        coupling, arrival = s.step(now)
        ahead = spread(add([rename(beta, s.left), *coupling, *arrival]), union(s.into, s.out))
        return spread(log_sum_exp(ahead, s.out), axes), beta

    end = spread(s.final, axes)
    return jax.lax.scan(step, end, s.moving, length=s.time.size, reverse=True)


def in_logarithms(s: Scores) -> Arr:
    return _ended(s, filtered(s)[0])


def moments_in_logarithms(s: Scores) -> Moments:
    end, alphas = filtered(s)
    first, betas = smoothed(s)
    total = _ended(s, end)
    alpha, beta, *now = (at_all_times(h, s.time) for h in (alphas, betas, *s.moving))
    joint = spread(add([alpha, *s.fixed, *now, rename(beta, s.left)]), union(s.into, s.out))
    pairs = _probability(joint, total)
    return Moments(
        total,
        _probability(add([s.start, first]), total),
        _probability(add([end, s.final]), total),
        sum_out(pairs, s.into),
        sum_out(pairs, (s.time,)) if s.steady else pairs,
    )


def _ended(s: Scores, end: Arr) -> Arr:
    return log_sum_exp(spread(add([end, s.final]), s.into), s.into)


def _probability(log_score: Arr, total: Arr) -> Arr:
    # a total of -inf means that no path is possible; then no path has any probability
    return elementwise(
        lambda x, z: jnp.exp(jnp.where(z > -jnp.inf, x - z, -jnp.inf)), log_score, total
    )


@jax.custom_jvp
def log_sum(s: Scores) -> Arr:
    """The log of the sum over all paths, along whatever else the scores vary along."""
    if not s.steady:
        return in_logarithms(s)
    from ppl.semantics.xla.scaled import in_linear_space

    total, fine = in_linear_space(s)
    return jax.lax.cond(fine, lambda: total, lambda: spread(in_logarithms(s), total.axes))


@log_sum.defjvp
def _log_sum_jvp(primals: tuple[Scores], tangents: tuple[Scores]) -> tuple[Arr, Arr]:
    (s,), (d,) = primals, tangents
    m = _moments(s)
    keep = m.log_sum.axes
    terms = [_inner(m.first, d.start, keep), _inner(m.last, d.final, keep)]
    for score in d.fixed:
        pairs = m.pairs if s.steady else sum_out(m.pairs, (s.time,))
        terms.append(_inner(pairs, score, keep))
    for score in d.moving:
        weight = m.pairs if set(s.into) & set(score.axes) else m.arrived
        terms.append(_inner(weight, at_all_times(score, s.time), keep))
    return m.log_sum, spread(add(terms), keep)


def _moments(s: Scores) -> Moments:
    if not s.steady:
        return moments_in_logarithms(s)
    from ppl.semantics.xla.scaled import moments_in_linear_space

    fast, fine = moments_in_linear_space(s)
    axes = [a.axes for a in fast]

    def slow() -> Moments:
        found = moments_in_logarithms(s)
        return Moments(*(spread(a, want) for a, want in zip(found, axes, strict=True)))

    return jax.lax.cond(fine, lambda: fast, slow)


def at_all_times(history: Arr, time: Axis) -> Arr:
    """A history with time leading, time as an axis."""
    return rename(Arr(history.data, (time, *history.axes)), {})


def time_first(a: Arr, time: Axis) -> Arr:
    """A history with time as an axis, time leading."""
    i = a.axes.index(time)
    return Arr(jnp.moveaxis(a.data, i, 0), (*a.axes[:i], *a.axes[i + 1 :]))


def sum_out(a: Arr, axes: Axes) -> Arr:
    """The sum along named axes."""
    places = tuple(i for i, x in enumerate(a.axes) if x in axes)
    return Arr(jnp.sum(a.data, axis=places), tuple(x for x in a.axes if x not in axes))


def _inner(weight: Arr, tangent: Arr, keep: Axes) -> Arr:
    """Σ weight · tangent over the axes that are not kept."""
    spare = tuple(a for a in weight.axes if a not in tangent.axes and a not in keep)
    weight = sum_out(weight, spare)
    product = elementwise(lambda w, t: jnp.where(w > 0, w * t, 0.0), weight, tangent)
    return sum_out(product, tuple(a for a in product.axes if a not in keep))

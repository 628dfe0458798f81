"""Exact sums over finite discrete choices: tensor variable elimination with plates and chains.

The measure of a program whose finite sites are enumeration axes is a product of factors, log-score
tensors over named axes. A factor stands for one term of the product for every element of its
`pending` plates. Eliminating an axis adds up the factors that mention it and takes the log-sum-exp;
a plate that no remaining axis was born under is then summed (its product taken). An axis can be
eliminated once the factors that mention it are pending on exactly the plates it was born under.
A chain (a scan whose carry is summed) is a plate over time whose out-axes at t are the in-axes at
t + 1; it is eliminated by the forward recursion.

Eliminations are recorded; undone in reverse they draw the sites from their joint law given
everything else.

Obermeyer et al., Tensor variable elimination for plated factor graphs, ICML 2019. For chains:
Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77(2), 1989.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as nd

from ppl.semantics import functions as F
from ppl.semantics.diagnostics import fail
from ppl.semantics.xla.arrays import index
from ppl.semantics.xla.axes import Arr, Axes, Axis, close_event, elementwise, spread, sum_axis, union
from ppl.semantics.xla.state import Factor

#: largest number of joint states of the axes that one factor mentions
CLIQUE = 10_000


@dataclass(frozen=True)
class Link:
    """One summed part of a loop's state: its axis before the loop, entering and leaving a step,
    and after the loop."""

    first: Axis
    into: Axis
    out: Axis
    last: Axis


@dataclass(frozen=True)
class Chain:
    time: Axis
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Eliminated:
    """`joint`: the score over the axis and all it was coupled with, just before it was summed."""

    axis: Axis
    joint: Arr


@dataclass(frozen=True)
class Forwarded:
    """`filtered`: the log-scores of the state entering each step, time first."""

    chain: Chain
    filtered: Arr
    steps: tuple[Arr, ...]


def eliminate(factors: tuple[Factor, ...], chains: tuple[Chain, ...]) -> tuple[tuple[Arr, ...], list[Any]]:
    """Sum out every enumeration axis. Returns the remaining scores and the record.

    Raises E805 if elements of a plate are coupled, or a factor would exceed the clique budget.
    """
    record: list[Any] = []
    work = [_close_plates(f) for f in factors]
    waiting = list(chains)
    while True:
        in_chain = {a for c in waiting for link in c.links for a in (link.first, link.into, link.out, link.last)}
        axes = {a for f in work for a in f.summed}
        if not axes:
            return tuple(f.score for f in work), record
        ready = [a for a in axes - in_chain if _ready(a, work)]
        if ready:
            axis = min(ready, key=lambda a: (_table(a, work), a))
            work = _sum_out(axis, work, record)
            continue
        chain = next((c for c in waiting if _chain_ready(c, work, in_chain)), None)
        if chain is None:
            raise _coupled(min(axes))
        waiting.remove(chain)
        work = _forward(chain, work, record)


def _touching(axis: Axis, work: list[Factor]) -> list[Factor]:
    return [f for f in work if axis in f.score.axes]


def _ready(axis: Axis, work: list[Factor]) -> bool:
    return all(set(f.pending) == set(axis.plates) for f in _touching(axis, work))


def _table(axis: Axis, work: list[Factor]) -> int:
    return prod(a.size for a in union(*(f.summed for f in _touching(axis, work))))


def _add(scores: list[Arr]) -> Arr:
    return reduce(lambda a, b: elementwise(jnp.add, a, b), scores)


def _log_sum_exp(score: Arr, axes: Axes) -> Arr:
    places = tuple(score.axes.index(a) for a in axes)
    rest = tuple(a for a in score.axes if a not in axes)
    return Arr(F.REDUCTIONS["logsumexp"](score.data, places), rest)


def _sum_out(axis: Axis, work: list[Factor], record: list[Any]) -> list[Factor]:
    if _table(axis, work) > CLIQUE:
        raise fail(
            "E805",
            f"summing out `{axis.name}` would couple {_table(axis, work):,} joint states "
            f"(the limit is {CLIQUE:,})",
            hint="sample the discrete sites instead (smc, mcmc), or make the draws independent",
        )
    joint = _add([f.score for f in _touching(axis, work)])
    record.append(Eliminated(axis, joint))
    out = Factor(_log_sum_exp(joint, (axis,)), axis.plates)
    return [f for f in work if axis not in f.score.axes] + [_close_plates(out)]


def _close_plates(f: Factor) -> Factor:
    """Take the product over the pending plates that no summed axis was born under."""
    needed = {p for a in f.summed for p in a.plates}
    score = f.score
    for plate in f.pending:
        if plate not in needed:
            score = sum_axis(score, plate)
    return Factor(score, tuple(p for p in f.pending if p in needed))


def _coupled(axis: Axis):
    return fail(
        "E805",
        f"`{axis.name}` cannot be summed out: different elements of its plate are coupled",
        hint="use each element only inside a `for` over its array, or sample the site "
        "(importance, smc, mcmc)",
    )


# --------------------------------------------------------------------------------------- chains


def _chain_ready(chain: Chain, work: list[Factor], in_chain: set[Axis]) -> bool:
    inside = {a for link in chain.links for a in (link.into, link.out)}
    touching = [f for f in work if inside & set(f.score.axes)]
    plates = set(chain.links[0].into.plates)
    return all(set(f.pending) == plates for f in touching) and not any(
        chain.time in a.plates for f in touching for a in f.summed if a not in inside
    )


def rename(score: Arr, names: Mapping[Axis, Axis]) -> Arr:
    """The same tensor with some axes renamed."""
    axes = tuple(names.get(a, a) for a in score.axes)
    order = sorted(range(len(axes)), key=lambda i: axes[i])
    rest = range(len(axes), jnp.ndim(score.data))
    return Arr(jnp.transpose(score.data, (*order, *rest)), tuple(axes[i] for i in order))


def _time_first(score: Arr, time: Axis) -> Arr:
    i = score.axes.index(time)
    rest = (*score.axes[:i], *score.axes[i + 1 :])
    return Arr(jnp.moveaxis(score.data, i, 0), rest)


def _forward(chain: Chain, work: list[Factor], record: list[Any]) -> list[Factor]:
    """alpha_{t+1}(out) = log sum_into exp(alpha_t(into) + step_t(into, out)) + arrival_t(out)."""
    first, into, out, last = (tuple(getattr(link, k) for link in chain.links) for k in ("first", "into", "out", "last"))
    if prod(a.size for a in into) ** 2 > CLIQUE**2:
        raise _coupled(into[0])
    to_into = dict(zip(first, into, strict=True)) | dict(zip(out, into, strict=True))
    inside = set(into) | set(out)
    steps = [f.score for f in work if inside & set(f.score.axes)]
    starts = [f for f in work if set(first) & set(f.score.axes) and not inside & set(f.score.axes)]
    others = [f for f in work if not any(f is g for g in starts) and not inside & set(f.score.axes)]
    moving = [_time_first(s, chain.time) for s in steps if chain.time in s.axes]
    fixed = [s for s in steps if chain.time not in s.axes]
    rest = union(*(s.axes for s in moving + fixed), *(f.score.axes for f in starts))
    state_axes = union([a for a in rest if a not in inside and a not in first], into)
    alpha = spread(rename(_add([f.score for f in starts]), to_into), state_axes)

    def step(alpha: Arr, now: list[Arr]) -> tuple[Arr, Arr]:
        scores = [*fixed, *now]
        coupling = [s for s in scores if set(into) & set(s.axes)]
        arrival = [s for s in scores if not set(into) & set(s.axes)]
        reached = _log_sum_exp(spread(_add([alpha, *coupling]), union(into, out)), into)
        after = _add([reached, *arrival])
        return spread(rename(after, to_into), state_axes), alpha

    end, filtered = jax.lax.scan(step, alpha, moving, length=chain.time.size)
    record.append(Forwarded(chain, filtered, tuple(steps)))
    plates = tuple(p for p in into[0].plates if p != chain.time)
    done = rename(end, dict(zip(into, last, strict=True)))
    return [*others, _close_plates(Factor(done, plates))]


# ------------------------------------------------------------------------------ drawing them back


def draw_back(record: list[Any], omega: Any, axes: Axes) -> tuple[Any, dict[Axis, Arr]]:
    """Positions on the eliminated axes, drawn from their joint law given everything else.

    Law: the exact conditional, since each elimination kept the joint score it summed. The
    position of an axis varies along `axes` and the plates it was born under.
    """
    at: dict[Axis, Arr] = {}
    for step in reversed(record):
        if isinstance(step, Eliminated):
            logits = _at(step.joint, at, keep=(step.axis,))
            along = union(axes, step.axis.plates)
            omega, at[step.axis] = _draw(step.axis, logits, along, omega, step.axis.name)
        else:
            omega = _draw_chain(step, omega, axes, at)
    return omega, at


def _at(score: Arr, at: Mapping[Axis, Arr], keep: Axes) -> Arr:
    """The score at the positions already drawn, as a function of the axes in `keep`."""
    for axis in [a for a in score.axes if a.enumerated and a not in keep]:
        score = index(close_event(score, axis), at[axis])
    return score


def _draw(axis: Axis, logits: Arr, along: Axes, omega: Any, name: str) -> tuple[Any, Arr]:
    table = close_event(spread(logits, along), axis)
    shape = tuple(a.size for a in table.axes)
    omega, drawn = omega.draw(("sum", name), nd.Categorical(logits=table.data), shape)
    return omega, Arr(jnp.asarray(drawn, jnp.result_type(int)), table.axes)


def _draw_chain(done: Forwarded, omega: Any, axes: Axes, at: dict[Axis, Arr]) -> Any:
    """Backward sampling: into_t given out_t, proportional to filtered_t(into) step_t(into, out)."""
    chain = done.chain
    time, links = chain.time, chain.links
    into = tuple(link.into for link in links)
    along = union(axes, [p for p in into[0].plates if p != time])
    moving = [_time_first(s, time) for s in done.steps if time in s.axes]
    fixed = [s for s in done.steps if time not in s.axes]
    later = tuple(spread(at[link.last], along) for link in links)
    outside = {a: v for a, v in at.items() if a.enumerated}

    def step(carry: tuple[Any, tuple[Arr, ...]], now: Any) -> Any:
        omega, reached = carry
        t, alpha, scores = now
        here = {**outside, **{link.out: v for link, v in zip(links, reached, strict=True)}}
        coupling = [s for s in (*fixed, *scores) if set(into) & set(s.axes)]
        joint = _at(_add([alpha, *coupling]), here, keep=into)
        inner = omega.enter(t)
        drawn: dict[Axis, Arr] = {}
        for i, axis in enumerate(into):
            remaining = _at(joint, drawn, keep=into[i:])
            marginal = _log_sum_exp(remaining, tuple(a for a in into[i + 1 :] if a in remaining.axes))
            inner, drawn[axis] = _draw(axis, marginal, along, inner, axis.name)
        entered = tuple(spread(drawn[a], along) for a in into)
        return (omega.leave(inner), entered), (entered, reached)

    (omega, entered), (ins, outs) = jax.lax.scan(
        step, (omega, later), (jnp.arange(time.size), done.filtered, moving), reverse=True
    )
    for k, link in enumerate(links):
        at[link.first] = entered[k]
        for axis, history in ((link.into, ins[k]), (link.out, outs[k])):
            varying = (*history.axes, time)
            data = jnp.moveaxis(history.data, 0, len(history.axes))
            at[axis] = rename(Arr(data, varying), {})
    return omega


"""Exact sums over finite discrete choices: tensor variable elimination with plates and chains.

The measure of a program whose finite sites are enumeration axes is a product of factors, log-score
tensors over named axes. A factor stands for one term of the product for every element of its
`pending` plates. Eliminating an axis adds up the factors that mention it and takes the log-sum-exp;
a plate that no remaining axis was born under is then summed (its product taken). An axis can be
eliminated once the factors that mention it are pending on exactly the plates it was born under.
A chain (a scan whose carry is summed) is a plate over time whose out-axes at t are the in-axes at
t + 1; it is eliminated by the forward recursion. Where a factor couples its last state with its
first one, the recursion runs for each first state.

Eliminations are recorded; undone in reverse they draw the sites from their joint law given
everything else.

Obermeyer et al., Tensor variable elimination for plated factor graphs, ICML 2019. For chains:
Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77(2), 1989.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.xla.arrays import index
from ppl.semantics.xla.axes import (
    Arr,
    Axes,
    Axis,
    at_position,
    close_event,
    position,
    rename,
    spread,
    sum_axis,
    union,
)
from ppl.semantics.xla.forward import Scores, add, filtered, log_sum, log_sum_exp, time_first
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

    def axes(self, *places: str) -> Axes:
        """Those of every link at these places: "first", "into", "out", "last"."""
        return tuple(getattr(link, place) for place in places for link in self.links)


@dataclass(frozen=True)
class Eliminated:
    """`joint`: the score over the axis and all it was coupled with, just before it was summed."""

    axis: Axis
    joint: Arr


@dataclass(frozen=True)
class Chained:
    """`scores`: those of a chain, just before it was summed."""

    chain: Chain
    scores: Scores


def eliminate(
    factors: tuple[Factor, ...], chains: tuple[Chain, ...]
) -> tuple[tuple[Arr, ...], list[Any]]:
    """Sum out every enumeration axis. Returns the remaining scores and the record.

    Raises E805 if elements of a plate are coupled, or a factor would exceed the clique budget.
    """
    record: list[Any] = []
    work = [_close_plates(f) for f in factors]
    waiting = list(chains)
    while True:
        in_chain = {a for c in waiting for a in c.axes("first", "into", "out", "last")}
        axes = {a for f in work for a in f.summed}
        if not axes:
            return tuple(f.score for f in work), record
        ready = [a for a in axes - in_chain if _ready(a, work)]
        if ready:
            axis = min(ready, key=lambda a: (_table(a, work), a))
            work = _sum_out(axis, work, record)
            continue
        chain = next((c for c in waiting if _chain_ready(c, work)), None)
        if chain is None:
            between = {a for c in waiting for a in c.axes("first", "into", "last")}
            raise _coupled(min(axes - between or axes))
        waiting.remove(chain)
        work = _sum_chain(chain, work, record)


def _touching(axis: Axis, work: list[Factor]) -> list[Factor]:
    return [f for f in work if axis in f.score.axes]


def _ready(axis: Axis, work: list[Factor]) -> bool:
    return all(set(f.pending) == set(axis.plates) for f in _touching(axis, work))


def _table(axis: Axis, work: list[Factor]) -> int:
    return prod(a.size for a in union(*(f.summed for f in _touching(axis, work))))


def _sum_out(axis: Axis, work: list[Factor], record: list[Any]) -> list[Factor]:
    if _table(axis, work) > CLIQUE:
        raise _too_large(f"`{axis.name}`", _table(axis, work))
    joint = add([f.score for f in _touching(axis, work)])
    record.append(Eliminated(axis, joint))
    out = Factor(log_sum_exp(joint, (axis,)), axis.plates)
    return [f for f in work if axis not in f.score.axes] + [_close_plates(out)]


def _close_plates(f: Factor) -> Factor:
    """Take the product over the pending plates that no summed axis was born under."""
    needed = {p for a in f.summed for p in a.plates}
    score = f.score
    for plate in f.pending:
        if plate not in needed:
            score = sum_axis(score, plate)
    return Factor(score, tuple(p for p in f.pending if p in needed))


def _too_large(what: str, states: int) -> DiagnosticError:
    return fail(
        "E805",
        f"summing out {what} would couple {states:,} joint states (the limit is {CLIQUE:,})",
        hint="sample the discrete sites instead (smc, mcmc), or make the draws independent",
    )


def _coupled(axis: Axis) -> DiagnosticError:
    return fail(
        "E805",
        f"`{axis.name}` cannot be summed out: different elements of its plate are coupled",
        hint="use each element only inside a `for` over its array, or sample the site "
        "(importance, smc, mcmc)",
    )


# --------------------------------------------------------------------------------------- chains


def _chain_ready(chain: Chain, work: list[Factor]) -> bool:
    """Whether no plate is open but the chain's own, and nothing else is summed in its steps."""
    inside, ends = set(chain.axes("into", "out")), set(chain.axes("first", "last"))
    plates = set(chain.links[0].into.plates)
    for f in work:
        mentioned = set(f.summed)
        if mentioned & inside:
            if set(f.pending) != plates or any(chain.time in a.plates for a in mentioned - inside):
                return False
        elif mentioned & ends and set(f.pending) != plates - {chain.time}:
            return False
    return True


def _sum_chain(chain: Chain, work: list[Factor], record: list[Any]) -> list[Factor]:
    into, out = chain.axes("into"), chain.axes("out")
    first, last = (dict(zip(chain.axes(at), into, strict=True)) for at in ("first", "last"))

    def touching(*axes: Axis) -> list[Factor]:
        return [f for f in work if any(a in f.score.axes for a in axes)]

    steps, ends = touching(*into, *out), touching(*last)
    # a first state that is coupled with the last stays an axis: the recursion runs for each
    held = {a: i for a, i in first.items() if any(a in f.score.axes for f in ends)}
    free = {a: i for a, i in first.items() if a not in held}
    starts = touching(*free)
    beside = union(*(f.summed for f in (*steps, *starts, *ends)))
    states = prod(a.size for a in union(beside, into) if a not in {*out, *free, *last})
    if states > CLIQUE:
        raise _too_large(f"the states of the loop over `{chain.time.name}`", states)
    zero = spread(Arr(jnp.zeros((), jnp.result_type(float))), into)
    same = [at_position(position(a, 0, like=0), i) for a, i in held.items()]
    scores = Scores(
        add([zero, *same, *(rename(f.score, free) for f in starts)]),
        tuple(f.score for f in steps if chain.time not in f.score.axes),
        tuple(time_first(f.score, chain.time) for f in steps if chain.time in f.score.axes),
        add([zero, *(rename(f.score, last) for f in ends)]),
        chain.time,
        into,
        out,
    )
    record.append(Chained(chain, scores))
    plates = tuple(p for p in into[0].plates if p != chain.time)
    used = {*into, *out, *free, *last}
    rest = [f for f in work if not used & set(f.score.axes)]
    return [*rest, _close_plates(Factor(log_sum(scores), plates))]


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
    omega, drawn = omega.draw(("sum", name), D.make("categorical_logit", (table.data,)), shape)
    return omega, Arr(jnp.asarray(drawn, jnp.result_type(int)), table.axes)


def _draw_chain(done: Chained, omega: Any, axes: Axes, at: dict[Axis, Arr]) -> Any:
    """Backward sampling: the last state, then each state given the one after it."""
    chain, scores = done.chain, done.scores
    time, links, into = chain.time, chain.links, done.scores.into
    along = union(axes, [p for p in into[0].plates if p != time])
    outside = dict(at)
    end, filtered_scores = filtered(scores)

    def draw_state(joint: Arr, omega: Any) -> tuple[Any, tuple[Arr, ...]]:
        drawn: dict[Axis, Arr] = {}
        for i, axis in enumerate(into):
            remaining = _at(joint, drawn, keep=into[i:])
            marginal = log_sum_exp(
                remaining, tuple(a for a in into[i + 1 :] if a in remaining.axes)
            )
            omega, drawn[axis] = _draw(axis, marginal, along, omega, axis.name)
        return omega, tuple(spread(drawn[a], along) for a in into)

    def step(carry: tuple[Any, tuple[Arr, ...]], now: Any) -> Any:
        omega, reached = carry
        t, alpha, moving = now
        here = {**outside, **dict(zip(scores.out, reached, strict=True))}
        coupling, _ = scores.step(moving)
        inner, entered = draw_state(_at(add([alpha, *coupling]), here, keep=into), omega.enter(t))
        return (omega.leave(inner), entered), (entered, reached)

    omega, later = draw_state(_at(add([end, scores.final]), outside, keep=into), omega)
    (omega, entered), (ins, outs) = jax.lax.scan(
        step,
        (omega, later),
        (jnp.arange(time.size), filtered_scores, scores.moving),
        reverse=True,
    )
    for k, link in enumerate(links):
        at[link.first], at[link.last] = entered[k], later[k]
        for axis, history in ((link.into, ins[k]), (link.out, outs[k])):
            at[axis] = rename(Arr(history.data, (time, *history.axes)), {})
    return omega

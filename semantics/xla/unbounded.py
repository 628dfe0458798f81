"""Loops without a bound: `iterate … until`, and what tail recursion shares with it.

A `lax.while_loop` over all lanes, each of which steps until it is done. What is drawn in step t is
keyed by t and masked where a lane is done, so that a lane's values depend on no other lane. There
is no derivative through such a loop, and no density of draws inside it: their number has no bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import DiagnosticError, Span, fail
from ppl.semantics.xla.axes import Arr, Axes, align, elementwise, union
from ppl.semantics.xla.carries import (
    carried,
    carry_axes,
    closed_form,
    holds_code,
    moved_on,
    time_event,
    time_first,
)
from ppl.semantics.xla.faults import Fault
from ppl.semantics.xla.fixed import without_elements
from ppl.semantics.xla.join import join
from ppl.semantics.xla.points import PROPOSED
from ppl.semantics.xla.pure import value
from ppl.semantics.xla.state import Env, Scope, State
from ppl.semantics.xla.steps import ROOM, Steps
from ppl.semantics.xla.values import RValue, map_leaves, to_arr

Result = tuple[RValue, State]

#: numbers of one block of lanes that the steps of a loop may fill
CAPACITY = 1 << 24


class Step(NamedTuple):
    """One step: the carry after it, the lanes that go on, and what happened. `result` is what the
    lanes that ended in this step gave (recursion), `end` where the step ended."""

    carry: RValue
    alive: Arr
    omega: Any
    state: Mapping[str, Any]
    faults: tuple[Any, ...]
    result: RValue = None
    end: Arr | None = None


#: (carry, lanes alive, randomness of the loop, number of the step) -> what the step does
Body = Callable[[RValue, Arr, Any, Any], Step]


def iterate(node: ir.Iterate, env: Env, state: State, scope: Scope) -> Result:
    """`iterate x = e until c { … }`."""
    from ppl.semantics.xla.run import run

    scope = without_elements(scope)
    effectful = node.body.effectful
    if effectful:
        refuse_density("this loop", node.span, state)
    read = (node.body.free | node.until.free) - {node.carry.name}
    start = value(node.init, env, scope)
    if scope.smooth:
        start = without_derivative(start, "this loop", node.span)
        env = {**env, **without_derivative({k: env[k] for k in read}, "this loop", node.span)}
    axes = loop_axes(carry_axes(read, (start,), effectful, env, scope), scope)
    given = owned(scope)

    def until(current: RValue, alive: Arr, faults: list[Any] | None, now: Any) -> Arr:
        """The lanes that go on."""
        inner = replace(scope.under(alive), given=now, faults=faults)
        stop, _ = run(node.until, {**env, node.carry.name: current}, State(), inner)
        return carried(elementwise(lambda a, s: a & ~s, alive, to_arr(stop)), axes)

    def step(current: RValue, alive: Arr, omega: Any, t: Any) -> Step:
        faults: list[Any] | None = None if scope.faults is None else []
        now = at_step(given, t)
        inner = replace(scope.under(alive), given=now, faults=faults)
        begin = State(omega=omega.enter(t) if effectful else None, extra=state.extra)
        out, end = run(node.body, {**env, node.carry.name: current}, begin, inner)
        moved = same_form(out, current, alive, axes, node.carry.type, node.span)
        left = omega.leave(end.omega) if effectful else None
        goes_on = until(moved, alive, faults, now)
        return Step(moved, goes_on, left, happened(end), tuple(faults or ()))

    alive = carried(to_arr(True) if scope.mask is None else scope.mask, axes)
    init, omega = carried(start, axes), state.omega if effectful else None
    if holds_code(node.carry.type):
        start = lambda v: step(v, alive, omega, jnp.asarray(0)).carry  # noqa: E731
        init = one_form(lambda: closed_form(start, init, node.span), node.span)
    alive = until(init, alive, scope.faults, at_step(given, jnp.asarray(0)))
    last, _, state = repeat(step, init, alive, omega, state, scope, span=node.span)
    return last, state


def same_form(
    out: RValue, current: RValue, alive: Arr, axes: Axes, type: T.Type, span: Span | None
) -> RValue:
    """The next carry, in the form of this one. Raises E715 if it has another."""
    return one_form(
        lambda: moved_on(join(alive, out, current, span), current, axes, type, span), span
    )


def one_form(make: Callable[[], RValue], span: Span | None) -> RValue:
    """A value that a loop holds. Raises E715 if it has not one form and size in all steps."""
    try:
        return make()
    except DiagnosticError as error:
        (first, *_) = error.diagnostics
        if first.code not in ("E701", "E704"):
            raise
        raise not_here(f"this loop has no bound, and {first.message}", span) from None


def not_here(what: str, span: Span | None) -> DiagnosticError:
    return fail(
        "E715",
        what,
        span=span,
        hint="give it a bound or a state of one form and size, or run with engine='machine'",
    )


# ------------------------------------------------------------------------------------- refusals


def refuse_density(what: str, span: Span | None, state: State) -> None:
    """Raise E713 where choices inside are not drawn but need a density."""
    if state.omega is None:
        raise fail(
            "E713",
            f"{what} has no bound, so its random choices have no density: how many there are "
            "depends on themselves",
            span=span,
            hint="give it one, `iterate … until … max 100`, or use importance",
        )


def without_derivative(v: RValue, what: str, span: Span | None) -> RValue:
    """The same value; to differentiate what comes of it is refused (E714)."""

    @jax.custom_jvp
    def same(x: Any) -> Any:
        return x

    @same.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        raise fail(
            "E714",
            f"{what} has no bound, and its value depends on continuous random choices: there is "
            "no gradient through it",
            span=span,
            hint="give it a bound, `iterate … until … max 100`, or use importance",
        )

    def one(a: Arr) -> Arr:
        return replace(a, data=same(a.data)) if jnp.issubdtype(a.dtype, jnp.floating) else a

    return jax.tree.map(
        lambda a: one(a) if isinstance(a, Arr) else a, v, is_leaf=lambda a: isinstance(a, Arr)
    )


# -------------------------------------------------------------------------------------- the loop


def loop_axes(axes: Axes, scope: Scope) -> Axes:
    """The axes of a carry, with those along which lanes are masked."""
    return axes if scope.mask is None else union(axes, scope.mask.axes)


def owned(scope: Scope) -> dict[str, Arr]:
    """What is given for the steps of the loop at this path, steps first; missing beyond its end.
    What a guide proposes is not: it would have to be told where it is missing."""
    out = {}
    for k, v in scope.given.items():
        if scope.owns(k) and PROPOSED not in k and v.event_rank and v.event_shape[0]:
            out[k] = time_first(v)
    return out


def at_step(given: Mapping[str, Arr], t: Any) -> dict[str, Arr]:
    """What is given for step t, missing if there is nothing."""
    real = jnp.result_type(float)

    def one(a: Arr) -> Arr:
        data = jnp.asarray(a.data, real)
        return Arr(jnp.take(data, t, axis=0, mode="fill", fill_value=jnp.nan), a.axes)

    return {k: one(v) for k, v in given.items()}


def happened(end: State) -> Mapping[str, Any]:
    """What a step adds to the state."""
    return {
        "sites": dict(end.sites),
        "kept": dict(end.kept),
        "observed": dict(end.observed),
        "scores": end.scores,
    }


def repeat(
    step: Body,
    init: RValue,
    alive: Arr,
    omega: Any,
    state: State,
    scope: Scope,
    *,
    span: Span | None,
    places: tuple[tuple[str, ...], ...] | None = None,
) -> tuple[RValue, RValue, State]:
    """Step until no lane is alive: (the last carry, the results of the lanes' last steps, state).

    A lane whose score is zero is done: nothing that it would do has any mass. A lane that is alive
    after `scope.limit` steps is an error when the results are looked at (E843).
    """
    first = (init, alive, omega, jnp.zeros((), jnp.result_type(int)))
    traced, shape = jax.make_jaxpr(step, return_shape=True)(*first)
    call = jaxpr_as_fun(traced)
    recorded = _rows(shape)
    _refuse_settings(recorded, scope, span)
    room = _room(scope, recorded, span)

    def run(carry: RValue, lanes: Arr, omega: Any, t: Any) -> Step:
        flat = jax.tree.leaves((carry, lanes, omega, t))
        return jax.tree.unflatten(jax.tree.structure(shape), call(*flat))

    def go_on(at: Any) -> Any:
        _, lanes, omega, t, *_ = at
        more = jnp.any(lanes.data) & (t < scope.limit)
        return more if omega is None else more & omega.has_room

    def once(at: Any) -> Any:
        carry, lanes, omega, t, result, scores, faults, rows = at
        now = run(carry, lanes, omega, t)
        ended = elementwise(lambda a, b: a & ~b, lanes, now.alive)
        result = jax.tree.map(lambda new, old: _where(ended, new, old), now.result, result,
                              is_leaf=_is_arr)  # fmt: skip
        scores = jax.tree.map(jnp.add, scores, now.state["scores"])
        faults = jax.tree.map(jnp.logical_or, faults, now.faults)
        rows = jax.tree.map(lambda r, x: r.at[t].set(x, mode="drop"), rows, _rows(now))
        left = _with_mass(now.alive, scores)
        return now.carry, left, now.omega, t + 1, result, scores, faults, rows

    begin = (
        *first,
        _zeros(shape.result),
        _zeros(shape.state["scores"]),
        _zeros(shape.faults),
        jax.tree.map(lambda s: _missing((room, *s.shape), s.dtype), recorded),
    )
    carry, lanes, omega, t, result, scores, faults, rows = jax.lax.while_loop(go_on, once, begin)
    if scope.faults is not None:
        scope.faults.extend((*faults, _unfinished(lanes, t, span, scope)))
    if omega is not None:
        state = replace(state, omega=omega)
    for f in scores:
        state = state.scored(f.score, f.pending)
    if rows is not None:
        state = _recorded(state, rows, Arr(t), scope.path, places)
    return carry, result, state


def _rows(now: Step) -> Any:
    """What of a step is recorded; None if nothing has a name."""
    tables = {k: now.state[k] for k in ("sites", "kept", "observed")}
    return (tables, now.end) if jax.tree.leaves(tables) else None


def _refuse_settings(recorded: Any, scope: Scope, span: Span | None) -> None:
    """Raise E715 if a value is set for a name inside: it would be for one step, or for all."""
    names = {n for table in (recorded[0].values() if recorded else ()) for n in table}
    for name in sorted(names & scope.fixed.keys()):
        raise not_here(f"`{name}` is inside a loop without a bound, where it cannot be set", span)


def _is_arr(v: Any) -> bool:
    return isinstance(v, Arr)


def _zeros(tree: Any) -> Any:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), tree)


def _missing(shape: tuple[int, ...], dtype: Any) -> Any:
    return jnp.full(shape, jnp.nan if jnp.issubdtype(dtype, jnp.floating) else -1, dtype)


def _where(mask: Arr, new: Arr, old: Arr) -> Arr:
    """`new` where `mask` holds; all three vary along the same axes."""
    lanes = align(mask, new.axes)
    lanes = lanes.reshape(lanes.shape + (1,) * new.event_rank)
    return replace(new, data=jnp.where(lanes, new.data, old.data))


def _with_mass(alive: Arr, scores: Any) -> Arr:
    for f in scores:
        alive = elementwise(lambda a, s: a & (s > -jnp.inf), alive, f.score)
    return alive


def _room(scope: Scope, recorded: Any, span: Span | None) -> int:
    """How many steps to record. Raises E715 if they would not fit."""
    room = scope.rooms.get(scope.path, ROOM)
    size = sum(s.size for s in jax.tree.leaves(recorded))
    if room * size > CAPACITY:
        raise not_here(
            f"this loop took too many steps (more than {CAPACITY // size:,}) to keep what is drawn "
            "in each",
            span,
        )
    return room


def _unfinished(alive: Arr, t: Any, span: Span | None, scope: Scope) -> Fault:
    loop = "/".join(scope.path)
    what = f"the loop `{loop}`" if loop else "a loop"
    message = f"{what} did not end within {scope.limit:,} steps"
    return Fault(Arr(alive.data & (t >= scope.limit), alive.axes), "E843", message, span)


def _recorded(state: State, rows: Any, count: Arr, path: tuple[str, ...], places: Any) -> State:
    tables, ends = rows
    ends = None if ends is None else time_event(ends)

    def steps(v: RValue) -> Steps:
        return Steps(map_leaves(time_event, v), count, ends, path, places)

    def numbered(v: RValue) -> Steps:
        return Steps(map_leaves(time_event, v), count, None, path)

    state = replace(
        state,
        sites={**state.sites, **{k: steps(v) for k, v in tables["sites"].items()}},
        kept={**state.kept, **{k: steps(v) for k, v in tables["kept"].items()}},
    )
    for name, v in tables["observed"].items():
        state = state.observing(name, numbered(v))
    return state

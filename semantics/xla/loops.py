"""Plates and scans.

A plate is an axis: the body runs once, vectorised, and closing relabels its results as arrays. A
scan is a `lax.scan` whose carry holds what the loop threads; what happened inside (choices, kept
values) is stacked with time as the first event dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.xla.arrays import static_int
from ppl.semantics.xla.axes import Arr, Axis, elementwise, sum_axis
from ppl.semantics.xla.carries import (
    carried,
    carry_axes,
    closed_form,
    holds_code,
    moved_on,
    time_event,
    time_first,
)
from ppl.semantics.xla.faults import over_axis, over_time
from ppl.semantics.xla.fixed import at_binder, without_elements
from ppl.semantics.xla.join import join
from ppl.semantics.xla.pure import value
from ppl.semantics.xla.state import Env, Factor, Scope, State
from ppl.semantics.xla.summing import Summed, plate_of
from ppl.semantics.xla.values import (
    RValue,
    Seq,
    as_array,
    close_array,
    cut,
    elements,
    length,
    map_leaves,
    open_array,
    to_arr,
)

Result = tuple[RValue, State]


def _run(comp: ir.Comp, env: Env, state: State, scope: Scope) -> Result:
    from ppl.semantics.xla.run import run

    return run(comp, env, state, scope)


# --------------------------------------------------------------------------------------- plates


def plate(node: ir.For, env: Env, state: State, scope: Scope) -> Result:
    """`for`: independent iterations side by side along a fresh axis."""
    if node.guard is not None:
        return _filtered(node, env, state, scope)
    over = value(node.over, env, scope)
    axis = plate_of(over, node.param.name, scope)
    local = {**env, node.param.name: open_array(over, axis)}
    return side_by_side(axis, lambda s, inner: _run(node.body, local, s, inner), state, scope)


def side_by_side(
    axis: Axis, body: Callable[[State, Scope], Result], state: State, scope: Scope
) -> Result:
    """The array of the results of independent runs of `body`, one for each element of `axis`."""
    given = {k: open_array(v, axis) for k, v in owned_elements(scope, axis.size).items()}
    given |= whole_masks(scope)
    inner = replace(scope.along(axis), given=given, faults=_region(scope))
    out, end = at_binder(body, State(omega=state.omega, extra=state.extra), inner)
    if scope.faults is not None:
        scope.faults.extend(over_axis(inner.faults or (), axis))
    done = closed_tables(replace(state, omega=end.omega, extra=end.extra), end, axis)
    return _close_result(out, axis), close_scores(done, end.scores, axis)


def owned_elements(scope: Scope, n: int) -> dict[str, Arr]:
    """What is given for the iterations of the loop at this path (another size is not for it)."""
    return {
        k: v
        for k, v in scope.given.items()
        if scope.owns(k) and v.event_rank and v.event_shape[0] == n
    }


def whole_masks(scope: Scope) -> dict[str, Arr]:
    """The masks of what is set in all iterations alike, or in none, of the loop at this path."""
    masks = ((k, scope.given.get(k)) for k in (f.mask_key for f in scope.fixed.values()))
    return {k: m for k, m in masks if m is not None and not m.event_rank and scope.owns(k)}


def _region(scope: Scope) -> list[Any] | None:
    return None if scope.faults is None else []


def closed_tables(state: State, end: State, axis: Axis) -> State:
    """What happened in the elements of a plate, as arrays over it."""
    state = replace(
        state,
        sites={**state.sites, **_closed(end.sites, axis)},
        kept={**state.kept, **_closed(end.kept, axis)},
    )
    for name, score in _closed(end.observed, axis).items():
        state = state.observing(name, score)
    return state


def close_scores(state: State, scores: tuple[Factor, ...], axis: Axis) -> State:
    """The product over a plate, which waits where a choice born in the plate is still summed."""
    for f in scores:
        if any(axis in a.plates for a in f.summed):
            state = state.scored(f.score, (*f.pending, axis))
        else:
            state = state.scored(sum_axis(f.score, axis), f.pending)
    return state


def _closed(table: Mapping[str, RValue], axis: Any) -> dict[str, RValue]:
    return {k: close_array(v, axis) for k, v in table.items()}


def _close_result(out: RValue, axis: Any) -> RValue:
    return Seq((), axis.size) if out is None else close_array(out, axis)


def _filtered(node: ir.For, env: Env, state: State, scope: Scope) -> Result:
    """A comprehension with a condition, which must be known while compiling."""
    from ppl.semantics.xla.arrays import index, stack

    over = value(node.over, env, scope)
    out = []
    for i in range(length(over)):
        local = {**env, node.param.name: index(over, i, node.span)}
        assert node.guard is not None
        keep, _ = _run(node.guard, local, State(), scope)
        if not isinstance(keep, bool):
            raise fail(
                "E702",
                "which elements this comprehension keeps depends on values that are not known "
                "while compiling",
                span=node.span,
                hint="weight the elements instead of dropping them, or run with engine='machine'",
            )
        if keep:
            out.append(_run(node.body, local, State(), scope)[0])
    return stack(out, node.body.type, node.span), state


# ---------------------------------------------------------------------------------------- scans


def history_of(v: RValue, n: int) -> RValue:
    return as_array(map_leaves(time_event, v), n)


def nothing_happened(like: RValue) -> RValue:
    """The array of no states."""

    def none(a: Arr) -> Arr:
        lanes = tuple(axis.size for axis in a.axes)
        return Arr(jnp.zeros((*lanes, 0, *a.event_shape), a.dtype), a.axes)

    return as_array(map_leaves(none, like), 0)


def scan(node: ir.Scan, env: Env, state: State, scope: Scope) -> Result:
    """`scan` and `fold`: a state threaded through the elements in order."""
    if node.keep == "last":
        scope = without_elements(scope)
    over = value(node.over, env, scope)
    n = length(over)
    owned = owned_elements(scope, n)
    start = value(node.init, env, scope)
    if n == 0:  # the body never runs
        return (nothing_happened(start) if node.keep == "all" else start), state
    if isinstance(state.extra, Summed):
        from ppl.semantics.xla.chains import chain

        done = chain(node, env, over, start, state, scope)
        if done is not None:
            return done
    read = node.body.free - {node.carry.name, node.param.name}
    axes = carry_axes(read, (over, start), node.body.effectful, env, scope)
    init = carried(start, axes)
    steps = map_leaves(time_first, elements(over))
    given = {k: map_leaves(time_first, elements(v)) for k, v in owned.items()}

    def step(carry: tuple[RValue, Any], x: tuple[Any, RValue, Mapping[str, RValue]]) -> Any:
        (current, omega), (t, item, now) = carry, x
        local = {**env, node.carry.name: current, node.param.name: item}
        begin = State(omega=omega.enter(t) if omega is not None else None, extra=state.extra)
        inner = replace(scope, given={**now, **whole_masks(scope)}, faults=_region(scope))
        out, end = at_binder(lambda s, sc: _run(node.body, local, s, sc), begin, inner)
        moved = moved_on(out, current, axes, node.carry.type, node.span)
        left = omega.leave(end.omega) if omega is not None else None
        kept = moved if node.keep == "all" else None
        return (moved, left), (kept, end.sites, end.kept, end.observed, end.scores, inner.faults)

    inputs = (jnp.arange(n), steps, given)
    if holds_code(node.carry.type):
        first = jax.tree.map(lambda x: x[0], inputs)
        init = closed_form(lambda v: step((v, state.omega), first)[0][0], init, node.span)
    (last, omega), happened = jax.lax.scan(step, (init, state.omega), inputs, length=n)
    done = _merged(replace(state, omega=omega), happened, n, scope)
    return (history_of(happened[0], n) if node.keep == "all" else last), done


def _merged(state: State, happened: Any, n: int, scope: Scope) -> State:
    """What happened in the steps of a loop (time leads) becomes part of what happened."""
    _, sites, kept, observed, scores, faults = happened
    if scope.faults is not None:
        scope.faults.extend(over_time(faults))
    state = replace(
        state,
        sites={**state.sites, **{k: history_of(v, n) for k, v in sites.items()}},
        kept={**state.kept, **{k: history_of(v, n) for k, v in kept.items()}},
    )
    for name, s in observed.items():
        state = state.observing(name, history_of(s, n))
    for f in scores:
        state = state.scored(Arr(jnp.sum(f.score.data, axis=0), f.score.axes), f.pending)
    return state


def iterate(node: ir.Iterate, env: Env, state: State, scope: Scope) -> Result:
    """`iterate … max n`: a scan of n steps, each for the lanes that have not stopped."""
    scope = without_elements(scope)
    if node.limit is None:
        from ppl.semantics.xla import unbounded

        return unbounded.iterate(node, env, state, scope)
    n = static_int(value(node.limit, env, scope), "the limit of a loop", node.span)
    read = (node.body.free | node.until.free) - {node.carry.name}
    start = value(node.init, env, scope)
    axes = carry_axes(read, (start,), node.body.effectful, env, scope)
    given = {k: map_leaves(time_first, elements(v)) for k, v in owned_elements(scope, n).items()}

    def step(carry: tuple[RValue, Arr, Any], x: tuple[Any, Mapping[str, RValue]]) -> Any:
        (current, alive, omega), (t, now) = carry, x
        local = {**env, node.carry.name: current}
        given_now = {**now, **whole_masks(scope)}
        inner = replace(scope.under(alive), given=given_now, faults=_region(scope))
        stop, _ = _run(node.until, local, State(), inner)
        alive = carried(elementwise(lambda a, s: a & ~s, alive, to_arr(stop)), axes)
        inner = replace(scope.under(alive), given=now, faults=inner.faults)
        if scope.smooth:
            local |= {k: cut(local[k], alive) for k in node.body.free & local.keys()}
        begin = State(omega=omega.enter(t) if omega is not None else None, extra=state.extra)
        out, end = _run(node.body, local, begin, inner)
        if end.extra != state.extra:
            raise _summed_inside(node)
        moved = moved_on(
            join(alive, out, current, node.span), current, axes, node.carry.type, node.span
        )
        left = omega.leave(end.omega) if omega is not None else None
        return (moved, alive, left), (
            None,
            end.sites,
            end.kept,
            end.observed,
            end.scores,
            inner.faults,
        )

    init = carried(start, axes)
    steps = (jnp.arange(n), given)
    if n and holds_code(node.carry.type):
        alive = carried(to_arr(True), axes)
        first = jax.tree.map(lambda x: x[0], steps)
        init = closed_form(lambda v: step((v, alive, state.omega), first)[0][0], init, node.span)
    begin = (init, carried(to_arr(True), axes), state.omega)
    (last, _, omega), happened = jax.lax.scan(step, begin, steps, length=n)
    return last, _merged(replace(state, omega=omega), happened, n, scope)


def _summed_inside(node: ir.Iterate) -> DiagnosticError:
    return fail(
        "E806",
        "discrete choices inside `iterate` cannot be summed out",
        span=node.span,
        hint="write `scan` or `fold`, or use importance, smc or mcmc",
    )

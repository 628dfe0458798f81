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
from ppl.semantics.xla.axes import Arr, Axes, Axis, elementwise, spread, sum_axis, union
from ppl.semantics.xla.faults import over_axis, over_time
from ppl.semantics.xla.join import join
from ppl.semantics.xla.pure import value
from ppl.semantics.xla.state import Env, Factor, Scope, State
from ppl.semantics.xla.summing import Summed
from ppl.semantics.xla.values import (
    RValue,
    Seq,
    as_array,
    close_array,
    cut,
    elements,
    leaves,
    length,
    map_leaves,
    open_array,
    to_arr,
    varies_along,
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
    axis = _reopened(over) or scope.fresh_plate(
        "/".join((*scope.path, node.param.name)), length(over)
    )
    local = {**env, node.param.name: open_array(over, axis)}
    return side_by_side(axis, lambda s, inner: _run(node.body, local, s, inner), state, scope)


def side_by_side(
    axis: Axis, body: Callable[[State, Scope], Result], state: State, scope: Scope
) -> Result:
    """The array of the results of independent runs of `body`, one for each element of `axis`."""
    given = {k: open_array(v, axis) for k, v in _owned(scope, axis.size).items()}
    inner = replace(scope.along(axis), given=given, faults=_region(scope))
    out, end = body(State(omega=state.omega, extra=state.extra), inner)
    if scope.faults is not None:
        scope.faults.extend(over_axis(inner.faults or (), axis))
    done = closed_tables(replace(state, omega=end.omega, extra=end.extra), end, axis)
    return _close_result(out, axis), close_scores(done, end.scores, axis)


def _owned(scope: Scope, n: int) -> dict[str, Arr]:
    """What is given for the iterations of the loop at this path (another size is not for it)."""
    return {
        k: v
        for k, v in scope.given.items()
        if scope.owns(k) and v.event_rank and v.event_shape[0] == n
    }


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


def _reopened(over: RValue) -> Axis | None:
    """The plate that an array's elements still belong to, if they carry summed choices of it."""
    return next((a.closed[0] for a in leaves(elements(over)) if a.closed), None)


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


def _time_first(a: Arr) -> Arr:
    return Arr(jnp.moveaxis(a.data, len(a.axes), 0), a.axes)


def _time_event(a: Arr) -> Arr:
    return Arr(jnp.moveaxis(a.data, 0, len(a.axes)), a.axes)


def _history(v: RValue, n: int) -> RValue:
    return as_array(map_leaves(_time_event, v), n)


def scan(node: ir.Scan, env: Env, state: State, scope: Scope) -> Result:
    """`scan` and `fold`: a state threaded through the elements in order."""
    over = value(node.over, env, scope)
    n = length(over)
    owned = _owned(scope, n)
    start = value(node.init, env, scope)
    if isinstance(state.extra, Summed):
        from ppl.semantics.xla.chains import chain

        done = chain(node, env, over, start, state, scope)
        if done is not None:
            return done
    read = node.body.free - {node.carry.name, node.param.name}
    axes = carry_axes(read, (over, start), node.body.effectful, env, scope)
    init = carried(start, axes)
    steps = map_leaves(_time_first, elements(over))
    given = {k: map_leaves(_time_first, elements(v)) for k, v in owned.items()}

    def step(carry: tuple[RValue, Any], x: tuple[Any, RValue, Mapping[str, RValue]]) -> Any:
        (current, omega), (t, item, now) = carry, x
        local = {**env, node.carry.name: current, node.param.name: item}
        begin = State(omega=omega.enter(t) if omega is not None else None, extra=state.extra)
        inner = replace(scope, given=now, faults=_region(scope))
        out, end = _run(node.body, local, begin, inner)
        moved = moved_on(out, current, axes, node)
        left = omega.leave(end.omega) if omega is not None else None
        kept = moved if node.keep == "all" else None
        return (moved, left), (kept, end.sites, end.kept, end.observed, end.scores, inner.faults)

    inputs = (jnp.arange(n), steps, given)
    if n and _holds_code(node.carry.type):
        first = jax.tree.map(lambda x: x[0], inputs)
        init = _closed_form(lambda v: step((v, state.omega), first)[0][0], init, node)
    (last, omega), happened = jax.lax.scan(step, (init, state.omega), inputs, length=n)
    done = _merged(replace(state, omega=omega), happened, n, scope)
    return (_history(happened[0], n) if node.keep == "all" else last), done


def _merged(state: State, happened: Any, n: int, scope: Scope) -> State:
    """What happened in the steps of a loop (time leads) becomes part of what happened."""
    _, sites, kept, observed, scores, faults = happened
    if scope.faults is not None:
        scope.faults.extend(over_time(faults))
    state = replace(
        state,
        sites={**state.sites, **{k: _history(v, n) for k, v in sites.items()}},
        kept={**state.kept, **{k: _history(v, n) for k, v in kept.items()}},
    )
    for name, s in observed.items():
        state = state.observing(name, _history(s, n))
    for f in scores:
        state = state.scored(Arr(jnp.sum(f.score.data, axis=0), f.score.axes), f.pending)
    return state


def carry_axes(
    read: frozenset[str], inputs: tuple[RValue, ...], effectful: bool, env: Env, scope: Scope
) -> Axes:
    """Axes a carry may come to vary along: those of everything the body reads, and, when it
    draws, the open ones. Decided before tracing, so that the body is traced once."""
    found = [varies_along(env[name]) for name in sorted(read) if name in env]
    found += map(varies_along, inputs)
    found += [varies_along(v) for k, v in scope.given.items() if scope.owns(k)]
    if effectful:
        found.append(scope.axes)
    return union(*found)


def carried(v: RValue, axes: Axes) -> RValue:
    """A value in the form that a loop carries: numbers as arrays along `axes`."""
    return map_leaves(lambda a: replace(spread(a, axes), index=None), v)


def moved_on(v: RValue, current: RValue, axes: Axes, node: ir.Scan | ir.Iterate) -> RValue:
    """The state after a step in the form of the one before it, if it has that form."""
    out = carried(v, axes)
    if jax.tree.structure(out) != jax.tree.structure(current) and _holds_code(node.carry.type):
        # the new state's code is one of several
        out = carried(join(to_arr(False), current, out, node.span), axes)
    before, after = (
        jax.tree.leaves(x, is_leaf=lambda a: isinstance(a, Arr)) for x in (current, out)
    )
    for a, b in zip(before, after, strict=False):
        if isinstance(a, Arr) and isinstance(b, Arr) and a.event_shape != b.event_shape:
            raise fail(
                "E704",
                "the state carried by this loop changes its size: one step makes an array of shape "
                f"{a.event_shape} one of shape {b.event_shape}",
                span=node.span,
                hint="give the state its final size before the loop, and fill it in",
            )
    if jax.tree.structure(out) != jax.tree.structure(current):
        if _holds_code(node.carry.type):
            return out  # not closed under the body yet
        raise fail(
            "E701",
            "the state carried by this loop changes its form from step to step",
            span=node.span,
            hint="carry values of one form (texts cannot change), or run with engine='machine'",
        )
    return jax.tree.map(
        lambda a, b: (
            replace(a, data=jnp.asarray(a.data, b.data.dtype)) if isinstance(a, Arr) else a
        ),
        out,
        current,
        is_leaf=lambda x: isinstance(x, Arr),
    )


def _holds_code(t: Any) -> bool:
    from ppl.semantics import types as T

    match t:
        case T.Fun() | T.Dist() | T.Measure():
            return True
        case T.Tuple(items=items):
            return any(map(_holds_code, items))
        case T.Record(fields=fields):
            return any(_holds_code(f) for _, f in fields)
        case T.Array(item=item):
            return _holds_code(item)
    return False


#: steps after which the codes that a loop carries should all have been met
_FORMS = 8


def _closed_form(
    step: Callable[[RValue], RValue], init: RValue, node: ir.Scan | ir.Iterate
) -> RValue:
    """A carry of functions in a form that the body maps to itself: the union of all codes met."""
    for _ in range(_FORMS):
        out = jax.eval_shape(step, init)
        if jax.tree.structure(init) == jax.tree.structure(out):
            return init
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), out)
        init = join(to_arr(True), init, zeros, node.span)
    raise fail(
        "E701",
        "the function carried by this loop grows with every step",
        span=node.span,
        hint="run with engine='machine'",
    )


def iterate(node: ir.Iterate, env: Env, state: State, scope: Scope) -> Result:
    """`iterate … max n`: a scan of n steps, each for the lanes that have not stopped."""
    if node.limit is None:
        raise fail(
            "E706",
            "a loop without a bound does not run on XLA",
            span=node.span,
            hint="give it one, `iterate … until … max 100`, or run with engine='machine'",
        )
    n = static_int(value(node.limit, env, scope), "the limit of a loop", node.span)
    read = (node.body.free | node.until.free) - {node.carry.name}
    start = value(node.init, env, scope)
    axes = carry_axes(read, (start,), node.body.effectful, env, scope)
    given = {k: map_leaves(_time_first, elements(v)) for k, v in _owned(scope, n).items()}

    def step(carry: tuple[RValue, Arr, Any], x: tuple[Any, Mapping[str, RValue]]) -> Any:
        (current, alive, omega), (t, now) = carry, x
        local = {**env, node.carry.name: current}
        inner = replace(scope.under(alive), given=now, faults=_region(scope))
        stop, _ = _run(node.until, local, State(), inner)
        alive = carried(elementwise(lambda a, s: a & ~s, alive, to_arr(stop)), axes)
        inner = replace(scope.under(alive), given=now, faults=inner.faults)
        if scope.smooth:
            local |= {k: cut(local[k], alive) for k in node.body.free & local.keys()}
        begin = State(omega=omega.enter(t) if omega is not None else None, extra=state.extra)
        out, end = _run(node.body, local, begin, inner)
        if end.extra != state.extra:
            raise _summed_inside(node)
        moved = moved_on(join(alive, out, current, node.span), current, axes, node)
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
    if n and _holds_code(node.carry.type):
        alive = carried(to_arr(True), axes)
        first = jax.tree.map(lambda x: x[0], steps)
        init = _closed_form(lambda v: step((v, alive, state.omega), first)[0][0], init, node)
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

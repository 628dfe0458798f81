"""Plates and scans.

A plate is an axis: the body runs once, vectorised, and closing relabels its results as arrays. A
scan is a `lax.scan` whose carry holds what the loop threads; what happened inside (choices, kept
values) is stacked with time as the first event dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.diagnostics import fail
from ppl.semantics.xla.axes import Arr, Axes, Axis, spread, sum_axis, union
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
    given = {k: open_array(v, axis) for k, v in _owned(scope, axis.size).items()}
    inner = replace(scope.along(axis), given=given, faults=_region(scope))
    item = open_array(over, axis)
    start = State(omega=state.omega, extra=state.extra)
    out, end = _run(node.body, {**env, node.param.name: item}, start, inner)
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
        local = {**env, node.param.name: _static_element(over, i)}
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
            local[node.param.name] = index(over, i, node.span)
            out.append(_run(node.body, local, State(), scope)[0])
    return stack(out, node.body.type, node.span), state


def _static_element(over: RValue, i: int) -> RValue:
    from ppl.semantics.xla.arrays import index

    if isinstance(over, Arr) and over.index is not None and over.index[0] is None:
        return over.index[1] + i
    return index(over, i)


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
    axes = carry_axes(node, env, over, scope)
    init = carried(start, axes)
    steps = map_leaves(_time_first, elements(over))
    given = {k: map_leaves(_time_first, elements(v)) for k, v in owned.items()}

    def step(carry: tuple[RValue, Any], x: tuple[Any, RValue, Mapping[str, RValue]]) -> Any:
        (current, omega), (t, item, now) = carry, x
        local = {**env, node.carry.name: current, node.param.name: item}
        begin = State(omega=omega.enter(t) if omega is not None else None, extra=state.extra)
        inner = replace(scope, given=now, faults=_region(scope))
        out, end = _run(node.body, local, begin, inner)
        moved = carried(out, axes, like=current)
        left = omega.leave(end.omega) if omega is not None else None
        kept = moved if node.keep == "all" else None
        return (moved, left), (kept, end.sites, end.kept, end.observed, end.scores, inner.faults)

    if _holds_code(node.carry.type):
        init = _closed_form(step, init, state.omega, steps, given, n, node)
    (last, omega), (states, sites, kept, observed, scores, faults) = jax.lax.scan(
        step, (init, state.omega), (jnp.arange(n), steps, given), length=n
    )
    if scope.faults is not None:
        scope.faults.extend(over_time(faults))
    done = replace(
        state,
        omega=omega,
        sites={**state.sites, **{k: _history(v, n) for k, v in sites.items()}},
        kept={**state.kept, **{k: _history(v, n) for k, v in kept.items()}},
    )
    for name, s in observed.items():
        done = done.observing(name, _time_event(s))
    for f in scores:
        done = done.scored(Arr(jnp.sum(f.score.data, axis=0), f.score.axes), f.pending)
    return (_history(states, n) if node.keep == "all" else last), done


def carry_axes(node: ir.Scan, env: Env, over: RValue, scope: Scope) -> Axes:
    """Axes the carry may come to vary along: those of everything the body reads, and, when it
    draws, the open ones. Decided before tracing, so that the body is traced once."""
    read = node.body.free - {node.carry.name, node.param.name}
    found = [varies_along(env[name]) for name in sorted(read) if name in env]
    found += [varies_along(over), varies_along(value(node.init, env, scope))]
    found += [varies_along(v) for k, v in scope.given.items() if scope.owns(k)]
    if node.body.effectful:
        found.append(scope.axes)
    return union(*found)


def carried(v: RValue, axes: Axes, like: RValue | None = None) -> RValue:
    """A value in the form that a loop carries: numbers as arrays along `axes`."""
    out = map_leaves(lambda a: replace(spread(a, axes), index=None), v)
    if like is None:
        return out
    return jax.tree.map(
        lambda a, b: replace(a, data=jnp.asarray(a.data, b.data.dtype)),
        out,
        like,
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


def _closed_form(
    step: Any, init: RValue, omega: Any, steps: Any, given: Any, n: int, node: ir.Scan
) -> RValue:
    """A carry of functions in a form that the body maps to itself: the union of all codes met."""
    for _ in range(8):
        first = jax.tree.map(lambda x: x[0], (jnp.arange(max(n, 1)), steps, given)) if n else None
        if first is None:
            return init
        shape: Any = None

        def probe(start: RValue, w: Any, x: Any) -> Any:
            nonlocal shape
            (out, _), _ = step((start, w), x)
            joined = join(to_arr(True), start, out, node.span)
            shape = jax.tree.structure(joined)
            return joined

        like = jax.eval_shape(probe, init, omega, first)
        if jax.tree.structure(init) == shape:
            return init
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), like)
        init = join(to_arr(True), init, zeros, node.span)
    raise fail(
        "E701",
        "the function carried by this loop grows with every step",
        span=node.span,
        hint="run with engine='machine'",
    )


def iterate(node: ir.Iterate, env: Env, state: State, scope: Scope) -> Result:
    """`iterate … max n`: a scan of n masked steps."""
    raise fail(
        "E706",
        "`iterate` does not run on XLA yet",
        span=node.span,
        hint="write `scan` or `fold`, or run with engine='machine'",
    )

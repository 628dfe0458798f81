"""A scan whose every step is a suspension point.

It stays one `lax.scan`. Its carry has what the body reads and resampling moves: the loop's state,
the outer values that vary along the particles, and the log weights. What happened in a step is
stored as it was then, beside the step's ancestors, and traced back by one reverse scan. Without
history the carry has what happened in the last step instead, and everybody's first ancestor, so
that memory does not grow with the number of steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.xla.axes import Arr, elementwise
from ppl.semantics.xla.carries import (
    carried,
    carry_axes,
    closed_form,
    holds_code,
    moved_on,
    time_first,
)
from ppl.semantics.xla.faults import Fault, over_time
from ppl.semantics.xla.fixed import at_binder, without_elements
from ppl.semantics.xla.lineage import inherited, moved, moving, traced_back
from ppl.semantics.xla.loops import history_of, nothing_happened, owned_elements
from ppl.semantics.xla.points import (
    Ahead,
    Front,
    Policy,
    decided,
    drawn,
    path_at,
    recorded,
    scored,
    weighted,
)
from ppl.semantics.xla.pure import value
from ppl.semantics.xla.retained import Rest, watching
from ppl.semantics.xla.run import run
from ppl.semantics.xla.state import Env, Scope, State
from ppl.semantics.xla.values import Forgotten, RValue, elements, length, map_leaves


def scan(
    node: ir.Scan,
    env: Env,
    state: State,
    scope: Scope,
    policy: Policy,
    *,
    history: bool = True,
    ahead: Ahead | None = None,
    last: bool = False,
) -> tuple[RValue, State]:
    """`scan` and `fold` in the main block: as in `loops`, with the policy after every step.

    Without `history` what happened is that of the last step, and an array of states `Forgotten`.
    With `ahead` a particle is `retained`; nothing is drawn or scored after a `last` loop.
    """
    if node.keep == "last":
        scope = without_elements(scope)
    front: Front = state.extra
    axis, before = front.lineage.axis, front.lineage
    outside = replace(scope, faults=None if scope.faults is None else [])
    over = value(node.over, env, outside)
    start = value(node.init, env, outside)
    state = recorded(state, front, tuple(outside.faults or ()))
    front = state.extra
    n = length(over)
    if n == 0:
        return (nothing_happened(start) if node.keep == "all" else start), state
    read = node.body.free - {node.carry.name, node.param.name}
    axes = carry_axes(read, (over, start), True, env, scope)
    steps = map_leaves(time_first, elements(over))
    given = {k: map_leaves(time_first, elements(v)) for k, v in owned_elements(scope, n).items()}
    outer = {k: env[k] for k in sorted(read & env.keys())}
    follows = bool(moving(steps, axis))  # the elements are the particles' own
    packing = _Packing()

    def step(carry: Any, x: Any) -> Any:
        (current, inner, who, recent, seen, weights, omega), (t, item, now) = carry, x
        if follows:
            item = inherited(item, who, axis)
        local = {**env, **moved(outer, axis, inner)}
        local |= {node.carry.name: current, node.param.name: item}
        begin = State(omega=omega.enter(t))
        here = replace(scope, given=now, faults=None if scope.faults is None else [])
        out, end = at_binder(lambda s, sc: run(node.body, local, s, sc), begin, here)
        after = moved_on(out, current, axes, node.carry.type, node.span)
        future = None
        if watch is not None:
            end, seen, future = watch.after(t, after, end, seen)
        weights = weighted(weights, end, before)
        chose, decision = policy(weights, end.omega, path_at(before), future)
        kept = after if node.keep == "all" and history else None
        happened = packing.pack((kept, end.sites, end.kept, end.observed))
        recent = recent and (happened, _either(recent[1], here.faults))
        live = (after, inner, who, recent, seen)
        ancestors, weights, live = decided(decision, weights, lambda a: _heirs(live, a, axis), live)
        stored = (ancestors, (happened, here.faults)) if recent is None else None
        return (*live, weights, omega.leave(chose)), (stored, (decision.size, decision.due))

    same = jnp.arange(axis.size, dtype=jnp.int32) if follows or not history else None
    watch, inputs = None, (jnp.arange(n), steps, given)
    init, recent, seen = carried(start, axes), None, None
    first = jax.tree.map(lambda x: x[0], inputs)
    if ahead is not None:
        rest = Rest(node, env, scope, inputs, axes, axis)
        alone = last and not follows and not moving(outer, axis)
        own, state = drawn(state, axis)
        past = front.past + own + scored(state, axis)
        watch, seen = watching(ahead, rest, init, before.brought(state.sites), past, alone)
    # what was scored since the last point counts at the next
    now = weighted(front.log_weights, state, before)
    outside_it, so_far = (moving(outer, axis), same, None), (seen, now, state.omega)
    if holds_code(node.carry.type):
        after_one = lambda v: step((v, *outside_it, *so_far), first)[0][0]  # noqa: E731
        init = closed_form(after_one, init, node.span)
    if not history:
        begin = (init, *outside_it, *so_far)
        (_, like), _ = jax.eval_shape(step, begin, first)[1]
        recent = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
    (end_state, _, who, recent, seen, weights, omega), (stored, points) = jax.lax.scan(
        step, (init, *outside_it[:2], recent, *so_far), inputs, length=n
    )
    if recent is None:
        links, happened = stored
        (happened, faults), composed = traced_back(happened, links, axis)
        kept, sites, keeps, observed = _over_time(packing.unpack(happened), n)
        faults = over_time(faults or ())
    else:
        (happened, faults), composed = recent, who
        kept, sites, keeps, observed = packing.unpack(happened)
    front = replace(
        front,
        log_weights=weights,
        lineage=before.then(composed),
        history=(*front.history, points),
        past=None if seen is None else seen.past.data,
    )
    state = replace(
        state,
        omega=omega,
        scores=(),
        sites={**state.sites, **sites},
        kept={**state.kept, **keeps},
    )
    for name, s in observed.items():
        state = state.observing(name, s)
    if node.keep == "all":
        end_state = kept if history else Forgotten(end_state, node.span)
    return end_state, recorded(state, front, tuple(faults or ()))


def _over_time(happened: Any, n: int) -> Any:
    """The state after each step, and tables of what happened, as arrays over time."""
    kept, *tables = happened
    out = [{k: history_of(v, n) for k, v in table.items()} for table in tables]
    return None if kept is None else history_of(kept, n), *out


def _heirs(live: Any, ancestors: Any, axis: Any) -> Any:
    """What a step leaves, as the children of `ancestors` see it."""
    after, inner, who, recent, seen = live
    after, inner, recent, seen = inherited((after, inner, recent, seen), ancestors, axis)
    return after, inner, None if who is None else who[ancestors], recent, seen


def _either(before: list[Fault] | None, now: list[Fault] | None) -> list[Fault] | None:
    """What went wrong before or in this step."""
    pairs = zip(before or (), now or (), strict=True)
    out = [replace(f, bad=elementwise(jnp.logical_or, old.bad, f.bad)) for old, f in pairs]
    return None if now is None else out


class _Packing:
    """A tree of arrays as the list of those that differ: a draw that is also kept under a name and
    the loop's state is stored once."""

    def pack(self, tree: Any) -> list[Arr]:
        leaves, self.form = jax.tree.flatten(tree, is_leaf=lambda a: isinstance(a, Arr))
        unique: dict[Any, int] = {}
        arrays: list[Arr] = []
        self.places = []
        for leaf in leaves:
            key = (id(leaf.data), leaf.axes) if isinstance(leaf, Arr) else id(leaf)
            if key not in unique:
                unique[key] = len(arrays)
                arrays.append(leaf)
            self.places.append(unique[key])
        return arrays

    def unpack(self, arrays: list[Arr]) -> Any:
        return jax.tree.unflatten(self.form, [arrays[k] for k in self.places])

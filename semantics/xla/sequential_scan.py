"""A scan whose every step is a suspension point.

It stays one `lax.scan`. Its carry has what the body reads and resampling moves: the loop's state,
the outer values that vary along the particles, and the log weights. What happened in a step is
stored as it was then, beside the step's ancestors, and traced back by one reverse scan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.carries import (
    carried,
    carry_axes,
    closed_form,
    holds_code,
    moved_on,
    time_first,
)
from ppl.semantics.xla.faults import over_time
from ppl.semantics.xla.fixed import at_binder, without_elements
from ppl.semantics.xla.lineage import inherited, moved, moving, traced_back
from ppl.semantics.xla.loops import history_of, nothing_happened, owned_elements
from ppl.semantics.xla.points import Front, Policy, decided, path_at, recorded, weighted
from ppl.semantics.xla.pure import value
from ppl.semantics.xla.run import run
from ppl.semantics.xla.state import Env, Scope, State
from ppl.semantics.xla.values import RValue, elements, length, map_leaves


def scan(
    node: ir.Scan, env: Env, state: State, scope: Scope, policy: Policy
) -> tuple[RValue, State]:
    """`scan` and `fold` in the main block: as in `loops`, with the policy after every step."""
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
        (current, inner, who, weights, omega), (t, item, now) = carry, x
        if follows:
            item = inherited(item, who, axis)
        local = {**env, **moved(outer, axis, inner)}
        local |= {node.carry.name: current, node.param.name: item}
        begin = State(omega=omega.enter(t))
        here = replace(scope, given=now, faults=None if scope.faults is None else [])
        out, end = at_binder(lambda s, sc: run(node.body, local, s, sc), begin, here)
        after = moved_on(out, current, axes, node.carry.type, node.span)
        weights = weighted(weights, end, before)
        drawn, decision = policy(weights, end.omega, path_at(before))
        live = (after, inner, who)
        ancestors, weights, live = decided(decision, weights, lambda a: _heirs(live, a, axis), live)
        kept = after if node.keep == "all" else None
        happened = packing.pack((kept, end.sites, end.kept, end.observed, here.faults))
        return (*live, weights, omega.leave(drawn)), (
            ancestors,
            happened,
            (decision.size, decision.due),
        )

    same = jnp.arange(axis.size, dtype=jnp.int32) if follows else None
    # what was scored since the last point counts at the next
    now = weighted(front.log_weights, state, before)
    rest = (moving(outer, axis), same, now, state.omega)
    inputs = (jnp.arange(n), steps, given)
    init = carried(start, axes)
    if holds_code(node.carry.type):
        first = jax.tree.map(lambda x: x[0], inputs)
        init = closed_form(lambda v: step((v, *rest), first)[0][0], init, node.span)
    (last, _, _, weights, omega), (links, happened, points) = jax.lax.scan(
        step, (init, *rest), inputs, length=n
    )
    happened, composed = traced_back(happened, links, axis)
    kept, sites, keeps, observed, faults = packing.unpack(happened)
    front = replace(
        front,
        log_weights=weights,
        lineage=before.then(composed),
        history=(*front.history, points),
    )
    state = replace(
        state,
        omega=omega,
        scores=(),
        sites={**state.sites, **{k: history_of(v, n) for k, v in sites.items()}},
        kept={**state.kept, **{k: history_of(v, n) for k, v in keeps.items()}},
    )
    for name, s in observed.items():
        state = state.observing(name, history_of(s, n))
    out = history_of(kept, n) if node.keep == "all" else last
    return out, recorded(state, front, tuple(over_time(faults or ())))


def _heirs(live: Any, ancestors: Any, axis: Any) -> Any:
    """What a step leaves, as the children of `ancestors` see it."""
    after, inner, who = live
    after, inner = inherited((after, inner), ancestors, axis)
    return after, inner, None if who is None else who[ancestors]


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

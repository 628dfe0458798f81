"""A scan whose every step is a suspension point.

It stays one `lax.scan`. Its carry has what the body reads and resampling moves: the loop's state,
the outer values that vary along the particles, and the log weights. What happened in a step is
stored as it was then, beside the step's ancestors, and traced back by one reverse scan. Without
history the carry has what happened in the last step instead, and everybody's first ancestor, so
that memory does not grow with the number of steps. A guide's loop (`guided`) takes its step before
each of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.xla.axes import Arr, Axes, Axis, elementwise
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
from ppl.semantics.xla.lineage import inherited, moved, moving, shared, traced_back
from ppl.semantics.xla.loops import history_of, nothing_happened, owned_elements
from ppl.semantics.xla.points import (
    Ahead,
    Front,
    Policy,
    Sorted,
    decided,
    drawn,
    few,
    gave_up,
    in_order,
    looking,
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


@dataclass(frozen=True, eq=False)
class Opened:
    """A loop with points, about to begin. n: its steps. start: its state. inputs: elements and what
    is given for the steps, time leading. axes: what the state comes to vary along. outer: the
    values from outside that the body reads. follows: the inputs are the particles' own."""

    node: ir.Scan
    env: Env
    scope: Scope
    axis: Axis
    n: int
    start: RValue
    axes: Axes = ()
    inputs: Any = ()
    outer: Env = field(default_factory=dict)
    follows: bool = False

    @property
    def nothing(self) -> RValue:
        """What it gives if it has no steps."""
        return nothing_happened(self.start) if self.node.keep == "all" else self.start

    def step(
        self, current: RValue, inner: Any, x: Any, who: Any, omega: Any, faults: Any, more: Env
    ) -> tuple[RValue, State]:
        """One step from a state: the next, and what happened. inner: the outer values now. who: the
        first ancestors. more: what else is given."""
        node, (item, now) = self.node, x
        if self.follows:
            item, now = inherited((item, now), who, self.axis)
        local = {**self.env, **moved(self.outer, self.axis, inner)}
        local |= {node.carry.name: current, node.param.name: item}
        here = replace(self.scope, given={**now, **more}, faults=faults)
        begin = State(omega=omega)
        out, end = at_binder(lambda s, sc: run(node.body, local, s, sc), begin, here)
        return moved_on(out, current, self.axes, node.carry.type, node.span), end


def opened(node: ir.Scan, env: Env, state: State, scope: Scope) -> tuple[Opened, State]:
    """A loop of the main block, and the state in which it begins."""
    if node.keep == "last":
        scope = without_elements(scope)
    front: Front = state.extra
    axis = front.lineage.axis
    outside = replace(front.offering(scope), faults=None if scope.faults is None else [])
    over = value(node.over, env, outside)
    start = value(node.init, env, outside)
    state = recorded(state, front, tuple(outside.faults or ()))
    n = length(over)
    if n == 0:
        return Opened(node, env, outside, axis, n, start), state
    read = node.body.free - {node.carry.name, node.param.name}
    given = {k: map_leaves(time_first, elements(v)) for k, v in owned_elements(outside, n).items()}
    inputs = map_leaves(time_first, elements(over)), given
    return Opened(
        node,
        env,
        outside,
        axis,
        n,
        start,
        carry_axes(read, (over, start), True, env, outside),
        inputs,
        {k: env[k] for k in sorted(read & env.keys())},
        bool(moving(inputs, axis)),
    ), state


class Lead(Protocol):
    """What goes before a loop at each of its steps: the loop of a guide."""

    @property
    def follows(self) -> bool: ...

    @property
    def init(self) -> Any: ...

    @property
    def inputs(self) -> Any: ...

    def step(self, led: Any, x: Any, who: Any, omega: Any, faults: Any) -> Led:
        """From what it carries, `led`."""
        ...


class Led(NamedTuple):
    """What the step of a guide leaves: what it carries, values for the loop's sites, what it sees
    ahead (n,) if anything, the source of randomness, and what is stored with the step."""

    carry: Any
    given: Env
    ahead: Any
    omega: Any
    kept: RValue


def scan(
    loop: Opened,
    state: State,
    policy: Policy,
    *,
    history: bool = True,
    ahead: Ahead | None = None,
    last: bool = False,
    lead: Lead | None = None,
) -> tuple[RValue, State, tuple[Any, RValue]]:
    """`scan` and `fold` in the main block: as in `loops`, with the policy after every step. Its
    value, the state after it, and what `lead` carries and stored in the end.

    Without `history` what happened is that of the last step, and an array of states `Forgotten`.
    With `ahead` a particle is `retained`; nothing is drawn or scored after a `last` loop.
    """
    node, axis, n, axes, scope = loop.node, loop.axis, loop.n, loop.axes, loop.scope
    front: Front = state.extra
    before = front.lineage
    packing = _Packing()

    def step(carry: Any, x: Any) -> Any:
        (current, inner, who, recent, seen, led, weights, omega), (t, own, leading) = carry, x
        faults: Any = None if scope.faults is None else []
        source = None if omega is None else omega.enter(t)
        policy_now, lost, more, aside = policy, None, {}, None
        if lead is not None:
            led, more, sight, source, aside = lead.step(led, leading, who, source, faults)
            if sight is not None:
                policy_now, lost = looking(policy, sight), gave_up(weights, sight)
        after, end = loop.step(current, inner, own, who, source, faults, more)
        future = None
        if watch is not None:
            end, seen, future = watch.after(t, after, end, seen)
        weights = weighted(weights, end, before)
        if isinstance(policy, Sorted):
            policy_now = in_order(policy_now, after, axis)
        chose, decision = policy_now(weights, end.omega, path_at(before), future)
        kept = after if node.keep == "all" and history else None
        happened = shared(packing.pack((kept, aside, end.sites, end.kept, end.observed)), axis)
        recent = recent and (happened, _either(recent[1], faults))
        live = (after, inner, who, recent, seen, led)
        ancestors, weights, live = decided(decision, weights, lambda a: _heirs(live, a, axis), live)
        stored = (ancestors, (happened, faults)) if recent is None else None
        left = None if omega is None else omega.leave(chose)
        return (*live, weights, left), (stored, decision.told, lost)

    follows = loop.follows or (lead is not None and lead.follows)
    same = jnp.arange(axis.size, dtype=jnp.int32) if follows or not history else None
    watch, inputs = None, (jnp.arange(n), loop.inputs, None if lead is None else lead.inputs)
    init, recent, seen = carried(loop.start, axes), None, None
    led = None if lead is None else lead.init
    first = jax.tree.map(lambda x: x[0], inputs)
    if ahead is not None:
        along = (inputs[0], *loop.inputs)
        rest = Rest(node, loop.env, scope, along, axes, axis)
        alone = last and not loop.follows and not moving(loop.outer, axis)
        own, state = drawn(state, axis)
        past = front.past + own + scored(state, axis)
        watch, seen = watching(ahead, rest, init, before.brought(state.sites), past, alone)
    # what was scored since the last point counts at the next
    now = weighted(front.log_weights, state, before)
    outside_it, so_far = (moving(loop.outer, axis), same, None), (seen, led, now, state.omega)
    if holds_code(node.carry.type):
        after_one = lambda v: step((v, *outside_it, *so_far), first)[0][0]  # noqa: E731
        init = closed_form(after_one, init, node.span)
    if not history:
        begin = (init, *outside_it, *so_far)
        (_, like), *_ = jax.eval_shape(step, begin, first)[1]
        recent = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
    (end_state, _, who, recent, seen, led, weights, omega), (stored, points, lost) = jax.lax.scan(
        step, (init, *outside_it[:2], recent, *so_far), inputs, length=n
    )
    links = None
    if recent is None:
        links, happened = stored
        (happened, faults), composed = traced_back(happened, links, axis)
        kept, aside, sites, keeps, observed = _over_time(packing.unpack(happened), n)
        faults = over_time(faults or ())
    else:
        (happened, faults), composed = recent, who
        kept, aside, sites, keeps, observed = packing.unpack(happened)
    front = replace(
        front,
        log_weights=weights,
        lineage=before.then(composed),
        history=(*front.history, points),
        ancestors=(*front.ancestors, None if links is None else few(links)),
        past=None if seen is None else seen.past.data,
        lost=front.lost if lost is None else (*front.lost, lost),
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
    return end_state, recorded(state, front, tuple(faults or ())), (led, aside)


def _over_time(happened: Any, n: int) -> Any:
    """States after each step, and tables of what happened, as arrays over time."""
    *states, sites, keeps, observed = happened
    tables = [{k: history_of(v, n) for k, v in t.items()} for t in (sites, keeps, observed)]
    return *(None if v is None else history_of(v, n) for v in states), *tables


def _heirs(live: Any, ancestors: Any, axis: Any) -> Any:
    """What a step leaves, as the children of `ancestors` see it."""
    after, inner, who, *others = live
    after, inner, *others = inherited((after, inner, *others), ancestors, axis)
    return after, inner, None if who is None else who[ancestors], *others


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

"""Scans whose state is summed out: chains.

Time becomes a plate. The parts of the state that are summed choices enter a step as positions along
an in-axis and leave it along an out-axis (the site's own, if the new state is just that site);
`elimination` runs the forward recursion. The other parts of the state are computed first, by an
ordinary `lax.scan`, and must not depend on the loop's summed choices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import ir
from ppl.semantics.diagnostics import fail
from ppl.semantics.jax_compat import is_concrete
from ppl.semantics.xla.axes import (
    Arr,
    Axes,
    Axis,
    at_position,
    elementwise,
    position,
    spread,
)
from ppl.semantics.xla.carries import carry_axes, time_first
from ppl.semantics.xla.elimination import Chain, Link
from ppl.semantics.xla.faults import note
from ppl.semantics.xla.fixed import at_binder
from ppl.semantics.xla.forward import at_all_times
from ppl.semantics.xla.state import Env, Scope, State
from ppl.semantics.xla.summing import Summed, plate_of, plates_of
from ppl.semantics.xla.values import (
    RValue,
    close_array,
    elements,
    map_leaves,
    open_array,
    to_arr,
)

Result = tuple[RValue, State]


@dataclass(frozen=True)
class _Loop:
    """The loop in flattened form: `run` maps the parts of a state to the parts of the next."""

    node: ir.Scan
    env: Env
    scope: Scope
    over: RValue
    time: Axis
    init: tuple[Arr, ...]
    tree: Any
    summed: Summed

    def step(self, parts: list[Arr], item: RValue, scope: Scope) -> tuple[list[Arr] | None, State]:
        """The parts of the next state, None if it has another form (of functions)."""
        from ppl.semantics.xla.run import run

        carry = jax.tree.unflatten(self.tree, parts)
        local = {**self.env, self.node.carry.name: carry, self.node.param.name: item}
        unchecked = replace(scope, faults=None)
        begin = State(extra=self.summed)
        out, end = at_binder(lambda s, sc: run(self.node.body, local, s, sc), begin, unchecked)
        after, tree = _parts(out)
        return after if tree == self.tree else None, end

    def everywhere(self) -> tuple[RValue, Scope]:
        """All steps at once: the elements and the scope with time as a plate."""
        given = {
            k: open_array(v, self.time) for k, v in self.scope.given.items() if self.scope.owns(k)
        }
        return open_array(self.over, self.time), replace(self.scope.along(self.time), given=given)


def _parts(v: RValue) -> tuple[list[Arr], Any]:
    """The numbers of a state. What is known while compiling stays so, as an array of NumPy."""

    def part(x: Any) -> Arr:
        return x if isinstance(x, Arr) else Arr(np.asarray(x, to_arr(x).dtype))

    leaves, tree = jax.tree.flatten(v, is_leaf=lambda x: isinstance(x, Arr))
    return [part(x) for x in leaves], tree


def _discrete(a: Arr) -> bool:
    return not jnp.issubdtype(jnp.result_type(a.data), jnp.floating) and a.event_rank == 0


def chain(
    node: ir.Scan, env: Env, over: RValue, init: RValue, state: State, scope: Scope
) -> Result | None:
    """Run a scan while summing; None if nothing in it is summed."""
    time = plate_of(over, node.param.name, scope)
    parts, tree = _parts(init)
    loop = _Loop(node, env, scope, over, time, tuple(parts), tree, state.extra)
    sizes = _sizes(loop)
    if sizes is None:
        return None
    return _run_chain(loop, sizes, state)


def _sizes(loop: _Loop) -> dict[int, int] | None:
    """How many values each summed part of the state has; None if the loop has no summed choice."""
    sizes: dict[int, int] = {}
    for _ in range(len(loop.init) + 1):
        outs, born = _probe(loop, sizes)
        if outs is None and not born:
            return None
        if outs is None:
            raise _changing(loop)
        found = {
            i: out.index[0].size
            for i, out in enumerate(outs)
            if out.index is not None and out.index[0] is not None and out.index[0].enumerated
            and loop.time in out.index[0].plates and out.index[1] == 0 and _discrete(out)
        }  # fmt: skip
        found = {i: max(k, _size_of(loop.init[i])) for i, k in found.items()}
        if found == sizes:
            break
        sizes = found
    if not sizes and not born:
        return None
    for i, out in enumerate(outs):
        inner = [a for a in out.axes if a.enumerated and loop.time in a.plates]
        if i not in sizes and inner:
            raise _dependent(loop, inner[0], discrete=_discrete(out))
    return sizes


def _size_of(init: Arr) -> int:
    if init.index is not None and init.index[0] is not None and init.index[1] == 0:
        return init.index[0].size
    data = init.data
    if not is_concrete(data) or jnp.ndim(data):
        return 1
    return int(data) + 1


def _changing(loop: _Loop):
    return fail(
        "E806",
        "the choices of this loop cannot be summed out: it carries a function of another kind from "
        "step to step",
        span=loop.node.span,
        hint="carry what the function depends on, or use importance, smc or mcmc",
    )


def _dependent(loop: _Loop, axis: Axis, discrete: bool):
    what = (
        "has no range known while compiling"
        if discrete
        else "is continuous, and depends on a discrete choice of the same loop"
    )
    return fail(
        "E806",
        f"`{axis.name}` cannot be summed out: part of the state carried by this loop {what}",
        span=loop.node.span,
        hint="carry the discrete choice itself, or use importance, smc or mcmc",
    )


def _inputs(
    loop: _Loop, sizes: dict[int, int], into: dict[int, Axis], rest: list[Arr]
) -> list[Arr]:
    return [
        position(into[i], 0, like=part.data) if i in sizes else rest[i]
        for i, part in enumerate(loop.init)
    ]


def _in_axes(loop: _Loop, sizes: dict[int, int]) -> tuple[dict[int, Axis], Summed]:
    into, summed = {}, loop.summed
    plates = (*plates_of(loop.scope), loop.time)
    for i, size in sizes.items():
        into[i], summed = summed.fresh(f"{loop.time.name}.{i}", size, plates)
    return into, summed


def _probe(loop: _Loop, sizes: dict[int, int]) -> tuple[list[Arr] | None, bool]:
    """The form of the state after one step, without computing it."""
    into, summed = _in_axes(loop, sizes)
    inner = replace(loop, summed=summed)

    def attempt() -> list[Arr] | None:
        item, scope = inner.everywhere()
        rest = [spread(replace(p, index=None), (loop.time,)) for p in loop.init]
        outs, end = inner.step(_inputs(inner, sizes, into, rest), item, scope)
        nonlocal born
        born = end.extra.count > summed.count
        return outs

    born = False
    outs = jax.eval_shape(attempt)
    return outs, born


def _run_chain(loop: _Loop, sizes: dict[int, int], state: State) -> Result:
    into, summed = _in_axes(loop, sizes)
    loop = replace(loop, summed=summed)
    rest, last_rest = _unsummed(loop, sizes, into)
    item, scope = loop.everywhere()
    outs, end = loop.step(_inputs(loop, sizes, into, rest), item, scope)
    summed = end.extra
    outer = plates_of(loop.scope)
    chained = [a for c in summed.chains for a in c.axes("first", "into", "out", "last")]
    links, used = [], {*into.values(), *chained}  # an axis is that of one chain
    after: list[Arr] = list(outs)
    last: list[Arr] = list(last_rest)
    for i, size in sizes.items():
        out, summed, end = _leaving(outs[i], size, (*outer, loop.time), loop, i, used, summed, end)
        first, summed, state = _entering(loop.init[i], size, outer, loop, i, summed, state)
        final, summed = summed.fresh(f"{loop.time.name}.{i}.last", size, outer)
        links.append(Link(first, into[i], out, final))
        after[i] = position(out, 0, like=loop.init[i].data)
        last[i] = position(final, 0, like=loop.init[i].data)
    if links:
        summed = replace(summed, chains=(*summed.chains, Chain(loop.time, tuple(links))))
    state = _merge(replace(state, extra=summed), end, loop.time)
    if loop.node.keep == "last":
        return jax.tree.unflatten(loop.tree, last), state
    return close_array(jax.tree.unflatten(loop.tree, after), loop.time), state


def _leaving(
    out: Arr,
    size: int,
    plates: Axes,
    loop: _Loop,
    i: int,
    used: set[Axis],
    summed: Summed,
    end: State,
) -> tuple[Axis, Summed, State]:
    axis = out.index[0] if out.index is not None else None
    if axis is not None and axis.size == size and axis.plates == plates and axis not in used:
        used.add(axis)
        return axis, summed, end
    axis, summed = summed.fresh(f"{loop.time.name}.{i}.out", size, plates)
    return axis, summed, end.scored(at_position(out, axis))


def _entering(
    init: Arr,
    size: int,
    plates: Axes,
    loop: _Loop,
    i: int,
    summed: Summed,
    state: State,
) -> tuple[Axis, Summed, State]:
    """The axis of the first state: one of its own, equal to the start. The start's own axis would
    not do, if it is read by the steps too, or begins another chain."""
    plain = replace(init, index=None)
    outside = elementwise(lambda x: (x < 0) | (x >= size), plain)
    message = f"this loop starts from a state that is none of 0 to {size - 1}, its choices' values"
    note(loop.scope, outside, "E718", message, loop.node.span)
    axis, summed = summed.fresh(f"{loop.time.name}.{i}.first", size, plates)
    return axis, summed, state.scored(at_position(init, axis))


def _unsummed(
    loop: _Loop, sizes: dict[int, int], into: dict[int, Axis]
) -> tuple[list[Arr], list[Arr]]:
    """The other parts of the state entering each step (time an axis), and after the last."""
    parts = list(loop.init)
    if len(sizes) == len(parts):
        return parts, parts
    node = loop.node
    read = node.body.free - {node.carry.name, node.param.name}
    every = carry_axes(read, (loop.over, loop.init), node.body.effectful, loop.env, loop.scope)
    # choices that are summed outside the loop stay axes; its own have no place in the carry
    axes = tuple(a for a in every if not (a.enumerated and loop.time in a.plates))
    begin = [spread(replace(p, index=None), axes) for i, p in enumerate(parts) if i not in sizes]
    given = {
        k: map_leaves(time_first, elements(v))
        for k, v in loop.scope.given.items()
        if loop.scope.owns(k)
    }

    def step(carry: list[Arr], x: Any) -> Any:
        item, now = x
        it = iter(carry)
        full = [parts[i] if i in sizes else next(it) for i in range(len(parts))]
        outs, _ = loop.step(_inputs(loop, sizes, into, full), item, replace(loop.scope, given=now))
        moved = [
            Arr(jnp.asarray(spread(o, axes).data, p.data.dtype), axes)
            for (i, o), p in zip(
                ((i, o) for i, o in enumerate(outs) if i not in sizes), begin, strict=True
            )
        ]
        return moved, carry

    end, history = jax.lax.scan(step, begin, (map_leaves(time_first, elements(loop.over)), given))
    opened = iter(at_all_times(h, loop.time) for h in history)
    final = iter(end)
    rest = [p if i in sizes else next(opened) for i, p in enumerate(parts)]
    last = [p if i in sizes else next(final) for i, p in enumerate(parts)]
    return rest, last


def _merge(state: State, end: State, time: Axis) -> State:
    from ppl.semantics.xla.loops import close_scores, closed_tables

    return close_scores(closed_tables(state, end, time), end.scores, time)

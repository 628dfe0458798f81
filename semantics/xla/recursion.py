"""Tail recursion that ends by what is not known while compiling, as a loop.

One step runs the function's body. A lane ends with a result, or goes on with new arguments: those
of the call that it came to in tail position. Choices in step t are named and keyed as those of the
first call, in step t of the loop; `steps.by_name` gives them the names of their own call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis import TailRecursion, what_is_known
from ppl.semantics.analysis.tails import calls_itself, last
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.xla.axes import Arr, elementwise
from ppl.semantics.xla.carries import carried, carry_axes, closed_form, holds_code
from ppl.semantics.xla.join import join
from ppl.semantics.xla.pure import value
from ppl.semantics.xla.replay import Replay, replay
from ppl.semantics.xla.state import Env, Scope, State
from ppl.semantics.xla.unbounded import (
    Step,
    happened,
    loop_axes,
    one_form,
    refuse_density,
    repeat,
    same_form,
    without_derivative,
)
from ppl.semantics.xla.values import Code, RValue, Suspension, captured, to_arr

Tails = Mapping[Any, TailRecursion]


def tails(program: ir.Program) -> Tails:
    """The recursion that runs as a loop: by the function's name, and by the code of the measure
    that it gives."""
    loops = what_is_known(program).loops
    by_name: dict[Any, TailRecursion] = {t.function.name: t for t in loops}
    return by_name | {Code(t.body): t for t in loops if t.measure}


def call(
    tail: TailRecursion, args: Mapping[str, RValue], scope: Scope, span: Span | None
) -> RValue:
    """The value of a call of a tail-recursive function: the loop's, or a measure that loops."""
    if not tail.measure:
        return loop(tail, args, State(), scope, span)[0]
    names = tuple(sorted(tail.body.free))
    return Suspension(Code(tail.body), names, tuple(captured(args[n]) for n in names))


@dataclass(frozen=True)
class Outcome:
    """How a computation in tail position ended: whether in a call, then with which arguments and
    at which place, else with which result. What no lane has is `NONE`."""

    again: bool | Arr
    args: RValue
    result: RValue
    place: int | Arr = -1


class _None:
    """Stands for a value that there is not."""


NONE = _None()


def loop(
    tail: TailRecursion, args: Mapping[str, RValue], state: State, scope: Scope, span: Span | None
) -> tuple[RValue, State]:
    """Run a tail-recursive function. `args` are those of its parameters that its body reads."""
    from ppl.semantics.xla.run import deeper

    what = f"the recursion of `{tail.name}`"
    effectful = tail.body.effectful
    if effectful:
        refuse_density(what, span, state)
    names = tuple(sorted(args))
    start = tuple(args[n] for n in names)
    if scope.smooth:
        start = without_derivative(start, what, span)
    scope = deeper(scope, span)
    axes = loop_axes(carry_axes(frozenset(), (start,), effectful, {}, scope), scope)
    given: Replay | None = replay(scope, tail.places) if effectful else None
    here = len(scope.path)
    type = T.Tuple(tuple(p.type for n in names for p in tail.function.params if p.name == n))
    span = span or tail.function.span

    def step(current: Any, alive: Arr, omega: Any, t: Any) -> Step:
        values, at = current
        faults: list[Any] | None = None if scope.faults is None else []
        inner = replace(scope.under(alive), faults=faults)
        if given is not None:
            inner = replace(inner, given=given.at(at))
        begin = State(omega=omega.enter(t) if effectful else None, extra=state.extra)
        local = dict(zip(names, values, strict=True))
        out, end = _tail(tail, tail.body, local, begin, inner, here, names)
        if out.result is NONE:
            raise fail(
                "E843",
                f"{what} has no end: every way through it calls itself again",
                span=span,
                hint="return a result in one of its branches",
            )
        again = to_arr(out.again)
        args = values if out.args is NONE else out.args
        going = elementwise(jnp.logical_and, alive, again)
        moved = same_form(args, values, going, axes, type, span)
        left = omega.leave(end.omega) if effectful else None
        place = elementwise(lambda a, p: jnp.where(a, p, -1), going, to_arr(out.place))
        next_at = at if given is None else carried(given.after(at, place), axes)
        return Step(
            (moved, next_at),
            carried(going, axes),
            left,
            happened(end),
            tuple(faults or ()),
            carried(out.result, axes),
            carried(place, axes) if len(tail.places) > 1 else None,
        )

    alive = carried(to_arr(True) if scope.mask is None else scope.mask, axes)
    at = None if given is None else carried(to_arr(0), axes)
    init, omega = carried(start, axes), state.omega if effectful else None
    if holds_code(type):
        probe = lambda v: step((v, at), alive, omega, jnp.asarray(0)).carry[0]  # noqa: E731
        init = one_form(lambda: closed_form(probe, init, span), span)
    _, result, state = repeat(
        step, (init, at), alive, omega, state, scope, span=span, places=tail.places
    )
    return result, state


def _tail(
    tail: TailRecursion,
    comp: ir.Comp,
    env: Env,
    state: State,
    scope: Scope,
    here: int,
    names: tuple[str, ...],
) -> tuple[Outcome, State]:
    """Run a computation in tail position; the loop is at the first `here` steps of the path."""
    from ppl.semantics.xla.run import guarded, run

    def inside(comp: ir.Comp, env: Env, state: State, scope: Scope) -> tuple[Outcome, State]:
        return _tail(tail, comp, env, state, scope, here, names)

    match comp:
        case ir.Block():
            binds, end = last(comp)
            local = dict(env)
            for b in binds:
                if b.name in tail.calls:
                    local[b.name] = _arguments(tail, b.comp, local, scope, names)
                else:
                    local[b.name], state = run(b.comp, local, state, scope)
            return inside(end, local, state, scope)
        case ir.At(step=step, body=body, keep=False):
            return inside(body, env, state, scope.at(step))
        case ir.If(cond=cond, then=then, other=other):
            chosen = value(cond, env, scope)
            if isinstance(chosen, bool):
                return inside(then if chosen else other, env, state, scope)
            yes = to_arr(chosen)
            no = elementwise(jnp.logical_not, yes)
            a, state = inside(then, guarded(env, then, yes, scope), state, scope.under(yes))
            b, state = inside(other, guarded(env, other, no, scope), state, scope.under(no))
            return one_form(lambda: _joined(yes, a, b, comp.span), comp.span), state
        case ir.Run(measure=ir.Var(name=name)) if name in tail.calls:
            place = tail.places.index(scope.path[here:])
            return Outcome(True, env[name], NONE, place), state
        case _ if not tail.measure and calls_itself(comp, tail.function.name):
            return Outcome(True, _arguments(tail, comp, env, scope, names), NONE, 0), state
        case _:
            out, state = run(comp, env, state, scope)
            return Outcome(False, NONE, out), state


def _arguments(
    tail: TailRecursion, call: ir.Comp, env: Env, scope: Scope, names: tuple[str, ...]
) -> tuple[RValue, ...]:
    """The arguments of a call of the function itself, as far as its body reads them."""
    assert isinstance(call, ir.Call)
    by_name = zip((p.name for p in tail.function.params), call.args, strict=True)
    given = {name: arg for name, arg in by_name if name in names}
    return tuple(value(given[n], env, scope) for n in names)


def _joined(mask: Arr, a: Outcome, b: Outcome, span: Span | None) -> Outcome:
    """What happened in the lanes of `mask`, and in the others."""

    def either(x: RValue, y: RValue) -> RValue:
        if x is NONE or y is NONE:
            return y if x is NONE else x
        return join(mask, x, y, span)

    return Outcome(
        elementwise(jnp.where, mask, to_arr(a.again), to_arr(b.again)),
        either(a.args, b.args),
        either(a.result, b.result),
        elementwise(jnp.where, mask, to_arr(a.place), to_arr(b.place)),
    )

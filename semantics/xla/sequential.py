"""Run a program that stops at its suspension points, all particles together.

The statements of the main block run one after the other; after those that score the policy decides
which particles go on. The same in blocks and calls that have a scan with scores in them. What a
statement computes is kept with the version of the particle axis (`lineage`) and brought up to date
when it is read. The points are those of `analysis.effects`, so both engines have the same.

The walk through the program is a generator, which yields where it stops and is sent the result and
the state to go on from: two programs can run side by side (`guided`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.analysis.effects import Effects, is_checkpoint, main_block
from ppl.semantics.analysis.forms import RunCall
from ppl.semantics.diagnostics import DiagnosticError, Note, Span, fail
from ppl.semantics.xla.axes import Axis
from ppl.semantics.xla.fixed import binder
from ppl.semantics.xla.lineage import Lineage, Versioned
from ppl.semantics.xla.points import Ahead, Front, Policy, point, recorded, weighted
from ppl.semantics.xla.pure import value
from ppl.semantics.xla.run import deeper, is_law, run, run_measure
from ppl.semantics.xla.sequential_scan import Opened, opened, scan
from ppl.semantics.xla.state import Env, Scope, State, missing_where_dead
from ppl.semantics.xla.values import Dist, Forgotten, RValue, Suspension, environment

Result = tuple[RValue, State]


@dataclass(frozen=True, eq=False)
class Stop:
    """A single point, before anything is decided there."""

    state: State


@dataclass(frozen=True, eq=False)
class Loop:
    """A scan whose steps are points, about to begin. env: what it reads. last: nothing is drawn or
    scored after it. around: all that is bound there, in whatever version."""

    node: ir.Scan
    env: Env
    state: State
    scope: Scope
    last: bool
    around: Env

    @cached_property
    def opened(self) -> tuple[Opened, State]:
        return opened(self.node, self.env, self.state, self.scope)


#: yields where it stops, is sent what the stop gives and the state after it
Walk = Generator[Stop | Loop, Result, Result]


class Meeting(Protocol):
    """What happens where a program stops. every: loops that do not score have points, too."""

    every: bool

    def begin(self, state: State) -> State:
        """Before the program runs."""
        ...

    def at(self, stop: Stop | Loop) -> Result:
        """At a point, or instead of a loop with points."""
        ...


@dataclass(frozen=True)
class Alone:
    """The policy decides. Without `history` loops with points keep what happened in their last step
    only. With `ahead` the policy may ask what is to come for a retained particle."""

    policy: Policy
    history: bool = True
    ahead: Ahead | None = None
    every = False

    def begin(self, state: State) -> State:
        if self.ahead is None:
            return state
        front: Front = state.extra
        return replace(state, extra=replace(front, past=jnp.zeros_like(front.log_weights)))

    def at(self, stop: Stop | Loop) -> Result:
        if isinstance(stop, Stop):
            return None, point(stop.state, self.policy, self.ahead)
        loop, state = stop.opened
        if loop.n == 0:
            return loop.nothing, state
        policy, last = self.policy, stop.last
        out, state, _ = scan(loop, state, policy, history=self.history, ahead=self.ahead, last=last)
        return out, state


def walk(program: ir.Program, env: Env, state: State, scope: Scope, *, every: bool = False) -> Walk:
    """Runs the program from stop to stop; `state.extra` is a `Front`.

    Raises E730 if there is a point at which XLA cannot stop, E731 if what is not kept is read.
    """
    return _Sequential(Effects(program), every).main(main_block(program), dict(env), state, scope)


def run_sequentially(
    program: ir.Program, env: Env, state: State, scope: Scope, axis: Axis, meeting: Meeting
) -> Result:
    """The program's result and state, of one lineage for every particle of the last version;
    `state.extra` is the final `Front`. Raises what `walk` does."""
    start = jnp.full(axis.size, -jnp.log(axis.size), jnp.result_type(float))
    state = meeting.begin(replace(state, extra=Front(start, Lineage(axis))))
    # parameters may be the particles' own
    env = {name: state.extra.lineage.made(v) for name, v in env.items()}
    steps = walk(program, env, state, scope, every=meeting.every)
    try:
        stop = next(steps)
        while True:
            stop = steps.send(meeting.at(stop))
    except StopIteration as end:
        out, state = end.value
        return ended(out, state, scope)


def ended(out: RValue, state: State, scope: Scope) -> Result:
    """What a walk comes to, of one lineage for every particle of the last version. Raises E731."""
    _check_kept(out, None)
    front: Front = state.extra
    lineage = front.lineage
    if scope.faults is not None:
        scope.faults.extend(lineage.now(f) for f in front.faults)
    weights = weighted(front.log_weights, state, lineage)
    return out, replace(
        state,
        scores=(),
        sites=lineage.brought(state.sites),
        kept=jax.tree.map(
            lambda v: v.last if isinstance(v, Forgotten) else v,
            lineage.brought(state.kept),
            is_leaf=_is_forgotten,
        ),
        observed=lineage.brought(state.observed),
        extra=replace(front, log_weights=weights),
    )


@dataclass(frozen=True)
class _Sequential:
    """Every method returns a value of the newest version. Environments hold `Versioned` values,
    and plain ones that are the same for all particles."""

    effects: Effects
    every: bool

    # --------------------------------------------------------------------------- the main block

    def main(self, c: ir.Comp, env: dict[str, Any], state: State, scope: Scope) -> Walk:
        """The main block, or what it ends in."""
        match c:
            case ir.Block(binds=binds, result=result):
                env = dict(env)
                for k, bind in enumerate(binds):
                    last = not any(c.effectful for c in (*(b.comp for b in binds[k + 1 :]), result))
                    out, state = yield from self.statement(bind.comp, env, state, scope, last=last)
                    env[bind.name] = state.extra.lineage.made(out)
                    if self.ends_at_point(bind.comp):
                        _, state = yield Stop(state)
                return (yield from self.main(result, env, state, scope))
            case ir.At():
                return (yield from self._at(c, env, state, scope, self.main))
        out, state = yield from self.statement(c, env, state, scope, last=True)
        if self.ends_at_point(c):
            made = state.extra.lineage.made(out)
            _, state = yield Stop(state)
            out = state.extra.lineage.now(made)
        return out, state

    # ------------------------------------------------------------------------------- statements

    def ends_at_point(self, c: ir.Comp) -> bool:
        """Whether a statement of the main block scores, and is no loop with points of its own."""
        return c.effectful and self.effects.is_point(c)

    def stops_in(self, c: ir.Comp) -> bool:
        """Whether there may be points inside a statement, at which weights may have changed. What
        pure functions return is not run here."""
        match c:
            case ir.Call():
                return False
            case ir.Block(binds=binds, result=result):
                return any(self.stops_in(b.comp) for b in binds) or self.stops_in(result)
            case ir.At(body=body):
                return self.stops_in(body)
            case ir.If(then=then, other=other):
                return self.stops_in(then) or self.stops_in(other)
        matters = self.every or self.effects.scores(c) or self.effects.stops(c)
        return self.effects.suspends(c) and matters

    def statement(
        self, c: ir.Comp, env: dict[str, Any], state: State, scope: Scope, *, last: bool = False
    ) -> Walk:
        """last: nothing is drawn or scored after it, in the whole program."""
        if isinstance(c, RunCall):
            called, state = self._plain(c.call, env, state, scope)
            return (yield from self._run(called, c, env, state, scope))
        if not self.stops_in(c):
            return self._plain(c, env, state, scope)
        match c:
            case ir.At():
                return (
                    yield from self._at(c, env, state, scope, partial(self.statement, last=last))
                )
            case ir.Block(binds=binds, result=result):
                env = dict(env)
                for bind in binds:
                    out, state = yield from self.statement(bind.comp, env, state, scope)
                    env[bind.name] = state.extra.lineage.made(out)
                return (yield from self.statement(result, env, state, scope))
            case ir.Score() if is_checkpoint(c):
                return (yield Stop(state))
            case ir.Scan():
                # loops in a step have points only if they score
                if replace(self, every=False).stops_in(c.body):
                    raise _no_stop("inside a step of another loop", c)
                return (yield Loop(c, self._ready(c, env, state), state, scope, last, env))
            case ir.If(cond=cond, then=then, other=other):
                known, state = self._value(cond, c, env, state, scope)
                if not isinstance(known, bool):
                    raise _no_stop("under a random choice", c)
                return (yield from self.statement(then if known else other, env, state, scope))
            case ir.Run(measure=measure):
                found, state = self._value(measure, c, env, state, scope)
                return (yield from self._run(found, c, env, state, scope))
            case ir.Iterate():
                raise _no_stop("at the steps of `iterate`", c)
            case ir.For():
                raise _no_stop("inside a `for`", c)
        raise _no_stop("here", c)

    def _run(
        self, measure: RValue, c: ir.Comp, env: dict[str, Any], state: State, scope: Scope
    ) -> Walk:
        match measure:
            case Dist() if is_law(measure):
                return self._ran(lambda s, sc: run_measure(measure, s, sc, c.span), state, scope)
            case Suspension(code=code, names=names, values=values) if code not in scope.tails:
                made = state.extra.lineage.made
                inner = {k: made(v) for k, v in environment(names, values).items()}
                assert isinstance(code.node, ir.Comp)
                return (yield from self.statement(code.node, inner, state, deeper(scope, c.span)))
            case Suspension():
                raise _no_stop("inside recursion", c)
        raise _no_stop("inside what a random choice chose to run", c)

    def _at(
        self,
        node: ir.At,
        env: dict[str, Any],
        state: State,
        scope: Scope,
        body: Callable[..., Walk],
    ) -> Walk:
        inner = scope.at(node.step)
        runs, close = binder(inner)
        out = None
        if runs is not None:
            out, state = yield from body(node.body, env, state, runs)
        out, state = close(out, state)
        if node.keep and "kept" in scope.record:
            shown = state.extra.lineage.made(missing_where_dead(out, scope))
            state = state.keeping(inner.path, shown)
        return out, state

    def _plain(self, c: ir.Comp, env: dict[str, Any], state: State, scope: Scope) -> Result:
        """A statement without points inside."""
        local = self._ready(c, env, state)
        return self._ran(lambda s, sc: run(c, local, s, sc), state, scope)

    def _value(
        self, v: ir.Value, c: ir.Comp, env: dict[str, Any], state: State, scope: Scope
    ) -> Result:
        """A value that a statement begins with."""
        local = self._ready(c, env, state)
        return self._ran(lambda s, sc: (value(v, local, sc), s), state, scope)

    def _ran(self, run_it: Any, state: State, scope: Scope) -> Result:
        front: Front = state.extra
        inner = replace(front.offering(scope), faults=None if scope.faults is None else [])
        out, end = run_it(replace(state, extra=None), inner)
        return out, recorded(end, front, tuple(inner.faults or ()))

    def _ready(self, c: ir.Comp, env: dict[str, Any], state: State) -> dict[str, RValue]:
        """What a computation reads, brought up to date (and remembered to be so)."""
        lineage: Lineage = state.extra.lineage
        out = {name: lineage.now(env[name]) for name in c.free if name in env}
        _check_kept(out, c.span)
        env.update((k, lineage.made(v)) for k, v in out.items() if isinstance(env[k], Versioned))
        return out


def _check_kept(read: RValue, span: Span | None) -> None:
    """Raise E731 if the states of a loop are among what is read, and only the last was kept."""
    for v in jax.tree.leaves(read, is_leaf=_is_forgotten):
        if isinstance(v, Forgotten):
            raise fail(
                "E731",
                "all states of a loop are used here, and keep_history=False keeps the last",
                span=span or v.span,
                notes=() if span is None else (Note("this is the loop", v.span),),
                hint="write `fold`, whose value is the last state, or keep the history",
            )


def _is_forgotten(v: Any) -> bool:
    return isinstance(v, Forgotten)


def _no_stop(where: str, c: ir.Node) -> DiagnosticError:
    return fail(
        "E730",
        f"particles have to stop {where}, which compiled code does not do",
        span=c.span,
        hint="leave the choice of the engine to the compiler: engine='auto'",
    )

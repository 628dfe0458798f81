"""Run a program that stops at its suspension points, all particles together.

The statements of the main block run one after the other; after those that score the policy decides
which particles go on. The same in blocks and calls that have a scan with scores in them. What a
statement computes is kept with the version of the particle axis (`lineage`) and brought up to date
when it is read. The points are those of `analysis.effects`, so both engines have the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.analysis.effects import Effects, is_checkpoint, main_block
from ppl.semantics.analysis.forms import RunCall
from ppl.semantics.diagnostics import DiagnosticError, Note, Span, fail
from ppl.semantics.xla.axes import Axis
from ppl.semantics.xla.fixed import at_binder
from ppl.semantics.xla.lineage import Lineage, Versioned
from ppl.semantics.xla.points import Ahead, Front, Policy, point, recorded, weighted
from ppl.semantics.xla.pure import value
from ppl.semantics.xla.run import deeper, is_law, run, run_measure
from ppl.semantics.xla.sequential_scan import scan
from ppl.semantics.xla.state import Env, Scope, State, missing_where_dead
from ppl.semantics.xla.values import Dist, Forgotten, RValue, Suspension, environment

Result = tuple[RValue, State]


def run_sequentially(
    program: ir.Program,
    env: Env,
    state: State,
    scope: Scope,
    axis: Axis,
    policy: Policy,
    *,
    history: bool = True,
    ahead: Ahead | None = None,
) -> Result:
    """The program's result and state, of one lineage for every particle of the last version;
    `state.extra` is the final `Front`. Without `history` loops with points keep what happened in
    their last step only. With `ahead` the policy may ask what is to come for a retained particle.

    Raises E730 if there is a point at which XLA cannot stop, E731 if what is not kept is read.
    """
    start = jnp.full(axis.size, -jnp.log(axis.size), jnp.result_type(float))
    past = None if ahead is None else jnp.zeros_like(start)
    state = replace(state, extra=Front(start, Lineage(axis), past=past))
    run_it = _Sequential(Effects(program), policy, history, ahead)
    out, state = run_it.main(main_block(program), dict(env), state, scope)
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
    policy: Policy
    history: bool
    ahead: Ahead | None

    # --------------------------------------------------------------------------- the main block

    def main(self, c: ir.Comp, env: dict[str, Any], state: State, scope: Scope) -> Result:
        """The main block, or what it ends in."""
        match c:
            case ir.Block(binds=binds, result=result):
                env = dict(env)
                for k, bind in enumerate(binds):
                    last = not any(c.effectful for c in (*(b.comp for b in binds[k + 1 :]), result))
                    out, state = self.statement(bind.comp, env, state, scope, last=last)
                    env[bind.name] = state.extra.lineage.made(out)
                    if self.ends_at_point(bind.comp):
                        state = point(state, self.policy, self.ahead)
                return self.main(result, env, state, scope)
            case ir.At():
                return self._at(c, env, state, scope, self.main)
        out, state = self.statement(c, env, state, scope, last=True)
        if self.ends_at_point(c):
            made = state.extra.lineage.made(out)
            state = point(state, self.policy, self.ahead)
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
        return self.effects.suspends(c) and (self.effects.scores(c) or self.effects.stops(c))

    def statement(
        self, c: ir.Comp, env: dict[str, Any], state: State, scope: Scope, *, last: bool = False
    ) -> Result:
        """last: nothing is drawn or scored after it, in the whole program."""
        if isinstance(c, RunCall):
            called, state = self._plain(c.call, env, state, scope)
            return self._run(called, c, env, state, scope)
        if not self.stops_in(c):
            return self._plain(c, env, state, scope)
        match c:
            case ir.At():
                return self._at(c, env, state, scope, partial(self.statement, last=last))
            case ir.Block(binds=binds, result=result):
                env = dict(env)
                for bind in binds:
                    out, state = self.statement(bind.comp, env, state, scope)
                    env[bind.name] = state.extra.lineage.made(out)
                return self.statement(result, env, state, scope)
            case ir.Score() if is_checkpoint(c):
                return None, point(state, self.policy, self.ahead)
            case ir.Scan():
                if self.stops_in(c.body):
                    raise _no_stop("inside a step of another loop", c)
                local = self._ready(c, env, state)
                return scan(
                    c,
                    local,
                    state,
                    scope,
                    self.policy,
                    history=self.history,
                    ahead=self.ahead,
                    last=last,
                )
            case ir.If(cond=cond, then=then, other=other):
                known, state = self._value(cond, c, env, state, scope)
                if not isinstance(known, bool):
                    raise _no_stop("under a random choice", c)
                return self.statement(then if known else other, env, state, scope)
            case ir.Run(measure=measure):
                found, state = self._value(measure, c, env, state, scope)
                return self._run(found, c, env, state, scope)
            case ir.Iterate():
                raise _no_stop("at the steps of `iterate`", c)
            case ir.For():
                raise _no_stop("inside a `for`", c)
        raise _no_stop("here", c)

    def _run(
        self, measure: RValue, c: ir.Comp, env: dict[str, Any], state: State, scope: Scope
    ) -> Result:
        match measure:
            case Dist() if is_law(measure):
                return self._ran(lambda s, sc: run_measure(measure, s, sc, c.span), state, scope)
            case Suspension(code=code, names=names, values=values) if code not in scope.tails:
                made = state.extra.lineage.made
                inner = {k: made(v) for k, v in environment(names, values).items()}
                assert isinstance(code.node, ir.Comp)
                return self.statement(code.node, inner, state, deeper(scope, c.span))
            case Suspension():
                raise _no_stop("inside recursion", c)
        raise _no_stop("inside what a random choice chose to run", c)

    def _at(
        self, node: ir.At, env: dict[str, Any], state: State, scope: Scope, body: Any
    ) -> Result:
        inner = scope.at(node.step)
        out, state = at_binder(lambda s, sc: body(node.body, env, s, sc), state, inner)
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
        inner = replace(scope, faults=None if scope.faults is None else [])
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

"""Computations of the IR: one rule a node, `run(comp, env, state, scope) -> (value, state)`.

Loops are in `loops`. A branch on a random condition runs both sides under masks and joins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import DiagnosticError, Span, fail
from ppl.semantics.signatures import PRIMITIVES
from ppl.semantics.xla.alternatives import told
from ppl.semantics.xla.axes import Arr, Axes, Coupled, elementwise, open_event
from ppl.semantics.xla.dists import log_prob, log_prob_each
from ppl.semantics.xla.fixed import at_binder, at_site
from ppl.semantics.xla.host import call_host
from ppl.semantics.xla.join import choose, join
from ppl.semantics.xla.primitives import apply_primitive, equal
from ppl.semantics.xla.pure import coupled, value
from ppl.semantics.xla.sizes import check_observed, sized_as
from ppl.semantics.xla.state import (
    Env,
    Scope,
    Site,
    State,
    masked,
    missing_where_dead,
    path_name,
    tempered,
)
from ppl.semantics.xla.values import (
    Closure,
    Dist,
    GlobalFn,
    HostFn,
    PrimFn,
    Rec,
    RValue,
    Seq,
    Suspension,
    Union,
    cut,
    environment,
    leaves,
    map_leaves,
    to_arr,
)

Result = tuple[RValue, State]

#: calls nested deeper than this while tracing are recursion without a static bound
CALL_LIMIT = 128


def run(comp: ir.Comp, env: Env, state: State, scope: Scope) -> Result:
    """The meaning of a computation as a function of its environment and the state it threads."""
    try:
        return _RULES[type(comp)](comp, env, state, scope)
    except Coupled as error:
        raise coupled(error, comp.span) from None


def _return(node: ir.Return, env: Env, state: State, scope: Scope) -> Result:
    return value(node.value, env, scope), state


def _block(node: ir.Block, env: Env, state: State, scope: Scope) -> Result:
    local = dict(env)
    for bind in node.binds:
        local[bind.name], state = run(bind.comp, local, state, scope)
    return run(node.result, local, state, scope)


def _call(node: ir.Call, env: Env, state: State, scope: Scope) -> Result:
    fn = value(node.fn, env, scope)
    args = tuple(value(a, env, scope) for a in node.args)
    return apply(fn, args, scope, node.span), state


def apply(fn: RValue, args: tuple[RValue, ...], scope: Scope, span: Span | None = None) -> RValue:
    """Apply a function value. Pure, so no state is threaded."""
    match fn:
        case Closure(code=code, names=names, values=values):
            lam = code.node
            assert isinstance(lam, ir.Lam)
            env = environment(names, values)
            env.update(zip((p.name for p in lam.params), args, strict=True))
            return _body(lam.body, env, scope, span)
        case GlobalFn(name=name):
            function = scope.program.by_name[name]
            env = dict(zip((p.name for p in function.params), args, strict=True))
            if name in scope.tails:
                from ppl.semantics.xla import recursion

                return recursion.call(scope.tails[name], env, scope, span)
            return _body(function.body, env, scope, span)
        case Union():

            def one(option: RValue, mask: Arr) -> RValue:
                option, own = _within((option, args), mask, scope)
                return apply(option, own, scope.under(mask), span)

            return choose(fn, one, span)
        case HostFn():
            return call_host(fn, args, span)
        case PrimFn(name=name):
            return apply_primitive(name, list(args), span)
    raise TypeError(f"not a function: {fn!r}")


def _body(body: ir.Comp, env: Env, scope: Scope, span: Span | None) -> RValue:
    out, _ = run(body, env, State(), deeper(scope, span))
    return out


def deeper(scope: Scope, span: Span | None) -> Scope:
    """The scope inside a call. Raises E707 if calls nest too deeply."""
    if scope.depth > CALL_LIMIT:
        raise unbounded(span)
    return replace(scope, depth=scope.depth + 1)


def unbounded(span: Span | None) -> DiagnosticError:
    return fail(
        "E707",
        "this call nests too deeply, or without a bound that is known while compiling",
        span=span,
        hint="recursion whose end depends on random values runs with engine='machine'",
    )


def _within(value: RValue, mask: Arr, scope: Scope) -> RValue:
    """A value as the lanes of `mask` see it."""
    return cut(value, mask) if scope.smooth else value


def _run(node: ir.Run, env: Env, state: State, scope: Scope) -> Result:
    return run_measure(value(node.measure, env, scope), state, scope, node.span)


def run_measure(measure: RValue, state: State, scope: Scope, span: Span | None) -> Result:
    """Run a value of type `measure[A]` at the current path."""
    match measure:
        case Dist(name="dirac", args=(x,)):
            return x, state
        case Dist(name="iid", args=(n, each)) if not is_law(each):
            from ppl.semantics.xla.loops import side_by_side

            axis = scope.fresh_plate("/".join(scope.path), n.value)
            return side_by_side(axis, lambda s, sc: run_measure(each, s, sc, span), state, scope)
        case Dist():
            return at_site(Site(scope.path, measure, span), scope, state)
        case Suspension(code=code, names=names, values=values):
            assert isinstance(code.node, ir.Comp)
            if code in scope.tails:
                from ppl.semantics.xla import recursion

                args = environment(names, values)
                return recursion.loop(scope.tails[code], args, state, scope, span)
            return run(code.node, environment(names, values), state, deeper(scope, span))
        case Union(tag=tag, options=options):
            out: RValue = None
            for k, option in enumerate(options):
                mask = elementwise(lambda t, k=k: t == k, tag)
                inner = told(scope.under(mask), k)
                option = _within(option, mask, scope)
                result, state = run_measure(option, state, inner, span)
                out = result if k == 0 else join(mask, result, out, span)
            return out, state
    raise TypeError(f"not a measure: {measure!r}")


def is_law(measure: RValue) -> bool:
    """Whether a measure is one distribution, with a density."""
    match measure:
        case Dist(name="iid", args=(_, each)):
            return is_law(each)
        case _:
            return isinstance(measure, Dist)


def _observe(node: ir.Observe, env: Env, state: State, scope: Scope) -> Result:
    dist, x = value(node.dist, env, scope), value(node.value, env, scope)
    if scope.predict is not None:
        drawing = replace(scope.at(f"predict {node.name}"), site=scope.predict(x))
        drawn, state = run_measure(sized_as(dist, x), state, drawing, node.span)
        return None, state.observing(node.name, missing_where_dead(drawn, scope))
    score, pending = density(dist, x, scope, node.span)
    if "elements" in scope.record:
        state = state.observing(node.name, density_each(dist, x, scope, node.span))
    elif "observed" in scope.record:
        state = state.observing(node.name, score)
    return None, state.scored(tempered(scope, score), pending)


def density(dist: RValue, x: RValue, scope: Scope, span: Span | None) -> tuple[Arr, Axes]:
    """The log density of `dist` at `x` in live lanes, and the plates that its factor waits for."""
    dist, x, pending = _by_element(dist, x)

    def of_one(d: RValue, at: RValue) -> Arr:
        if isinstance(d, Dist) and d.name == "dirac" and isinstance(at, (tuple, Rec, Seq)):
            same = to_arr(equal(d.args[0], at, span))
            return elementwise(lambda c: jnp.where(c, 0.0, -jnp.inf), same)
        check_observed(d, at, span)
        checks = "support" if scope.smooth or scope.nan_is_nothing else "all"
        return log_prob(d, at, lambda f, *a: apply(f, a, scope), span, checks=checks)

    if isinstance(dist, Union):
        one = lambda d, mask: of_one(*_within((d, x), mask, scope))  # noqa: E731
        score = to_arr(choose(dist, one, span))
    else:
        score = of_one(dist, x)
    return masked(scope, score), pending


def density_each(dist: RValue, x: RValue, scope: Scope, span: Span | None) -> Arr:
    """The log density at each of the independent elements of `x`, 0 in lanes not taken."""
    lift = lambda f, *a: apply(f, a, scope)  # noqa: E731
    if isinstance(dist, Union):

        def one(d: RValue, mask: Arr) -> Arr:
            d, at = _within((d, x), mask, scope)
            return log_prob_each(d, at, lift, span)

        return masked(scope, to_arr(choose(dist, one, span)))
    if isinstance(dist, Dist) and dist.name == "dirac" and isinstance(x, (tuple, Rec, Seq)):
        return density(dist, x, scope, span)[0]
    return masked(scope, log_prob_each(dist, x, lift, span))


def _by_element(dist: RValue, x: RValue) -> tuple[RValue, RValue, Axes]:
    """An independent product whose parameters are summed choices, as one factor an element."""
    plate = next((a.closed[0] for a in (*leaves(dist), *leaves(x)) if a.closed), None)
    if plate is None or not isinstance(dist, Dist):
        return dist, x, ()
    item = dist.type.item
    if PRIMITIVES[dist.name].kind != "elementwise" or not isinstance(item, T.Array):
        raise Coupled(plate)

    def open_up(v: RValue) -> RValue:
        return map_leaves(lambda a: open_event(a, plate) if a.event_rank else a, v)

    one = Dist(dist.name, open_up(dist.args), T.Dist(item.item))
    return one, open_up(x), (plate,)


def _score(node: ir.Score, env: Env, state: State, scope: Scope) -> Result:
    score = masked(scope, to_arr(value(node.value, env, scope)))
    return None, state.scored(tempered(scope, score))


def _at(node: ir.At, env: Env, state: State, scope: Scope) -> Result:
    inner = scope.at(node.step)
    if scope.outline is not None:
        scope.outline.setdefault(path_name(inner.path), node)
    out, state = at_binder(lambda s, sc: run(node.body, env, s, sc), state, inner)
    if node.keep and "kept" in scope.record:
        state = state.keeping(inner.path, missing_where_dead(out, scope))
    return out, state


def _if(node: ir.If, env: Env, state: State, scope: Scope) -> Result:
    cond = value(node.cond, env, scope)
    if isinstance(cond, bool):
        return run(node.then if cond else node.other, env, state, scope)
    cond = to_arr(cond)
    negated = elementwise(jnp.logical_not, cond)
    yes, no = scope.under(cond), scope.under(negated)
    a, state = run(node.then, guarded(env, node.then, cond, scope), state, yes)
    b, state = run(node.other, guarded(env, node.other, negated, scope), state, no)
    return join(cond, a, b, node.span), state


def guarded(env: Env, arm: ir.Comp, mask: Arr, scope: Scope) -> Env:
    """Captured values as the lanes that take the arm see them."""
    return {**env, **{name: _within(env[name], mask, scope) for name in arm.free & env.keys()}}


def _match(node: ir.Match, env: Env, state: State, scope: Scope) -> Result:
    raise fail(
        "E706",
        "`match` on an inductive type does not run on XLA",
        span=node.span,
        hint="run with engine='machine'",
    )


def _loop(name: str) -> Callable[[Any, Env, State, Scope], Result]:
    def rule(node: Any, env: Env, state: State, scope: Scope) -> Result:
        from ppl.semantics.xla import loops

        return getattr(loops, name)(node, env, state, scope)

    return rule


_RULES: Mapping[type, Callable[[Any, Env, State, Scope], Result]] = {
    ir.Return: _return,
    ir.Block: _block,
    ir.Call: _call,
    ir.Run: _run,
    ir.Observe: _observe,
    ir.Score: _score,
    ir.At: _at,
    ir.If: _if,
    ir.Match: _match,
    ir.For: _loop("plate"),
    ir.Scan: _loop("scan"),
    ir.Iterate: _loop("iterate"),
}

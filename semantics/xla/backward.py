"""Backward simulation in compiled code: smoothed trajectories of a state-space model.

The program's last loop is run by particles, and its population after every step is kept: choices,
states, weights. A trajectory ends at one of the last particles, drawn by weight; step by step
backwards, the one that it came from is drawn among all, by weight times the density of the step
that the trajectory makes next, had it begun at each one's state; and so what was drawn before the
loop. That is all that tells pasts apart where the state after a step is a function of the step's
choices alone, and the steps read nothing else that differs between particles. Other programs are
refused (E876); the machine has no need of that (`inference.backward`, where the law is stated).

Godsill, Doucet and West, "Monte Carlo smoothing for nonlinear time series" (2004).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics import keys
from ppl.semantics.diagnostics import fail
from ppl.semantics.jax_compat import unread
from ppl.semantics.omega import Key
from ppl.semantics.xla.axes import Arr, Axis, elementwise, spread
from ppl.semantics.xla.carries import carried, holds_code
from ppl.semantics.xla.lineage import Lineage, inherited, moving
from ppl.semantics.xla.points import Front, Policy, decided, path_at, scored, weighted
from ppl.semantics.xla.program import Bound, Data
from ppl.semantics.xla.sequential import Alone, Loop, walk
from ppl.semantics.xla.sequential_scan import Opened
from ppl.semantics.xla.sites import _typed, draw, given
from ppl.semantics.xla.state import Scope, Site, State
from ppl.semantics.xla.values import RValue, leaves

RECORD = frozenset(("sites",))


@dataclass(frozen=True)
class Trajectories:
    """sites: (m, steps, …), by path. log_mass: of the filter. history: of its points, as `Front`
    has it."""

    sites: Mapping[str, Arr]
    log_mass: Any
    history: Any


def trajectories(
    bound: Bound, data: Data, omega: Any, axis: Axis, policy: Policy, m: int
) -> tuple[Any, Trajectories]:
    """The source of randomness, and m trajectories drawn backwards through a filter.

    Raises:
        DiagnosticError: E876, the program is no state-space model; what `walk` raises.
    """
    env, scope = bound.beginning(data, rule=draw, axes=(axis,), record=RECORD, nan_is_nothing=True)
    start = jnp.full(axis.size, -jnp.log(axis.size), jnp.result_type(float))
    state = State(omega, extra=Front(start, Lineage(axis)))
    stop: Any = None
    try:
        steps = walk(bound.program, env, state, scope)
        stop = next(steps)
        while not (isinstance(stop, Loop) and stop.last):
            stop = steps.send(Alone(policy).at(stop))
    except StopIteration:
        raise _refused("it does not end in a loop with points", stop) from None
    loop, state = stop.opened
    _check(loop, stop)
    return _smoothed(loop, state, policy, m)


def _smoothed(loop: Opened, state: State, policy: Policy, m: int) -> tuple[Any, Trajectories]:
    axis, front = loop.axis, state.extra
    steps = jnp.arange(loop.n)

    def forward(carry: Any, x: Any) -> Any:
        (current, weights, omega), (t, own) = carry, x
        after, end = loop.step(current, [], own, None, omega.enter(t), None, {})
        weights = weighted(weights, end, front.lineage)
        chose, decision = policy(weights, end.omega, path_at(front.lineage), None)
        _, later, next_ = decided(decision, weights, lambda a: inherited(after, a, axis), after)
        sites = {k: spread(v, (axis,)) for k, v in end.sites.items()}
        return (next_, later, omega.leave(chose)), (after, weights, sites, decision.told)

    init = carried(loop.start, loop.axes)
    now = weighted(front.log_weights, state, front.lineage)
    (_, last, omega), (states, weights, sites, points) = jax.lax.scan(
        forward, (init, now, state.omega), (steps, loop.inputs), length=loop.n
    )

    def chosen(omega: Any, logits: Any, which: str = "last") -> tuple[Any, Any]:
        law = D.make("categorical_logit", (jnp.broadcast_to(logits, (m, axis.size)),))
        return omega.draw(("", "backward", which), law, (m,))

    def at(t: Any, who: Any) -> dict[str, Any]:
        return {k: v.data[t][who] for k, v in sites.items()}

    def back(carry: Any, t: Any) -> Any:
        omega, ahead = carry
        # the densities (m, n) of step t + 1 from every state after step t
        here, own = jax.tree.map(lambda x: x[t], (states, (weights, loop.inputs)))
        _, inputs = jax.tree.map(lambda x: x[t + 1], (steps, loop.inputs))
        density = jax.vmap(lambda values: _density(loop, here, inputs, values))(ahead)
        inner, who = chosen(omega.enter(t), own[0] + density)
        values = at(t, who)
        return (omega.leave(inner), values), values

    omega, who = chosen(omega, weights[-1])
    end = at(loop.n - 1, who)
    # not in reverse, which would be one piece to whoever runs loops in pieces (`inference.cut`)
    (omega, ahead), before = jax.lax.scan(back, (omega, end), steps[:-1][::-1])
    whole = jax.tree.map(lambda a, b: jnp.concatenate([a[::-1], b[None]]), before, end)
    found = {k: Arr(jnp.moveaxis(x, 0, 1)) for k, x in whole.items()}
    earlier = front.lineage.brought(state.sites)
    if earlier:
        inputs = jax.tree.map(lambda x: x[0], loop.inputs)
        density = jax.vmap(lambda values: _density(loop, init, inputs, values))(ahead)
        omega, who = chosen(omega, now + density, "first")
        found |= {k: Arr(spread(v, (axis,)).data[who]) for k, v in earlier.items()}
    mass = jax.scipy.special.logsumexp(last)
    return omega, Trajectories(found, mass, (*front.history, points))


def _density(loop: Opened, state: RValue, inputs: Any, values: Mapping[str, Any]) -> Any:
    """log density (n,) of a step that makes the choices `values`, from the particles' states."""
    given_ = {k: Arr(v) for k, v in values.items()}
    quiet = replace(loop, scope=replace(loop.scope, site=_made, record=RECORD))
    _, end = quiet.step(state, [], inputs, None, None, None, given_)
    out = scored(end, loop.axis)
    for name, made in end.sites.items():
        if loop.axis in made.axes:  # under a branch: whether it is made differs
            missing = jnp.isnan(spread(made, (loop.axis,)).data)
            here = jnp.isnan(given_[name].data)
            same = jnp.all(missing == here, axis=tuple(range(1, jnp.ndim(missing))))
            out = jnp.where(same, out, -jnp.inf)
    return jnp.where(out < jnp.inf, out, -jnp.inf)


def _made(site: Site, scope: Scope, state: State) -> tuple[RValue, State]:
    """The choice that is given, or any where none was made, scored by its density."""
    x = scope.given[site.name]
    known = elementwise(jnp.nan_to_num, x)
    values = {**scope.given, site.name: Arr(_typed(known.data, site), x.axes)}
    return given(site, replace(scope, given=values), state)


def _check(loop: Opened, stop: Loop) -> None:
    """Raise E876 if more than the state, or more of it than the last choices, tells pasts apart."""
    if loop.n < 1:
        raise _refused("its loop has no steps", stop)
    if moving(loop.outer, loop.axis) or loop.follows:
        raise _refused("choices before the loop, as of parameters, are read in its steps", stop)
    if holds_code(loop.node.carry.type):
        raise _refused("the loop's state holds functions", stop)
    init = carried(loop.start, loop.axes)
    form = jax.tree.structure(init, is_leaf=lambda v: isinstance(v, Arr))
    arrays = leaves(init)
    inputs = jax.tree.map(lambda x: x[0], loop.inputs)

    def after(data: list[Any]) -> Any:
        own = [replace(a, data=x) for a, x in zip(arrays, data, strict=True)]
        names = _first_choices(loop, init, inputs)
        quiet = replace(loop, scope=replace(loop.scope, site=_made, record=RECORD))
        state = jax.tree.unflatten(form, own)
        made, _ = quiet.step(state, [], inputs, None, None, None, names)
        return [a.data for a in leaves(made)]

    if not unread(after, [a.data for a in arrays]):
        raise _refused("the state after a step depends on the one before, not on choices", stop)


def _first_choices(loop: Opened, state: RValue, inputs: Any) -> dict[str, Arr]:
    """Some values for the choices of a step, of their forms."""

    def one() -> Any:
        source = Key(keys.key(0))
        _, end = loop.step(state, [], inputs, None, source, None, {})
        return {k: spread(v, (loop.axis,)) for k, v in end.sites.items()}

    shapes = jax.eval_shape(one)
    return {k: Arr(jnp.zeros(v.data.shape[1:], v.data.dtype)) for k, v in shapes.items()}


def _refused(why: str, stop: Any) -> Exception:
    span = stop.node.span if isinstance(stop, Loop) else None
    return fail(
        "E876",
        f"trajectories are not drawn backwards in compiled code here: {why}",
        span=span,
        hint="leave the choice of the engine to the compiler: engine='auto'",
    )

"""The state that a loop carries: what it varies along, and its one form.

Decided before the body is traced, so that it is traced once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.xla.axes import Arr, Axes, refuse_closed, spread, union
from ppl.semantics.xla.join import join
from ppl.semantics.xla.state import Env, Scope
from ppl.semantics.xla.values import RValue, map_leaves, to_arr, varies_along


def time_first(a: Arr) -> Arr:
    """The first event dimension in front of everything: elements in order, which couples them."""
    refuse_closed(a)
    return Arr(jnp.moveaxis(a.data, len(a.axes), 0), a.axes)


def time_event(a: Arr) -> Arr:
    """The inverse."""
    return Arr(jnp.moveaxis(a.data, 0, len(a.axes)), a.axes)


def carry_axes(
    read: frozenset[str], inputs: tuple[RValue, ...], effectful: bool, env: Env, scope: Scope
) -> Axes:
    """Axes a carry may come to vary along: those of everything the body reads, and, when it
    draws, the open ones. Decided before tracing, so that the body is traced once."""
    found = [varies_along(env[name]) for name in sorted(read) if name in env]
    found += map(varies_along, inputs)
    found += [varies_along(v) for k, v in scope.given.items() if scope.owns(k)]
    if effectful:
        found.append(scope.axes)
    return union(*found)


def carried(v: RValue, axes: Axes) -> RValue:
    """A value in the form that a loop carries: numbers as arrays along `axes`."""
    return map_leaves(lambda a: replace(spread(a, axes), index=None), v)


def moved_on(v: RValue, current: RValue, axes: Axes, type: T.Type, span: Span | None) -> RValue:
    """The state after a step in the form of the one before it, if it has that form."""
    out = carried(v, axes)
    if jax.tree.structure(out) != jax.tree.structure(current) and holds_code(type):
        # the new state's code is one of several
        out = carried(join(to_arr(False), current, out, span), axes)
    if jax.tree.structure(out) != jax.tree.structure(current):
        if holds_code(type):
            return out  # not closed under the body yet
        raise fail(
            "E701",
            "the state carried by this loop changes its form from step to step",
            span=span,
            hint="carry values of one form (texts cannot change), or run with engine='machine'",
        )
    before, after = (
        jax.tree.leaves(x, is_leaf=lambda a: isinstance(a, Arr)) for x in (current, out)
    )
    for a, b in zip(before, after, strict=False):
        if isinstance(a, Arr) and isinstance(b, Arr) and a.event_shape != b.event_shape:
            raise fail(
                "E701",
                "the state carried by this loop changes its size: one step makes an array of shape "
                f"{a.event_shape} one of shape {b.event_shape}",
                span=span,
                hint="give the state its final size before the loop, and fill it in, or run with "
                "engine='machine'",
            )
    return jax.tree.map(
        lambda a, b: (
            replace(a, data=jnp.asarray(a.data, b.data.dtype)) if isinstance(a, Arr) else a
        ),
        out,
        current,
        is_leaf=lambda x: isinstance(x, Arr),
    )


def holds_code(t: Any) -> bool:
    match t:
        case T.Fun() | T.Dist() | T.Measure():
            return True
        case T.Tuple(items=items):
            return any(map(holds_code, items))
        case T.Record(fields=fields):
            return any(holds_code(f) for _, f in fields)
        case T.Array(item=item):
            return holds_code(item)
    return False


#: steps after which the codes that a loop carries should all have been met
_FORMS = 8


def closed_form(step: Callable[[RValue], RValue], init: RValue, span: Span | None) -> RValue:
    """A carry of functions in a form that the body maps to itself: the union of all codes met."""
    for _ in range(_FORMS):
        out = jax.eval_shape(step, init)
        if jax.tree.structure(init) == jax.tree.structure(out):
            return init
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), out)
        init = join(to_arr(True), init, zeros, span)
    raise fail(
        "E701",
        "the function carried by this loop grows with every step",
        span=span,
        hint="run with engine='machine'",
    )

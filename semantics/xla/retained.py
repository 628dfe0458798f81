"""What a loop tells conditional SMC of the retained trace's future, at each of its steps.

In general the coordinates of every particle's past travel in the loop's carry, and the density of
whole traces is asked for: each step then costs as much as the program. Where the next state is a
function of the step's choices alone, of no earlier state, all pasts have the same future from the
step after the next on. If besides only the state differs between particles, and nothing follows
the loop, the density of the next step is all that tells pasts apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.jax_compat import unread
from ppl.semantics.xla.axes import Arr, Axes, Axis, spread
from ppl.semantics.xla.carries import holds_code, moved_on
from ppl.semantics.xla.fixed import at_binder
from ppl.semantics.xla.points import Ahead, Future, drawn, scored
from ppl.semantics.xla.run import run
from ppl.semantics.xla.state import Env, Scope, SiteRule, State
from ppl.semantics.xla.values import RValue, leaves


@dataclass(frozen=True)
class Rest:
    """A loop along the retained trace. inputs: numbers of its steps, elements, coordinates given;
    time leads. axes: what its state varies along."""

    node: ir.Scan
    env: Env
    scope: Scope
    inputs: Any
    axes: Axes
    axis: Axis

    @property
    def steps(self) -> int:
        return self.inputs[0].shape[0]

    def step(self, t: Any, state: RValue, base: SiteRule) -> tuple[RValue, Any]:
        """Step t from any state: the next one, and the log density of the step (n,)."""
        node = self.node
        _, item, now = jax.tree.map(lambda x: x[t], self.inputs)
        local = {**self.env, node.carry.name: state, node.param.name: item}
        here = replace(self.scope, site=base, given=now, faults=None, record=frozenset())
        out, end = at_binder(lambda s, sc: run(node.body, local, s, sc), State(), here)
        after = moved_on(out, state, self.axes, node.carry.type, node.span)
        return after, scored(end, self.axis)

    def forgets(self, init: RValue, base: SiteRule) -> bool:
        """Whether the state after a step does not depend on the one before."""
        form = jax.tree.structure(init, is_leaf=lambda v: isinstance(v, Arr))
        arrays = leaves(init)

        def after(data: list[Any]) -> Any:
            own = [replace(a, data=x) for a, x in zip(arrays, data, strict=True)]
            return [a.data for a in leaves(self.step(0, jax.tree.unflatten(form, own), base)[0])]

        return unread(after, [a.data for a in arrays])


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["inside", "earlier", "past"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Seen:
    """Coordinates of every particle's past, and of the retained future where that is to come: of
    the sites inside the loop, with their steps; of those before it. past: their log density."""

    inside: Mapping[str, Arr]
    earlier: Mapping[str, Arr]
    past: Arr


@dataclass(frozen=True)
class Whole:
    """By the density of whole traces."""

    ahead: Ahead
    axis: Axis

    def after(self, t: Any, state: RValue, end: State, seen: Seen) -> tuple[State, Seen, Future]:
        """The end of step t without what only this needs, what was seen, and what is to come."""
        own, end = drawn(end, self.axis)
        inside = {
            k: self._written(u, t, end.sites[k]) if k in end.sites else u
            for k, u in seen.inside.items()
        }
        past = seen.past.data + own + scored(end, self.axis)
        found = {**seen.earlier, **inside}
        seen = Seen(inside, seen.earlier, Arr(past, (self.axis,)))
        return end, seen, lambda: self.ahead.log_density(found) - past

    def _written(self, buffer: Arr, t: Any, now: Arr) -> Arr:
        data = buffer.data.at[:, t].set(spread(now, (self.axis,)).data)
        return replace(buffer, data=data)


@dataclass(frozen=True)
class OneStep:
    """By the density of the next step."""

    ahead: Ahead
    rest: Rest

    def after(self, t: Any, state: RValue, end: State, seen: None) -> tuple[State, None, Future]:
        _, end = drawn(end, self.rest.axis)
        last = self.rest.steps - 1

        def future() -> Any:
            _, score = self.rest.step(jnp.minimum(t + 1, last), state, self.ahead.base)
            return jnp.where(t < last, score, 0.0)

        return end, None, future


def watching(
    ahead: Ahead, rest: Rest, init: RValue, earlier: Mapping[str, Arr], past: Any, alone: bool
) -> tuple[Whole | OneStep, Seen | None]:
    """How a loop looks ahead, and what it carries for that.

    alone: only the loop's state differs between particles, and nothing comes after the loop.
    """
    if alone and not holds_code(rest.node.carry.type) and rest.forgets(init, ahead.base):
        return OneStep(ahead, rest), None
    given = rest.inputs[2].keys() & ahead.moved - earlier.keys()
    inside = {k: spread(rest.scope.given[k], (rest.axis,)) for k in given}
    return Whole(ahead, rest.axis), Seen(inside, earlier, Arr(past, (rest.axis,)))

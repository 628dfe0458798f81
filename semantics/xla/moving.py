"""A population that moves at its suspension points: the filter of `sequential`, in which every
particle, resampled or not, makes steps of Markov kernels on its prefix (`prefixes`).

A move changes choices, on which anything computed so far may depend. So nothing of it is kept but
the choices: the program goes on in a replay of them. In a loop the replay gives the state and
whatever else the next step reads; log weights stay. What is carried is the coordinates of all of
every particle's past, and a move of a step costs as many steps as there have been.

Law: `ProperlyWeighted`, for whole traces, if each move leaves the measure of its prefix invariant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.mixed import MixedDensity
from ppl.semantics.omega import path_hash
from ppl.semantics.xla.axes import Arr, Axis
from ppl.semantics.xla.lineage import inherited
from ppl.semantics.xla.mixed import mixed_density, rule_of
from ppl.semantics.xla.points import Front, Policy, decided, few, path_at, point, weighted
from ppl.semantics.xla.prefixes import (
    PASSING,
    Along,
    Ended,
    Prefixes,
    begun,
    coordinates,
    live,
    onward,
    step_of,
    values,
)
from ppl.semantics.xla.program import ALL, Bound, Data
from ppl.semantics.xla.sequential import Loop, Result, Stop, ended
from ppl.semantics.xla.sequential_scan import Opened

Position = Mapping[str, Any]


class Spot(NamedTuple):
    """Where particles move. density: of their prefixes; whole: of all choices. alive: of sites in a
    loop under way, which of their draws (booleans of the shape of their loops) have been made."""

    density: MixedDensity
    alive: Mapping[str, Any]
    whole: MixedDensity


#: (source of randomness, where, positions (n, …)) to the source, the positions after the moves, and
#: the share of moves that were accepted
Mover = Callable[[Any, Spot, Position], tuple[Any, Position, Any]]


def run_moving(
    bound: Bound, data: Data, omega: Any, axis: Axis, policy: Policy, mover: Mover
) -> Result:
    """The program's result and state, as `run_sequentially` gives them; the history has of each
    point also the share of moves that were accepted.

    Raises:
        DiagnosticError: E730, there is a point at which XLA cannot stop; E878, the choices of the
            program have no coordinates.
    """
    bound = replace(bound, late=frozenset())  # choices that are read later move, too
    try:
        whole = mixed_density(bound, data, None)
    except DiagnosticError as error:
        (why, *_) = error.diagnostics
        raise fail(
            "E878",
            f"compiled code does not move particles of this program: {why.message}",
            span=why.span,
            notes=why.notes,
            hint="leave the choice of the engine to the compiler: engine='auto'",
        ) from None
    base = rule_of(whole)
    return _Moving(Prefixes(bound, data, base, whole), Along(base), axis, policy, mover).run(omega)


class _Found(NamedTuple):
    """A population after its moves: all that is left of it, and what the decision told."""

    position: Mapping[str, Arr]
    log_weights: Any
    omega: Any
    told: Any
    ancestors: Any


@dataclass(frozen=True, eq=False)
class _Moving:
    prefixes: Prefixes
    rule: Along
    axis: Axis
    policy: Policy
    mover: Mover

    def run(self, omega: Any) -> Result:
        steps, stop, scope = self._to(0, {}, omega)
        history, ancestors, k = (), (), 0
        while not isinstance(stop, Ended):
            if isinstance(stop, Loop) and stop.opened[0].n == 0:
                stop, k = onward(steps, PASSING.at(stop)), k + 1
                continue
            found = self._at_point(k, stop) if isinstance(stop, Stop) else self._at_loop(k, stop)
            history, ancestors = (*history, found.told), (*ancestors, found.ancestors)
            steps, stop, scope = self._to(k, found.position, found.omega)
            assert not isinstance(stop, Ended)
            out, state = PASSING.at(stop)
            front = replace(state.extra, log_weights=found.log_weights)
            state = replace(state, omega=found.omega, extra=front)
            stop, k = onward(steps, (out, state)), k + 1
        out, state = ended(stop.out, stop.state, scope)
        front = replace(state.extra, history=history, ancestors=ancestors)
        return out, replace(state, sites=values(state.sites), extra=front)

    def _to(self, k: int, position: Mapping[str, Arr], omega: Any) -> Any:
        return self.prefixes.to(k, self.rule, self.axis, position, omega, ALL)

    def _at_point(self, k: int, stop: Stop) -> _Found:
        state = point(stop.state, self.policy)
        front: Front = state.extra
        position = coordinates(front.lineage.brought(state.sites), self.axis)
        omega, position, rate = self._moved(k, None, {}, state.omega, position)
        told, links = (*front.history[-1], rate), front.ancestors[-1]
        return _Found(position, front.log_weights, omega, told, links)

    def _at_loop(self, k: int, stop: Loop) -> _Found:
        loop, state = stop.opened
        axis, before = self.axis, state.extra.lineage
        earlier = coordinates(before.brought(state.sites), axis)
        start, own = begun(loop, state.omega), live(loop)
        inside = _room(loop, start, own, state.omega, axis)

        def step(carry: Any, x: Any) -> tuple[Any, Any]:
            (current, own, position, weights, omega), (t, inputs) = carry, x
            _, end = step_of(loop, current, own, inputs, t, omega)
            new = coordinates(end.sites, axis)
            position = {
                **position,
                **{name: _written(position[name], t, new[name]) for name in new},
            }
            weights = weighted(weights, end, before)
            source, decision = self.policy(weights, end.omega, path_at(before), None)
            ancestors, weights, position = decided(
                decision, weights, lambda a: inherited(position, a, axis), position
            )
            source, position, rate = self._moved(k, t, inside, source, position)
            again = self.prefixes.replayed(k, t, self.prefixes.base, axis, position, None)
            left = (again.state, again.live, position, weights, omega.leave(source))
            return left, ((*decision.told, rate), few(ancestors))

        weights = weighted(state.extra.log_weights, state, before)
        begin = (start, own, {**earlier, **inside}, weights, state.omega)
        inputs = jnp.arange(loop.n), loop.inputs
        end, (told, links) = jax.lax.scan(step, begin, inputs, length=loop.n)
        _, _, position, weights, omega = end
        return _Found(position, weights, omega, told, links)

    def _moved(
        self, k: int, t: Any, inside: Mapping[str, Arr], omega: Any, position: Mapping[str, Arr]
    ) -> tuple[Any, dict[str, Arr], Any]:
        """The particles after their moves at stop k, at step t if that is the loop that has the
        sites `inside`."""
        loops = self.prefixes.whole.loops
        alive = {name: _so_far(t, loops[name]) for name in inside}
        density = self.prefixes.density(frozenset(position), k, t, alive)
        given = {name: u.data for name, u in position.items()}
        inner = omega.enter(path_hash(("", "move", str(k))) >> 1)
        inner, new, rate = self.mover(inner, Spot(density, alive, self.prefixes.whole), given)
        moved = {
            name: replace(u, data=jnp.asarray(new[name], u.data.dtype))
            for name, u in position.items()
        }
        return omega.leave(inner), moved, rate


def _room(loop: Opened, start: Any, own: Any, omega: Any, axis: Axis) -> dict[str, Arr]:
    """Room for the coordinates of what a loop's steps draw."""
    first = jax.tree.map(lambda x: x[0], loop.inputs)

    def drawn(start: Any, own: Any, omega: Any) -> Any:
        return coordinates(step_of(loop, start, own, first, 0, omega)[1].sites, axis)

    like = jax.eval_shape(drawn, start, own, omega)
    return {
        name: Arr(jnp.zeros((axis.size, loop.n, *u.data.shape[1:]), u.data.dtype), (axis,))
        for name, u in like.items()
    }


def _written(buffer: Arr, t: Any, now: Arr) -> Arr:
    return replace(buffer, data=buffer.data.at[:, t].set(now.data))


def _so_far(t: Any, loops: tuple[int, ...]) -> Any:
    """Of the draws of a site in a loop those up to step t."""
    steps = jnp.arange(loops[0]) <= t
    return jnp.broadcast_to(jnp.reshape(steps, (-1,) + (1,) * (len(loops) - 1)), loops)

"""Populations that stand at the end of a loop over data, and go on from there with more.

What a program has computed by then is the loop's state, what was bound before it, and the weights:
that is kept (`Stood`), and is where the program `passes.resumable` cut it goes on. Its steps and
its versions of the particle axis are numbered on, so that the randomness is that of one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.passes.resumable import Resumable, resumable
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.carries import time_first
from ppl.semantics.xla.guided import Guided
from ppl.semantics.xla.lineage import Lineage
from ppl.semantics.xla.points import Front, Policy
from ppl.semantics.xla.program import Bound
from ppl.semantics.xla.sequential import Alone, Loop, Result, Stop
from ppl.semantics.xla.state import Env, Scope, State, path_name
from ppl.semantics.xla.values import Forgotten, RValue, elements, map_leaves

Table = Mapping[str, RValue]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        *("live", "state", "value", "log_weights", "roots"),
        *("earlier", "inside", "history", "ancestors", "guide"),
    ],
    meta_fields=["version"],
)
@dataclass(frozen=True)
class Stood:
    """A population at the end of a loop, each particle's of one lineage.

    live: what the loop and the rest of the program read of what was computed before. state: the
    loop's. value: the loop's, if all states are kept. log_weights: (n,). roots: the particle that
    each descends from where the run began. earlier, inside: (sites, kept values), by path, of what
    was before the loop and in it. history, ancestors: of all points so far, as of `Front`. guide:
    what a guide's loop reads of what was computed before it, and its state. version: of the
    particle axis, before the loop.
    """

    live: Table
    state: RValue
    value: RValue | None
    log_weights: Any
    roots: Arr
    earlier: tuple[Table, Table]
    inside: tuple[Table, Table]
    history: Any
    ancestors: Any
    guide: tuple[Table, RValue] | None
    version: int


@dataclass(frozen=True)
class From:
    """Where a population begins, if not where the program does. version: of the particle axis."""

    log_weights: Any
    version: int


@dataclass(frozen=True)
class Standing:
    """A meeting of one population, which remembers how it `stood` at the end of a loop.

    live: the names of what is to be kept. keeps: whether the loop's value is bound to a name.
    guide: the loop of a guide, and the names of what it reads.
    """

    policy: Policy
    history: bool
    loop: ir.Scan | None
    live: tuple[str, ...] = ()
    keeps: bool = False
    begins: From | None = None
    guide: tuple[ir.Scan, tuple[str, ...]] | None = None
    every = False

    @property
    def alone(self) -> Alone:
        return Alone(self.policy, self.history)

    def begin(self, state: State) -> State:
        if self.begins is None:
            return state
        front: Front = state.extra
        n, axis = self.begins.version, front.lineage.axis
        same = jnp.arange(axis.size, dtype=jnp.int32)
        lineage = Lineage(axis, (same,) * n)
        return replace(
            state, extra=replace(front, log_weights=self.begins.log_weights, lineage=lineage)
        )

    def at(self, stop: Stop | Loop) -> Result:
        out, state = self.alone.at(stop)
        if not isinstance(stop, Loop) or stop.node is not self.loop:
            return out, state
        return out, self.stands(stop, out, state)

    def guided(
        self, program: ir.Program, env: Env, scope: Scope, policy: Policy, *, history: bool
    ) -> Guided:
        """The meeting with a guide, which remembers the same."""
        return _Beside(self, program, env, scope, policy, history=history)

    def stands(
        self, stop: Loop, out: RValue, state: State, guide: tuple[Table, RValue] | None = None
    ) -> State:
        """The state after the loop, which remembers how the population stands there."""
        front: Front = state.extra
        before, now = stop.opened[1], front.lineage.now

        def table(now_: Table, then: Table, *, known: bool) -> Table:
            return {k: now(v) for k, v in now_.items() if (k in then) is known}

        sites, kept = (state.sites, before.sites), (state.kept, before.kept)
        inside = dict(table(*kept, known=False))
        if self.keeps:
            shown = out.last if isinstance(out, Forgotten) else out
            inside[path_name(stop.scope.path)] = shown
        stood = Stood(
            {name: now(stop.around[name]) for name in self.live},
            self._state(stop, out),
            out if stop.node.keep == "all" and self.history else None,
            front.log_weights,
            front.lineage.roots,
            (table(*sites, known=True), table(*kept, known=True)),
            (table(*sites, known=False), inside),
            front.history,
            front.ancestors,
            guide,
            before.extra.lineage.version,
        )
        return replace(state, extra=replace(front, stood=stood))

    def _state(self, stop: Loop, out: RValue) -> RValue:
        """The loop's state at its end."""
        if stop.opened[0].n == 0:
            return stop.opened[0].start
        if isinstance(out, Forgotten):
            return out.last
        if stop.node.keep == "last":
            return out
        return map_leaves(lambda a: Arr(time_first(a).data[-1], a.axes), elements(out))


class _Beside(Guided):
    """A model and its guide, which remember how they stood at the end of their loops."""

    def __init__(self, standing: Standing, *about: Any, history: bool):
        super().__init__(*about, history=history)
        self.standing = standing

    def begin(self, state: State) -> State:
        return super().begin(self.standing.begin(state))

    def ended(
        self, stop: Loop, out: RValue, state: State, theirs: Stop | Loop | None, led: Any
    ) -> State:
        known = self.standing
        if stop.node is not known.loop or known.guide is None or not isinstance(theirs, Loop):
            return state
        loop, names = known.guide
        if theirs.node is not loop:
            return state
        now = state.extra.lineage.now
        return known.stands(stop, out, state, ({k: now(theirs.around[k]) for k in names}, led[0]))


@dataclass(frozen=True, eq=False)
class Parts:
    """A program cut at its loop over data: the loop on rows, and what follows it."""

    cut: Resumable
    again: Bound
    after: Bound

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of what the loop reads of what was computed before it."""
        params = {p.name for p in self.again.program.entry.params}
        return tuple(name for name in self.cut.live if name in params)


@lru_cache(maxsize=64)
def parts_of(bound: Bound) -> Parts | None:
    """None if the program has no loop that could go on."""
    try:
        cut = resumable(bound.program)
    except DiagnosticError:
        return None
    return Parts(cut, replace(bound, program=cut.again), replace(bound, program=cut.after))


def standing(bound: Bound, policy: Policy, history: bool, helper: Bound | None = None) -> Standing:
    """What a filter does where the program stops, so that it can go on. helper: a guide."""
    parts, guide = parts_of(bound), None if helper is None else parts_of(helper)
    if parts is None or (helper is not None and guide is None):
        return Standing(policy, history, None)
    cut, beside = parts.cut, guide and (guide.cut.loop, guide.reads)
    return Standing(policy, history, cut.loop, cut.live, cut.keeps, guide=beside)


@partial(jax.tree_util.register_dataclass, data_fields=["source", "first"], meta_fields=[])
@dataclass(frozen=True)
class Later:
    """A source of randomness for a loop whose steps are numbered from `first` on."""

    source: Any
    first: Any

    def draw(self, *args: Any, **more: Any) -> tuple[Any, Any]:
        source, value = self.source.draw(*args, **more)
        return replace(self, source=source), value

    def enter(self, t: Any) -> Any:
        return self.source.enter(t + self.first)

    def leave(self, inner: Any) -> Any:
        return replace(self, source=self.source.leave(inner))

    def foreign_key(self, path: Any) -> Any:
        return self.source.foreign_key(path)

    @property
    def has_room(self) -> Any:
        return self.source.has_room

"""Two programs side by side: what a guide draws is what the model draws, weighted for it.

The guide runs to its next suspension point, and then the model to its own. At a site of the model
that the guide has drawn by then, at the same path and by a law of the same kind, the value is the
guide's, and the score is the log ratio of the two densities; all other sites are drawn. Law:
`ProperlyWeighted`, for whole traces of the model, if the guide can draw all that the model can.

What the guide scores on the way *looks ahead*: the policy decides by the weights times that, and
children's weights are divided by it again.

Points meet in order, loops step by step, in one `lax.scan`. What a guide draws in a loop without a
bound is not known by its path here, and where loops differ in length, points do not meet: E730. A
model draws itself what it draws in such loops.

Doucet, Godsill and Andrieu (2000); Pitt and Shephard (1999).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, Span, fail
from ppl.semantics.xla.axes import Arr, Axis, elementwise
from ppl.semantics.xla.carries import carried, holds_code
from ppl.semantics.xla.dists import event_rank, log_prob, realise
from ppl.semantics.xla.lineage import moving
from ppl.semantics.xla.points import PROPOSED, Policy, point, scored
from ppl.semantics.xla.sequential import Loop, Stop, Walk, walk
from ppl.semantics.xla.sequential_scan import Led, Opened, scan
from ppl.semantics.xla.sites import _applier, _recorded, _typed, draw
from ppl.semantics.xla.state import Env, Scope, Site, State, masked
from ppl.semantics.xla.values import Forgotten, RValue, varies_along

Result = tuple[RValue, State]


def _mark(site: Site, scope: Scope) -> str:
    """By what the guide's draw is known beside its path: the dimensions of one draw, and whether
    its density counts points. A law of another kind draws something else."""
    axes = (*scope.axes, *(a for a in varies_along(site.dist) if a not in scope.axes))
    made = realise(site.dist, axes, _applier(scope), site.span, checks="none")
    return f"{PROPOSED}{'k' if D.is_discrete(made) else 'z'}{event_rank(site.dist)}"


def propose(site: Site, scope: Scope, state: State) -> Result:
    """The rule of a guide: a draw, recorded with its log density, and where it was made, for the
    model. Its randomness is none of the model's."""
    quiet = replace(scope, record=frozenset())
    x, state = draw(replace(site, path=("", "guide", *site.path)), quiet, state)
    score = log_prob(site.dist, x, _applier(scope), site.span)
    mark = _mark(site, scope)
    told = {"": x, mark: score} | ({} if scope.mask is None else {f"{mark}?": scope.mask})
    for name, v in told.items():
        state = state.with_site((*site.path, name) if name else site.path, v, site.span)
    return x, state


def follow(site: Site, scope: Scope, state: State) -> Result:
    """The rule of the model: the guide's draw, scored by the ratio of densities; else a draw."""
    name = f"{site.name}/{_mark(site, scope)}"
    x, own, drawn = (scope.given.get(k) for k in (site.name, name, f"{name}?"))
    if x is None or own is None or own.event_rank or x.event_rank != event_rank(site.dist):
        return draw(site, scope, state)
    x = Arr(_typed(x.data, site), x.axes)
    score = log_prob(site.dist, x, _applier(scope), site.span, checks="support")
    score = elementwise(jnp.subtract, score, own)
    if drawn is None:
        return x, _recorded(state.scored(masked(scope, score)), site, x, scope)
    quiet = replace(scope, record=frozenset())
    fresh, state = draw(site, quiet.under(elementwise(jnp.logical_not, drawn)), state)
    x = elementwise(jnp.where, drawn, x, fresh)
    score = elementwise(lambda m, s: jnp.where(m, s, 0.0), drawn, score)
    return x, _recorded(state.scored(masked(scope, score)), site, x, scope)


class Guided:
    """A model's meeting with its guide, one for each run. history: as of `Alone`."""

    every = True

    def __init__(
        self, program: ir.Program, env: Env, scope: Scope, policy: Policy, *, history: bool = True
    ):
        self._of = program, env, scope
        self.policy, self.history = policy, history
        self._steps: Walk | None = None
        #: where the guide waits, and what it has scored since it last did (n,), if it has
        self._stop: Stop | Loop | None = None
        self._sight: Any = None

    def begin(self, state: State) -> State:
        program, env, scope = self._of
        env = {name: state.extra.lineage.made(v) for name, v in env.items()}
        own = State(state.omega, extra=state.extra)
        self._steps = walk(program, env, own, scope, every=True)
        return self._advance(state, lambda steps: next(steps))

    def at(self, stop: Stop | Loop) -> Result:
        if isinstance(stop, Loop):
            loop, state = stop.opened
            return self._loop(stop, loop, state) if loop.n else (loop.nothing, state)
        if isinstance(self._stop, Loop):
            raise _apart(self._stop.node.span, "the guide loops where the model's particles stop")
        own = self._stop and self._stop.state
        return None, self._went(point(stop.state, self.policy, sight=self._sight), None, own)

    def ended(self, stop: Loop, out: RValue, state: State, theirs: Loop | None, led: Any) -> State:
        """The state after a loop of the model, which gave `out`, and of the guide, if there was
        one, whose state is the first of what was `led`."""
        return state

    def _loop(self, stop: Loop, loop: Opened, state: State) -> Result:
        theirs = self._stop
        if isinstance(theirs, Stop):
            raise _apart(loop.node.span, "the guide's particles stop once where the model loops")
        own, after = (None, None) if theirs is None else theirs.opened
        if own is not None and own.n != loop.n:
            raise _apart(
                own.node.span, f"the guide takes {own.n} steps where the model takes {loop.n}"
            )
        lead = None
        if own is not None or self._sight is not None:
            kept = self.history and theirs is not None and not theirs.last
            lead = _Lead(own, loop.axis, self._sight, kept)
        out, state, (led, states) = scan(loop, state, self.policy, history=self.history, lead=lead)
        state = self.ended(stop, out, state, theirs, led)
        if theirs is None or own is None or theirs.last:
            # whatever is left of the guide draws and scores nothing
            self._stop = self._steps = self._sight = None
            return out, state
        value = led[0]
        if own.node.keep == "all":
            value = states if self.history else Forgotten(value, own.node.span)
        return out, self._went(state, value, after)

    def _went(self, state: State, value: RValue, own: State | None) -> State:
        """The guide goes on from a stop, with what the stop gave it, its own state there, and the
        model's state after it."""
        self._sight = None
        if self._steps is None or own is None:
            return state
        front = replace(state.extra, faults=(), ready={})
        own = replace(own, omega=state.omega, scores=(), extra=front)
        return self._advance(state, lambda steps: steps.send((value, own)))

    def _advance(self, state: State, go: Callable[[Walk], Stop | Loop]) -> State:
        """The model's state when the guide is at its next stop: what it drew is ready."""
        assert self._steps is not None
        self._stop, own = _next(self._steps, go)
        if self._stop is None:
            self._steps = None
        front = own.extra
        if own.scores:
            self._sight = _ahead(scored(own, front.lineage.axis))
        ready = {k: v for k, v in own.sites.items() if _by_name(v.value)}
        faults = (*state.extra.faults, *front.faults)
        after = replace(state.extra, faults=faults, ready=ready)
        return replace(state, omega=own.omega, extra=after)


def _next(steps: Walk, go: Callable[[Walk], Stop | Loop]) -> tuple[Stop | Loop | None, State]:
    """Where a walk stops next (None: it ends), and the state there; loops without steps have no
    points."""
    try:
        stop = go(steps)
        while isinstance(stop, Loop):
            loop, state = stop.opened
            if loop.n:
                return stop, state
            stop = steps.send((loop.nothing, state))
    except StopIteration as end:
        return None, end.value[1]
    return stop, stop.state


@dataclass(frozen=True, eq=False)
class _Lead:
    """The guide's loop, a step before each of the model's; without one, what it sees ahead of the
    first step. kept: whether the states after its steps are to be read."""

    loop: Opened | None
    axis: Axis
    sight: Any
    kept: bool

    @property
    def follows(self) -> bool:
        return self.loop is not None and self.loop.follows

    @property
    def inputs(self) -> Any:
        return () if self.loop is None else self.loop.inputs

    @property
    def init(self) -> Any:
        sight = None if self.sight is None else Arr(self.sight, (self.axis,))
        if self.loop is None:
            return None, (), sight
        if holds_code(self.loop.node.carry.type):
            raise _apart(self.loop.node.span, "a guide's loop carries functions")
        own = carried(self.loop.start, self.loop.axes), moving(self.loop.outer, self.axis)
        return *own, sight

    def step(self, led: Any, x: Any, who: Any, omega: Any, faults: Any) -> Led:
        current, inner, before = led
        end = State(omega=omega)
        if self.loop is not None:
            current, end = self.loop.step(current, inner, x, who, omega, faults, {})
        sight = left = None
        if before is not None:  # what was seen from before the loop counts at its first step
            sight, left = before.data, replace(before, data=jnp.zeros_like(before.data))
        if end.scores:
            own = scored(end, self.axis)
            sight = _ahead(own if sight is None else own + sight)
        given = {k: v for k, v in end.sites.items() if _by_name(v)}
        return Led((current, inner, left), given, sight, end.omega, current if self.kept else None)


def _ahead(scores: Any) -> Any:
    """A look-ahead; one that is no number is none."""
    return jnp.where(scores < jnp.inf, scores, -jnp.inf)


def _by_name(v: RValue) -> bool:
    """Whether what a site recorded can be given by its path. Raises E730 if not."""
    if not isinstance(v, Arr):
        raise _apart(None, "a guide draws in a loop without a bound")
    return True


def _apart(span: Span | None, why: str) -> DiagnosticError:
    return fail(
        "E730",
        f"{why}, which compiled code does not do",
        span=span,
        hint="leave the choice of the engine to the compiler: engine='auto'",
    )

"""Runs that are revised from the first site that changes to where they join the old run again.

A run goes in *stretches*, from one suspension point to the next. What it is like at a point is a
value (its frames, its memo table), so that a revision that changes nothing before a point begins
there; and where it comes to a point just as the old run did, what follows is the same, and is not
run. Law: the run is that of the whole program, and so is its trace; its weight is the sum of the
stretches' scores, each of which was summed by itself, so that it does not depend on the past.

In a loop over elements, what was gathered so far is read at the end only: runs join there if they
differ in nothing else. Ritchie, Stuhlmueller and Goodman, "C3: Lightweight incrementalized MCMC for
probabilistic programs using continuations and callsite caching" (2016).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import is_, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.effects import Effects, main_block
from ppl.semantics.analysis.forms import RunCall, walk
from ppl.semantics.machine import Execution, Machine
from ppl.semantics.machine.code import FAILURES, Code
from ppl.semantics.machine.codegen.unit import Loop, Options
from ppl.semantics.machine.machine import Arguments
from ppl.semantics.machine.memo import EMPTY, Table
from ppl.semantics.machine.state import Dead, Omega, State

if TYPE_CHECKING:
    from ppl.inference.kernels.machine.traces import Run, Site

#: parts of values that are compared before they count as different
PARTS = 64


class Stop(NamedTuple):
    """Where a stretch begins: the frame that a run goes on in, the value for it, the memo table,
    and how many sites were drawn before."""

    frame: Any
    value: Any
    memo: Table
    drawn: int


_drawn = itemgetter(3)
_made = tuple.__new__  # a named tuple's own takes twice as long


class Past(NamedTuple):
    """The stretches of a run: where each begins, what was scored in it, and how many stops before
    is one whose frame is up to date in what was gathered in a loop; the value and the memo table at
    the end."""

    stops: list[Stop]
    scores: list[float]
    stale: list[int]
    end: tuple[Any, Table] | None


NOTHING = Past([], [], [], None)
NEVER = -math.inf


class Changing(Omega, Protocol):
    """A source of randomness for a run like another, of which `given` are the sites and `past` the
    stretches. `sites` are those that were drawn."""

    sites: dict[int, Site]

    @property
    def given(self) -> Mapping[int, Site]: ...
    @property
    def past(self) -> Past | None: ...

    def changes(self) -> tuple[int, int]:
        """Where among what is given the first site is that may change, and the last; the number of
        what is given, twice, if there is none."""
        ...

    def keep(self, kept: Sequence[tuple[int, int, int]]) -> None:
        """Put sites that stay as they were among those of the run: behind its first n, those that
        are given from the i-th up to the j-th, for all (n, i, j)."""
        ...


class Draft:
    """A run under a revision that can be weighed. What that does not need is made when it is asked
    for: the run's value, from where nothing is drawn or scored any more, and its sites in order.

    log_weight: the sum of the scores, -infinity if the run died. size: the number of its sites.
    """

    __slots__ = ("run", "revision", "state", "past", "size", "log_weight", "alive", "_joints")

    def __init__(
        self,
        run: Resumable,
        revision: Changing,
        state: State,
        past: Past,
        size: int,
        joints: Sequence[tuple[int, int, int]],
    ):
        self.run, self.revision, self.state, self.past = run, revision, state, past
        self.size, self._joints = size, joints
        self.log_weight = w = sum(past.scores)
        self.alive = w > NEVER

    @property
    def sites(self) -> dict[int, Site]:
        if self._joints:
            self.revision.keep(self._joints)
            self._joints = ()
        return self.revision.sites

    def finished(self) -> tuple[Execution, Past | None]:
        """The execution, and its stretches; None if its weight is zero.

        Raises:
            DiagnosticError: as `Machine.run`.
        """
        run, s, (stops, scores, stale, end) = self.run, self.state, self.past
        if not self.alive:
            s.w = NEVER
            return Execution(s, None, run.type, alive=False), None
        if end is None:
            at = run.up_to_date(stops, stale) if stale[-1] else stops[-1]
            try:
                _, value = run.code.advance(s, at.frame, at.value)
            except FAILURES as error:
                raise run.code.explained(error) from None
            end = value, at.memo
        s.w = self.log_weight
        _ = self.sites
        value, s.memo = end
        return Execution(s, value, run.type), _made(Past, (stops, scores, stale, end))


@dataclass(frozen=True, eq=False)
class Resumable:
    """A program applied to its data, that is run in stretches where a revision can profit.

    loops: of each scan's block.
    """

    machine: Machine
    data: Arguments
    direct: Run
    code: Code
    loops: Mapping[Any, Loop]
    type: T.Type

    @staticmethod
    def of(machine: Machine, data: Arguments) -> Run:
        """The program's runs: resumable if something is drawn after a point, or between two."""
        direct = machine.runner(data, record=False)
        if not draws_after_a_point(machine.program):
            return direct
        code = machine.code(Options(fueled=machine.budget is not None, suspends=True))
        if code.named:  # what a run records is in its state
            return direct
        loops = {
            code.namespace[f"{letter}{loop.number}"]: loop
            for loop in code.generated.loops.values()
            for letter in "ab"
            if f"{letter}{loop.number}" in code.namespace
        }
        return Resumable(machine, data, direct, code, loops, machine.type)

    def __call__(self, omega: Omega) -> Execution:
        return self.direct(omega)

    def revised(self, revision: Changing) -> tuple[Execution, Past | None]:
        """The run under a revision, and its stretches; None if its weight is zero.

        Raises:
            DiagnosticError: as `Machine.run`.
        """
        return self.draft(revision).finished()

    def draft(self, revision: Changing) -> Draft:
        """The run under a revision, as far as it has to be known to weigh it."""
        code, budget, old, sites = self.code, self.machine.budget, revision.past, revision.sites
        loops, advance, end = self.loops, code.advance, None
        if old is None:
            at, last, kept = Stop(code.begin(self.data.values), None, EMPTY, 0), -1, 0
            old, stops, scores, stale, joints = NOTHING, [at], [], [0], []
        else:
            first, last = revision.changes()
            begun = bisect_right(old.stops, first, key=_drawn)
            stops, scores, stale = old.stops[:begun], old.scores[: begun - 1], old.stale[:begun]
            at = stops[-1]
            kept = at.drawn
            joints = [(0, 0, kept)]
        final = len(old.stops) - 1
        s = None
        try:
            s = State(revision, code, meter=budget and budget.meter())
            s.memo = at.memo
            while True:
                frame, value, _, _ = at
                behind, loop = stale[-1], loops.get(frame[0])
                if loop is not None:
                    at_end = frame[loop.at - 2] + 1 == len(frame[loop.at])
                    if at_end and loop.last:
                        scores.append(0.0)
                        break
                    if behind and loop.plain and not at_end:
                        behind += 1  # what is gathered is read at the end
                    elif behind:
                        behind, frame = 0, self.up_to_date(stops, stale).frame
                s.w = 0.0
                frame, value = advance(s, frame, value)
                scores.append(s.w)
                if frame is None:
                    end = code.whole(s, value), s.frozen_memo()
                    break
                memo = s.frozen_memo() if s.fresh else s.memo
                at = _made(Stop, (frame, value, memo, kept + len(sites)))
                here = len(stops)
                stops.append(at)
                stale.append(behind)
                if here <= final and last < (was := old.stops[here]).drawn and self.meets(at, was):
                    upto, gathers = self.join(at, old, here, stops, stale)
                    scores += old.scores[here:upto]
                    drawn = old.stops[upto].drawn
                    if upto == final and not gathers:
                        scores.append(old.scores[final])
                        drawn, end = len(revision.given), old.end
                    joints.append((len(sites), was.drawn, drawn))
                    kept += drawn - was.drawn
                    if end is not None:
                        break
                    at = stops[-1]
                    s.memo = at.memo
        except Dead:
            scores.append(NEVER)
        except FAILURES as error:
            raise code.explained(error) from None
        assert s is not None  # nothing dies before it runs
        past = _made(Past, (stops, scores, stale, end))
        return Draft(self, revision, s, past, kept + len(sites), joints)

    def meets(self, at: Stop, was: Stop) -> bool:
        """Whether two runs, at these stops, do the same from there on, but for what they make of
        what they have gathered in a loop."""
        value, before = at.value, was.value
        if value is not before and not same(value, before):
            return False
        frame, before = at.frame, was.frame
        if frame[0] is not before[0] or len(frame) != len(before) or at.memo is not was.memo:
            return False
        loop = self.loops.get(frame[0])
        if loop is None:
            return alike(frame, before)
        # but for what is gathered, and the state that the value is going to replace
        elements, live = loop.at, loop.at + 2
        return (
            frame[elements] is before[elements]
            and frame[2 : elements - 1] == before[2 : elements - 1]  # the path, the step
            and (frame[1] is before[1] or same(frame[1], before[1]))
            and (live == len(frame) or alike(frame[live:], before[live:]))
        )

    def join(
        self, at: Stop, old: Past, here: int, stops: list[Stop], stale: list[int]
    ) -> tuple[int, bool]:
        """Add the old run's stops after `here`, where the new one met it `at`: up to the last, or
        to the loop's last if it may have gathered something else. Which one that was, and whether
        it may."""
        frame, upto = at.frame, len(old.stops) - 1
        loop = self.loops.get(frame[0])
        gathers = loop is not None and frame[loop.at - 1] is not None
        if loop is not None and gathers:
            upto = last_step(old.stops, here, loop)
        new, shift = old.stops[here + 1 : upto + 1], at.drawn - old.stops[here].drawn
        if shift:
            new = [n._replace(drawn=n.drawn + shift) for n in new]
        stops += new
        behind = stale[-1] + 1
        stale += range(behind, behind + len(new)) if gathers else old.stale[here + 1 : upto + 1]
        return upto, gathers

    def up_to_date(self, stops: list[Stop], stale: list[int]) -> Stop:
        """The last stop, which is stale, with what was gathered; from now on it is that."""
        frame, value, memo, drawn = stops[-1]
        gathered, first = self.loops[frame[0]].at - 1, len(stops) - 1 - stale[-1]
        items = stops[first].frame[gathered]
        for stop in stops[first:-1]:
            items = (items, stop.value)
        frame = (*frame[:gathered], items, *frame[gathered + 1 :])
        stops[-1] = at = _made(Stop, (frame, value, memo, drawn))
        stale[-1] = 0
        return at


def last_step(stops: Sequence[Stop], here: int, loop: Loop) -> int:
    """The last stop up to which there is no other but those of the loop in which a run stands at
    `here`."""
    frame = stops[here].frame
    if loop.plain:
        return here + len(frame[loop.at]) - 1 - frame[loop.at - 2]
    upto, block, parent = here, frame[0], frame[1]
    while upto + 1 < len(stops) and (f := stops[upto + 1].frame)[0] is block and f[1] is parent:
        upto += 1
    return upto


def alike(xs: tuple[Any, ...], ys: tuple[Any, ...]) -> bool:
    """Whether values are the same, one by one."""
    return all(map(is_, xs, ys)) or all(map(same, xs, ys))


def same(a: Any, b: Any) -> bool:
    """Whether two values of the machine cannot be told apart by any program; values of many parts
    may count as different."""
    if type(a) is not tuple:
        return a is b or _equal(a, b)
    todo, parts = [(a, b)], 0
    while todo:
        x, y = todo.pop()
        if x is y:
            continue
        if type(x) is tuple and type(y) is tuple:
            parts += len(x)
            if len(x) != len(y) or parts > PARTS:
                return False
            todo += zip(x, y, strict=True)
        elif not _equal(x, y):
            return False
    return True


def _equal(x: Any, y: Any) -> bool:
    """Of values without parts: zeros of two signs are two."""
    if x != y or type(x) is not type(y):
        return False
    return bool(x) or type(x) is not float or math.copysign(1, x) == math.copysign(1, y)


@lru_cache(maxsize=256)  # kernels bind programs anew in every step
def draws_after_a_point(program: ir.Program) -> bool:
    """Whether a run may draw something after it has stopped at a suspension point."""
    effects, c, stopped = Effects(program), main_block(program), False
    while True:
        parts = [b.comp for b in c.binds] if isinstance(c, ir.Block) else [c]
        for part in parts:
            runs = any(isinstance(n, (ir.Run, RunCall)) for n in walk(part))
            stops = effects.suspends(part)
            if runs and (stopped or stops):
                return True
            stopped = stopped or stops or effects.is_point(part)
        if not isinstance(c, ir.Block):
            return False
        c = c.result

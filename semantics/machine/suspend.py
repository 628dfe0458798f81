"""Runs that are stopped: values that are copied by sharing them and resumed any number of times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ppl.semantics import types as T
from ppl.semantics.machine.code import FAILURES, Code
from ppl.semantics.machine.limits import Budget
from ppl.semantics.machine.memo import EMPTY, Table
from ppl.semantics.machine.result import Execution
from ppl.semantics.machine.state import Dead, Omega, State

_made = tuple.__new__  # a named tuple's own takes twice as long


class Suspended(NamedTuple):
    """A run stopped at a suspension point (or not begun): immutable.

    log_weight: of the run so far. Its trace so far (sites, kept values, observations, what runs
    inside gave; None if names are not recorded), and the frames that it goes on in, are shared
    among all that are resumed from it.
    """

    code: Code
    type: T.Type
    budget: Budget | None
    frame: Any
    value: Any = None
    log_weight: Any = 0.0
    memo: Table = EMPTY
    trace: tuple[Any, Any, Any, Any] | None = None

    @property
    def sites(self) -> Any:
        """The random choices so far, newest first: (older, path, value); None if not recorded."""
        return None if self.trace is None else self.trace[0]

    def resume(self, omega: Omega) -> Suspended | Execution:
        """Run to the next suspension point, or to the end.

        Raises:
            DiagnosticError: as `Machine.run`.
        """
        return next(advanced((self,), (omega,)))

    def finish(self, omega: Omega) -> Execution:
        """Run to the end."""
        at: Suspended | Execution = self
        while isinstance(at, Suspended):
            at = at.resume(omega)
        return at


def advanced(
    runs: Iterable[Suspended | Execution], sources: Iterable[Omega]
) -> Iterator[Suspended | Execution]:
    """Every run in turn: resumed, each from its own source, if it is suspended.

    Raises:
        DiagnosticError: as `Machine.run`.
    """
    s: State | None = None  # one for many runs, where they leave nothing in it
    for run, omega in zip(runs, sources, strict=True):
        if type(run) is not Suspended:
            yield run
            continue
        code, type_, budget, frame, value, w, memo, trace = run
        alive = True
        try:
            meter = None if budget is None else budget.meter()
            if s is None or s.code is not code:
                s = State(omega, code, weight=w, meter=meter)
            else:
                s.begin(omega, w, meter)
            s.memo = memo
            if trace is not None:
                s.sites, s.kept, s.observed, s.nested = trace
            frame, value = code.advance(s, frame, value)
            if frame is None:
                value = code.whole(s, value)
        except Dead:
            alive = False
        except FAILURES as error:
            raise code.explained(error) from None
        assert s is not None  # nothing dies before it runs
        if frame is None or not alive:
            s.w = s.w if alive else -math.inf
            yield Execution(s, value if alive else None, type_, alive)
            s = None  # it is the execution's now
            continue
        if s.fresh:
            memo = s.frozen_memo()
        if code.named:
            trace = s.sites, s.kept, s.observed, s.nested
        yield _made(Suspended, (code, type_, budget, frame, value, s.w, memo, trace))
        if not code.reusable:
            s = None

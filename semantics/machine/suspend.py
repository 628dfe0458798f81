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

    log_weight: of the run so far. Its trace so far, and the frames that it goes on in, are shared
    among all that are resumed from it.
    """

    code: Code
    type: T.Type
    frame: Any
    value: Any = None
    log_weight: Any = 0.0
    sites: Any = None
    kept: Any = None
    observed: Any = None
    memo: Table = EMPTY
    budget: Budget | None = None
    nested: Any = None

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
        code, type_, frame, value, w, sites, kept, observed, memo, budget, nested = run
        alive = True
        try:
            meter = budget and budget.meter()
            if s is None or s.code is not code or s.__dict__:
                s = State(omega, code, weight=w, meter=meter)
            else:
                s.begin(omega, w, meter)
            s.memo = memo
            if code.named:
                s.sites, s.kept, s.observed, s.nested = sites, kept, observed, nested
            frame, value = code.advance(s, frame, value)
            if frame is None:
                value = code.whole(s, value)
        except Dead:
            alive = False
        except FAILURES as error:
            raise code.explained(error) from None
        if frame is None or not alive:
            assert s is not None
            s.w = s.w if alive else -math.inf
            yield Execution(s, value if alive else None, type_, alive)
            s = None  # it is the execution's now
            continue
        memo = s.frozen_memo() if s.fresh else memo
        w, sites, kept, observed, nested = s.w, s.sites, s.kept, s.observed, s.nested
        yield _made(
            Suspended,
            (code, type_, frame, value, w, sites, kept, observed, memo, budget, nested),
        )
        if not code.keyed:
            s = None

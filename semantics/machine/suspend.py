"""Runs that are stopped: values that are copied by sharing them and resumed any number of times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ppl.semantics import types as T
from ppl.semantics.machine.code import FAILURES, Code
from ppl.semantics.machine.limits import Budget
from ppl.semantics.machine.memo import EMPTY, Table
from ppl.semantics.machine.result import Execution
from ppl.semantics.machine.state import Dead, Omega, State
from ppl.semantics.machine.table import Suspend


@dataclass(frozen=True, eq=False)
class Suspended:
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

    def after(self, frame: Any, value: Any, s: State) -> Suspended:
        """The same run at its next point: what `replace` would give, without its cost."""
        later = object.__new__(Suspended)
        later.__dict__.update(
            code=self.code,
            type=self.type,
            frame=frame,
            value=value,
            log_weight=s.w,
            sites=s.sites,
            kept=s.kept,
            observed=s.observed,
            memo=s.frozen_memo(),
            budget=self.budget,
            nested=s.nested,
        )
        return later

    def resume(self, omega: Omega) -> Suspended | Execution:
        """Run to the next suspension point, or to the end.

        Raises:
            DiagnosticError: as `Machine.run`.
        """
        budget = self.budget
        try:
            s = State(omega, self.code, weight=self.log_weight, meter=budget and budget.meter())
            s.sites, s.kept, s.observed, s.memo = self.sites, self.kept, self.observed, self.memo
            s.nested = self.nested
            value = self.code.whole(s, self.code.drive(s, self.frame, self.value))
        except Suspend as stop:
            return self.after(*stop.args, s)
        except Dead:
            s.w = -math.inf
            return Execution(s, None, self.type, alive=False)
        except FAILURES as error:
            raise self.code.explained(error) from None
        return Execution(s, value, self.type)

    def finish(self, omega: Omega) -> Execution:
        """Run to the end."""
        at: Suspended | Execution = self
        while isinstance(at, Suspended):
            at = at.resume(omega)
        return at

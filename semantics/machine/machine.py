"""`Machine(program)`: a program of the IR that runs as Python code.

    machine = Machine(program)
    execution = machine.run(data, MachineKey(seed=1))
    execution.result, execution.log_weight, execution.sites

`start` gives a run that stops at the program's suspension points, for sequential Monte Carlo;
`enumerate_paths` runs all paths of a finite program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.forms import walk
from ppl.semantics.machine.code import FAILURES, Code
from ppl.semantics.machine.codegen.unit import Options
from ppl.semantics.machine.limits import Budget, Limits
from ppl.semantics.machine.rational import Log, fraction
from ppl.semantics.machine.result import Execution
from ppl.semantics.machine.settings import Set, Settings
from ppl.semantics.machine.state import Dead, Omega, State
from ppl.semantics.machine.suspend import Suspended
from ppl.semantics.machine.values import from_python


@dataclass(frozen=True)
class Arguments:
    """Data as the machine's values, in the order of the parameters."""

    values: tuple[Any, ...]
    rational: bool = False


Data = Mapping[str, Any] | Arguments


class Machine:
    """One program. Compiled when first run, once for each way of running it."""

    def __init__(self, program: ir.Program):
        self.program = program
        self.budget: Budget | None = None
        self._codes: dict[Options, Code] = {}
        self._settings: Settings | None = None

    def setting(self, entries: Iterable[tuple[tuple[str, ...], Set]]) -> Machine:
        """The machine of the same program in which names are set from outside."""
        out = copy(self)
        out._settings = Settings(entries)
        return out

    def within(self, limits: Limits) -> Machine:
        """The same machine, all of whose runs together keep to limits that count from now."""
        return self.under(limits.begin())

    def under(self, budget: Budget | None) -> Machine:
        """The same machine, its runs under limits that have begun to count."""
        out = copy(self)
        out.budget = budget
        return out

    @property
    def untimed(self) -> Machine:
        """The same machine, for runs that come later: of its limits, that of fuel."""
        return self.under(self.budget and Budget(self.budget.limits))

    def code(self, options: Options) -> Code:
        """The program compiled in one way."""
        if self._settings is not None:
            options = replace(options, named=True, settable=True)
        if options.keyed and (options.named or self._nests):
            options = replace(options, keyed=False)
        if options not in self._codes:
            self._codes[options] = Code(self.program, options)
        code = self._codes[options]
        return code if self._settings is None else code.under(self._settings)

    @cached_property
    def _nests(self) -> bool:
        """Whether it runs measures of its own under other sources of randomness."""
        return any(
            isinstance(n, ir.Op) and n.op.startswith("normalize")
            for f in self.program.functions
            for n in walk(f.body)
        )

    @cached_property
    def type(self) -> T.Type:
        """The type of the results."""
        t = self.program.entry.type
        assert isinstance(t, T.Fun)
        return t.result.item  # type: ignore[attr-defined]

    def bind(self, data: Data, *, rational: bool = False) -> Arguments:
        """Data (as `ppl.data.bind` gives it) converted, to be used in many runs."""
        if isinstance(data, Arguments):
            return data
        number = fraction if rational else None
        values = (from_python(data[p.name], p.type, number) for p in self.program.entry.params)
        return Arguments(tuple(values), rational)

    def run(
        self,
        data: Data,
        omega: Omega,
        *,
        fuel: int | None = None,
        record: bool = True,
        rational: bool = False,
    ) -> Execution:
        """One execution. `record`: its sites, kept values and observations too. `fuel` is a limit
        of its own, in place of the machine's.

        Raises:
            DiagnosticError: E843, E847, E848, a limit was reached; E849, inference nests too
                deeply; E801, a draw from a measure that has no sampler; or an error of the
                program's, such as an index out of range.
        """
        budget = self.budget if fuel is None else Limits(fuel=fuel).begin()
        options = Options(named=record, fueled=budget is not None, rational=rational)
        code = self.code(options)
        args = self.bind(data, rational=rational).values
        weight = Log(Fraction(1)) if rational else 0.0
        try:
            s = State(omega, code, weight=weight, meter=budget and budget.meter())
            value = code.run(s, args)
        except Dead:
            s.w = -math.inf
            return Execution(s, None, self.type, alive=False)
        except FAILURES as error:
            raise code.explained(error) from None
        return Execution(s, value, self.type)

    def runner(
        self, data: Data, *, record: bool = True, keyed: bool = False
    ) -> Callable[[Omega], Execution]:
        """`run` for many runs of the same data. `keyed`: all of them draw from `MachineKey`s, which
        is faster where nothing is recorded."""
        budget = self.budget
        code = self.code(Options(named=record, fueled=budget is not None, keyed=keyed))
        args, type = self.bind(data).values, self.type

        def run(omega: Omega) -> Execution:
            try:
                s = State(omega, code, meter=budget and budget.meter())
                value = code.run(s, args)
            except Dead:
                s.w = -math.inf
                return Execution(s, None, type, alive=False)
            except FAILURES as error:
                raise code.explained(error) from None
            return Execution(s, value, type)

        return run

    def start(
        self,
        data: Data,
        *,
        record: bool = True,
        keyed: bool = False,
        fuel: int | None = None,
    ) -> Suspended:
        """A run that has not begun and stops at every suspension point.

        `fuel` is for the steps from one point to the next, in place of the machine's limits.
        `keyed`: as in `runner`.
        """
        budget = self.budget if fuel is None else Limits(fuel=fuel).begin()
        code = self.code(
            Options(named=record, fueled=budget is not None, suspends=True, keyed=keyed)
        )
        frame = code.begin(self.bind(data).values)
        return Suspended(code, self.type, budget, frame)

    def source(self, options: Options | None = None) -> str:
        """The Python source that the program is compiled to."""
        return self.code(options or Options()).generated.source

    def __repr__(self) -> str:
        return f"<machine of {self.program.main}>"

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
from ppl.semantics.machine.code import Code
from ppl.semantics.machine.codegen.unit import Options
from ppl.semantics.machine.primitives import ShapeError
from ppl.semantics.machine.rational import Log, fraction
from ppl.semantics.machine.result import Execution
from ppl.semantics.machine.settings import Set, Settings
from ppl.semantics.machine.state import Dead, Omega, OutOfFuel, State
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
        self._codes: dict[Options, Code] = {}
        self._settings: Settings | None = None

    def setting(self, entries: Iterable[tuple[tuple[str, ...], Set]]) -> Machine:
        """The machine of the same program in which names are set from outside."""
        out = copy(self)
        out._settings = Settings(entries)
        return out

    def code(self, options: Options) -> Code:
        """The program compiled in one way."""
        if self._settings is not None:
            options = replace(options, named=True, settable=True)
        if options not in self._codes:
            self._codes[options] = Code(self.program, options)
        code = self._codes[options]
        return code if self._settings is None else code.under(self._settings)

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
        """One execution. `record`: its sites, kept values and observations too.

        Raises:
            DiagnosticError: E843, more than `fuel` steps; E801, a draw from a measure that has no
                sampler; or an error of the program's, such as an index out of range.
        """
        options = Options(named=record, fueled=fuel is not None, rational=rational)
        code = self.code(options)
        args = self.bind(data, rational=rational).values
        s = State(omega, code, weight=Log(Fraction(1)) if rational else 0.0, fuel=fuel)
        try:
            value = code.run(s, args)
        except Dead:
            s.w = -math.inf
            return Execution(s, None, self.type, alive=False)
        except OutOfFuel as error:
            raise code.out_of_fuel(error, fuel) from None
        except ShapeError as error:
            raise code.wrong_shape(error) from None
        return Execution(s, value, self.type)

    def runner(self, data: Data, *, record: bool = True) -> Callable[[Omega], Execution]:
        """`run` for many runs of the same data."""
        code = self.code(Options(named=record))
        args, type = self.bind(data).values, self.type

        def run(omega: Omega) -> Execution:
            s = State(omega, code)
            try:
                value = code.run(s, args)
            except Dead:
                s.w = -math.inf
                return Execution(s, None, type, alive=False)
            except ShapeError as error:
                raise code.wrong_shape(error) from None
            return Execution(s, value, type)

        return run

    def start(self, data: Data, *, record: bool = True, fuel: int | None = None) -> Suspended:
        """A run that has not begun and stops at every suspension point.

        `fuel` only says that a limit will be given to `resume`, so that direct code counts too.
        """
        code = self.code(Options(named=record, fueled=fuel is not None, suspends=True))
        return Suspended(code, self.type, code.begin(self.bind(data).values))

    def source(self, options: Options | None = None) -> str:
        """The Python source that the program is compiled to."""
        return self.code(options or Options()).generated.source

    def __repr__(self) -> str:
        return f"<machine of {self.program.main}>"

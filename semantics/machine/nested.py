"""Nested inference: `normalize(m)`, the measure divided by its mass, by running every path of `m`.

Equal measures are summed once: a measure is code and the values that it captured, so that recursive
models of reasoning about reasoning cost what their distinct questions do.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.distributions.family import NEVER, Family, Options, always
from ppl.semantics.machine.rational import Log
from ppl.semantics.machine.state import Dead, State
from ppl.semantics.machine.tape import MachineTape, explore

if TYPE_CHECKING:
    from ppl.semantics.machine.code import Code

#: paths of one nested measure, and measures remembered
MAX_PATHS, MAX_REMEMBERED = 100_000, 10_000


class Nested:
    """The laws of nested measures of one compiled program."""

    def __init__(self, code: Code):
        self._code = code
        self._laws: dict[Any, Law] = {}

    def law(self, measure: Any, fuel: int | None) -> Law:
        """The law of a measure. `fuel` bounds the steps of each path."""
        if measure not in self._laws:
            if len(self._laws) >= MAX_REMEMBERED:
                self._laws.clear()
            self._laws[measure] = self._sum(measure, fuel)
        return self._laws[measure]

    def _sum(self, measure: Any, fuel: int | None) -> Law:
        code = self._code
        rational = code.options.rational
        masses: dict[Any, Any] = {}

        def once(tape: MachineTape) -> None:
            s = State(tape, code, weight=Log(Fraction(1)) if rational else 0.0, fuel=fuel)
            s.owned = set()
            try:
                value = code.run_measure(s, measure, code.root)
            except Dead:
                return
            weight = s.w.of if rational else math.exp(s.w)
            masses[value] = masses.get(value, 0) + weight * tape.probability

        explore(once, limit=MAX_PATHS, one=Fraction(1) if rational else 1.0)
        mass = sum(masses.values())
        if not mass:
            raise fail(
                "E844",
                "`normalize` of a measure whose mass is zero",
                hint="no execution of it satisfies its conditions",
            )
        return Law([(v, p / mass) for v, p in masses.items() if p > 0])


class Law(Family):
    """A finite law, given by its options."""

    def __init__(self, options: Options):
        self_table = dict(options)
        super().__init__(
            "normalize",
            lambda x: math.log(self_table[x]),
            self._search,
            always,
            lambda x: x in self_table,
            values=lambda: options,
            discrete=True,
        )
        object.__setattr__(self, "table", self_table)

    table: dict[Any, Any]

    def log_prob(self, x: Any, *args: Any) -> Any:
        p = self.table.get(x, 0)
        if isinstance(p, float):
            return math.log(p) if p else NEVER
        return Log(p) if p else NEVER

    def _search(self, u: float, z: int) -> Any:
        left, last = u, None
        for value, p in self.table.items():
            if left < p:
                return value
            left, last = left - p, value
        return last  # u was rounded up


def normalize(s: State, measure: Any) -> Any:
    """The distribution value."""
    from ppl.semantics.machine.table import run, run_block

    return run, run_block, run_block, s.code.nested.law(measure, s.fuel), ()

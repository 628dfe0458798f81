"""Nested inference: `normalize(m)`, the measure divided by its mass, by running every path of `m`.

Equal measures are summed once: a measure is code and the values that it captured, so that recursive
models of reasoning about reasoning cost what their distinct questions do.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Span, fail
from ppl.semantics.machine import memoise
from ppl.semantics.machine.distributions.family import NEVER, Family, Options, always
from ppl.semantics.machine.paths import below
from ppl.semantics.machine.rational import Log
from ppl.semantics.machine.state import Dead, Omega, State, recording
from ppl.semantics.machine.tape import MachineTape, explore
from ppl.semantics.machine.values import flat

if TYPE_CHECKING:
    from ppl.semantics.machine.code import Code

#: paths of one nested measure, and measures remembered
MAX_PATHS, MAX_REMEMBERED = 100_000, 10_000
_MISSING = object()


class Outside:
    """What a nested run sees of the random functions that were drawn outside it: the values that
    they already have. `asked` says whether it looked at one, so that its law depends on them."""

    def __init__(self, s: State):
        self._fresh, self._memo = s.fresh, s.memo
        self.asked = False

    def get(self, key: Any, default: Any = None) -> Any:
        v = self._fresh.get(key, _MISSING)
        if v is _MISSING:
            v = self._memo.get(key, _MISSING)
        if v is _MISSING:
            return default
        self.asked = True
        return v


class Inside:
    """The source of a run inside another, which scores its observations whatever the other does."""

    def __init__(self, source: Omega):
        self.begin, self.mark, self.restore = source.begin, source.mark, source.restore


def inner_state(outer: State, omega: Omega, outside: Outside, root: Any) -> State:
    """A run of its own inside another, at a path that no other run of it has: its weight and its
    sites are not the other's, its fuel is."""
    code = outer.code
    weight = Log(Fraction(1)) if code.options.rational else 0.0
    s = State(omega, code, weight=weight)
    s.fuel, s.meter, s.depth = outer.fuel, outer.meter, outer.depth
    s.memo = outside
    s.owned, s.root = set(), root
    if code.settings is not None:  # of names of the program, which those inside are not
        s.draw = recording(s, omega.begin(s))
    return s


def _unfinished() -> Exception:
    return fail(
        "E841",
        "`normalize` of a measure on random functions: their values are drawn when they are asked "
        "for, and so its paths cannot be listed",
        hint="return the values that you need, or draw: `normalize(m, importance(n))`",
    )


class Nested:
    """The laws of nested measures of one compiled program."""

    def __init__(self, code: Code):
        self._code = code
        self._laws: dict[Any, Law] = {}

    def law(self, s: State, measure: Any) -> Law:
        """The law of a measure. Its steps are taken from the fuel of the run that asks."""
        key = flat(measure)
        found = self._laws.get(key)
        if found is None:
            outside = Outside(s)
            found = self._sum(s, measure, outside)
            if not outside.asked:
                if len(self._laws) >= MAX_REMEMBERED:
                    self._laws.clear()
                self._laws[key] = found
        return found

    def _sum(self, outer: State, measure: Any, outside: Outside) -> Law:
        code = self._code
        rational = code.options.rational
        paths: list[tuple[Any, Any, Any]] = []  # (value's key, weight, probability)
        values: dict[Any, Any] = {}
        root = below(outer.root, "normalize")

        def once(tape: MachineTape) -> None:
            s = inner_state(outer, tape, outside, root)
            try:
                value = code.whole(s, code.run_measure(s, measure, root))
            except Dead:
                return
            finally:
                outer.fuel = s.fuel
            key = flat(value) if type(value) is tuple else value
            if s.owned and type(value) is tuple and memoise.holds_draws(key):
                raise _unfinished()
            values.setdefault(key, value)
            paths.append((key, s.w, tape.probability))

        explore(once, limit=MAX_PATHS, one=Fraction(1) if rational else 1.0)
        # only ratios count: scores may be far from 0, all of them
        top = 0 if rational else max((w for _, w, _ in paths), default=NEVER)
        masses: dict[Any, Any] = {}
        for key, w, probability in paths if rational or top > NEVER else ():
            weight = w.of if rational else math.exp(w - top)
            masses[key] = masses.get(key, 0) + weight * probability
        mass = sum(masses.values())
        if not mass:
            raise fail(
                "E844",
                "`normalize` of a measure whose mass is zero",
                hint="no execution of it satisfies its conditions",
            )
        return Law([(values[k], p / mass) for k, p in masses.items() if p > 0])


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


def normalize(s: State, measure: Any, span: Span | None) -> Any:
    """The distribution value."""
    from ppl.semantics.machine.table import run, run_block

    try:
        law = s.code.nested.law(s, measure)
    except DiagnosticError as error:
        raise DiagnosticError(*(_inside(d, span) for d in error.diagnostics)) from None
    return run, run_block, run_block, law, ()


def _inside(problem: Diagnostic, span: Span | None) -> Diagnostic:
    """What went wrong in a nested measure, at the `normalize` if it has no place of its own."""
    if problem.code == "E807":
        problem = replace(problem, hint="draw instead: `normalize(m, importance(n))`")
    return problem if problem.span is not None else replace(problem, span=span)

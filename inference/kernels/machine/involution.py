"""Reversible jump by an involution: moves between traces of any dimensions.

A function takes the values of all sites of a trace x, and auxiliary values u, to those of another
trace x', and to the auxiliary values u' with which it would come back: applied twice it is the
identity. Law: `Reversible(posterior)`, accepting with

    min(1,  γ(x') q(u' | x') / (γ(x) q(u | x)) · |det ∂(x', u') / ∂(x, u)|),

γ being the joint density of a trace and its scores, q that of the program that draws the auxiliary
values, and the derivative that of the continuous values, the others being as they are.

What the user says is checked on the way, at every step: that the function comes back; that it
keeps the number of continuous values; and, for the first steps, that a Jacobian which is given
agrees with the one by finite differences.

Green, "Reversible jump Markov chain Monte Carlo computation" (1995); Cusumano-Towner, Lew and
Mansinghka, "Automating involutive MCMC using probabilistic and differentiable programming" (2020).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl.inference.kernels.machine.coordinates import numbers, with_numbers
from ppl.inference.kernels.machine.names import path_of
from ppl.inference.kernels.machine.program import Program
from ppl.inference.kernels.machine.proposing import Helper, Replaying, Sites
from ppl.inference.kernels.machine.single_site import accepts
from ppl.inference.kernels.machine.traces import Site, Trace, Turns, first_trace
from ppl.inference.kernels.programmed import Involution
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import MachineKey
from ppl.semantics.machine.paths import hash_of

NEVER = -math.inf
#: how far a move back may be from where it began, and a Jacobian from that by differences
BACK, SLOPE = 1e-6, 1e-4
#: steps at which a Jacobian that is given is compared
COMPARED = 20

#: by the names of sites, as results show them: numbers, and nested tuples of them
Values = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Jump:
    """The steps of one chain."""

    kernel: Involution
    program: Program
    helper: Helper | None
    #: whether the Jacobian agreed, for the steps so far
    _compared: list[bool] = field(default_factory=list)

    @staticmethod
    def of(kernel: Involution, program: Program) -> Jump:
        helper = None
        if kernel.auxiliary is not None:
            helper = Helper(kernel.auxiliary, kernel.data, program)
        return Jump(kernel, program, helper)

    def __call__(self, trace: Trace, turns: Turns) -> Trace:
        """The next trace, `trace` itself if the move is rejected.

        Raises:
            DiagnosticError: E866, the auxiliary program scores; E867, the function is no
                involution, loses values, or has another Jacobian.
        """
        x = self.program.again(trace, MachineKey(0))
        source = turns.next()
        drawn = self.drawn(x.kept, source)
        if drawn is None:
            return trace
        u, log_q = drawn
        there = self.moved(x.sites, u)
        if there is None:
            return trace
        sites = _as_sites(there[0])
        way = Replaying(sites)
        execution = self.program.run(way)
        if execution.alive and way.sites.keys() != sites.keys():
            raise self.wrong("it gives values for sites that the program does not come to")
        if not execution.alive:
            self.check_complete(way, sites)
            return trace
        after = Trace(execution, way.sites)
        back = self.density(self.program.again(after, MachineKey(0)).kept, there[1])
        if back == NEVER:
            return trace
        log_slope = self.slope(x.sites, u, *there)
        log_ratio = (
            after.log_weight - trace.log_weight + _log_density(after) - _log_density(trace)
            + back - log_q + log_slope
        )  # fmt: skip
        return after if log_ratio > NEVER and accepts(log_ratio, source) else trace

    def drawn(self, kept: Mapping[str, Any], source: Any) -> tuple[Values, float] | None:
        """Auxiliary values and the log of their density; None if there are none here."""
        if self.helper is None:
            return {}, 0.0
        program = self.helper.at(kept)
        if program is None:
            return None
        trace = first_trace(program.record, source)
        if not trace.execution.alive:
            return None
        if trace.log_weight != 0:
            raise fail(
                "E866",
                f"the program `{self.helper.name}` of an involution scores, so that the density of "
                "what it draws is not known",
                hint="let it draw only: no observe, factor or condition",
            )
        return trace.execution.sites, _log_density(trace)

    def density(self, kept: Mapping[str, Any], u: Values) -> float:
        """The log of the density of auxiliary values at another trace."""
        if self.helper is None:
            return 0.0
        program = self.helper.at(kept)
        if program is None:
            return NEVER
        given = _as_sites(u)
        back = Replaying(given)
        if not program.run(back).alive:
            self.check_complete(back, given)
            return NEVER
        if back.sites.keys() != given.keys():
            raise self.wrong(f"it gives auxiliary values that `{self.helper.name}` does not draw")
        return back.log_density

    def moved(self, x: Values, u: Values) -> tuple[Values, Values] | None:
        """Where the function goes, and comes back from; None if it goes nowhere."""
        there = self.apply(x, u)
        if there is None:
            return None
        again = self.apply(*there)
        if again is None or not all(_near(a, b) for a, b in zip(again, (x, u), strict=True)):
            where = "nowhere" if again is None else f"to {again[0]}, {again[1]}"
            raise self.wrong(
                f"it is no involution: from {dict(x)}, {dict(u)} it goes to {there[0]}, "
                f"{there[1]}, and from there {where}"
            )
        return there

    def apply(self, x: Values, u: Values) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The function itself. Raises E867 if it does not give two mappings."""
        out = self.kernel.move(dict(x), dict(u))
        if out is None:
            return None
        if not (
            isinstance(out, tuple) and len(out) == 2 and all(isinstance(o, Mapping) for o in out)
        ):
            raise self.wrong(
                f"it gives {out!r}, and not values and auxiliary values by their names"
            )
        return _plain(out[0]), _plain(out[1])

    def slope(self, x: Values, u: Values, y: Values, v: Values) -> float:
        """log |det| of the derivative of the continuous values."""
        told = None
        if self.kernel.log_jacobian is not None:
            told = float(self.kernel.log_jacobian(dict(x), dict(u)))
            if len(self._compared) >= COMPARED:
                return told
        found = self.differences(x, u, y, v)
        if told is None:
            return found
        if not abs(told - found) <= SLOPE * max(1.0, abs(found)):
            raise self.wrong(f"its log Jacobian is {found:.8g}, and {told:.8g} was given")
        self._compared.append(True)
        return told

    def differences(self, x: Values, u: Values, y: Values, v: Values) -> float:
        """By differences, extrapolated once (Richardson)."""
        z, n = np.array(_floats(x) + _floats(u)), len(_floats(y) + _floats(v))
        if len(z) != n:
            raise self.wrong(
                f"it takes {len(z)} continuous values to {n}",
                hint="draw as many auxiliary values as dimensions are missing",
            )
        if not n:
            return 0.0

        def at(w: np.ndarray) -> np.ndarray:
            left = iter(w.tolist())
            out = self.apply(_with_floats(x, left), _with_floats(u, left))
            if out is None:
                raise self.wrong("it goes nowhere from points as near as can be to one it moves")
            found = _floats(out[0]) + _floats(out[1])
            if len(found) != n:
                raise self.wrong("it takes points as near as can be to other numbers of values")
            return np.array(found)

        columns = []
        for i in range(n):
            h = 1e-4 * max(0.1, abs(z[i]))
            slopes = []
            for step in (h, h / 2):
                e = np.zeros(n)
                e[i] = step
                slopes.append((at(z + e) - at(z - e)) / (2 * step))
            columns.append((4 * slopes[1] - slopes[0]) / 3)
        sign, log = np.linalg.slogdet(np.array(columns))
        if sign == 0:
            raise self.wrong("its derivative is singular")
        return float(log)

    def check_complete(self, way: Replaying, given: Sites) -> None:
        """Raise E867 if a run ended for want of a value."""
        if way.missing:
            raise self.wrong("it gives no value for a site that a program comes to")

    def wrong(self, what: str, *, hint: str | None = None) -> Exception:
        return fail(
            "E867",
            f"`{self.kernel}`: {what}",
            hint=hint
            or "values are of all sites, by their names; apply the function twice by hand",
        )


def _log_density(trace: Trace) -> float:
    """Of all sites, without scores."""
    return math.fsum(site.log_prob(site.value) for site in trace.sites.values())


def _as_sites(values: Values) -> dict[int, Site]:
    """Values as sites of no law, by the hash of their paths."""
    return {hash_of(path_of(name)): Site(v, None, ()) for name, v in values.items()}


def _plain(values: Values) -> dict[str, Any]:
    return {name: _number(v) for name, v in values.items()}


def _number(v: Any) -> Any:
    """A value as the machine has it."""
    if hasattr(v, "tolist"):
        v = v.tolist()
    return tuple(map(_number, v)) if isinstance(v, (list, tuple)) else v


def _floats(values: Values) -> list[float]:
    """All continuous numbers, by the order of names."""
    each = (numbers(_number(values[name])) for name in sorted(values))
    return [v for vs in each for v in vs if type(v) is float]


def _with_floats(values: Values, left: Any) -> dict[str, Any]:
    """The values with other continuous numbers."""
    out = {}
    for name in sorted(values):
        value = _number(values[name])
        new = [next(left) if type(v) is float else v for v in numbers(value)]
        out[name] = with_numbers(value, new)
    return out


def _near(a: Values, b: Values) -> bool:
    """Whether values are the same, but for rounding."""
    if a.keys() != b.keys():
        return False
    for name in a:
        v, w = list(numbers(_number(a[name]))), list(numbers(_number(b[name])))
        if len(v) != len(w):
            return False
        for p, q in zip(v, w, strict=True):
            if abs(p - q) > (BACK * max(1.0, abs(p), abs(q)) if type(p) is float else 0):
                return False
    return True

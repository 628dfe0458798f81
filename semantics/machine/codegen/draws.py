"""Draws written out, for code whose randomness is always a key: no calls but the sampler's own.

What is written is `MachineKey.begin`'s draw: the same numbers, bit for bit. Densities of the rows
that are observed most often are written out in all code.
"""

from __future__ import annotations

import math

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.machine.codegen.expressions import Expressions
from ppl.semantics.machine.distributions.standard import HALF_LOG_2PI
from ppl.semantics.machine.omega import HALF, KEY, SCALE
from ppl.semantics.machine.paths import MASK

#: a scale above which a quantile of the standard normal times it is not rounded to 0
TINY = 1e-200


def in_line(out: Expressions, d: ir.Op, where: str) -> str:
    """Emits a draw from a distribution's row at a path; its value as an expression."""
    args = [out.whole(a) for a in d.args]
    single = not isinstance(d.type.item, T.Array)  # type: ignore[attr-defined]
    z = out.fresh()
    out.put(f"{z} = {where} ^ s.stream")
    out.put(f"{z} = {z} * ({z} ^ {KEY})")
    out.put(f"{z} = ({z} ^ {z} >> 64) & {MASK}")
    u = f"{z} * {out.constant(SCALE)} + {out.constant(HALF)}"
    match d.op, d.args:
        case "bernoulli", (p,) if single:
            value = out.as_atom(args[0])
            if not (isinstance(p, ir.Lit) and 0 <= p.value <= 1):  # type: ignore[operator]
                out.put(f"if not 0 <= {value} <= 1: q_dead(s)")
            return f"({u} < {value})"
        case "normal", (m, scale) if single and positive(scale):
            standard = f"q_probit({u}, 0, 1)"
            scaled = standard if scale.value == 1 else f"{args[1]} * {standard}"  # type: ignore[attr-defined]
            if isinstance(m, ir.Lit) and m.value == 0 and scale.value > TINY:  # type: ignore[attr-defined]
                return f"({scaled})"  # adding 0 changes nothing but -0, which this is not
            value = out.as_atom(args[0])
            if not (isinstance(m, ir.Lit) and _finite(m.value)):
                out.put(f"if not q_never < {value} < q_forever: q_dead(s)")
            return f"({value} + {scaled})"
        case "exponential", (rate,) if single and positive(rate):
            return f"(-q_log1p_of(-({u})) / {args[0]})"
    family = out.unit.names.bound[out.family(d)]
    return f"{out.constant(family.sample)}({', '.join([u, z, *args])})"


def log_density(out: Expressions, d: ir.Op, args: list[str], x: str) -> str | None:
    """The log density of a row at a value as an expression, of those that are written out; `args`
    and `x` are evaluated once and in this order. The same number as the family's, bit for bit:
    where a location or a value is infinite, it comes out as minus infinity or as no number.
    """
    match d.op, d.args:
        case "normal", (_, scale) if not isinstance(d.type.item, T.Array) and positive(scale):  # type: ignore[attr-defined]
            m = out.as_atom(args[0])
            z = out.fresh()
            s = scale.value  # type: ignore[attr-defined]
            out.put(f"{z} = {x} - {m}" if s == 1 else f"{z} = ({x} - {m}) / {args[1]}")
            half, c = out.constant(-0.5), out.constant(HALF_LOG_2PI)
            rest = "" if s == 1 else f" - {out.constant(math.log(s))}"
            return f"({half} * {z} * {z} - {c}{rest})"
    return None


def positive(v: ir.Value) -> bool:
    """Whether a value is a positive constant."""
    return isinstance(v, ir.Lit) and _finite(v.value) and v.value > 0  # type: ignore[operator]


def _finite(x: object) -> bool:
    return isinstance(x, (int, float)) and math.isfinite(x)

"""Draws written out, for code whose randomness is always a key: no calls but the sampler's own.

What is written is `MachineKey.begin`'s draw: the same numbers, bit for bit.
"""

from __future__ import annotations

import math

from ppl.semantics import ir
from ppl.semantics.machine.codegen.expressions import Expressions
from ppl.semantics.machine.omega import HALF, KEY, SCALE
from ppl.semantics.machine.paths import MASK


def in_line(out: Expressions, d: ir.Op, where: str) -> str:
    """Emits a draw from a distribution's row at a path; its value as an expression."""
    args = [out.whole(a) for a in d.args]
    z = out.fresh()
    out.put(f"{z} = {where} ^ s.stream")
    out.put(f"{z} = {z} * ({z} ^ {KEY})")
    out.put(f"{z} = ({z} ^ {z} >> 64) & {MASK}")
    u = f"{z} * {out.constant(SCALE)} + {out.constant(HALF)}"
    match d.op, d.args:
        case "bernoulli", (p,):
            value = out.as_atom(args[0])
            if not (isinstance(p, ir.Lit) and 0 <= p.value <= 1):  # type: ignore[operator]
                out.put(f"if not 0 <= {value} <= 1: q_dead(s)")
            return f"({u} < {value})"
        case "normal", (ir.Lit(value=m), ir.Lit(value=s)) if _finite(m) and _finite(s) and s > 0:  # type: ignore[operator]
            return f"({args[0]} + {args[1]} * q_probit({u}))"
    family = out.unit.names.bound[out.family(d)]
    return f"{out.constant(family.sample)}({', '.join([u, z, *args])})"


def _finite(x: object) -> bool:
    return isinstance(x, (int, float)) and math.isfinite(x)

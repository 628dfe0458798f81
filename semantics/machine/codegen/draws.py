"""Draws written out, for code whose randomness is always a key: no calls but the sampler's own.

What is written is `MachineKey.begin`'s draw: the same numbers, bit for bit.
"""

from __future__ import annotations

from ppl.semantics import ir
from ppl.semantics.machine.codegen.expressions import Expressions
from ppl.semantics.machine.omega import HALF, MULTIPLIERS, UNIT
from ppl.semantics.machine.paths import MASK


def in_line(out: Expressions, d: ir.Op, where: str) -> str:
    """Emits a draw from a distribution's row at a path; its value as an expression."""
    z, first, second = out.fresh(), *MULTIPLIERS
    args = [out.forced(a) for a in d.args]
    out.put(f"{z} = {where} ^ s.stream")
    out.put(f"{z} = ({z} ^ {z} >> 30) * {first} & {MASK}")
    out.put(f"{z} = ({z} ^ {z} >> 27) * {second} & {MASK}")
    out.put(f"{z} = {z} ^ {z} >> 31")
    u = f"({z} >> 11) * {out.constant(UNIT)} + {out.constant(HALF)}"
    if d.op == "bernoulli":
        (p,) = map(out.as_atom, args)
        out.put(f"if not 0 <= {p} <= 1: q_dead(s)")
        return f"({u} < {p})"
    family = out.unit.names.bound[out.family(d)]
    return f"{out.constant(family.sample)}({', '.join([u, z, *args])})"

"""`sum(a * b)` of vectors is `dot(a, b)`: a contraction, with no product array in between."""

from __future__ import annotations

from typing import Any

from ppl.semantics import ir
from ppl.semantics.ir_map import map_children
from ppl.semantics.passes.core import Pass, each_function
from ppl.semantics.types import Type, is_number, is_real, rank


def contract(program: ir.Program) -> ir.Program:
    """Contract `Measure`, up to the order in which the products are summed."""
    return each_function(program, _node)


CONTRACT = Pass("contract", "Measure", contract, "sum(a * b) of vectors is dot(a, b)")


def _node(n: Any) -> Any:
    n = map_children(n, _node)
    match n:
        case ir.Op(type=t, op="sum", args=(ir.Op(op="mul", args=(a, b)),)) if _real(t):
            if rank(a.type) == rank(b.type) == 1:
                return ir.Op(t, "dot", (a, b), span=n.span)
    return n


def _real(t: Type) -> bool:
    return is_number(t) and is_real(t)

"""Draws that nothing reads are integrated out: a distribution has mass 1.

Draws that are kept by name are results and stay; so does whatever runs a measure that is not known
to be a distribution, since its mass may be anything (`flat` has none).
"""

from __future__ import annotations

from typing import Any

from ppl.semantics import ir
from ppl.semantics.ir_map import block, map_children
from ppl.semantics.passes.core import Pass, each_function
from ppl.semantics.types import Dist


def dead_draws(program: ir.Program) -> ir.Program:
    """Contract `Measure`."""
    return each_function(program, _node)


DEAD_DRAWS = Pass("dead_draws", "Measure", dead_draws, "remove draws that nothing reads")


def _node(n: Any) -> Any:
    n = map_children(n, _node)
    if not isinstance(n, ir.Block):
        return n
    read, kept = set(n.result.free), []
    for bind in reversed(n.binds):
        if bind.name in read or not bind.comp.effectful or not _has_mass_one(bind.comp):
            kept.append(bind)
            read |= bind.comp.free
    return n if len(kept) == len(n.binds) else block(kept[::-1], n.result)


def _has_mass_one(c: ir.Comp) -> bool:
    """Whether the computation only draws from distributions, and keeps nothing by name."""
    match c:
        case ir.Run(measure=measure):
            return isinstance(measure.type, Dist) or (
                isinstance(measure, ir.Thunk) and _has_mass_one(measure.body)
            )
        case ir.At(body=body, keep=keep):
            return not keep and _has_mass_one(body)
        case ir.Observe() | ir.Score():
            return False
        case ir.Iterate():
            return False  # it may not end
        case _:
            return all(_has_mass_one(x) for x in ir.children(c) if isinstance(x, ir.Comp))

"""Passes over the IR: program in, program out, each with the law it preserves.

program = run_passes(program)                    # the whole pipeline
program = run_passes(program, until="inline")    # as `ppl ir FILE --after inline`
"""

from __future__ import annotations

from collections.abc import Mapping

from ppl.semantics import ir
from ppl.semantics.ir_verify import verify
from ppl.semantics.passes.contract import CONTRACT
from ppl.semantics.passes.core import Contract, Pass
from ppl.semantics.passes.dead_draws import DEAD_DRAWS
from ppl.semantics.passes.hoist import HOIST
from ppl.semantics.passes.inline import INLINE
from ppl.semantics.passes.rao_blackwellize import MARGINALIZE, RAO_BLACKWELLIZE
from ppl.semantics.passes.simplify import SIMPLIFY

__all__ = ["PASSES", "PIPELINE", "Contract", "Pass", "run_passes"]

#: in the order in which the pipeline runs them
_PIPELINE = (INLINE, SIMPLIFY, DEAD_DRAWS, CONTRACT, HOIST)
PIPELINE = tuple(p.name for p in _PIPELINE)
#: every pass by name; those besides the pipeline's are run where they are asked for
PASSES: Mapping[str, Pass] = {p.name: p for p in (*_PIPELINE, RAO_BLACKWELLIZE, MARGINALIZE)}


def run_passes(
    program: ir.Program, *, until: str | None = None, only: tuple[str, ...] | None = None
) -> ir.Program:
    """The program after the pipeline, or after its passes up to and with `until` (after `until`
    alone, if that is not one of its passes).

    With `only`, after those passes alone, in the order given. The verifier runs after each.

    Raises:
        KeyError: no pass of that name.
        DiagnosticError: E081, a pass broke a rule of the IR.
    """
    names = PIPELINE if only is None else only
    if until is not None:
        names = names[: names.index(until) + 1] if until in names else (PASSES[until].name,)
    for name in names:
        program = PASSES[name].run(program)
        verify(program)
    return program

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
from ppl.semantics.passes.simplify import SIMPLIFY

__all__ = ["PASSES", "Contract", "Pass", "run_passes"]

#: every pass by name, in the order in which the pipeline runs them
PASSES: Mapping[str, Pass] = {p.name: p for p in (INLINE, SIMPLIFY, DEAD_DRAWS, CONTRACT, HOIST)}


def run_passes(
    program: ir.Program, *, until: str | None = None, only: tuple[str, ...] | None = None
) -> ir.Program:
    """The program after the pipeline, or after its passes up to and with `until`.

    With `only`, after those passes alone, in the order given. The verifier runs after each.

    Raises:
        KeyError: no pass of that name.
        DiagnosticError: E081, a pass broke a rule of the IR.
    """
    names = tuple(PASSES) if only is None else only
    if until is not None:
        names = names[: names.index(until) + 1] if until in names else (PASSES[until].name,)
    for name in names:
        program = PASSES[name].run(program)
        verify(program)
    return program

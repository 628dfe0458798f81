"""What a pass is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ppl.semantics import ir

#: `Measure`: the same unnormalised measure over results and kept sites, by the same paths
Contract = Literal["Measure"]


@dataclass(frozen=True)
class Pass:
    """A transformation of programs, its law, and what it does in a line."""

    name: str
    contract: Contract
    run: Callable[[ir.Program], ir.Program]
    doc: str


def each_function(program: ir.Program, f: Callable[[ir.Comp], ir.Comp]) -> ir.Program:
    """The program with f applied to the body of every function."""
    functions = []
    for function in program.functions:
        body = f(function.body)
        functions.append(function if body is function.body else replace(function, body=body))
    return replace(program, functions=tuple(functions))

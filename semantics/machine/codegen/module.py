"""The whole module of a program: source text, and the objects bound to its names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppl.semantics import ir
from ppl.semantics.machine.codegen.direct import function
from ppl.semantics.machine.codegen.pieces import blocks
from ppl.semantics.machine.codegen.unit import Loop, Options, Piece, Unit
from ppl.semantics.machine.values import Constructors


@dataclass(frozen=True)
class Generated:
    """source: the module's text. bound: its constants. places: where code is from, by its name.
    calls: where calls of primitives are from, by their text. twins: the `a` block of each `b`
    block. entry: the number of the main function, run. lazy: whether values may be lazy. loops: the
    scans, by identity."""

    source: str
    bound: Mapping[str, Any]
    places: Mapping[str, Any]
    calls: Mapping[str, Any]
    twins: Mapping[str, str]
    entry: int
    constructors: Constructors
    lazy: bool
    loops: Mapping[int, Loop]


def generate(program: ir.Program, options: Options) -> Generated:
    """Python source for a program."""
    unit = Unit(program, options)
    entry = unit.function(program.main, run=True)
    lines: list[str] = []
    while unit.todo:
        piece = unit.todo.pop()
        unit.places[f"f{piece.number}"] = piece.place
        lines += function(unit, piece)
        lines += blocks(unit, piece)
    lines += _values(unit)
    twins = {f"b{n}": f"a{n}" for letter, n in unit.emitted if letter == "b"}
    source = "\n".join(lines) + "\n"
    return Generated(
        source,
        unit.names.bound,
        unit.places,
        unit.calls,
        twins,
        entry.number,
        unit.constructors,
        unit.lazy,
        unit.loops,
    )


def _values(unit: Unit) -> list[str]:
    """Top-level functions as values: `g…`, whose code takes itself as its first argument."""
    last = "x" if unit.options.suspends else "w"
    out: list[str] = []
    for piece in unit.pieces.values():
        if piece.captured is None and piece.path is None:
            out += _value(piece, unit.options.suspends, last)
    return out


def _value(piece: Piece, suspends: bool, last: str) -> list[str]:
    n, args = piece.number, piece.variables
    inner = ", ".join(("s", *args))
    outer = ", ".join(("s", "c", *args))
    out = [f"def u{n}({outer}):", f" return f{n}({inner})"]
    for letter, name in (("a", "w"), ("b", "x"))[: 2 if suspends else 1]:
        frame = ", ".join((f"{letter}{n}", "k", *args))
        names = ", ".join(("_", "k", "c", *args))
        out += [f"def {name}{n}(s, k, v):", f" {names} = k", f" return ({frame}), v"]
    return [*out, f"g{n} = (u{n}, w{n}, {last}{n})"]

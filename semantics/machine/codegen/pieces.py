"""A piece as blocks: its entry, and whatever blocks its frames need, until none is left to emit.

See `blocks` for what a block is.
"""

from __future__ import annotations

from ppl.semantics.machine.codegen.blocks import Block, Later
from ppl.semantics.machine.codegen.targets import Path
from ppl.semantics.machine.codegen.unit import Piece, Unit


def blocks(unit: Unit, piece: Piece) -> list[str]:
    """The source of a piece's blocks: `a` blocks, and `b` blocks where runs can be suspended."""

    def entry(block: Block, path: Path) -> None:
        if piece.captured:
            block.put(f"{', '.join(['_', '_', '_', *piece.captured])} = c")
        block.tail(piece.comp, path, "k")

    closed = ("c",) if piece.captured is not None else ()
    # a closure's own value comes before the path, and both before the arguments
    first = Later(piece.number, None, (), (), entry, piece.place)
    out: list[str] = []
    todo: list[tuple[str, Later]] = [("a", first)]
    if unit.options.suspends:
        todo.append(("b", first))
    while todo:
        letter, later = todo.pop()
        if (letter, later.number) in unit.emitted:
            continue
        unit.emitted.add((letter, later.number))
        block = Block(unit, letter, later.place, piece if later is first else None)
        if later is first:
            path = piece.path
            names = (*closed, *([path] if path else []), *piece.variables)
        else:
            path = later.path
            names = (*([path] if path else []), *later.state, *later.live)
        recursive = later is not first and piece.counted and not later.state
        block.again_at = f"{letter}{later.number}" if recursive else None
        block.indent = 2
        block.put(f"{', '.join(['_', 'k', *names])} = k")
        later.emit(block, block.start(path))
        if not block.jumps:
            block.lines = [line[1:] for line in block.lines]
        elif later is first:  # it enters itself with other variables, not with a frame
            block.lines[:1] = [block.lines[0][1:], " while 1:"]
        else:
            block.lines.insert(0, " while 1:")
        if letter == "b" and block.calls:
            block.lines.insert(0, " q_mark(s)")
        unit.places[f"{letter}{later.number}"] = later.place
        out += [f"def {letter}{later.number}(s, k, v):", *block.lines]
        todo += [(letter, needed) for needed in block.needed]
        if letter == "b":
            todo.append(("a", later))
    return out

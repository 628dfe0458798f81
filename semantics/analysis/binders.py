"""The binders in a program's text, by the step that each adds to paths."""

from __future__ import annotations

from collections.abc import Iterator

from ppl.semantics import ir


def binders(program: ir.Program) -> dict[str, tuple[ir.At, ...]]:
    """Every `At` node, by its step, in the order of the text."""
    found: dict[str, list[ir.At]] = {}
    for f in program.functions:
        for n in _walk(f.body):
            if isinstance(n, ir.At):
                found.setdefault(n.step, []).append(n)
    return {step: tuple(nodes) for step, nodes in found.items()}


def _walk(node: ir.Node) -> Iterator[ir.Node]:
    todo = [node]
    while todo:
        n = todo.pop()
        yield n
        todo.extend(reversed(list(ir.children(n))))

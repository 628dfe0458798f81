"""Walking through programs and rebuilding them: children, blocks, everything inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

from ppl.semantics import ir

N = TypeVar("N", bound=ir.Node)


def map_children(node: N, f: Callable[[Any], Any]) -> N:
    """The node with f applied to the nodes directly inside; itself if that changes nothing."""
    changes: dict[str, Any] = {}
    for name in _PARTS.get(type(node), ()):
        old = getattr(node, name)
        new = _map(old, f)
        if new is not old:
            changes[name] = new
    return replace(node, **changes) if changes else node


def _map(part: Any, f: Callable[[Any], Any]) -> Any:
    if isinstance(part, ir.Node):
        return f(part)
    if isinstance(part, tuple):
        new = tuple([_map(p, f) for p in part])
        return new if any(a is not b for a, b in zip(new, part, strict=True)) else part
    if isinstance(part, ir.Bind):
        comp = f(part.comp)
        return part if comp is part.comp else ir.Bind(part.name, comp)
    if isinstance(part, ir.Arm):
        body = f(part.body)
        return part if body is part.body else replace(part, body=body)
    return part


def _parts(node: type) -> tuple[str, ...]:
    """The fields of a class of nodes that have nodes inside, in evaluation order."""
    holders = ("Value", "Comp", "tuple[Bind", "tuple[Arm", "tuple[Value")
    return tuple(f.name for f in fields(node) if str(f.type).startswith(holders))


_PARTS = {
    c: _parts(c)
    for c in vars(ir).values()
    if isinstance(c, type) and issubclass(c, ir.Node) and c not in (ir.Node, ir.Value, ir.Comp)
}


def block(binds: list[ir.Bind], result: ir.Comp) -> ir.Comp:
    """A block without blocks directly inside, or the result alone if nothing is bound."""
    flat: list[ir.Bind] = []
    for bind in binds:
        comp = bind.comp
        if isinstance(comp, ir.Block):
            flat += comp.binds
            comp = comp.result
        flat.append(bind if comp is bind.comp else ir.Bind(bind.name, comp))
    if isinstance(result, ir.Block):
        flat += result.binds
        result = result.result
    return ir.Block(result.type, tuple(flat), result, span=result.span) if flat else result


def nodes(node: ir.Node) -> Iterator[ir.Node]:
    """The node and everything inside it, parents first."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        todo += reversed(list(ir.children(node)))


def size(node: ir.Node) -> int:
    """How many nodes there are."""
    return sum(1 for _ in nodes(node))


def keeps(comp: ir.Node) -> bool:
    """Whether what is done here is kept by name (not counting functions and measures made here)."""
    return isinstance(comp, ir.Comp) and (
        (isinstance(comp, ir.At) and comp.keep) or any(map(keeps, ir.children(comp)))
    )

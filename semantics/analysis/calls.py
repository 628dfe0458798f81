"""The call graph and its components (Tarjan 1972, without recursion)."""

from __future__ import annotations

from ppl.semantics import ir
from ppl.semantics.ir_map import nodes


def callees(f: ir.Function) -> tuple[str, ...]:
    """The top-level functions that a function mentions, called or not, in order of appearance."""
    seen = {n.name: None for n in nodes(f.body) if isinstance(n, ir.Global)}
    return tuple(seen)


def components(program: ir.Program) -> tuple[tuple[str, ...], ...]:
    """Strongly connected components of the functions, callees first."""
    graph = {f.name: callees(f) for f in program.functions}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    out: list[tuple[str, ...]] = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, rest = work[-1]
            for callee in rest:
                if callee not in index:
                    index[callee] = low[callee] = len(index)
                    stack.append(callee)
                    on_stack.add(callee)
                    work.append((callee, iter(graph.get(callee, ()))))
                    break
                if callee in on_stack:
                    low[name] = min(low[name], index[callee])
            else:
                work.pop()
                if work:
                    caller = work[-1][0]
                    low[caller] = min(low[caller], low[name])
                if low[name] == index[name]:
                    at = stack.index(name)
                    out.append(tuple(stack[at:]))
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
    return tuple(out)


def recursive_functions(program: ir.Program) -> frozenset[str]:
    """The functions that can reach themselves, counting any mention as a call."""
    out: set[str] = set()
    for names in components(program):
        if len(names) > 1 or any(name in callees(program.by_name[name]) for name in names):
            out.update(names)
    return frozenset(out)

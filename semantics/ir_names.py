"""Binders and their names, which are unique in a program: so nothing is ever captured.

Code that is copied is `freshen`ed, which gives its binders new names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ppl.semantics import ir
from ppl.semantics.ir_map import map_children, nodes

N = TypeVar("N", bound=ir.Node)


def binders(node: ir.Node) -> Iterator[str]:
    """Every name bound inside a node."""
    for n in nodes(node):
        match n:
            case ir.Lam(params=params):
                yield from (p.name for p in params)
            case ir.Block(binds=binds):
                yield from (b.name for b in binds)
            case ir.For(param=param):
                yield param.name
            case ir.Scan(carry=carry, param=param):
                yield carry.name
                yield param.name
            case ir.Iterate(carry=carry):
                yield carry.name
            case ir.Match(arms=arms):
                yield from (p.name for a in arms for p in a.params)


class Fresh:
    """Names that a program does not have: x.1, x.2, …"""

    def __init__(self, program: ir.Program):
        self.taken: set[str] = set()
        self.next: dict[str, int] = {}
        for f in program.functions:
            self.taken.update(p.name for p in f.params)
            self.taken.update(binders(f.body))

    def name(self, like: str) -> str:
        base, _, count = like.rpartition(".")
        base = base if base and count.isdigit() else like
        number = self.next.get(base, 1)
        while f"{base}.{number}" in self.taken:
            number += 1
        self.next[base] = number + 1
        self.taken.add(f"{base}.{number}")
        return f"{base}.{number}"


def freshen(node: N, fresh: Fresh, names: Mapping[str, str] | None = None) -> N:
    """A copy whose binders have new names; `names` are free variables renamed already."""
    renamed = {**(names or {}), **{b: fresh.name(b) for b in binders(node)}}

    def param(p: ir.Param) -> ir.Param:
        return ir.Param(renamed[p.name], p.type)

    def copy(n: Any) -> Any:
        match n:
            case ir.Var(name=name):
                return replace(n, name=renamed[name]) if name in renamed else n
            case ir.Lam(params=params):
                n = replace(n, params=tuple(map(param, params)))
            case ir.Block(binds=binds):
                n = replace(n, binds=tuple(ir.Bind(renamed[b.name], b.comp) for b in binds))
            case ir.For(param=p):
                n = replace(n, param=param(p))
            case ir.Scan(carry=c, param=p):
                n = replace(n, carry=param(c), param=param(p))
            case ir.Iterate(carry=c):
                n = replace(n, carry=param(c))
            case ir.Match(arms=arms):
                new = (replace(a, params=tuple(map(param, a.params))) for a in arms)
                n = replace(n, arms=tuple(new))
        return map_children(n, copy)

    return copy(node)


def uniquify(program: ir.Program) -> ir.Program:
    """The program with every binder that repeats a name renamed, and nothing else changed."""
    names = [b for f in program.functions for b in (*_params(f), *binders(f.body))]
    if len(set(names)) == len(names):
        return program
    fresh, seen = Fresh(program), {p for f in program.functions for p in _params(f)}

    def new(name: str, here: dict[str, str]) -> str:
        if name in seen:
            here[name] = fresh.name(name)
            return here[name]
        seen.add(name)
        here.pop(name, None)
        return name

    def param(p: ir.Param, here: dict[str, str]) -> ir.Param:
        return replace(p, name=new(p.name, here))

    def go(n: Any, names: dict[str, str]) -> Any:
        here = dict(names)
        match n:
            case ir.Var(name=name):
                return replace(n, name=names[name]) if name in names else n
            case ir.Lam(params=params):
                n = replace(n, params=tuple(param(p, here) for p in params))
            case ir.Block(binds=binds, result=result):
                out = []
                for b in binds:
                    comp = go(b.comp, here)
                    out.append(ir.Bind(new(b.name, here), comp))
                return replace(n, binds=tuple(out), result=go(result, here))
            case ir.For(param=p, over=over):
                n = replace(n, over=go(over, names), param=param(p, here))
                return _except(n, ("over",), lambda x: go(x, here))
            case ir.Scan(carry=c, init=init, param=p, over=over):
                n = replace(n, init=go(init, names), over=go(over, names))
                n = replace(n, carry=param(c, here), param=param(p, here))
                return _except(n, ("init", "over"), lambda x: go(x, here))
            case ir.Iterate(carry=c, init=init, limit=limit):
                most = None if limit is None else go(limit, names)
                n = replace(n, init=go(init, names), limit=most, carry=param(c, here))
                return _except(n, ("init", "limit"), lambda x: go(x, here))
            case ir.Match(subject=subject, arms=arms):
                out = []
                for a in arms:
                    inner = dict(names)
                    params = tuple(param(p, inner) for p in a.params)
                    out.append(replace(a, params=params, body=go(a.body, inner)))
                return replace(n, subject=go(subject, names), arms=tuple(out))
        return map_children(n, lambda x: go(x, here))

    functions = tuple(replace(f, body=go(f.body, {})) for f in program.functions)
    return replace(program, functions=functions)


def _params(f: ir.Function) -> list[str]:
    return [p.name for p in f.params]


def _except(node: N, done: tuple[str, ...], f: Callable[[Any], Any]) -> N:
    """As `map_children`, but for some parts."""
    parts = [getattr(node, name) for name in done]
    return map_children(node, lambda x: x if any(x is p for p in parts) else f(x))

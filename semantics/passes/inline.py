"""Calls of functions that do not call themselves, and of lambdas known where they are called.

Callees are inlined first, so each body is copied as it will be. A copy's binders get new names.
Growth is bounded: past the budget the calls that are left stay calls.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ppl.semantics import ir
from ppl.semantics.analysis.calls import callees, components, recursive_functions
from ppl.semantics.ir_map import block, map_children, size
from ppl.semantics.ir_names import Fresh, freshen
from ppl.semantics.passes.core import Pass

#: nodes that a program may grow by
BUDGET = 20_000


def inline(program: ir.Program, *, budget: int = BUDGET) -> ir.Program:
    """Contract `Measure`: a call and the body it stands for run at the same paths.

    Functions that are not reachable from the entry afterwards are dropped.
    """
    inliner = _Inliner(program, budget)
    done: dict[str, ir.Function] = {}
    for names in components(program):
        for name in names:
            f = program.by_name[name]
            done[name] = replace(f, body=inliner.comp(f.body, {}))
            inliner.functions[name] = done[name]
    return _reachable(replace(program, functions=tuple(done[f.name] for f in program.functions)))


INLINE = Pass("inline", "Measure", inline, "inline calls of known functions")


class _Inliner:
    def __init__(self, program: ir.Program, budget: int):
        self.fresh = Fresh(program)
        self.budget = budget
        self.recursive = recursive_functions(program)
        self.functions = dict(program.by_name)

    def comp(self, c: ir.Comp, lambdas: dict[str, ir.Lam]) -> ir.Comp:
        """`lambdas` are the variables in scope that are bound to lambdas."""
        match c:
            case ir.Call(args=args):
                args = tuple(self.value(a, lambdas) for a in args)
                return self.call(replace(c, args=args), lambdas)
            case ir.Block(binds=binds, result=result):
                here, out = dict(lambdas), []
                for b in binds:
                    comp = self.comp(b.comp, here)
                    out.append(ir.Bind(b.name, comp))
                    last = comp.result if isinstance(comp, ir.Block) else comp
                    if isinstance(last, ir.Return) and isinstance(last.value, ir.Lam):
                        here[b.name] = last.value
                return block(out, self.comp(result, here))
            case _:
                return map_children(c, lambda n: self.node(n, lambdas))

    def node(self, n: Any, lambdas: dict[str, ir.Lam]) -> Any:
        return self.comp(n, lambdas) if isinstance(n, ir.Comp) else self.value(n, lambdas)

    def value(self, v: ir.Value, lambdas: dict[str, ir.Lam]) -> ir.Value:
        return map_children(v, lambda n: self.node(n, lambdas))

    def call(self, c: ir.Call, lambdas: dict[str, ir.Lam]) -> ir.Comp:
        match c.fn:
            case ir.Global(name=name) if name not in self.recursive:
                f = self.functions[name]
                return self.apply(c, f.params, f.body, lambdas)
            case ir.Var(name=name) if name in lambdas:
                return self.apply(c, lambdas[name].params, lambdas[name].body, lambdas)
            case ir.Lam(params=params, body=body):
                return self.apply(c, params, body, lambdas)
            case _:
                return c

    def apply(
        self,
        c: ir.Call,
        params: tuple[ir.Param, ...],
        body: ir.Comp,
        lambdas: dict[str, ir.Lam],
    ) -> ir.Comp:
        grows = size(body)
        if grows > self.budget:
            return c
        self.budget -= grows
        names = {p.name: self.fresh.name(p.name) for p in params}
        binds = [
            ir.Bind(names[p.name], ir.Return(a.type, a, span=a.span))
            for p, a in zip(params, c.args, strict=True)
        ]
        copy = freshen(body, self.fresh, names)
        known = {
            names[p.name]: lam
            for p, a in zip(params, c.args, strict=True)
            if isinstance(lam := lambdas.get(a.name) if isinstance(a, ir.Var) else a, ir.Lam)
        }
        return block(binds, self.comp(copy, {**lambdas, **known}) if known else copy)


def _reachable(program: ir.Program) -> ir.Program:
    seen, todo = {program.main}, [program.main]
    while todo:
        new = [n for n in callees(program.by_name[todo.pop()]) if n not in seen]
        seen.update(new)
        todo += new
    return replace(program, functions=tuple(f for f in program.functions if f.name in seen))

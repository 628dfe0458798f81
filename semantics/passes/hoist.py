"""What a loop computes anew but the same each time is computed once, before the loop.

Only total computations move: one that could fail or not end must not run where the loop's body
never would. Distributions stay where they are run; moving their arguments is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ppl.semantics import ir
from ppl.semantics.ir_map import block, map_children, nodes
from ppl.semantics.ir_names import Fresh, binders
from ppl.semantics.passes.core import Pass, each_function
from ppl.semantics.types import Dist, Fun, Measure

#: primitives that may fail
PARTIAL = frozenset(
    "index slice columns columns_slice checked_nat checked_pos checked_prob checked_int"
    " checked_bool cholesky solve inverse zip concat matmul dot ode ode_stiff".split()
)


def hoist(program: ir.Program) -> ir.Program:
    """Contract `Measure`: nothing that runs is moved."""
    fresh = Fresh(program)
    return each_function(program, lambda c: _closed(_Hoister(fresh).comp(c)))


HOIST = Pass("hoist", "Measure", hoist, "compute what does not change before the loop")

#: bindings that move out of a computation, and what is left of it
Split = tuple[list[ir.Bind], ir.Comp]


def _closed(split: Split) -> ir.Comp:
    return block(split[0], split[1])


class _Hoister:
    def __init__(self, fresh: Fresh):
        self.fresh = fresh

    def comp(self, c: ir.Comp) -> Split:
        """The computation with its loops' invariants before it."""
        match c:
            case ir.Block(binds=binds, result=result):
                out: list[ir.Bind] = []
                for b in binds:
                    before, comp = self.comp(b.comp)
                    out += [*before, ir.Bind(b.name, comp)]
                before, result = self.comp(result)
                return [], block(out + before, result)
            case ir.At(body=body):
                before, inner = self.comp(body)
                return before, c if inner is body else replace(c, body=inner)
            case ir.For(param=param, body=body):
                before, inner = self.loop(body, (param.name,))
                return before, self.inside(replace(c, body=inner), skip=inner)
            case ir.Scan(carry=carry, param=param, body=body):
                before, inner = self.loop(body, (carry.name, param.name))
                return before, self.inside(replace(c, body=inner), skip=inner)
            case ir.Iterate(carry=carry, body=body):
                before, inner = self.loop(body, (carry.name,))
                return before, self.inside(replace(c, body=inner), skip=inner)
            case _:
                return [], self.inside(c)

    def inside(self, c: ir.Comp, skip: ir.Comp | None = None) -> ir.Comp:
        """Branches and functions inside keep what is theirs."""

        def node(n: Any) -> Any:
            if n is skip:
                return n
            if isinstance(n, ir.Comp):
                return _closed(self.comp(n))
            return map_children(n, node)

        return map_children(c, node)

    def loop(self, body: ir.Comp, bound: tuple[str, ...]) -> Split:
        """A loop's body, after its own loops', split in what is invariant and what is not."""
        body = _closed(self.comp(body))
        varying = set(bound) | set(binders(body))
        before: list[ir.Bind] = []
        if isinstance(body, ir.Block):
            stays = []
            for b in body.binds:
                if varying.isdisjoint(b.comp.free) and _total(b.comp):
                    before.append(b)
                    varying.discard(b.name)
                else:
                    stays.append(b)
            body = block(stays, body.result)
        return before, _extract(body, varying, before, self.name)

    def name(self) -> str:
        return self.fresh.name("once")


def _total(c: ir.Comp) -> bool:
    """Whether a computation runs nothing, keeps nothing, ends, and cannot fail."""
    if c.effectful:
        return False
    for n in nodes(c):
        if isinstance(n, (ir.Call, ir.Iterate, ir.At)):
            return False
        if isinstance(n, ir.Op) and n.op in PARTIAL:
            return False
    return True


def _extract(
    c: ir.Comp, varying: set[str], before: list[ir.Bind], name: Callable[[], str]
) -> ir.Comp:
    """The largest invariant operations inside values, bound in `before`."""
    found: dict[ir.Value, ir.Var] = {}

    def node(n: Any) -> Any:
        if isinstance(n, ir.Op) and n not in found and _worth(n, varying):
            var = ir.Var(n.type, name(), span=n.span)
            before.append(ir.Bind(var.name, ir.Return(n.type, n, span=n.span)))
            found[n] = var
        if isinstance(n, ir.Op) and n in found:
            return found[n]
        return map_children(n, node)

    return node(c)


def _worth(n: ir.Op, varying: set[str]) -> bool:
    if isinstance(n.type, (Dist, Measure, Fun)) or not n.free or n.op == "len":
        return False
    if not varying.isdisjoint(n.free):
        return False
    return _total(ir.Return(n.type, n))

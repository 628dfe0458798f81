"""A computation that draws late and scores, as two: what it scores, and what it makes.

Late draws are those that no score depends on, so the scores do not need them.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import returned
from ppl.semantics.ir_map import block, map_children
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes.conjugacy.linear import Broken
from ppl.semantics.passes.conjugacy.uses import Path, draws

_NOTHING = returned(ir.Lit(T.UNIT, None))


def unscored(c: ir.Comp, path: Path, late: Set[Path]) -> ir.Comp:
    """A computation, which runs at a path, without its scores. Raises Broken if it makes draws that
    are not late."""
    match c:
        case ir.Observe() | ir.Score():
            return _NOTHING
        case ir.Run():
            if path in late:
                return c
            raise Broken("a value that depends on it is drawn and scored together", c.span)
        case ir.At(step=step, body=body):
            return replace(c, body=unscored(body, (*path, step), late))
        case _:
            return map_children(
                c, lambda n: unscored(n, path, late) if isinstance(n, ir.Comp) else n
            )


def scored_only(c: ir.Comp, path: Path, late: Set[Path], fresh: Fresh) -> ir.Comp:
    """A computation that scores the same, without late draws and what is made of them."""
    if not c.effectful or late.isdisjoint(draws(c, path)):
        return c
    match c:
        case ir.Run():
            return _NOTHING
        case ir.At(step=step, body=body):
            inner = scored_only(body, (*path, step), late, fresh)
            return ir.At(inner.type, step, inner, span=c.span)
        case ir.For(body=body, guard=None):
            inner = scored_only(body, path, late, fresh)
            return replace(c, type=T.Array(inner.type), body=inner)
        case ir.If(then=then, other=other):
            arms = (
                block([ir.Bind(fresh.name("_"), scored_only(arm, path, late, fresh))], _NOTHING)
                for arm in (then, other)
            )
            return ir.If(T.UNIT, c.cond, *arms, span=c.span)
        case ir.Block(binds=binds, result=result):
            gone: set[str] = set()
            left: list[ir.Bind] = []
            for b in (*binds, ir.Bind("", result)):
                if b.comp.effectful and not late.isdisjoint(draws(b.comp, path)):
                    comp = scored_only(b.comp, path, late, fresh)
                elif gone.isdisjoint(b.comp.free):
                    left.append(b)
                    continue
                elif b.comp.effectful:
                    raise Broken("what is drawn late is scored", b.comp.span)
                else:
                    comp = _NOTHING
                gone.add(b.name)
                left.append(ir.Bind(b.name, comp))
            return block(left[:-1], left[-1].comp)
        case _:
            raise Broken("a value that depends on it is drawn and scored together", c.span)

"""Constants folded, copies propagated, known tuples projected, decided branches taken.

Bindings that nothing reads and that run nothing go as well. Arithmetic on reals is folded in
double precision, exactly as the reference machine does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ppl.semantics import ir
from ppl.semantics.ir_map import block, keeps, map_children, nodes
from ppl.semantics.ir_names import uniquify
from ppl.semantics.passes.core import Pass, each_function
from ppl.semantics.passes.fold import fold


def simplify(program: ir.Program) -> ir.Program:
    """Contract `Measure`. One sweep down and up; unused bindings are found from the end."""

    def body(c: ir.Comp) -> ir.Comp:
        return _comp(c, {}, Counter(n.name for n in nodes(c) if isinstance(n, ir.Var)))

    return uniquify(each_function(program, body))  # a measure may have been run in two places


SIMPLIFY = Pass("simplify", "Measure", simplify, "fold constants, propagate copies, drop dead code")

Known = Mapping[str, ir.Value]


def _value(v: ir.Value, known: Known, uses: Counter[str]) -> ir.Value:
    if isinstance(v, ir.Var):
        found = known.get(v.name)
        return found if isinstance(found, _COPIED) else v

    def inside(n: ir.Node) -> ir.Node:
        if isinstance(n, ir.Comp):
            return _comp(n, known, uses)
        assert isinstance(n, ir.Value)
        return _value(n, known, uses)

    v = map_children(v, inside)
    match v:
        case ir.Op():
            return fold(v)
        case ir.Proj(value=whole, index=index):
            parts = _open(whole, known)
            if isinstance(parts, ir.MakeTuple) and isinstance(parts.items[index], _COPIED):
                return parts.items[index]
        case ir.Get(value=whole, name=name):
            parts = _open(whole, known)
            if isinstance(parts, ir.MakeRecord):
                item = parts.items[parts.names.index(name)]
                return item if isinstance(item, _COPIED) else v
    return v


#: values that may stand wherever a variable that is bound to them stands
_COPIED = (ir.Var, ir.Lit, ir.Global)


def _open(v: ir.Value, known: Known) -> ir.Value:
    return known.get(v.name, v) if isinstance(v, ir.Var) else v


def _comp(c: ir.Comp, known: Known, uses: Counter[str]) -> ir.Comp:
    match c:
        case ir.Block():
            return _block(c, known, uses)
        case ir.If(cond=cond, then=then, other=other):
            test = _value(cond, known, uses)
            if isinstance(test, ir.Lit):
                return _comp(then if test.value else other, known, uses)
            arms = _comp(then, known, uses), _comp(other, known, uses)
            return replace(c, cond=test, then=arms[0], other=arms[1])
        case ir.Run(measure=measure):
            measure = _value(measure, known, uses)
            opened = _open(measure, known)
            once = not isinstance(measure, ir.Var) or uses[measure.name] == 1
            if isinstance(opened, ir.Thunk) and once:
                return opened.body
            return c if measure is c.measure else replace(c, measure=measure)
        case ir.Match(subject=subject, arms=arms):
            opened = _open(_value(subject, known, uses), known)
            if isinstance(opened, ir.Make) and all(isinstance(a, _COPIED) for a in opened.args):
                return _chosen(opened, arms, known, uses)

    def inside(n: Any) -> Any:
        return _comp(n, known, uses) if isinstance(n, ir.Comp) else _value(n, known, uses)

    return map_children(c, inside)


def _chosen(made: ir.Make, arms: tuple[ir.Arm, ...], known: Known, uses: Counter[str]) -> ir.Comp:
    """The arm for a value whose constructor is known."""
    arm = next(a for a in arms if a.constructor in (made.constructor, None))
    fields = {p.name: v for p, v in zip(arm.params, made.args, strict=False)}
    return _comp(arm.body, {**known, **fields}, uses)


def _block(c: ir.Block, known: Known, uses: Counter[str]) -> ir.Comp:
    here = dict(known)
    binds: list[ir.Bind] = []
    todo = list(reversed(c.binds))
    while todo:
        bind = todo.pop()
        comp = _comp(bind.comp, here, uses)
        if isinstance(comp, ir.Block):  # opened by what was simplified: its bindings come first
            binds += comp.binds
            for b in comp.binds:
                _learn(b.name, b.comp, here)
            comp = comp.result
        _learn(bind.name, comp, here)
        binds.append(bind if comp is bind.comp else ir.Bind(bind.name, comp))
    return _sweep(block(binds, _comp(c.result, here, uses)))


def _learn(name: str, comp: ir.Comp, known: dict[str, ir.Value]) -> None:
    if isinstance(comp, ir.Return) and isinstance(comp.value, _KNOWN):
        known[name] = comp.value


_KNOWN = (*_COPIED, ir.MakeTuple, ir.MakeRecord, ir.Make, ir.Thunk)


def _sweep(c: ir.Comp) -> ir.Comp:
    """The block without pure bindings that nothing after them reads."""
    if not isinstance(c, ir.Block):
        return c
    read, kept = set(c.result.free), []
    for bind in reversed(c.binds):
        if bind.name in read or bind.comp.effectful or keeps(bind.comp):
            kept.append(bind)
            read |= bind.comp.free
    if len(kept) == len(c.binds):
        return c
    return block(kept[::-1], c.result)

"""Holes in data drawn where the model begins, from the base measure of their support.

That is Lebesgue measure on the numbers of the declared type, and counting measure on booleans. The
model then scores them like any other value, so the result is the joint measure of the holes and
everything else, whatever the program does with them.

Numbers have one coordinate for each hole: the values are drawn in a loop as long as there are
holes, and every element of the data is looked up, in the data or among them. Booleans are drawn
element by element where there is a hole, so that a choice that is summed out belongs to the plate
in which it is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import Leaf, array_of, bind, column, each, filled, part, returned, zipped
from ppl.semantics.ir_map import block, map_children
from ppl.semantics.ir_names import Fresh
from ppl.semantics.op_types import op_type
from ppl.semantics.subtypes import seen

_LESS, _MORE = ir.Lit(T.REAL, float("-inf")), ir.Lit(T.REAL, float("inf"))
_ZERO, _ONE, _HALF = ir.Lit(T.BIT, 0), ir.Lit(T.BIT, 1), ir.Lit(T.PROB, 0.5)


def _op(name: str, *args: ir.Value) -> ir.Op:
    return ir.Op(op_type(name, tuple(a.type for a in args)), name, args)


#: the base measure of each type that has a continuum of values; that of `prob` has mass 1
BASE: dict[T.Type, ir.Op] = {
    T.REAL: _op("flat", _LESS, _MORE),
    T.POS: _op("flat", _ZERO, _MORE),
    T.PROB: _op("uniform", _ZERO, _ONE),
}


def has_base_measure(t: T.Type) -> bool:
    """Whether holes of a type can be drawn where the model begins."""
    return t in BASE or t == T.BOOL


def can_be_drawn(t: T.Type) -> bool:
    """Whether the base measure of a type is finite, so that it has a sampler."""
    return t in (T.PROB, T.BOOL)


def draw_holes(program: ir.Program, leaves: Iterable[Leaf]) -> ir.Program:
    """Contract `Measure`: the program whose entry takes data with dummies in the holes of `leaves`,
    and the parameters that say where they are (`Leaf.missing`; `Leaf.which` and `Leaf.holes`)."""
    entry, fresh = program.entry, Fresh(program)
    binds: list[ir.Bind] = []
    more: list[ir.Param] = []
    columns: dict[str, dict[Any, ir.Value]] = {}
    for leaf in leaves:
        params, drawn = _drawn(leaf, entry, fresh, binds)
        more += params
        columns.setdefault(leaf.param, {})[leaf.keys] = drawn
    names: dict[str, str] = {}
    for p in entry.params:
        if p.name in columns:
            whole = ir.Var(seen(p.type), p.name)
            names[p.name] = bind(
                binds, fresh.name(p.name), filled(whole, columns[p.name], fresh)
            ).name
    body = _inside(renamed(entry.body, names), fresh)
    return with_entry(program, more, block(binds, body))


def with_entry(program: ir.Program, more: Iterable[ir.Param], run: ir.Comp) -> ir.Program:
    """The program whose entry takes more parameters and runs another computation."""
    entry = program.entry
    params = (*(replace(p, type=seen(p.type)) for p in entry.params), *more)
    measure = T.Measure(run.type)
    changed = replace(
        entry,
        params=params,
        body=returned(ir.Thunk(measure, run, span=run.span)),
        type=T.Fun(tuple(p.type for p in params), measure),
    )
    return replace(
        program, functions=tuple(changed if f is entry else f for f in program.functions)
    )


def renamed(node: Any, names: dict[str, str]) -> Any:
    """The node with free variables renamed."""
    if isinstance(node, ir.Var):
        return replace(node, name=names[node.name]) if node.name in names else node
    return map_children(node, lambda n: renamed(n, names)) if names else node


def _inside(body: ir.Comp, fresh: Fresh) -> ir.Comp:
    """What a measure that a computation returns runs."""
    if isinstance(body, ir.Return) and isinstance(body.value, ir.Thunk):
        return body.value.body
    if isinstance(body, ir.Block):
        return block(list(body.binds), _inside(body.result, fresh))
    if isinstance(body, ir.Return):
        return ir.Run(body.type.item, body.value, span=body.span)  # type: ignore[attr-defined]
    name = fresh.name("model")
    run = ir.Run(body.type.item, ir.Var(body.type, name), span=body.span)  # type: ignore[attr-defined]
    return ir.Block(run.type, (ir.Bind(name, body),), run, span=body.span)


# ------------------------------------------------------------------------------------- the draws


def _drawn(
    leaf: Leaf, entry: ir.Function, fresh: Fresh, binds: list[ir.Bind]
) -> tuple[list[ir.Param], ir.Value]:
    """The parameters that say where holes are, and the whole leaf with its holes drawn."""
    name = fresh.name(leaf.step)
    if leaf.item == T.BOOL:
        where = ir.Param(leaf.missing, array_of(T.BOOL, leaf.rank))
        data = _column(leaf, entry, fresh, binds)
        draws = _choices(data, ir.Var(where.type, where.name), leaf.rank, fresh)
        return [where], bind(binds, name, ir.At(draws.type, leaf.name, draws))
    base = BASE[leaf.item]
    run = ir.Run(base.type.item, base, span=leaf.span)  # type: ignore[attr-defined]
    if leaf.rank == 0:
        return [], bind(binds, name, ir.At(leaf.item, leaf.name, run))
    holes = ir.Param(leaf.holes, T.Array(T.NAT))
    which = ir.Param(leaf.which, array_of(T.NAT, leaf.rank))
    draws = each(ir.Param(fresh.name("hole"), T.NAT), ir.Var(holes.type, holes.name), run)
    values = bind(binds, name, ir.At(draws.type, leaf.name, draws))
    flat: ir.Value = _column(leaf, entry, fresh, binds)
    for rank in range(leaf.rank - 1, 0, -1):
        flat = ir.Op(array_of(leaf.item, rank), "flatten", (flat,))
    pool = returned(ir.Op(T.Array(leaf.item), "concat", (flat, values)))
    drawn = _looked_up(
        bind(binds, fresh.name("pool"), pool), ir.Var(which.type, which.name), leaf.rank, fresh
    )
    return [holes, which], bind(binds, fresh.name(leaf.name), drawn)


def _column(leaf: Leaf, entry: ir.Function, fresh: Fresh, binds: list[ir.Bind]) -> ir.Value:
    """The data of a leaf, dummies in its holes."""
    declared = next(p.type for p in entry.params if p.name == leaf.param)
    whole = ir.Var(seen(declared), leaf.param)
    if not leaf.keys:
        return whole
    return bind(binds, fresh.name(leaf.name), column(whole, leaf.keys, fresh))


def _looked_up(pool: ir.Value, which: ir.Value, rank: int, fresh: Fresh) -> ir.Comp:
    if rank == 1:
        return returned(ir.Op(pool.type, "index", (pool, which)))
    row = ir.Param(fresh.name("row"), which.type.item)  # type: ignore[attr-defined]
    return each(row, which, _looked_up(pool, ir.Var(row.type, row.name), rank - 1, fresh))


def _choices(data: ir.Value, where: ir.Value, rank: int, fresh: Fresh) -> ir.Comp:
    """A boolean drawn from counting measure, twice a fair coin, wherever one is missing."""
    if rank:
        over = zipped([data, where])
        row = ir.Param(fresh.name("row"), over.type.item)  # type: ignore[attr-defined]
        both = ir.Var(row.type, row.name)
        return each(row, over, _choices(part(both, 0), part(both, 1), rank - 1, fresh))
    coin = _op("bernoulli", _HALF)
    binds: list[ir.Bind] = []
    choice = bind(binds, fresh.name("choice"), ir.Run(T.BOOL, coin))
    log_two = _op("log", ir.Lit(T.NAT, 2))
    bind(binds, fresh.name("_"), ir.Score(T.UNIT, log_two))
    return ir.If(T.BOOL, where, block(binds, returned(choice)), returned(data))

"""The way back through a linear-Gaussian chain: its draws, given all that was seen.

Each step's numbers are drawn given the state after it, from their law after the step's own
observations: forward filtering, backward sampling. The draws are standard normals, mapped, since
what a step's numbers are given the next state often has no variance.
"""

from __future__ import annotations

from collections.abc import Iterable

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import bind, each, part, returned, zipped
from ppl.semantics.ir_map import block
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes.conjugacy.belief import Belief, Slopes, dot
from ppl.semantics.passes.conjugacy.build import ONE, ZERO, as_type, minus, number, op, plus
from ppl.semantics.passes.conjugacy.chains import Filter, Start


def backwards(way: Filter, filtered: ir.Var, fresh: Fresh) -> ir.Comp:
    """The numbers of each step, last one first: tuples whose first component says nothing."""
    n, d = way.d + way.k, way.d
    item: T.Type = filtered.type.item  # type: ignore[attr-defined]
    state = T.Tuple((T.BOOL, *(T.REAL,) * n))
    carry = ir.Param(fresh.name("later"), state)
    row = ir.Param(fresh.name("now"), item)
    inside: list[ir.Bind] = []
    belief, means, now, after = _recorded(way, ir.Var(item, row.name), fresh, inside)
    later = ir.Var(state, carry.name)
    for c in range(d):
        gap = minus(part(later, 1 + c), after[c])
        belief.condition(now[c], gap, None, part(later, 0))
    normals = op("iid", as_type(number(n), T.NAT), op("normal", ZERO, ONE, type=T.Dist(T.REAL)))
    draw = ir.Run(T.Array(T.REAL), normals, span=way.chain.span)
    noise = bind(inside, fresh.name("noise"), around(draw, way.chain.draws[0].at, keep=False))
    each_noise = [belief.let(op("index", noise, number(i))) for i in range(n)]
    drawn = [
        as_type(plus(m, s), T.REAL) for m, s in zip(means, belief.drawn(each_noise), strict=True)
    ]
    step = block(inside, returned(ir.MakeTuple(state, (ir.Lit(T.BOOL, True), *drawn))))
    start = ir.MakeTuple(state, (ir.Lit(T.BOOL, False), *(as_type(ZERO, T.REAL) for _ in range(n))))
    loop = ir.Scan(T.Array(state), carry, start, row, op("reverse", filtered), step, "all")
    return around(loop, way.chain.at, keep=False)


def begun(way: Filter, start: Start, path: ir.Var, fresh: Fresh) -> ir.Comp:
    """What a part of the state started from: that before the first step, drawn from its prior if
    there is none."""
    mean, scale = way.starts[start.item]
    inside: list[ir.Bind] = []
    law = op("normal", mean, scale)
    prior = bind(inside, fresh.name("prior"), ir.Run(T.REAL, law, span=start.site.span))
    carry = ir.Param(fresh.name("first"), T.REAL)
    row = ir.Param(fresh.name("step"), path.type.item)  # type: ignore[attr-defined]
    here = part(ir.Var(row.type, row.name), 1 + way.linear.index(start.item))
    first = ir.Scan(T.REAL, carry, prior, row, path, returned(here), "last")
    return around(block(inside, first), start.at)


def states(way: Filter, filtered: ir.Var, path: ir.Var, init: ir.Value, fresh: Fresh) -> ir.Comp:
    """The loop's value: its states, or the last of them."""
    binds: list[ir.Bind] = []
    made = bind(binds, fresh.name("states"), _named(way, filtered, path, fresh))
    result: ir.Comp = returned(made)
    if way.chain.loop.keep == "last":
        result = _last(way, made, init, fresh)
    return around(block(binds, result), way.chain.at)


def around(c: ir.Comp, at: Iterable[ir.At], *, keep: bool = True) -> ir.Comp:
    """A computation inside binders, which keep its value if they did and `keep` holds."""
    for a in reversed(tuple(at)):
        c = ir.At(c.type, a.step, c, keep and a.keep, span=a.span)
    return c


def _recorded(
    way: Filter, whole: ir.Value, fresh: Fresh, binds: list[ir.Bind]
) -> tuple[Belief, list[ir.Value], list[Slopes], list[ir.Value]]:
    """The law of a step's numbers, their means, how the next state depends on them, and its
    means."""
    n, d = way.d + way.k, way.d
    belief = Belief(fresh, binds)
    at = iter(range(1 + d * (d + 1) // 2, 10_000))

    def take() -> ir.Value:
        return belief.let(part(whole, next(at)))

    means = [take() for _ in range(n)]
    for i in range(n):
        row = [take() for _ in range(i)]
        belief.add(row, take())
    now = [[take() for _ in range(n)] for _ in range(d)]
    return belief, means, now, [take() for _ in range(d)]


def _named(way: Filter, filtered: ir.Var, path: ir.Var, fresh: Fresh) -> ir.Comp:
    """The states after each step, the draws kept by name."""
    n, d = way.d + way.k, way.d
    over_both = zipped([filtered, op("reverse", path)])
    row = ir.Param(fresh.name("step"), over_both.type.item)  # type: ignore[attr-defined]
    both = ir.Var(row.type, row.name)
    inside: list[ir.Bind] = []
    belief, means, now, after = _recorded(way, part(both, 0), fresh, inside)
    drawn = [belief.let(part(part(both, 1), 1 + i)) for i in range(n)]
    for k, one in enumerate(way.chain.draws):
        inside.append(ir.Bind(fresh.name(one.name), around(returned(drawn[d + k]), one.at)))
    off = [minus(x, m) for x, m in zip(drawn, means, strict=True)]
    items = [plus(a, dot(s, off)) for a, s in zip(after, now, strict=True)]
    value = way.with_items(part(part(both, 0), 0), items)
    return each(row, over_both, block(inside, returned(value)))


def _last(way: Filter, states: ir.Var, init: ir.Value, fresh: Fresh) -> ir.Comp:
    loop = way.chain.loop
    carry = ir.Param(fresh.name(loop.carry.name), loop.carry.type)
    item = ir.Param(fresh.name(loop.carry.name), states.type.item)  # type: ignore[attr-defined]
    same = returned(ir.Var(item.type, item.name))
    return ir.Scan(loop.carry.type, carry, init, item, states, same, "last")

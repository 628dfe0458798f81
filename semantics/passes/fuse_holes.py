"""Holes in data drawn from the distributions that they are observed under.

`observe v ~ d` where v is missing, before anything else has used v, is `v ~ d`: the base measure of
the hole and the density of d make the law of d. So methods that draw need no density-only measure.
What is observed is split by where the holes are, which is data:

    if missing then { v.1 <- run d; return v.1 } else { observe v ~ d; return v }

and later uses see v.1. Loops over the data return the elements drawn beside their own results,
unless nothing after a loop of the main block reads them. A
part of the data that is used before it is drawn, or not drawn in the same way in all arms of a
branch, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.effects import main_block
from ppl.semantics.diagnostics import Span
from ppl.semantics.holes import (
    Leaf,
    Sizes,
    array_of,
    bind,
    column,
    component,
    filled,
    part,
    returned,
)
from ppl.semantics.ir_map import block, keeps, map_children
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes import hole_errors as errors
from ppl.semantics.passes.hole_draws import Drawing
from ppl.semantics.passes.hole_levels import At, Level, Levels, Piece, Spot, all_away, news
from ppl.semantics.passes.hole_loops import open_loop
from ppl.semantics.passes.hole_views import View, Views
from ppl.semantics.passes.holes import with_entry
from ppl.semantics.subtypes import seen


def fuse_holes(
    program: ir.Program, leaves: Iterable[Leaf], sizes: Sizes, *, finite: bool = False
) -> ir.Program:
    """Contract `Measure`: the program whose entry takes data with dummies in the holes of `leaves`,
    and where they are (`Leaf.missing`).

    Calls of known functions have to be inlined. With `finite`, a hole observed under a distribution
    with infinitely many values is refused.

    Raises:
        Refused: E850, a hole is used before it is observed; E851, it has infinitely many values;
            E854, it is one of several that are observed jointly.
    """
    return _Fuser(program, tuple(leaves), sizes, finite).run()


@dataclass(frozen=True)
class _Done:
    """A computation after the pass: what runs before it, it, and the levels after it."""

    before: list[ir.Bind]
    comp: ir.Comp
    levels: Levels


class _Fuser:
    def __init__(self, program: ir.Program, leaves: tuple[Leaf, ...], sizes: Sizes, finite: bool):
        self.program, self.leaves, self.finite = program, leaves, finite
        self.fresh = Fresh(program)
        self.views = Views(dict(sizes.shapes), dict(sizes.lengths), dict(sizes.constants))
        #: computations that the values of the statement at hand need before it
        self.needed: list[ir.Bind] = []
        #: where the value at hand stands
        self.place: Span | None = None
        #: what is read after the statement at hand, if that is one of the main block
        self.later: frozenset[str] | None = None

    def run(self) -> ir.Program:
        entry = self.program.entry
        body = entry.body
        if not (isinstance(body, ir.Return) and isinstance(body.value, ir.Thunk)):
            raise errors.unobserved(self.leaves[0])
        binds: list[ir.Bind] = []
        levels = self.enter(entry, binds)
        done = self.statement(body.value.body, levels)
        for level in done.levels.values():
            if not all(p.value is not None for p in level.pieces):
                raise errors.unobserved(level.leaf)
        more = (ir.Param(f.missing, array_of(T.BOOL, f.rank)) for f in self.leaves)
        run = block([*binds, *done.before], done.comp)
        return with_entry(self.program, more, run)

    def enter(self, entry: ir.Function, binds: list[ir.Bind]) -> Levels:
        levels: dict[At, Level] = {}
        types = {p.name: seen(p.type) for p in entry.params}
        for leaf in self.leaves:
            at = (leaf.name, 0)
            spot = self.views.whole(at)
            whole = ir.Var(types[leaf.param], leaf.param)
            missing = ir.Var(array_of(T.BOOL, leaf.rank), leaf.missing)
            data: ir.Value = whole
            if leaf.keys:
                name = self.fresh.name(leaf.name)
                data = bind(binds, name, column(whole, leaf.keys, self.fresh))
            pieces = (Piece(0, spot.hi, single=spot.single),)
            levels[at] = Level(leaf, spot.hi, spot.single, missing, data, pieces)
            old = self.views.known.get(leaf.param)
            spots = {} if old is None else dict(old.spots)
            self.views.known[leaf.param] = View(whole.type, {**spots, leaf.keys: spot})
        return levels

    # ------------------------------------------------------------------------------------ values

    def value(self, v: ir.Value, levels: Levels, *, looping: bool = False) -> ir.Value:
        """The value with what has been drawn in its place. What has not is refused, unless it is
        what a loop is over (`looping`): then it is left as it is."""
        held = self.place
        if not isinstance(v, ir.Var) and v.span is not None:  # a variable has its binder's place
            self.place = v.span
        out = self.replaced(v, levels, looping)
        self.place = held
        return out

    def replaced(self, v: ir.Value, levels: Levels, looping: bool) -> ir.Value:
        view = self.views.view(v)
        match v:
            case ir.Op(op="len"):
                return v
            case ir.Op(op="zip" | "enumerate", args=args):
                return replace(v, args=tuple(self.value(a, levels, looping=looping) for a in args))
            case ir.MakeTuple() | ir.MakeRecord():
                return map_children(v, lambda n: self.value(n, levels, looping=looping))
            case ir.Proj(value=whole) | ir.Get(value=whole) if view is None:
                if self.views.view(whole) is not None:
                    return v  # a part without holes
            case ir.Op(op="index" | "slice", args=(whole, *_)) if view is None:
                self.require_drawn(whole, levels)
        if view is None:
            return map_children(v, lambda n: self.inside(n, levels))
        drawn: dict[Any, ir.Value] = {}
        for keys, spot in view.spots.items():
            level = levels.get(spot.at)
            if level is None:  # drawn before the loop, so the element is what it should be
                continue
            if level.is_drawn(spot):
                drawn[keys] = level.value(spot)
            elif not looping:
                raise errors.used(level.leaf, self.place)
        if not drawn:
            return v
        done = filled(v, drawn, self.fresh)
        if isinstance(done, ir.Return):
            return done.value
        return bind(self.needed, self.fresh.name("filled"), done)

    def require_drawn(self, v: ir.Value, levels: Levels) -> None:
        """Refuses a value of which anything is still to be drawn."""
        view = self.views.view(v)
        for spot in () if view is None else view.spots.values():
            level = levels.get(spot.at)
            if level is not None and not level.is_drawn(spot):
                raise errors.used(level.leaf, self.place)

    def inside(self, n: Any, levels: Levels) -> Any:
        """A node whose computations draw nothing that is seen outside."""
        if isinstance(n, ir.Comp):
            self.later = None
            held, self.needed = self.needed, []
            done = self.comp(n, all_away(levels))
            before, self.needed = [*self.needed, *done.before], held
            return block(before, done.comp)
        return self.value(n, levels)

    # ------------------------------------------------------------------------------ computations

    def comp(self, c: ir.Comp, levels: Levels) -> _Done:
        self.place = c.span or self.place
        match c:
            case ir.Observe():
                return self.observe(c, levels)
            case ir.Block():
                return self.block(c, levels)
            case ir.At(step=step, body=body):
                inner = self.comp(body, levels)
                before = [ir.Bind(b.name, self.at(step, b.comp)) for b in inner.before]
                return _Done(before, replace(c, body=inner.comp), inner.levels)
            case ir.If():
                return self.branch(c, levels)
            case ir.For() if c.guard is None:
                return self.plate(c, levels)
            case ir.Scan():
                return self.scan(c, levels)
            case ir.Run(measure=ir.Thunk(body=body)):
                return self.comp(body, levels)
            case _:
                return _Done([], map_children(c, lambda n: self.inside(n, levels)), levels)

    def at(self, step: str, c: ir.Comp) -> ir.Comp:
        return ir.At(c.type, step, c, span=c.span) if c.effectful or keeps(c) else c

    def block(self, c: ir.Block, levels: Levels) -> _Done:
        before: list[ir.Bind] = []
        start, main = levels, c is main_block(self.program)
        for k, b in enumerate(c.binds):
            self.later = _read(c, k + 1) if main else None
            if isinstance(b.comp, ir.Return):
                self.views.learn(b.name, b.comp.value)
                if self.views.view(b.comp.value) is not None:
                    before.append(b)  # another name of the data: what is read is seen at its uses
                    continue
            done = self.statement(b.comp, levels)
            before += [*done.before, ir.Bind(b.name, done.comp)]
            levels = done.levels
            if isinstance(done.comp, ir.Return):
                self.views.values[b.name] = done.comp.value
        self.later = frozenset() if main else None
        done = self.statement(c.result, levels)
        before += done.before
        if done.levels is start:
            return _Done([], block(before, done.comp), start)
        return _Done(before, done.comp, done.levels)

    def statement(self, c: ir.Comp, levels: Levels) -> _Done:
        """A computation, after what its values need."""
        held, self.needed = self.needed, []
        done = self.comp(c, levels)
        needed, self.needed = self.needed, held
        return replace(done, before=[*needed, *done.before])

    # ------------------------------------------------------------------------------ observations

    def observe(self, c: ir.Observe, levels: Levels) -> _Done:
        cast = isinstance(c.value, ir.Op) and c.value.op == "to_real"
        view = self.views.view(c.value.args[0] if cast else c.value)  # type: ignore[attr-defined]
        spot = None if view is None else view.spot
        level = None if spot is None else levels.get(spot.at)
        if cast and level is not None and spot is not None and not level.is_drawn(spot):
            raise errors.of_another_kind(level.leaf, T.REAL, c.span)
        dist = self.value(c.dist, levels)
        if cast or spot is None or level is None or level.is_drawn(spot):
            return _Done([], replace(c, dist=dist, value=self.value(c.value, levels)), levels)
        if not level.is_open(spot):
            raise errors.out_of_reach(level.leaf, c.span)
        drawing = Drawing(level.leaf, level.step(spot), self.views, self.fresh, self.finite)
        drawn = drawing.value(replace(c, dist=dist), level.mask(spot))
        before: list[ir.Bind] = []
        value = bind(before, self.fresh.name(level.leaf.name), drawn)
        nothing = returned(ir.Lit(T.UNIT, None, span=c.span))
        return _Done(before, nothing, {**levels, spot.at: level.drawn(spot, value)})

    # ---------------------------------------------------------------------------------- branches

    def branch(self, c: ir.If, levels: Levels) -> _Done:
        self.later = None
        cond = self.value(c.cond, levels)
        then, other = (self.statement(arm, levels) for arm in (c.then, c.other))
        new = [news(levels, arm.levels) for arm in (then, other)]
        for at in {a for a, _ in (*new[0], *new[1])}:
            if [s for a, s in new[0] if a == at] != [s for a, s in new[1] if a == at]:
                raise errors.in_one_arm(levels[at].leaf, c.span)
        if not new[0]:
            arms = (block(arm.before, arm.comp) for arm in (then, other))
            return _Done([], ir.If(c.type, cond, *arms, span=c.span), levels)
        arms = (self.beside(arm, new[0]) for arm in (then, other))
        types = [then.levels[at].value(s).type for at, s in new[0]]
        both = ir.If(T.Tuple((c.type, *types)), cond, *arms, span=c.span)
        before: list[ir.Bind] = []
        pair = bind(before, self.fresh.name("both"), both)
        for i, (at, spot) in enumerate(new[0]):
            levels = {**levels, at: levels[at].drawn(spot, part(pair, i + 1))}
        return _Done(before, returned(part(pair, 0)), levels)

    def beside(self, done: _Done, spots: Iterable[tuple[At, Spot]]) -> ir.Comp:
        """A computation that returns what was drawn in it beside its own result."""
        before = list(done.before)
        result = bind(before, self.fresh.name("own"), done.comp)
        items = (result, *(done.levels[at].value(s) for at, s in spots))
        t = T.Tuple(tuple(i.type for i in items))
        return block(before, returned(ir.MakeTuple(t, items)))

    # ------------------------------------------------------------------------------------- loops

    def plate(self, c: ir.For, levels: Levels) -> _Done:
        self.later = None
        over = self.value(c.over, levels, looping=True)
        loop = open_loop(c, levels, self.views, self.fresh)
        done = self.statement(c.body, loop.inside)
        spots = loop.drawn(done.levels, self.views)
        if not spots:
            body = block(done.before, done.comp)
            return _Done([], replace(c, over=over, body=body), levels)
        body = self.beside(done, spots)
        param, over, body = loop.with_masks(c.param, over, body)
        whole = ir.For(T.Array(body.type), param, over, body, span=c.span)
        before: list[ir.Bind] = []
        pairs = bind(before, self.fresh.name("pairs"), whole)
        levels = loop.collected(pairs, spots, before)
        return _Done(before, component(pairs, 0, self.fresh), levels)

    def scan(self, c: ir.Scan, levels: Levels) -> _Done:
        later, self.later = self.later, None
        over = self.value(c.over, levels, looping=True)
        init = self.value(c.init, levels)
        loop = open_loop(c, levels, self.views, self.fresh)
        done = self.statement(c.body, loop.inside)
        spots = loop.drawn(done.levels, self.views)
        if not spots:
            body = block(done.before, done.comp)
            return _Done([], replace(c, init=init, over=over, body=body), levels)
        shown = {name for (name, _), _ in spots}
        if later is not None and not any(self.views.shows(n, s) for n in later for s in shown):
            param, over, body = loop.with_masks(c.param, over, block(done.before, done.comp))
            whole = replace(c, init=init, param=param, over=over, body=body)
            return _Done([], whole, loop.unread(spots))
        body = self.beside(done, spots)
        firsts = loop.firsts(spots, c.span)
        state = T.Tuple((c.carry.type, *(f.type for f in firsts)))
        carry = ir.Param(self.fresh.name(c.carry.name), state)
        own = part(ir.Var(state, carry.name), 0)
        body = block([ir.Bind(c.carry.name, returned(own))], body)
        param, over, body = loop.with_masks(c.param, over, body)
        start = ir.MakeTuple(state, (init, *firsts))
        whole = ir.Scan(T.Array(state), carry, start, param, over, body, "all", span=c.span)
        before: list[ir.Bind] = []
        states = bind(before, self.fresh.name("states"), whole)
        levels = loop.collected(states, spots, before)
        if c.keep == "all":
            return _Done(before, component(states, 0, self.fresh), levels)
        steps = next(iter(loop.opened.values()))
        last = ir.Op(state, "index", (states, ir.Lit(T.NAT, steps.hi - steps.lo - 1)))
        return _Done(before, returned(part(last, 0)), levels)


def _read(c: ir.Block, k: int) -> frozenset[str]:
    """What the statements of a block read from number k on."""
    names = frozenset(c.result.free)
    return names.union(*(b.comp.free for b in c.binds[k:]))

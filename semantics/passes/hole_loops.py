"""Loops over data with holes: what an iteration may draw, and what has been drawn at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span
from ppl.semantics.holes import bind, component, part, returned, zipped
from ppl.semantics.ir_map import block
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes import hole_errors as errors
from ppl.semantics.passes.hole_levels import At, Level, Levels, Piece, Spot, all_away
from ppl.semantics.passes.hole_views import Indices, Views


@dataclass(frozen=True)
class Loop:
    """A loop: what it is over that is still to be drawn (`opened`), the levels outside of it, and
    those in an iteration."""

    opened: Mapping[At, Spot]
    outside: Levels
    inside: Levels
    fresh: Fresh

    def drawn(self, after: Levels, views: Views) -> list[tuple[At, Spot]]:
        """What the body, with the levels `after` it, draws of an iteration: all of it, or nothing.

        Raises:
            Refused: E850, it draws a part.
        """
        out = []
        for name, depth in self.opened:
            down = (name, depth + 1)
            whole = views.whole(down)
            if after[down].is_drawn(whole):
                out.append((down, whole))
            elif after[down] is not self.inside[down]:
                raise errors.unobserved(after[down].leaf)
        return out

    def firsts(self, spots: Iterable[tuple[At, Spot]], span: Span | None) -> list[ir.Value]:
        """For each spot a value of its type, to begin a loop's state with."""
        return [_first(self.outside[(name, depth - 1)], span) for (name, depth), _ in spots]

    def with_masks(
        self, param: ir.Param, over: ir.Value, body: ir.Comp
    ) -> tuple[ir.Param, ir.Value, ir.Comp]:
        """The parts of the loop that goes over where the holes are as well."""
        used = [
            (mask.name, self.outside[at].mask(spot))
            for at, spot in self.opened.items()
            if isinstance(mask := self.inside[(at[0], at[1] + 1)].missing, ir.Var)
            and mask.name in body.free
        ]
        over = zipped([over, *(m for _, m in used)])
        row = ir.Param(self.fresh.name("row"), over.type.item)  # type: ignore[attr-defined]
        whole = ir.Var(row.type, row.name)
        binds = [
            ir.Bind(n, returned(part(whole, i)))
            for i, n in enumerate((param.name, *(n for n, _ in used)))
        ]
        return row, over, block(binds, body)

    def unread(self, spots: Iterable[tuple[At, Spot]]) -> Levels:
        """The levels after the loop, if what it drew is read no more: as if it were the data."""
        levels = self.outside
        for (name, depth), _ in spots:
            at = (name, depth - 1)
            data = levels[at].data or levels[at].missing
            levels = {**levels, at: levels[at].drawn(self.opened[at], data)}
        return levels

    def collected(
        self, results: ir.Value, spots: Iterable[tuple[At, Spot]], before: list[ir.Bind]
    ) -> Levels:
        """The levels after the loop, whose results are tuples of its own and what was drawn."""
        levels = self.outside
        for i, ((name, depth), _) in enumerate(spots):
            at = (name, depth - 1)
            drawn = component(results, i + 1, self.fresh)
            value = bind(before, self.fresh.name(levels[at].leaf.name), drawn)
            levels = {**levels, at: levels[at].drawn(self.opened[at], value)}
        return levels


def open_loop(c: ir.For | ir.Scan, levels: Levels, views: Views, fresh: Fresh) -> Loop:
    """The loop, seen from the levels before it. `views` learns what its element is."""
    element = ir.Var(c.param.type, c.param.name)
    view = views.view(c.over)
    opened: dict[At, Spot] = {}
    inside: dict[At, Level] = dict(all_away(levels))
    spots = [] if view is None else list(view.spots.values())
    if view is not None:
        views.known[c.param.name] = views.element(view)
    for spot in spots:
        level = levels.get(spot.at)
        if level is None or level.is_drawn(spot):
            continue
        if level.is_open(spot) and all(s == spot for s in spots if s.at == spot.at):
            opened[spot.at] = spot
        else:  # two places at once, or not to be drawn here
            down = (spot.at[0], spot.at[1] + 1)
            inside[down] = _below(level, spot, level.missing, views, away=True)
    for counter, lo, hi in views.counters(c.over, element):
        counted = {
            at: spot
            for at, level in levels.items()
            if 0 <= lo < hi <= level.size and not level.scalar
            if level.is_open(spot := Spot(at, lo, hi, False))
            if opened.get(at, spot) == spot
            and any(views.shows(name, level.leaf.name) for name in c.body.free)
        }
        views.indices[counter] = Indices(lo, hi, frozenset(counted))
        opened |= counted
    for (name, depth), spot in opened.items():
        down, level = (name, depth + 1), levels[(name, depth)]
        kind: T.Type = level.missing.type.item  # type: ignore[attr-defined]
        missing = ir.Var(kind, fresh.name(level.leaf.missing))
        inside[down] = _below(level, spot, missing, views)
    return Loop(opened, levels, inside, fresh)


def _first(level: Level, span: Span | None) -> ir.Value:
    if level.data is None:
        raise errors.used(level.leaf, span)
    item: T.Type = level.data.type.item  # type: ignore[attr-defined]
    if item == T.BOOL or T.is_number(item):  # so that the data are not read before the loop
        return ir.Lit(item, False if item == T.BOOL else 0.0 if T.is_real(item) else 0)
    return ir.Op(item, "index", (level.data, ir.Lit(T.BIT, 0)))


def _below(
    level: Level, spot: Spot, missing: ir.Value, views: Views, *, away: bool = False
) -> Level:
    """The level of an iteration over a spot."""
    name, depth = spot.at
    whole = views.whole((name, depth + 1))
    pieces = (Piece(0, whole.hi, single=whole.single),)
    loops = level.dimensions(spot)
    return Level(level.leaf, whole.hi, whole.single, missing, None, pieces, away, loops)

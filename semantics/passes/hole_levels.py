"""Which parts of a leaf with holes have been drawn so far.

A loop over an array goes one *level* down: outside, a vector is a level of n places; in a loop over
it, a level of one place, the element of the iteration. Observing a place of a level draws it, or a
stretch of places if what is observed is a slice, or the array that a loop is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import Leaf

#: a leaf by name, and how many loops over it are open
At = tuple[str, int]


@dataclass(frozen=True)
class Spot:
    """Places lo, …, hi - 1 of a level; `single`: place lo, as an element rather than an array."""

    at: At
    lo: int
    hi: int
    single: bool


@dataclass(frozen=True)
class Piece:
    """A stretch of places and their values once they are drawn (an element if `single`)."""

    lo: int
    hi: int
    value: ir.Value | None = None
    single: bool = False


@dataclass(frozen=True)
class Level:
    """The places of a leaf at one level. `missing` says where the holes are; `away`: a loop that is
    open is not over this level, so that nothing may be drawn here; `loops`: what the loops above it
    are over, dimension by dimension."""

    leaf: Leaf
    size: int
    scalar: bool
    missing: ir.Value
    data: ir.Value | None
    pieces: tuple[Piece, ...]
    away: bool = False
    loops: tuple[str, ...] = ()

    def overlapping(self, spot: Spot) -> list[Piece]:
        return [p for p in self.pieces if p.lo < spot.hi and spot.lo < p.hi]

    def is_drawn(self, spot: Spot) -> bool:
        return all(p.value is not None for p in self.overlapping(spot))

    def is_open(self, spot: Spot) -> bool:
        """Whether all of it is still to be drawn, and may be drawn here."""
        return not self.away and all(p.value is None for p in self.overlapping(spot))

    def drawn(self, spot: Spot, value: ir.Value) -> Level:
        """The level with a spot drawn, which was open."""
        pieces: list[Piece] = []
        for p in self.pieces:
            if p.value is not None or p.hi <= spot.lo or spot.hi <= p.lo:
                pieces.append(p)
                continue
            if p.lo < spot.lo:
                pieces.append(Piece(p.lo, spot.lo))
            pieces.append(Piece(spot.lo, spot.hi, value, spot.single))
            if spot.hi < p.hi:
                pieces.append(Piece(spot.hi, p.hi))
        return replace(self, pieces=tuple(pieces))

    def value(self, spot: Spot) -> ir.Value:
        """The values of a spot that is drawn."""
        found = self.overlapping(spot)
        if spot.single:
            (p,) = found
            assert p.value is not None
            return p.value if p.single else _element(p.value, spot.lo - p.lo)
        arrays = [_as_array(p) for p in found]
        whole = arrays[0]
        for more in arrays[1:]:
            whole = ir.Op(whole.type, "concat", (whole, more))
        lo, hi = spot.lo - found[0].lo, spot.hi - found[0].lo
        exact = lo == 0 and hi == found[-1].hi - found[0].lo
        return whole if exact else _stretch(whole, lo, hi)

    def dimensions(self, spot: Spot) -> tuple[str, ...]:
        """What a spot is of the leaf, dimension by dimension: `2` for place 2, `1:` from place 1
        on, `:` for all places, which is also what is left out."""
        if self.scalar:
            return self.loops
        if spot.single:
            return (*self.loops, str(spot.lo))
        return (*self.loops, f"{spot.lo}:" if spot.lo else ":")

    def step(self, spot: Spot) -> str:
        """The step of the path at which an element of a spot is drawn: `y?`, `y?1:`."""
        dimensions = self.dimensions(spot)
        whole = all(d == ":" for d in dimensions)
        return self.leaf.step + ("" if whole else ",".join(dimensions))

    def mask(self, spot: Spot) -> ir.Value:
        """Where a spot has holes."""
        if self.scalar or (not spot.single and (spot.lo, spot.hi) == (0, self.size)):
            return self.missing
        if spot.single:
            return _element(self.missing, spot.lo)
        return _stretch(self.missing, spot.lo, spot.hi)


def _as_array(p: Piece) -> ir.Value:
    assert p.value is not None
    return ir.MakeArray(T.Array(p.value.type), (p.value,)) if p.single else p.value


def _number(n: int) -> ir.Lit:
    return ir.Lit(T.BIT if n in (0, 1) else T.NAT, n)


def _element(array: ir.Value, i: int) -> ir.Value:
    item: T.Type = array.type.item  # type: ignore[attr-defined]
    return ir.Op(item, "index", (array, _number(i)))


def _stretch(array: ir.Value, lo: int, hi: int) -> ir.Value:
    """Elements lo, …, hi - 1."""
    return ir.Op(array.type, "slice", (array, _number(lo), _number(hi)))


#: what is known of each leaf, level by level
Levels = Mapping[At, Level]


def all_away(levels: Levels) -> Levels:
    """As a computation sees them that cannot draw for what is outside it."""
    return {at: replace(level, away=True) for at, level in levels.items()}


def news(before: Levels, after: Levels) -> list[tuple[At, Spot]]:
    """What has been drawn in between."""
    return [
        (at, Spot(at, p.lo, p.hi, p.single))
        for at, level in before.items()
        for p in after[at].pieces
        if p.value is not None and p not in level.pieces
    ]

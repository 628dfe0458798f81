"""Which part of a leaf with holes an expression denotes: see `hole_levels` for the parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import Key, Keys, parts_of
from ppl.semantics.passes.hole_levels import At, Spot


@dataclass(frozen=True)
class View:
    """The leaves that a value of a type contains, by the fields on the way to them."""

    type: T.Type
    spots: Mapping[Keys, Spot]

    @property
    def spot(self) -> Spot | None:
        """What the value denotes, if that is a part of one leaf and nothing else."""
        return self.spots.get(())

    def part(self, key: Key) -> View | None:
        """A field or component."""
        types = dict(parts_of(self.type))
        inside = {k[1:]: s for k, s in self.spots.items() if k and k[0] == key}
        return View(types[key], inside) if inside and key in types else None


@dataclass(frozen=True)
class Indices:
    """A loop's number of the iteration: it runs from lo to hi - 1 over places of some levels."""

    lo: int
    hi: int
    over: frozenset[At] = frozenset()


@dataclass
class Views:
    """What is known of a program's variables, which are bound once: the values of those that are
    bound to values, what they denote, and which of them (or of their components) count iterations.
    """

    shapes: Mapping[str, tuple[int, ...]]
    #: lengths of parameters that are arrays, values of those that decide sizes
    lengths: Mapping[str, int]
    constants: Mapping[str, int]
    known: dict[str, View] = field(default_factory=dict)
    values: dict[str, ir.Value] = field(default_factory=dict)
    indices: dict[ir.Value, Indices] = field(default_factory=dict)

    def learn(self, name: str, value: ir.Value) -> None:
        """A variable is bound to a value."""
        self.values[name] = value
        view = self.view(value)
        if view is not None:
            self.known[name] = view

    def shows(self, name: str, leaf: str) -> bool:
        """Whether a variable is a leaf's parameter, or another name of it or of a part of it."""
        view = self.known.get(name)
        return view is not None and any(spot.at[0] == leaf for spot in view.spots.values())

    def resolve(self, v: ir.Value) -> ir.Value:
        """What a variable is bound to, through other variables."""
        while True:
            match v:
                case ir.Var(name=name) if name in self.values:
                    v = self.values[name]
                case ir.Op(op="checked_nat", args=(inner,)):
                    v = inner
                case _:
                    return v

    def view(self, v: ir.Value) -> View | None:
        """The leaves with holes that a value contains, if it is data seen through projections,
        loops over whole arrays and slices."""
        match v:
            case ir.Var(name=name):
                return self.known.get(name)
            case ir.Proj(value=value, index=key) | ir.Get(value=value, name=key):
                view = self.view(value)
                return None if view is None else view.part(key)
            case ir.MakeTuple(items=items):
                return self._together(v.type, dict(enumerate(items)))
            case ir.MakeRecord(names=names, items=items):
                return self._together(v.type, dict(zip(names, items, strict=True)))
            case ir.Op(op="zip", args=args):
                return self._together(v.type, dict(enumerate(args)))
            case ir.Op(op="enumerate", args=(xs,)):
                return self._together(v.type, {1: xs})
            case ir.Op(op="slice", args=(xs, lo, hi)):
                return self._slice(v, self.view(xs), self.number(lo), self.number(hi))
            case ir.Op(op="index", args=(xs, i)) if not isinstance(i.type, T.Array):
                return self._index(v, self.view(xs), i)
        return None

    def _together(self, t: T.Type, items: Mapping[Key, ir.Value]) -> View | None:
        spots: dict[Keys, Spot] = {}
        for key, item in items.items():
            inside = self.view(item)
            spots |= {} if inside is None else {(key, *k): s for k, s in inside.spots.items()}
        return View(t, spots) if spots else None

    def _slice(self, v: ir.Value, view: View | None, lo: int | None, hi: int | None) -> View | None:
        if view is None or lo is None or hi is None:
            return None
        spots = {
            k: replace(s, lo=s.lo + lo, hi=s.lo + hi)
            for k, s in view.spots.items()
            if not s.single and 0 <= lo < hi <= s.hi - s.lo
        }
        return View(v.type, spots) if len(spots) == len(view.spots) else None

    def _index(self, v: ir.Value, view: View | None, i: ir.Value) -> View | None:
        if view is None or any(s.single for s in view.spots.values()):
            return None
        here = self.indices.get(self.resolve(i))
        if here is not None:
            inside = all(s.at in here.over and s.lo == 0 for s in view.spots.values())
            return self.element(view) if inside else None
        k = self.number(i)
        if k is None or not all(0 <= k < s.hi - s.lo for s in view.spots.values()):
            return None
        spots = {
            key: replace(s, lo=s.lo + k, hi=s.lo + k + 1, single=True)
            for key, s in view.spots.items()
        }
        return View(v.type, spots)

    def element(self, view: View) -> View:
        """What a loop over an array has in an iteration."""
        item: T.Type = view.type.item  # type: ignore[attr-defined]
        return View(item, {k: self.whole((s.at[0], s.at[1] + 1)) for k, s in view.spots.items()})

    def whole(self, at: At) -> Spot:
        """All places of a level."""
        shape = self.shapes[at[0]]
        return Spot(at, 0, *((shape[at[1]], False) if at[1] < len(shape) else (1, True)))

    # ---------------------------------------------------------------------------------- sizes

    def number(self, v: ir.Value) -> int | None:
        """The value of a whole number that sizes and constants decide."""
        match v:
            case ir.Lit(value=int(n)):
                return n
            case ir.Var(name=name) if name in self.values:
                return self.number(self.values[name])
            case ir.Var(name=name):
                return self.constants.get(name)
            case ir.Op(op="len", args=(xs,)):
                return self.length(xs)
            case ir.Op(op="add" | "sub" as op, args=(a, b)):
                x, y = self.number(a), self.number(b)
                if x is None or y is None:
                    return None
                return x + y if op == "add" else x - y
            case ir.Op(op="checked_nat", args=(a,)):
                return self.number(a)
        return None

    def length(self, v: ir.Value) -> int | None:
        """How many elements an array has."""
        view = self.view(v)
        if view is not None:
            spot = next(iter(view.spots.values()))
            name, depth = spot.at
            return self.shapes[name][depth + 1] if spot.single else spot.hi - spot.lo
        match v:
            case ir.Var(name=name) if name in self.values:
                return self.length(self.values[name])
            case ir.Var(name=name):
                return self.lengths.get(name)
            case ir.MakeArray(items=items):
                return len(items)
            case ir.Op(op="range", args=(n,)):
                return self.number(n)
            case ir.Op(op="range_from" | "slice", args=(*_, lo, hi)):
                a, b = self.number(lo), self.number(hi)
                return None if a is None or b is None else max(0, b - a)
            case ir.Op(op="enumerate" | "zip", args=(xs, *_)):
                return self.length(xs)
        return None

    def counters(self, over: ir.Value, item: ir.Value) -> list[tuple[ir.Value, int, int]]:
        """The parts of a loop's element that count its iterations, and from where to where."""
        match self.resolve(over):
            case ir.Op(op="range", args=(n,)):
                ends: tuple[int | None, int | None] = 0, self.number(n)
            case ir.Op(op="range_from", args=(lo, hi)):
                ends = self.number(lo), self.number(hi)
            case ir.Op(op="enumerate", args=(xs,)):
                n, first = self.length(xs), ir.Proj(T.NAT, item, 0)
                return [] if n is None else [(first, 0, n)]
            case ir.Op(op="zip", args=args):
                found = []
                for i, xs in enumerate(args):
                    t: T.Type = xs.type.item  # type: ignore[attr-defined]
                    found += self.counters(xs, ir.Proj(t, item, i))
                return found
            case _:
                return []
        lo_, hi_ = ends
        return [(item, lo_, hi_)] if lo_ is not None and hi_ is not None else []

"""Data with holes: which leaves have any, where, and the data as programs take them.

A hole is held as None or masked (`ppl.data`). Programs take dummies there, and the holes' places
beside them, as data: other places of as many holes need no other code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.holes import Leaf, Sizes, option_leaves, parts_of


@dataclass(frozen=True, eq=False)
class Holes:
    """A leaf that has holes; `missing`, booleans of its shape, says where. Its data have dummies
    there."""

    leaf: Leaf
    data: np.ndarray
    missing: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.missing.shape

    def places(self) -> dict[str, Any]:
        """The parameters that say where the holes are."""
        n, places = self.missing.size, np.flatnonzero(self.missing)
        which = np.arange(n)
        which[places] = n + np.arange(len(places))
        return {
            self.leaf.missing: self.missing if self.shape else bool(self.missing),
            self.leaf.which: which.reshape(self.shape),
            self.leaf.holes: np.zeros(len(places), np.int64),
        }

    def place(self, path: str, indices: tuple[int, ...]) -> tuple[int, ...] | None:
        """The place in the leaf of what is drawn at a path, if that is one of its holes."""
        if path == self.leaf.name:
            by_element = not self.shape or self.leaf.item == T.BOOL
            return indices if by_element else tuple(np.argwhere(self.missing)[indices[0]].tolist())
        dimensions = self.dimensions(path)
        if dimensions is None:
            return None
        left = iter(indices)
        return tuple(d if isinstance(d, int) else d.start + next(left) for d in dimensions)

    def dimensions(self, path: str) -> tuple[int | slice, ...] | None:
        """Which part of the leaf is drawn at a path (`theta/y?`, `y?0`, `y?1:`), if any is."""
        _, hole, text = path.rpartition("/")[2].partition(self.leaf.step)
        if not hole or not path.rpartition("/")[2].startswith(self.leaf.step):
            return None
        given = text.split(",") if text else []
        parts = [int(d) if d.isdigit() else slice(int(d[:-1] or 0), None) for d in given]
        return (*parts, *(slice(0, None) for _ in self.shape[len(parts) :]))

    def spread(self, draws: np.ndarray) -> np.ndarray:
        """Draws at the leaf's own name, of its holes alone or element by element, as draws of the
        whole leaf that are missing (NaN) where the data are not: (…, *shape)."""
        if not self.shape or self.leaf.item == T.BOOL:
            return self.there(draws)
        out = np.full((*draws.shape[:-1], *self.shape), np.nan)
        out[..., self.missing] = draws
        return self.there(out)

    def has_all(self, draws: Any) -> bool:
        """Whether draws of the leaf, (chain, draw, *shape), have every hole."""
        if draws is None or np.shape(draws)[2:] != self.shape:
            return False
        return not np.isnan(np.asarray(draws, np.float64)[..., self.missing]).any()

    def fill(self, draws: Any) -> Any:
        """Draws of the leaf where it is missing, and the data elsewhere."""
        return np.where(self.missing, np.asarray(draws), self.data)

    def there(self, draws: np.ndarray) -> np.ndarray:
        return draws if self.missing.all() else np.where(self.missing, draws, np.nan)


def holes_in(
    entry: ir.Function, places: Mapping[str, Span | None], values: Mapping[str, Any]
) -> tuple[Holes, ...]:
    """The leaves of parameters, which stand at `places`, that have holes in data as `ppl.data`
    gives them."""
    found = []
    for leaf in option_leaves(entry, places):
        column = values[leaf.param]
        for key in leaf.keys:
            column = None if column is None else column[key]
        if isinstance(column, np.ma.MaskedArray):
            data, missing = np.ma.getdata(column), np.ma.getmaskarray(column)
        else:
            data, missing = np.asarray(_dummy(leaf.item)), np.asarray(column is None)
        if missing.any():
            found.append(Holes(leaf, data, missing))
    return tuple(found)


def plain_data(
    entry: ir.Function, declared: ir.Function, values: Mapping[str, Any], holes: Iterable[Holes]
) -> dict[str, Any]:
    """The data that an entry takes: those of a model's declared entry without holes, and what it
    wants to know of where the holes are."""
    data = {p.name: without_holes(values[p.name], p.type) for p in declared.params}
    for h in holes:
        data |= h.places()
    return {p.name: data[p.name] for p in entry.params}


def without_holes(value: Any, t: T.Type) -> Any:
    """Data with dummies in the holes, of a type whose `?` are taken off."""
    match t:
        case T.Option(item=item):
            return _dummy(item) if value is None else without_holes(value, item)
        case T.Record() | T.Tuple():
            parts = {k: without_holes(value[k], part) for k, part in parts_of(t)}
            return parts if isinstance(t, T.Record) else tuple(parts.values())
        case T.Array():
            return _array_without_holes(value)
    return value


def _array_without_holes(value: Any) -> Any:
    match value:
        case Mapping():
            return {k: _array_without_holes(v) for k, v in value.items()}
        case tuple():
            return tuple(map(_array_without_holes, value))
        case np.ma.MaskedArray():
            return np.ma.getdata(value)
    return value


def _dummy(t: T.Type) -> Any:
    match t:
        case T.Record(fields=fields):
            return {k: _dummy(f) for k, f in fields}
        case T.Tuple(items=items):
            return tuple(map(_dummy, items))
        case T.Option(item=item):
            return _dummy(item)
    return False if t == T.BOOL else 0.0 if T.is_real(t) else 0


def drawn(holes: Iterable[Holes], draws: Mapping[str, Any]) -> dict[str, Any]:
    """Draws by site (chain, draw, …), those of holes by the name of their leaf and of its shape.

    Holes are drawn at the leaf's name, or wherever they are observed: in pieces, or at one path in
    each arm of a branch. What else has the leaf's name are its observations. Where a loop kept its
    last step alone, what was drawn there stays by its path.
    """
    out = dict(draws)
    for h in holes:
        name = h.leaf.name
        parts = {
            path: d
            for path in draws
            if (d := h.dimensions(path)) is not None
            and np.ndim(draws[path]) >= 2 + sum(isinstance(part, slice) for part in d)
        }
        if not parts:
            if name in out:
                out[name] = h.spread(np.asarray(out[name]))
            continue
        whole = None
        for path, dimensions in parts.items():
            part = _placed(np.asarray(out.pop(path)), dimensions, h.shape)
            whole = part if whole is None else np.where(np.isnan(whole), part, whole)
        seen = np.asarray(out[name]) if name in out else None
        if seen is not None and whole is not None and seen.shape == whole.shape:
            whole = np.where(h.missing, whole, seen)  # predictions of what is there
        out[name] = h.there(whole) if seen is None and whole is not None else whole
    return out


def _placed(
    draws: np.ndarray, dimensions: tuple[int | slice, ...], shape: tuple[int, ...]
) -> np.ndarray:
    """Draws of a part of an array, as draws of all of it, missing (NaN) elsewhere."""
    if all(d == slice(0, None) for d in dimensions):
        return draws
    lead = draws.ndim - sum(isinstance(d, slice) for d in dimensions)
    sizes = iter(draws.shape[lead:])
    index = [d if isinstance(d, int) else slice(d.start, d.start + next(sizes)) for d in dimensions]
    out = np.full((*draws.shape[:lead], *shape), np.nan)
    out[(..., *index)] = draws
    return out


# --------------------------------------------------------------------------------------- programs


def program_for(
    program: ir.Program, holes: tuple[Holes, ...], sizes: Sizes, *, sampling: bool
) -> ir.Program:
    """The program that draws the holes: for `sampling`, from the distributions they are observed
    under; else, missing numbers are drawn from Lebesgue measure where the model begins, and only
    what is to be summed out, booleans and whole numbers, where it is observed.

    Raises:
        DiagnosticError: E850 to E854, that cannot be done, or data of this type have no holes.
    """
    from ppl.semantics.passes import run_passes
    from ppl.semantics.passes.fuse_holes import fuse_holes
    from ppl.semantics.passes.hole_errors import Refused
    from ppl.semantics.passes.holes import can_be_drawn, draw_holes, has_base_measure

    leaves = [h.leaf for h in holes]
    for leaf in leaves:
        _require_possible(leaf, program)
    fused = [leaf for leaf in leaves if sampling or not T.is_real(leaf.item)]
    first = [leaf for leaf in leaves if leaf not in fused]
    opened = run_passes(program, only=("inline", "simplify")) if fused or sampling else program
    while True:
        try:
            out = fuse_holes(opened, fused, sizes, finite=not sampling) if fused else opened
        except Refused as refused:
            leaf = refused.leaf
            if not (can_be_drawn(leaf.item) if sampling else has_base_measure(leaf.item)):
                raise refused.error from None
            fused.remove(leaf)
            first.append(leaf)
        else:
            return draw_holes(out, first) if first else out


def _require_possible(leaf: Leaf, program: ir.Program) -> None:
    from ppl.semantics.analysis import static_params

    if not (T.is_number(leaf.item) or leaf.item == T.BOOL):
        raise fail(
            "E853",
            f"`{leaf.name}` has missing values, and no `{leaf.item}` can be inferred",
            span=leaf.span,
            hint="numbers and booleans may be missing; leave the rows with other holes out",
        )
    if leaf.param in static_params(program):
        raise fail(
            "E852",
            f"`{leaf.name}` has missing values, and decides sizes",
            span=leaf.span,
            hint="what `range`, `iid` and ends of slices depend on has to be there",
        )


def sizes_of(program: ir.Program, holes: tuple[Holes, ...], values: Mapping[str, Any]) -> Sizes:
    """What a program that draws holes depends on: sizes, and values that decide sizes."""
    from ppl.semantics.analysis import static_params

    static = static_params(program)
    arrays = ((k, len(v)) for k, v in values.items() if isinstance(v, np.ndarray) and v.ndim)
    numbers = ((k, v) for k, v in values.items() if k in static and type(v) is int)
    return Sizes(tuple((h.leaf.name, h.shape) for h in holes), tuple(arrays), tuple(numbers))

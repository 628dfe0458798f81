"""Parts of data that may have holes (`A?`), and arrays of records taken apart and put together.

A `Leaf` is a scalar, or an array of scalars, inside a parameter: `y: [real?]` is one, and so is the
field a of `rows: [{a: real?, k: nat}]`, an array of one dimension named `rows.a`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span
from ppl.semantics.ir_map import block
from ppl.semantics.ir_names import Fresh

Key = str | int
Keys = tuple[Key, ...]


@dataclass(frozen=True)
class Leaf:
    """Where holes may be: a parameter, the fields and components on the way (through arrays), the
    type of an element without its `?`, and how many array constructors stand around it."""

    param: str
    keys: Keys
    item: T.Type
    rank: int
    span: Span | None = None

    @property
    def name(self) -> str:
        """As in results: `y`, `rows.a`."""
        return ".".join((self.param, *map(str, self.keys)))

    @property
    def missing(self) -> str:
        """The parameter that says where the holes are: booleans of the leaf's shape."""
        return f"{self.name}.missing"

    @property
    def which(self) -> str:
        """The parameter of the leaf's shape that says where each element is found: in the leaf
        itself (row by row), and from its size on among the values drawn for the holes."""
        return f"{self.name}.which"

    @property
    def holes(self) -> str:
        """The parameter with one number a hole: it is as long as there are holes."""
        return f"{self.name}.holes"

    @property
    def step(self) -> str:
        """The step of the path at which an element is drawn."""
        return f"{self.name}?"


@dataclass(frozen=True)
class Sizes:
    """What is known of data while compiling: shapes of leaves with holes, lengths of parameters
    that are arrays, whole numbers that decide sizes; all by name."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    lengths: tuple[tuple[str, int], ...] = ()
    constants: tuple[tuple[str, int], ...] = ()


def option_leaves(
    function: ir.Function, places: Mapping[str, Span | None] | None = None
) -> tuple[Leaf, ...]:
    """The leaves of a model's parameters, which stand at `places`, that may have holes."""
    spans = places or {}
    return tuple(
        Leaf(p.name, keys, item, rank, spans.get(p.name, function.span))
        for p in function.params
        for keys, item, rank, optional in _walk(p.type, (), 0, False)
        if optional
    )


def _walk(t: T.Type, keys: Keys, rank: int, optional: bool) -> Iterator[tuple]:
    match t:
        case T.Option(item=item):
            if isinstance(item, T.Array):  # all of it or nothing
                yield keys, item, rank, True
            else:
                yield from _walk(item, keys, rank, True)
        case T.Array(item=item):
            yield from _walk(item, keys, rank + 1, optional)
        case T.Record() | T.Tuple():
            for key, part in parts_of(t):
                yield from _walk(part, (*keys, key), rank, optional)
        case _:
            yield keys, t, rank, optional


def parts_of(t: T.Type) -> tuple[tuple[Key, T.Type], ...]:
    """The fields of a record, the components of a tuple."""
    if isinstance(t, T.Record):
        return t.fields
    return tuple(enumerate(t.items)) if isinstance(t, T.Tuple) else ()


def array_of(t: T.Type, rank: int) -> T.Type:
    """Arrays of arrays of `t`."""
    for _ in range(rank):
        t = T.Array(t)
    return t


def part(value: ir.Value, key: Key) -> ir.Value:
    """A field of a record or a component of a tuple."""
    if isinstance(key, int):
        return ir.Proj(dict(parts_of(value.type))[key], value, key, span=value.span)
    return ir.Get(dict(parts_of(value.type))[key], value, key, span=value.span)


def bind(binds: list[ir.Bind], name: str, comp: ir.Comp) -> ir.Var:
    """The variable that a computation's value is bound to, its binding appended."""
    binds.append(ir.Bind(name, comp))
    return ir.Var(comp.type, name, span=comp.span)


def returned(value: ir.Value) -> ir.Return:
    return ir.Return(value.type, value, span=value.span)


def each(param: ir.Param, over: ir.Value, body: ir.Comp) -> ir.For:
    """`[body for param in over]`."""
    return ir.For(T.Array(body.type), param, over, body, span=over.span)


def zipped(values: Sequence[ir.Value]) -> ir.Op:
    """The array of tuples of the elements of two or more arrays."""
    item = T.Tuple(tuple(v.type.item for v in values))  # type: ignore[attr-defined]
    return ir.Op(T.Array(item), "zip", tuple(values), span=values[0].span)


def component(array: ir.Value, key: Key, fresh: Fresh) -> ir.For:
    """The array of one component of each element."""
    item: T.Type = array.type.item  # type: ignore[attr-defined]
    row = ir.Param(fresh.name("row"), item)
    return each(row, array, returned(part(ir.Var(item, row.name), key)))


def column(value: ir.Value, keys: Keys, fresh: Fresh) -> ir.Comp:
    """The leaf at `keys` of every element of `value`, as one array."""
    if not keys:
        return returned(value)
    if isinstance(value.type, T.Array):
        row = ir.Param(fresh.name("row"), value.type.item)
        return each(row, value, column(ir.Var(row.type, row.name), keys, fresh))
    return column(part(value, keys[0]), keys[1:], fresh)


def filled(value: ir.Value, columns: Mapping[Keys, ir.Value], fresh: Fresh) -> ir.Comp:
    """`value` with the leaves at some keys replaced by others of their rank."""
    if () in columns:
        return returned(columns[()])
    binds: list[ir.Bind] = []
    if isinstance(value.type, T.Array):
        over = zipped([value, *columns.values()])
        row = ir.Param(fresh.name("row"), over.type.item)  # type: ignore[attr-defined]
        whole = ir.Var(row.type, row.name)
        old, *new = (part(whole, i) for i in range(1 + len(columns)))
        return each(row, over, filled(old, dict(zip(columns, new, strict=True)), fresh))
    items: list[ir.Value] = []
    for key, _ in parts_of(value.type):
        inside = {k[1:]: v for k, v in columns.items() if k[0] == key}
        item = part(value, key)
        if inside:
            item = bind(binds, fresh.name("part"), filled(item, inside, fresh))
        items.append(item)
    return block(binds, returned(_product(value.type, tuple(items))))


def _product(t: T.Type, items: tuple[ir.Value, ...]) -> ir.Value:
    if isinstance(t, T.Record):
        return ir.MakeRecord(t, tuple(k for k, _ in t.fields), items)
    return ir.MakeTuple(t, items)

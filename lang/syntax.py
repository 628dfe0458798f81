"""The syntax tree: what the parser makes and the checker reads.

Nodes are immutable and compared by identity, so that they can be keys of tables of facts about
them (names, types). `same` compares structure and ignores places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal as OneOf

from ppl.semantics.diagnostics import Span


@dataclass(frozen=True, eq=False)
class Node:
    span: Span


# ----------------------------------------------------------------------------------------- types


@dataclass(frozen=True, eq=False)
class TypeExpr(Node):
    pass


@dataclass(frozen=True, eq=False)
class TypeName(TypeExpr):
    """`real`, `dist[A]`, `list[a]`, or a type variable."""

    name: str
    args: tuple[TypeExpr, ...] = ()


@dataclass(frozen=True, eq=False)
class TypeArray(TypeExpr):
    item: TypeExpr


@dataclass(frozen=True, eq=False)
class TypeTuple(TypeExpr):
    """Two or more types; the empty tuple is `unit`."""

    items: tuple[TypeExpr, ...]


@dataclass(frozen=True, eq=False)
class TypeRecord(TypeExpr):
    fields: tuple[tuple[str, TypeExpr], ...]


@dataclass(frozen=True, eq=False)
class TypeFun(TypeExpr):
    params: tuple[TypeExpr, ...]
    result: TypeExpr


@dataclass(frozen=True, eq=False)
class TypeOption(TypeExpr):
    item: TypeExpr


# -------------------------------------------------------------------------------------- patterns


@dataclass(frozen=True, eq=False)
class Pattern(Node):
    pass


@dataclass(frozen=True, eq=False)
class PName(Pattern):
    name: str


@dataclass(frozen=True, eq=False)
class PWild(Pattern):
    pass


@dataclass(frozen=True, eq=False)
class PTuple(Pattern):
    items: tuple[Pattern, ...]


@dataclass(frozen=True, eq=False)
class PRecord(Pattern):
    fields: tuple[tuple[str, Pattern], ...]


@dataclass(frozen=True, eq=False)
class PLit(Pattern):
    """A literal in a `match` arm (number, bool or text)."""

    value: bool | int | float | str


@dataclass(frozen=True, eq=False)
class PCons(Pattern):
    name: str
    args: tuple[Pattern, ...] = ()


# ----------------------------------------------------------------------------------- expressions


@dataclass(frozen=True, eq=False)
class Expr(Node):
    pass


@dataclass(frozen=True, eq=False)
class Lit(Expr):
    """A bool, int, float or str; None is `()`."""

    value: None | bool | int | float | str


@dataclass(frozen=True, eq=False)
class Name(Expr):
    name: str


@dataclass(frozen=True, eq=False)
class Tuple(Expr):
    items: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Record(Expr):
    fields: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, eq=False)
class ArrayLit(Expr):
    items: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Call(Expr):
    """`f(a, b, k=c)`; methods `m.do(x=1)` are calls of a `Field`."""

    fn: Expr
    args: tuple[Expr, ...]
    named: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, eq=False)
class Slice(Node):
    """`lo:hi` inside an index; either end may be missing."""

    lo: Expr | None
    hi: Expr | None


@dataclass(frozen=True, eq=False)
class Index(Expr):
    """`x[i]`, `x[i, j]`, `x[lo:hi]`."""

    value: Expr
    items: tuple[Expr | Slice, ...]


@dataclass(frozen=True, eq=False)
class Field(Expr):
    """`r.name`; `t.0` for tuples."""

    value: Expr
    name: str


@dataclass(frozen=True, eq=False)
class Unary(Expr):
    op: OneOf["-", "not"]
    value: Expr


@dataclass(frozen=True, eq=False)
class Binary(Expr):
    """op is one of  + - * / // % ^ @ == != < > <= >= and or."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, eq=False)
class Cast(Expr):
    """`e as pos`."""

    value: Expr
    type: TypeExpr


@dataclass(frozen=True, eq=False)
class ParamDecl(Node):
    """A parameter of a model, function or lambda."""

    pattern: Pattern
    type: TypeExpr | None = None
    default: Expr | None = None


@dataclass(frozen=True, eq=False)
class Lambda(Expr):
    """`fn (x, y) => e` or `fn (x) { … }`."""

    params: tuple[ParamDecl, ...]
    body: Expr
    result: TypeExpr | None = None


@dataclass(frozen=True, eq=False)
class Block(Expr):
    """Statements; if the last is an `ExprStmt` it is the value (or the tail run)."""

    statements: tuple[Statement, ...]


@dataclass(frozen=True, eq=False)
class If(Expr):
    """`other` is None, a Block, or another If (`else if`)."""

    cond: Expr
    then: Block
    other: Expr | None


@dataclass(frozen=True, eq=False)
class Arm(Node):
    """`pattern if guard => body`; a bare `return e` or other statement is a one-statement Block."""

    pattern: Pattern
    guard: Expr | None
    body: Expr


@dataclass(frozen=True, eq=False)
class Match(Expr):
    subject: Expr
    arms: tuple[Arm, ...]


@dataclass(frozen=True, eq=False)
class For(Expr):
    """`for p in e { … }`: always a measure."""

    pattern: Pattern
    over: Expr
    body: Block


@dataclass(frozen=True, eq=False)
class Comprehension(Expr):
    """`[e for p in xs if c]`: pure."""

    item: Expr
    pattern: Pattern
    over: Expr
    guard: Expr | None = None


@dataclass(frozen=True, eq=False)
class Scan(Expr):
    """`scan c = init for p in xs { … }` (keep "all") or `fold …` (keep "last")."""

    keep: OneOf["all", "last"]
    carry: Pattern
    init: Expr
    pattern: Pattern
    over: Expr
    body: Block


@dataclass(frozen=True, eq=False)
class Iterate(Expr):
    """`iterate x = e until c (max n) { … }`."""

    carry: Pattern
    init: Expr
    until: Expr
    limit: Expr | None
    body: Block


# ------------------------------------------------------------------------------------ statements


@dataclass(frozen=True, eq=False)
class Statement(Node):
    pass


@dataclass(frozen=True, eq=False)
class Draw(Statement):
    """`pattern ~ expr`, in guides also `by strategy`."""

    pattern: Pattern
    expr: Expr
    strategy: Expr | None = None


@dataclass(frozen=True, eq=False)
class Let(Statement):
    pattern: Pattern
    type: TypeExpr | None
    expr: Expr


@dataclass(frozen=True, eq=False)
class Observe(Statement):
    """`observe value ~ dist`."""

    value: Expr
    dist: Expr


@dataclass(frozen=True, eq=False)
class Factor(Statement):
    value: Expr


@dataclass(frozen=True, eq=False)
class Condition(Statement):
    value: Expr


@dataclass(frozen=True, eq=False)
class Checkpoint(Statement):
    """`checkpoint`: a suspension point."""


@dataclass(frozen=True, eq=False)
class Return(Statement):
    value: Expr


@dataclass(frozen=True, eq=False)
class ExprStmt(Statement):
    expr: Expr


@dataclass(frozen=True, eq=False)
class ParamStmt(Statement):
    """`param name: type = init`, in guides."""

    name: str
    type: TypeExpr
    init: Expr


# ----------------------------------------------------------------------------------------- items


@dataclass(frozen=True, eq=False)
class Item(Node):
    name: str
    #: the place of the name alone, for messages about the item
    name_span: Span
    #: the text of the `##` comment before it, without the marks
    doc: str | None


@dataclass(frozen=True, eq=False)
class Function(Item):
    """`fn name[a, b](params) -> result { … }`, or a `model`."""

    kind: OneOf["fn", "model"]
    type_params: tuple[str, ...]
    params: tuple[ParamDecl, ...]
    result: TypeExpr | None
    body: Expr


@dataclass(frozen=True, eq=False)
class Guide(Item):
    params: tuple[ParamDecl, ...]
    target: str
    body: Block


@dataclass(frozen=True, eq=False)
class Constructor(Node):
    name: str
    fields: tuple[TypeExpr, ...]


@dataclass(frozen=True, eq=False)
class TypeDecl(Item):
    type_params: tuple[str, ...]
    constructors: tuple[Constructor, ...]


@dataclass(frozen=True, eq=False)
class Import(Item):
    """`import "path.ppl" as name`, or `import name` for the standard library."""

    path: str


@dataclass(frozen=True, eq=False)
class Module(Node):
    items: tuple[Item, ...]


def children(node: Node) -> list[Node]:
    """The nodes directly below."""
    below: list[Node] = []
    parts: list[object] = [getattr(node, f.name) for f in reversed(fields(node))]
    while parts:
        part = parts.pop()
        if isinstance(part, Node):
            below.append(part)
        elif isinstance(part, tuple):
            parts += reversed(part)
    return below


def nodes(node: Node) -> Iterator[Node]:
    """A node and all below it, in the order of the source."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        todo += reversed(children(node))


def same(a: object, b: object) -> bool:
    """Whether two trees are equal, places aside."""
    if isinstance(a, Node) and isinstance(b, Node):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name))
            for f in fields(a)
            if f.name not in ("span", "name_span")
        )
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b

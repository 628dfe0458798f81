"""The syntax tree: what the parser makes and the checker reads.

Nodes are immutable and compared by identity, so that they can be keys of tables of facts about
them (names, types). `same` compares structure and ignores places.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal as OneOf

from ppl.lang.node import Node
from ppl.semantics.diagnostics import Span

# ----------------------------------------------------------------------------------------- types


class TypeExpr(Node):
    pass


class TypeName(TypeExpr):
    """`real`, `dist[A]`, `list[a]`, or a type variable."""

    name: str
    args: tuple[TypeExpr, ...] = ()


class TypeArray(TypeExpr):
    item: TypeExpr


class TypeTuple(TypeExpr):
    """Two or more types; the empty tuple is `unit`."""

    items: tuple[TypeExpr, ...]


class TypeRecord(TypeExpr):
    fields: tuple[tuple[str, TypeExpr], ...]


class TypeFun(TypeExpr):
    params: tuple[TypeExpr, ...]
    result: TypeExpr


class TypeOption(TypeExpr):
    item: TypeExpr


# -------------------------------------------------------------------------------------- patterns


class Pattern(Node):
    pass


class PName(Pattern):
    name: str


class PWild(Pattern):
    pass


class PTuple(Pattern):
    items: tuple[Pattern, ...]


class PRecord(Pattern):
    fields: tuple[tuple[str, Pattern], ...]


class PLit(Pattern):
    """A literal in a `match` arm (number, bool or text)."""

    value: bool | int | float | str


class PCons(Pattern):
    name: str
    args: tuple[Pattern, ...] = ()


# ----------------------------------------------------------------------------------- expressions


class Expr(Node):
    pass


class Lit(Expr):
    """A bool, int, float or str; None is `()`."""

    value: None | bool | int | float | str


class Name(Expr):
    name: str


class Tuple(Expr):
    items: tuple[Expr, ...]


class Record(Expr):
    fields: tuple[tuple[str, Expr], ...]


class ArrayLit(Expr):
    items: tuple[Expr, ...]


class Call(Expr):
    """`f(a, b, k=c)`; methods, such as `c.push(t)`, are calls of a `Field`."""

    fn: Expr
    args: tuple[Expr, ...]
    named: tuple[tuple[str, Expr], ...] = ()


class Slice(Node):
    """`lo:hi` inside an index; either end may be missing."""

    lo: Expr | None
    hi: Expr | None


class Index(Expr):
    """`x[i]`, `x[i, j]`, `x[lo:hi]`."""

    value: Expr
    items: tuple[Expr | Slice, ...]


class Field(Expr):
    """`r.name`; `t.0` for tuples."""

    value: Expr
    name: str


class Unary(Expr):
    op: OneOf["-", "not"]
    value: Expr


class Binary(Expr):
    """op is one of  + - * / // % ^ @ == != < > <= >= and or."""

    op: str
    left: Expr
    right: Expr


class Cast(Expr):
    """`e as pos`."""

    value: Expr
    type: TypeExpr


class ParamDecl(Node):
    """A parameter of a model, function or lambda."""

    pattern: Pattern
    type: TypeExpr | None = None
    default: Expr | None = None


class Lambda(Expr):
    """`fn (x, y) => e` or `fn (x) { … }`."""

    params: tuple[ParamDecl, ...]
    body: Expr
    result: TypeExpr | None = None


class Block(Expr):
    """Statements; if the last is an `ExprStmt` it is the value (or the tail run)."""

    statements: tuple[Statement, ...]


class If(Expr):
    """`other` is None, a Block, or another If (`else if`)."""

    cond: Expr
    then: Block
    other: Expr | None


class Arm(Node):
    """`pattern if guard => body`; a bare `return e` or other statement is a one-statement Block."""

    pattern: Pattern
    guard: Expr | None
    body: Expr


class Match(Expr):
    subject: Expr
    arms: tuple[Arm, ...]


class For(Expr):
    """`for p in e { … }`: always a measure."""

    pattern: Pattern
    over: Expr
    body: Block


class Comprehension(Expr):
    """`[e for p in xs if c]`: pure."""

    item: Expr
    pattern: Pattern
    over: Expr
    guard: Expr | None = None


class Scan(Expr):
    """`scan c = init for p in xs { … }` (keep "all") or `fold …` (keep "last")."""

    keep: OneOf["all", "last"]
    carry: Pattern
    init: Expr
    pattern: Pattern
    over: Expr
    body: Block


class Iterate(Expr):
    """`iterate x = e until c (max n) { … }`."""

    carry: Pattern
    init: Expr
    until: Expr
    limit: Expr | None
    body: Block


# ------------------------------------------------------------------------------------ statements


class Statement(Node):
    pass


class Draw(Statement):
    """`pattern ~ expr`, in guides also `by strategy`."""

    pattern: Pattern
    expr: Expr
    strategy: Expr | None = None


class Let(Statement):
    pattern: Pattern
    type: TypeExpr | None
    expr: Expr


class Observe(Statement):
    """`observe value ~ dist`."""

    value: Expr
    dist: Expr


class Factor(Statement):
    value: Expr


class Condition(Statement):
    value: Expr


class Checkpoint(Statement):
    """`checkpoint`: a suspension point."""


class Return(Statement):
    value: Expr


class ExprStmt(Statement):
    expr: Expr


class ParamStmt(Statement):
    """`param name: type = init`, in guides."""

    name: str
    type: TypeExpr
    init: Expr


# ----------------------------------------------------------------------------------------- items


class Item(Node):
    name: str
    #: the place of the name alone, for messages about the item
    name_span: Span
    #: the text of the `##` comment before it, without the marks
    doc: str | None


class Function(Item):
    """`fn name[a, b](params) -> result { … }`, or a `model`."""

    kind: OneOf["fn", "model"]
    type_params: tuple[str, ...]
    params: tuple[ParamDecl, ...]
    result: TypeExpr | None
    body: Expr


class Guide(Item):
    params: tuple[ParamDecl, ...]
    target: str
    body: Block


class Constructor(Node):
    name: str
    fields: tuple[TypeExpr, ...]


class TypeDecl(Item):
    type_params: tuple[str, ...]
    constructors: tuple[Constructor, ...]


class Import(Item):
    """`import "path.ppl" as name`, or `import name` for the standard library."""

    path: str


class Module(Node):
    items: tuple[Item, ...]


def children(node: Node) -> list[Node]:
    """The nodes directly below."""
    below: list[Node] = []
    parts: list[object] = [getattr(node, f) for f in reversed(node.__match_args__)]
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
            same(getattr(a, f), getattr(b, f))
            for f in a.__match_args__
            if f not in ("span", "name_span")
        )
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b

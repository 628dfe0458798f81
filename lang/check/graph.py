"""The graph of a body: how kinds and ranges flow. Built once, evaluated at many inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ppl.lang import syntax as s
from ppl.lang.check import atoms
from ppl.lang.check.terms import Con, Meta, Term, prune
from ppl.semantics import types as ty


class A:
    """A shape whose numbers and measures carry a variable (`var`) of the graph."""

    __slots__ = ("head", "args", "var")

    def __init__(self, head: Any, args: tuple[A, ...] = (), var: int = -1):
        self.head = head
        self.args = args
        self.var = var


@dataclass(slots=True)
class Edge:
    """The value of `src` flows into `dst`, because of `why`, at `node`."""

    src: int
    dst: int
    why: str
    node: s.Node


@dataclass(slots=True)
class Check:
    """`src` must stay below `bound`; at a castable place a checked cast may see to it."""

    src: int
    bound: int
    why: str
    node: s.Node
    castable: bool


@dataclass(slots=True)
class Turn:
    """A measure `src` flows into `dst`; `pairs`: the numbers that it draws, and what they become.
    What is drawn keeps its density only if no whole number becomes real: counting measure and
    Lebesgue measure have none in common."""

    src: int
    dst: int
    pairs: tuple[tuple[int, int], ...]
    why: str
    node: s.Node

    def changes(self, values: Sequence[int]) -> bool:
        """Whether some whole number becomes real."""
        wholes = [b for a, b in self.pairs if values[a] & atoms.KIND == atoms.BIT]
        return any([values[b] & atoms.IS_REAL for b in wholes])


@dataclass(slots=True)
class Apply:
    """A row of the table at `ins`, giving `outs`. `nodes`: the arguments, None if not written."""

    row: str
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    node: s.Expr
    nodes: tuple[s.Expr | None, ...]


@dataclass(slots=True)
class Use:
    """A reference to a top-level function: its summary maps the atoms `ins` to `outs`."""

    name: str
    target: Any
    type: A
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    node: s.Node


@dataclass(slots=True)
class Seen:
    """An observed value beside what the distribution draws: kinds must agree, ranges should."""

    value: int
    drawn: int
    node: s.Expr


@dataclass(eq=False)
class Graph:
    """Variables are numbered; `fixed` has the atoms of the constant ones."""

    is_measure: list[bool] = field(default_factory=list)
    fixed: dict[int, int] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    #: (a, b): if a number a is real, b is; if there is one at all, there is one of b's
    kinds: list[tuple[int, int]] = field(default_factory=list)
    #: numbers inside values that may have none, such as `[]` and `Nil`
    empty: list[int] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    applies: list[Apply] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    #: variance of the parameters of inductive types: +1, -1 or 0 (both)
    variance: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _constants: dict[tuple[int, bool], int] = field(default_factory=dict)

    def new(self, measure: bool = False) -> int:
        self.is_measure.append(measure)
        return len(self.is_measure) - 1

    def constant(self, value: int, measure: bool = False) -> int:
        key = (value, measure)
        var = self._constants.get(key)
        if var is None:
            var = self._constants[key] = self.new(measure)
            self.fixed[var] = value
        return var

    def number(self, value: int) -> A:
        return A("num", (), self.constant(value))

    def fresh(self, shape: Term) -> A:
        """A shape with new variables; unknowns were resolved before."""
        shape = prune(shape)
        if type(shape) is Meta:
            return A("num", (), self.new())
        assert isinstance(shape, Con)
        head = shape.head
        if head == "num":
            return A("num", (), self.new())
        if not shape.args:
            return A(head)
        args = tuple([self.fresh(a) for a in shape.args])
        return A(head, args, self.new(True) if head == "measure" else -1)

    def fresh_inside(self, shape: Term) -> A:
        """As `fresh`, for what is inside a collection that may be empty."""
        a = self.fresh(shape)
        self.empty += [var for var, _ in positions(a, True, self.variance)]
        return a

    def like(self, a: A) -> A:
        """The same shape with new variables."""
        if a.head == "num":
            return A("num", (), self.new())
        if not a.args:
            return a
        var = self.new(True) if a.head == "measure" else -1
        return A(a.head, tuple([self.like(x) for x in a.args]), var)

    def of_type(self, t: ty.Type, variables: dict[str, A], shape: Term | None = None) -> A:
        """A written type: its numbers are constants. Type variables from `variables`, or, where
        a `shape` is given, each occurrence new."""
        match t:
            case ty.Base(name):
                if name in ty.NUMBERS:
                    return self.number(atoms.atom(t))
                if name in variables:
                    return variables[name]
                if shape is not None and name not in ty.NAMED:
                    return self.fresh(shape)
                return A(name)
            case ty.Option(item):
                return self.of_type(item, variables, shape)
            case ty.Dist(item) | ty.Measure(item):
                atom = atoms.DIST if isinstance(t, ty.Dist) else atoms.MEASURE
                inner = self.of_type(item, variables, _part(shape, 0))
                return A("measure", (inner,), self.constant(atom, True))
        parts, head = _parts(t)
        return A(
            head,
            tuple([self.of_type(p, variables, _part(shape, i)) for i, p in enumerate(parts)]),
        )

    # ---------------------------------------------------------------------------- flowing

    def flow(self, src: A, dst: A, why: str, node: s.Node, castable: bool = True) -> None:
        """All that `src` may be, `dst` may be. Results covariant, arguments contravariant."""
        if src is dst or dst.head == "error" or src.head == "error":
            return
        head = dst.head
        if head == "num":
            self.link(src.var, dst.var, why, node, castable)
        elif head == "array":
            self.flow(src.args[0], dst.args[0], why, node, castable)
        elif head == "measure":
            self.link(src.var, dst.var, why, node, False)
            self.flow(src.args[0], dst.args[0], why, node, False)
            pairs = tuple(_numbers(src.args[0], dst.args[0]))
            if pairs:
                self.turns.append(Turn(src.var, dst.var, pairs, why, node))
        elif head == "fun":
            for x, y in zip(src.args[:-1], dst.args[:-1], strict=True):
                self.flow(y, x, why, node, False)
            self.flow(src.args[-1], dst.args[-1], why, node, False)
        elif not dst.args:
            return
        elif isinstance(head, tuple) and head[0] == "record" and head != src.head:
            parts = dict(zip(src.head[1], src.args, strict=True))
            for k, y in zip(head[1], dst.args, strict=True):
                self.flow(parts[k], y, why, node, False)
        elif isinstance(head, tuple) and head[0] == "data":
            converts = head[1] == ty.MAP
            for v, x, y in zip(self.variance[head[1]], src.args, dst.args, strict=True):
                if v >= 0:
                    self.flow(x, y, why, node, False)
                    if not converts:
                        self.same_kinds(y, x)
                if v <= 0:
                    self.flow(y, x, why, node, False)
                    if not converts:
                        self.same_kinds(x, y)
        else:
            for x, y in zip(src.args, dst.args, strict=True):
                self.flow(x, y, why, node, False)

    def same_kinds(self, src: A, dst: A) -> None:
        """Numbers inside values of declared types do not change their kind: `dst`, which flows into
        `src`, holds real numbers from the beginning if `src` does. (Ranges may differ.)"""
        if src.head != dst.head or src is dst:
            return
        if dst.head == "num":
            if src.var != dst.var and dst.var not in self.fixed:
                self.kinds.append((src.var, dst.var))
            return
        for x, y in zip(src.args, dst.args, strict=True):
            self.same_kinds(x, y)

    def link(self, src: int, dst: int, why: str, node: s.Node, castable: bool) -> None:
        if src == dst:
            return
        if dst in self.fixed:
            self.checks.append(Check(src, dst, why, node, castable))
        else:
            self.edges.append(Edge(src, dst, why, node))

    def join(self, shape: Term, parts: Sequence[tuple[A, str, s.Node]]) -> A:
        """The least type above all parts."""
        if all([p[0] is parts[0][0] for p in parts]):
            return parts[0][0]
        out = self.fresh(shape)
        for a, why, node in parts:
            self.flow(a, out, why, node)
        return out


def _parts(t: ty.Type) -> tuple[tuple[ty.Type, ...], Any]:
    match t:
        case ty.Array(item):
            return (item,), "array"
        case ty.Tuple(items):
            return items, "tuple"
        case ty.Record(fields):
            return tuple([v for _, v in fields]), ("record", tuple([k for k, _ in fields]))
        case ty.Fun(params, result):
            return (*params, result), "fun"
        case ty.Data(name, args):
            return args, ("data", name)
    return (), "error"


def _part(shape: Term | None, i: int) -> Term | None:
    if shape is None:
        return None
    shape = prune(shape)
    return shape.args[i] if isinstance(shape, Con) and i < len(shape.args) else None


def leaf(a: A) -> A:
    """What an array of any rank is made of."""
    while a.head == "array":
        a = a.args[0]
    return a


def positions(
    a: A, positive: bool, variance: dict[str, tuple[int, ...]]
) -> Iterator[tuple[int, bool]]:
    """The variables of a type, each with whether it stands at a positive position."""
    if a.var >= 0:
        yield a.var, positive
    if a.head == "fun":
        for x in a.args[:-1]:
            yield from positions(x, not positive, variance)
        yield from positions(a.args[-1], positive, variance)
    elif isinstance(a.head, tuple) and a.head[0] == "data":
        for v, x in zip(variance[a.head[1]], a.args, strict=True):
            if v >= 0:
                yield from positions(x, positive, variance)
            if v <= 0:
                yield from positions(x, not positive, variance)
    else:
        for x in a.args:
            yield from positions(x, positive, variance)


def _numbers(a: A, b: A) -> Iterator[tuple[int, int]]:
    """Where `a` flows into `b`: numbers that may change their kind, and what each becomes."""
    if a is b or a.head == "error" or b.head == "error":
        return
    pairs = list(zip(a.args, b.args, strict=False))
    if b.head == "num":
        if a.var != b.var:
            yield a.var, b.var
    elif b.head == "fun":
        pairs = [*((y, x) for x, y in pairs[:-1]), pairs[-1]]
    elif isinstance(b.head, tuple) and b.head[0] == "record":
        of = dict(zip(a.head[1], a.args, strict=True))
        pairs = [(of[k], y) for k, y in zip(b.head[1], b.args, strict=True)]
    elif isinstance(b.head, tuple) and b.head[1] != ty.MAP:
        return  # see `Graph.same_kinds`
    for x, y in pairs:
        yield from _numbers(x, y)


def to_type(a: A, value: Callable[[int], int]) -> ty.Type:
    """The final type."""
    head = a.head
    if head == "num":
        return atoms.number(value(a.var))
    if not a.args and isinstance(head, str):
        return ty.NAMED.get(head, ty.UNIT) if head != "tuple" else ty.UNIT
    if isinstance(head, tuple) and head[0] == "data":  # where there is no number: below all
        args = tuple([to_type(x, lambda v: value(v) or atoms.BIT) for x in a.args])
    else:
        args = tuple([to_type(x, value) for x in a.args])
    if head == "array":
        return ty.Array(args[0])
    if head == "measure":
        return ty.Dist(args[0]) if value(a.var) == atoms.DIST else ty.Measure(args[0])
    if head == "fun":
        return ty.Fun(args[:-1], args[-1])
    if head == "tuple":
        return ty.Tuple(args)
    if head[0] == "record":
        return ty.Record(tuple(zip(head[1], args, strict=True)))
    return ty.Data(head[1], args)


def interface(a: A, g: Graph) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of a function's type: what flows in (arguments, arguments of its result), and out. The kinds
    of numbers inside values of declared types flow back out of arguments: see `Graph.kinds`."""
    ins: list[int] = []
    outs: list[int] = []
    for var, positive in positions(a, True, g.variance):
        if var not in g.fixed:
            (outs if positive else ins).append(var)
    inside = set(_inside_data(a, False))
    outs += [var for var in ins if var in inside]
    return tuple(ins), tuple(outs)


def _inside_data(a: A, inside: bool) -> Iterator[int]:
    """The variables of a type that are inside declared types."""
    inside = inside or (isinstance(a.head, tuple) and a.head[0] == "data" and a.head[1] != ty.MAP)
    if a.var >= 0 and inside:
        yield a.var
    for x in a.args:
        yield from _inside_data(x, inside)

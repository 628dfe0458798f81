"""The intermediate representation: a small typed, higher-order, effectful calculus as plain data.

Fine-grain call by value. A `Value` is pure and total; a `Comp` is a computation, pure or effectful.
A computation of type A is read as a measure on A (a Dirac measure if pure); `Thunk` makes it a
value of type `measure[A]` and `Run` runs such a value. Every effect is a node: `Run` (draws, when
the value is a distribution), `Score`, `Observe`.

Names are unique within a program (the verifier checks it), so substitution never captures.
Blocks hold their bindings in a flat tuple: a pass recurses only as deep as the source nests.

Sites are named where they are *run*. `At(step, body)` appends a step to the path of everything
that `body` runs; `For` and `Scan` append their loop index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal as OneOf

from ppl.semantics.diagnostics import Span
from ppl.semantics.types import Type


@dataclass(frozen=True)
class Node:
    """Anything with a type and a place in the source. Equality ignores the place."""

    type: Type
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)

    @cached_property
    def free(self) -> frozenset[str]:
        """The local variables that occur free."""
        return _free(self)


# ---------------------------------------------------------------------------------------- values


@dataclass(frozen=True)
class Value(Node):
    """A pure, total expression."""


@dataclass(frozen=True)
class Lit(Value):
    """A constant: None for unit, or a bool, int, float or str."""

    value: None | bool | int | float | str

    def __eq__(self, other: object) -> bool:  # 1 == True == 1.0 in Python, but not here
        return (
            isinstance(other, Lit)
            and type(self.value) is type(other.value)
            and (self.value == other.value or self.value != self.value != other.value)
            and self.type == other.type
        )

    def __hash__(self) -> int:
        return hash((self.type, type(self.value), str(self.value)))


@dataclass(frozen=True)
class Var(Value):
    """A local variable."""

    name: str


@dataclass(frozen=True)
class Global(Value):
    """A top-level function of the program, as a value."""

    name: str


@dataclass(frozen=True)
class Param:
    """A bound variable and its type."""

    name: str
    type: Type


@dataclass(frozen=True)
class Lam(Value):
    """A function value. Its body may be effectful only through a `Thunk` it returns."""

    params: tuple[Param, ...]
    body: Comp


@dataclass(frozen=True)
class Thunk(Value):
    """A computation as a value of type `measure[A]`."""

    body: Comp


@dataclass(frozen=True)
class Op(Value):
    """A primitive applied to all its arguments; `op` is a key of `signatures.PRIMITIVES`.

    Distribution constructors are primitives: `Op(dist[real], "normal", (mu, sigma))`.
    """

    op: str
    args: tuple[Value, ...]


@dataclass(frozen=True)
class MakeTuple(Value):
    items: tuple[Value, ...]


@dataclass(frozen=True)
class MakeRecord(Value):
    names: tuple[str, ...]
    items: tuple[Value, ...]


@dataclass(frozen=True)
class MakeArray(Value):
    items: tuple[Value, ...]


@dataclass(frozen=True)
class Proj(Value):
    """Component `index` of a tuple."""

    value: Value
    index: int


@dataclass(frozen=True)
class Get(Value):
    """Field `name` of a record."""

    value: Value
    name: str


@dataclass(frozen=True)
class Make(Value):
    """A constructor of an inductive type applied to its arguments."""

    constructor: str
    args: tuple[Value, ...]


# ---------------------------------------------------------------------------------- computations


@dataclass(frozen=True)
class Comp(Node):
    """A computation; `type` is the type of its result."""

    @cached_property
    def effectful(self) -> bool:
        """Whether running this may draw or score."""
        return any(c.effectful for c in children(self) if isinstance(c, Comp))


@dataclass(frozen=True)
class Return(Comp):
    value: Value


@dataclass(frozen=True)
class Bind:
    """`name <- comp`: one line of a block."""

    name: str
    comp: Comp


@dataclass(frozen=True)
class Block(Comp):
    """Run the bindings in order, then `result`. The type is the result's."""

    binds: tuple[Bind, ...]
    result: Comp


@dataclass(frozen=True)
class Call(Comp):
    """Apply a function value. Pure: a function with effects returns a `Thunk`, which `Run` runs."""

    fn: Value
    args: tuple[Value, ...]


@dataclass(frozen=True)
class Run(Comp):
    """Run a value of type `measure[A]` (or `dist[A]`, which draws at the current path)."""

    measure: Value

    @cached_property
    def effectful(self) -> bool:
        return True


@dataclass(frozen=True)
class Observe(Comp):
    """Score `dist` at `value`. `name` is the observation's own name, e.g. `y`."""

    dist: Value
    value: Value
    name: str

    @cached_property
    def effectful(self) -> bool:
        return True


@dataclass(frozen=True)
class Score(Comp):
    """Multiply the measure by exp(value): `factor`; `condition c` scores 0 or -infinity."""

    value: Value

    @cached_property
    def effectful(self) -> bool:
        return True


@dataclass(frozen=True)
class At(Comp):
    """Run `body` one step further down the path. With `keep`, results hold its value there."""

    step: str
    body: Comp
    keep: bool = False


@dataclass(frozen=True)
class If(Comp):
    """Steps of sites inside the arms are made by the elaborator (`At`)."""

    cond: Value
    then: Comp
    other: Comp


@dataclass(frozen=True)
class Arm:
    """One constructor's case: its fields are bound to `params`. None: the rest."""

    constructor: str | None
    params: tuple[Param, ...]
    body: Comp


@dataclass(frozen=True)
class Match(Comp):
    """Case analysis on an inductive type; arms are disjoint and cover it."""

    subject: Value
    arms: tuple[Arm, ...]


@dataclass(frozen=True)
class For(Comp):
    """Run `body` once for each element of `over`, independently given what is outside: a plate.

    The result is the array of the body's results. Pure bodies make this a map (a comprehension).
    `guard`, a pure boolean computation, drops elements (comprehensions only).
    """

    param: Param
    over: Value
    body: Comp
    guard: Comp | None = None


@dataclass(frozen=True)
class Scan(Comp):
    """Thread `carry` through `body`, once for each element of `over`, in order.

    `keep` says whether the result is the array of states after each step, or the last state.
    """

    carry: Param
    init: Value
    param: Param
    over: Value
    body: Comp
    keep: OneOf["all", "last"]


@dataclass(frozen=True)
class Iterate(Comp):
    """Replace `carry` by `body` until `until` (pure, tested first) holds; at most `limit` times."""

    carry: Param
    init: Value
    until: Comp
    body: Comp
    limit: Value | None = None


# -------------------------------------------------------------------------------------- programs


@dataclass(frozen=True)
class Function:
    """A top-level function; `type` is a `Fun`. A model is a function whose result is a measure."""

    name: str
    params: tuple[Param, ...]
    body: Comp
    type: Type
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Program:
    """All functions, callees before or after callers, and the name of the one that is run.

    The body of `main` is `Return(Thunk(…))` or returns a measure by other means; its parameters
    are the data (types may be `Option` there).
    """

    functions: tuple[Function, ...]
    main: str

    @cached_property
    def by_name(self) -> dict[str, Function]:
        return {f.name: f for f in self.functions}

    @property
    def entry(self) -> Function:
        return self.by_name[self.main]


def children(node: Node) -> Iterator[Node]:
    """The values and computations directly inside a node, in evaluation order."""
    match node:
        case Lam(body=body) | Thunk(body=body) | At(body=body):
            yield body
        case Op(args=args) | Make(args=args):
            yield from args
        case MakeTuple(items=items) | MakeRecord(items=items) | MakeArray(items=items):
            yield from items
        case Proj(value=value) | Get(value=value) | Return(value=value) | Score(value=value):
            yield value
        case Block(binds=binds, result=result):
            yield from (b.comp for b in binds)
            yield result
        case Call(fn=fn, args=args):
            yield fn
            yield from args
        case Run(measure=measure):
            yield measure
        case Observe(dist=dist, value=value):
            yield dist
            yield value
        case If(cond=cond, then=then, other=other):
            yield from (cond, then, other)
        case Match(subject=subject, arms=arms):
            yield subject
            yield from (a.body for a in arms)
        case For(over=over, body=body, guard=guard):
            yield over
            if guard is not None:
                yield guard
            yield body
        case Scan(init=init, over=over, body=body):
            yield from (init, over, body)
        case Iterate(init=init, until=until, body=body, limit=limit):
            yield init
            if limit is not None:
                yield limit
            yield from (until, body)
        case _:
            pass


def _free(node: Node) -> frozenset[str]:
    match node:
        case Var(name=name):
            return frozenset((name,))
        case Lam(params=params, body=body):
            return body.free - {p.name for p in params}
        case Block(binds=binds, result=result):
            out = result.free
            for bind in reversed(binds):
                out = (out - {bind.name}) | bind.comp.free
            return out
        case For(param=param, over=over, body=body, guard=guard):
            inner = body.free | (guard.free if guard is not None else frozenset())
            return over.free | (inner - {param.name})
        case Scan(carry=carry, init=init, param=param, over=over, body=body):
            return init.free | over.free | (body.free - {carry.name, param.name})
        case Iterate(carry=carry, init=init, until=until, body=body, limit=limit):
            outer = init.free | (limit.free if limit is not None else frozenset())
            return outer | ((until.free | body.free) - {carry.name})
        case Match(subject=subject, arms=arms):
            inner = (a.body.free - {p.name for p in a.params} for a in arms)
            return subject.free.union(*inner)
        case _:
            return frozenset().union(*(c.free for c in children(node)))

"""Which evaluator runs a program, and why, decided on the IR alone.

XLA runs programs whose shapes and control structure are known while compiling; the machine runs the
rest: values of inductive types, `mem`, `lazy` and nested inference, sizes that depend on what was
drawn, and recursion that does, unless it is tail recursion: that is a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis import what_is_known
from ppl.semantics.diagnostics import Note
from ppl.semantics.ir_map import nodes
from ppl.semantics.signatures import MAP_ROWS, PRIMITIVES

#: primitives that only the machine has
MACHINE_OPS = {
    "mem": "`mem` draws values when they are asked for",
    "gaussian_process": "values of a Gaussian process are drawn when they are asked for",
    "lazy": "`lazy` draws a value only if it is used",
    "normalize": "`normalize` is inference inside the program",
    "normalize_importance": "`normalize` is inference inside the program",
    "normalize_rejection": "`normalize` is inference inside the program",
    "expectation": "`expectation` goes over the values of a distribution one by one",
}


@dataclass(frozen=True)
class Engine:
    """The evaluator's name, and what in the source asks for the machine (nothing for XLA)."""

    name: Literal["xla", "machine"]
    reasons: tuple[Note, ...] = ()


def choose(program: ir.Program) -> Engine:
    """The engine for a program. Linear in its size, times the depth of its calls."""
    found = dict.fromkeys(_Reasons(program).found())
    reasons = tuple(sorted(found, key=lambda n: n.span.start if n.span is not None else 0))
    return Engine("machine", reasons) if reasons else Engine("xla")


class _Reasons:
    def __init__(self, program: ir.Program):
        self.program = program
        self.known = what_is_known(program)

    def found(self) -> Iterator[Note]:
        for f in self.program.functions:
            for n in nodes(f.body):
                yield from self._of(n)
        yield from self._data(self.program.entry)
        for tail in self.known.loops:
            state = T.Tuple(tuple(p.type for p in tail.function.params))
            if (grows := _grows(state, tail.body)) is not None:
                yield Note(_GROWING.format(f"the arguments of `{tail.name}`"), grows.span)
        for name, call in self.known.deep:
            yield self._too_deep(self.program.by_name[name], call)

    def _of(self, n: ir.Node) -> Iterator[Note]:
        match n:
            case ir.Make(constructor=name):
                yield Note(f"`{name}` makes a value of an inductive type", n.span)
            case ir.Match():
                yield Note("`match` takes a value of an inductive type apart", n.span)
            case ir.Op() | ir.If() | ir.MakeArray() if (why := self._texts_and_maps(n)) is not None:
                yield Note(why, n.span)
            case ir.Iterate(limit=None, carry=carry, body=body):
                if (grows := _grows(carry.type, body)) is not None:
                    yield Note(_GROWING.format("the state of this loop"), grows.span or n.span)
            case ir.Iterate(limit=ir.Value() as limit) if not self.known.value(limit):
                yield Note("the bound of `iterate` depends on what was drawn", limit.span or n.span)
            case ir.Op(op=op, args=args):
                if op in MACHINE_OPS:
                    yield Note(MACHINE_OPS[op], n.span)
                row = PRIMITIVES.get(op)
                for i in row.static if row is not None else ():
                    if not self.known.value(args[i]):
                        name = row.params[i] if row is not None else ""
                        yield Note(
                            f"`{name}` of `{op}` decides a size, and depends on what was drawn or "
                            "computed",
                            args[i].span or n.span,
                        )
            case ir.For(guard=guard) if guard is not None:
                if not self.known.value(guard, self._elements(n)):
                    yield Note("which elements are kept depends on data or draws", n.span)

    def _texts_and_maps(self, n: ir.Op | ir.If | ir.MakeArray) -> str | None:
        """XLA has texts that are known while it compiles, one by one, and no maps."""
        match n:
            case ir.Op(op=op) if op in MAP_ROWS:
                return f"`{op}` is about a map"
            case ir.Op(op="split" | "chars" | "join" as op):
                return f"`{op}` is about an array of texts"
            case ir.MakeArray(type=t) if _holds_texts(t):
                return "texts are in an array"
            case ir.If(type=t, cond=cond) if _holds_texts(t) and not self.known.value(cond):
                return "which text this is depends on what was drawn or computed"
            case ir.Op(type=t, args=args) if t == T.TEXT or any(a.type == T.TEXT for a in args):
                if not self.known.value(n):
                    return "this is about a text that depends on what was drawn or computed"
        return None

    def _data(self, f: ir.Function) -> Iterator[Note]:
        for p in f.params:
            if _holds_texts(p.type) and p.type != T.TEXT:
                yield Note(f"the data `{p.name}` hold texts, as parts of something", f.span)
            if _holds_maps(p.type):
                yield Note(f"the data `{p.name}` are a map", f.span)

    def _elements(self, n: ir.For) -> frozenset[str]:
        """A range's elements are known if it is."""
        over = n.over
        known = (
            isinstance(over, ir.Op)
            and over.op in ("range", "range_from")
            and all(map(self.known.value, over.args))
        )
        return frozenset((n.param.name,)) if known else frozenset()

    def _too_deep(self, f: ir.Function, n: ir.Node) -> Note:
        name = f.name.partition("#")[0]
        message = f"how deep the recursion of `{name}` goes depends on what was drawn or computed"
        return Note(message, n.span or f.span)


_GROWING = "{}, a loop without a bound, may change in size from step to step"


def _holds_arrays(t: T.Type) -> bool:
    match t:
        case T.Array():
            return True
        case T.Tuple(items=items):
            return any(map(_holds_arrays, items))
        case T.Record(fields=fields):
            return any(_holds_arrays(f) for _, f in fields)
    return False


def _holds_texts(t: T.Type) -> bool:
    return T.TEXT in _parts(t)


def _holds_maps(t: T.Type) -> bool:
    return any(isinstance(p, T.Data) and p.name == T.MAP for p in _parts(t))


def _parts(t: T.Type) -> list[T.Type]:
    """The types of the parts of data."""
    match t:
        case T.Array(item=item) | T.Option(item=item):
            return _parts(item)
        case T.Tuple(items=items):
            return [p for i in items for p in _parts(i)]
        case T.Record(fields=fields):
            return [p for _, f in fields for p in _parts(f)]
    return [t]


def _grows(state: T.Type, body: ir.Comp) -> ir.Node | None:
    """What makes arrays longer in the step of a loop that carries arrays, as far as its text
    shows. (What it does not show is noticed while XLA compiles: E715.)"""
    if not _holds_arrays(state):
        return None
    return next((n for n in nodes(body) if isinstance(n, ir.Op) and n.op == "concat"), None)

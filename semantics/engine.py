"""Which evaluator runs a program, and why, decided on the IR alone.

XLA runs programs whose shapes and control structure are known while compiling; the machine runs the
rest: values of inductive types, `mem`, `lazy` and nested inference, loops without a bound,
recursion and sizes that depend on what was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis import recursive_functions, static_params
from ppl.semantics.diagnostics import Note
from ppl.semantics.signatures import PRIMITIVES

#: primitives that only the machine has
_MACHINE_OPS = {
    "mem": "`mem` draws values when they are asked for",
    "lazy": "`lazy` draws a value only if it is used",
    "normalize": "`normalize` is inference inside the program",
    "normalize_importance": "`normalize` is inference inside the program",
    "normalize_rejection": "`normalize` is inference inside the program",
}
#: primitives whose result is known while compiling if their arguments are
_FOLDED = frozenset(
    "add sub mul div floordiv mod pow neg lt gt le ge eq ne and or not min max abs square "
    "indicator exp log sqrt to_real checked_nat checked_pos checked_prob checked_int "
    "checked_bool".split()
)


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
    """`static` has the variables that are known while compiling, whatever runs."""

    def __init__(self, program: ir.Program):
        self.program = program
        self.recursive = recursive_functions(program)
        self.static = self._static()

    # ------------------------------------------------------------------- what is known beforehand

    def _static(self) -> frozenset[str]:
        """The greatest set of variables whose definitions are known if those in it are."""
        defined = list(self._definitions())
        fixed = static_params(self.program)
        known = {name for name, _ in defined} | fixed
        for f in self.program.functions:
            known |= {p.name for p in f.params}
        entry = {p.name for p in self.program.entry.params} - fixed
        unknown = entry | set(self._called_from_anywhere())
        known -= unknown
        while True:
            fewer = {name for name, v in defined if name in known and not self._known(v, known)}
            if not fewer:
                return frozenset(known)
            known -= fewer

    def _definitions(self) -> Iterator[tuple[str, ir.Node | None]]:
        """(variable, what it is bound to), several for a parameter; None for what is not known."""
        for f in self.program.functions:
            for n in _walk(f.body):
                match n:
                    case ir.Block(binds=binds):
                        yield from ((b.name, b.comp) for b in binds)
                    case ir.Call(fn=ir.Global(name=name), args=args):
                        params = self.program.by_name[name].params
                        yield from zip((p.name for p in params), args, strict=True)
                    case ir.Lam(params=params):
                        yield from ((p.name, None) for p in params)
                    case ir.For(param=p):
                        yield p.name, None
                    case ir.Scan(carry=c, param=p):
                        yield from ((c.name, None), (p.name, None))
                    case ir.Iterate(carry=c):
                        yield c.name, None
                    case ir.Match(arms=arms):
                        yield from ((p.name, None) for a in arms for p in a.params)

    def _called_from_anywhere(self) -> Iterator[str]:
        """Parameters of functions that are used as values."""
        for f in self.program.functions:
            for n in _walk(f.body):
                called = n.fn if isinstance(n, ir.Call) else None
                for child in ir.children(n):
                    if isinstance(child, ir.Global) and child is not called:
                        yield from (p.name for p in self.program.by_name[child.name].params)

    def _known(self, v: ir.Node | None, known: frozenset[str] | set[str]) -> bool:
        match v:
            case ir.Lit():
                return True
            case ir.Var(name=name):
                return name in known
            case ir.Return(value=value) | ir.At(body=ir.Return(value=value)):
                return self._known(value, known)
            case ir.Op(op="len"):
                return True
            case ir.Op(op=op, args=args):
                return op in _FOLDED and all(self._known(a, known) for a in args)
            case ir.Block(result=result):
                return self._known(result, known)
            case ir.If(cond=cond, then=then, other=other):
                return all(self._known(x, known) for x in (cond, then, other))
            case ir.MakeTuple(items=items) | ir.MakeRecord(items=items):
                return all(self._known(x, known) for x in items)
            case ir.Proj(value=value) | ir.Get(value=value):
                return self._known(value, known)
            case _:
                return False

    # ----------------------------------------------------------------------------------- reasons

    def found(self) -> Iterator[Note]:
        for f in self.program.functions:
            for n in _walk(f.body):
                yield from self._of(n)
            if f.name in self.recursive:
                yield from self._recursion(f)

    def _of(self, n: ir.Node) -> Iterator[Note]:
        match n:
            case ir.Make(constructor=name):
                yield Note(f"`{name}` makes a value of an inductive type", n.span)
            case ir.Match():
                yield Note("`match` takes a value of an inductive type apart", n.span)
            case ir.Iterate(limit=None):
                yield Note("`iterate` has no bound (`max n`)", n.span)
            case ir.Iterate(limit=ir.Value() as limit) if not self._known(limit, self.static):
                yield Note("the bound of `iterate` depends on what was drawn", limit.span or n.span)
            case ir.Op(op=op, args=args):
                if op in _MACHINE_OPS:
                    yield Note(_MACHINE_OPS[op], n.span)
                row = PRIMITIVES.get(op)
                for i in row.static if row is not None else ():
                    if not self._known(args[i], self.static):
                        name = row.params[i] if row is not None else ""
                        yield Note(
                            f"`{name}` of `{op}` decides a size, and depends on what was drawn or "
                            "computed",
                            args[i].span or n.span,
                        )
                if op == "iid" and isinstance(n.type, T.Measure) and not isinstance(n.type, T.Dist):
                    yield Note("`iid` of a measure with effects of its own", n.span)
            case ir.For(guard=guard) if guard is not None:
                inner = self.static | self._elements(n)
                if not self._known(guard, inner):
                    yield Note("which elements are kept depends on what was drawn", n.span)

    def _elements(self, n: ir.For) -> frozenset[str]:
        """A range's elements are known if it is."""
        over = n.over
        known = (
            isinstance(over, ir.Op)
            and over.op in ("range", "range_from")
            and all(self._known(a, self.static) for a in over.args)
        )
        return frozenset((n.param.name,)) if known else frozenset()

    def _recursion(self, f: ir.Function) -> Iterator[Note]:
        """Recursion under a condition that is not known: its depth is not, either."""
        todo: list[tuple[ir.Node, bool]] = [(f.body, False)]
        while todo:
            n, decided = todo.pop()
            match n:
                case ir.Call(fn=ir.Global(name=name), args=args) if name in self.recursive:
                    if not decided:
                        yield self._too_deep(f, n)
                    todo += [(a, decided) for a in args]
                case ir.Global(name=name) if name in self.recursive and not decided:
                    yield self._too_deep(f, n)
                case ir.If(cond=cond, then=then, other=other):
                    known = decided or self._known(cond, self.static)
                    todo += [(cond, decided), (then, known), (other, known)]
                case _:
                    todo += [(child, decided) for child in ir.children(n)]

    def _too_deep(self, f: ir.Function, n: ir.Node) -> Note:
        name = f.name.partition("#")[0]
        message = f"how deep the recursion of `{name}` goes depends on what was drawn or computed"
        return Note(message, n.span or f.span)


def _walk(node: ir.Node) -> Iterator[ir.Node]:
    todo = [node]
    while todo:
        n = todo.pop()
        yield n
        todo.extend(ir.children(n))

"""Which data parameters' values decide shapes, and so are part of the compiled program's key.

One graph for the whole program: a node for each variable (names are unique) and each function's
result, an edge wherever a value may depend on another. Calls of unknown functions go through three
shared nodes, so every closure may meet every argument: an over-approximation. `len` reads only a
shape, and shapes are known by the time they are read, so no edge leaves its argument.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.signatures import PRIMITIVES, Distribution
from ppl.semantics.types import Fun

#: nodes that are no variables: spaces keep them apart from names
_SHAPE = " a shape"
_ARGUMENT = " an argument of an unknown function"
_RESULT = " a result of an unknown function"

Sources = frozenset[str]


def static_params(program: ir.Program) -> frozenset[str]:
    """The entry's parameters whose values flow into the size of something.

    That is: static arguments of primitives (`range(n)`), the limit of `iterate`, the guard of a
    comprehension, and what bounds the values of a discrete draw (`k ~ binomial(n, p)`), which are
    listed where it is summed out. Linear in the size of the program.
    """
    graph = _Graph(program)
    reached, todo = {_SHAPE}, [_SHAPE]
    while todo:
        new = graph.sources[todo.pop()] - reached
        reached |= new
        todo += new
    return frozenset(p.name for p in program.entry.params if p.name in reached)


def _item(t: T.Type) -> T.Type:
    return t.item if isinstance(t, (T.Dist, T.Measure)) else t


class _Graph:
    """`sources[v]` are the nodes that v depends on directly."""

    def __init__(self, program: ir.Program):
        self.program = program
        self.sources: defaultdict[str, set[str]] = defaultdict(set)
        for f in program.functions:
            self.flow(self.result(f.name), self.comp(f.body))

    def result(self, function: str) -> str:
        return f" the result of {function}"

    def flow(self, to: str, sources: Iterable[str]) -> None:
        self.sources[to].update(sources)

    def all(self, values: Iterable[ir.Value]) -> Sources:
        return frozenset().union(*map(self.value, values))

    def value(self, v: ir.Value) -> Sources:
        match v:
            case ir.Var(name=name):
                return frozenset((name,))
            case ir.Global(name=name):
                # used as a value: it may be called from anywhere
                for p in self.program.by_name[name].params:
                    self.flow(p.name, (_ARGUMENT,))
                self.flow(_RESULT, (self.result(name),))
                return frozenset()
            case ir.Lam(params=params, body=body):
                for p in params:
                    self.flow(p.name, (_ARGUMENT,))
                inside = self.comp(body)
                self.flow(_RESULT, inside)
                return inside
            case ir.Thunk(body=body):
                return self.comp(body)
            case ir.Op(op=op, args=args):
                sources = [self.value(a) for a in args]
                row = PRIMITIVES.get(op)
                for i in row.static if row is not None else ():
                    self.flow(_SHAPE, sources[i])
                used = frozenset().union(*sources)
                if any(isinstance(a.type, Fun) for a in args):  # it calls them
                    self.flow(_ARGUMENT, used)
                    used |= {_RESULT}
                return frozenset() if op == "len" else used
            case _:
                return self.all(c for c in ir.children(v) if isinstance(c, ir.Value))

    def bounds(self, d: ir.Op) -> None:
        """What bounds the values of a draw from `d` decides how many there are to list."""
        row = PRIMITIVES.get(d.op)
        if not isinstance(row, Distribution) or T.is_real(_item(d.type)):
            return
        listed = row.finite or d.op == "truncate"
        _, _, names = row.support.partition("(")
        for name, arg in zip(row.params, d.args, strict=True):
            if isinstance(arg.type, T.Dist):
                if isinstance(arg, ir.Op):
                    self.bounds(arg)
            elif listed and name in names.rstrip(")").split(",") and T.is_number(arg.type):
                self.flow(_SHAPE, self.value(arg))

    def comp(self, c: ir.Comp) -> Sources:
        match c:
            case ir.Block(binds=binds, result=result):
                for b in binds:
                    self.flow(b.name, self.comp(b.comp))
                return self.comp(result)
            case ir.Call(fn=ir.Global(name=name), args=args):
                for p, a in zip(self.program.by_name[name].params, args, strict=True):
                    self.flow(p.name, self.value(a))
                return frozenset((self.result(name),))
            case ir.Call(fn=fn, args=args):
                used = self.value(fn) | self.all(args)
                self.flow(_ARGUMENT, used)
                return used | {_RESULT}
            case ir.Run(measure=ir.Op() as measure):
                self.bounds(measure)
                return self.value(measure)
            case ir.Match(subject=subject, arms=arms):
                used = self.value(subject)
                for a in arms:
                    for p in a.params:
                        self.flow(p.name, used)
                return used.union(*(self.comp(a.body) for a in arms))
            case ir.For(param=param, over=over, body=body, guard=guard):
                used = self.value(over)
                self.flow(param.name, used)
                if guard is not None:
                    self.flow(_SHAPE, self.comp(guard))
                return self.comp(body)  # how many there are is a shape
            case ir.Scan(carry=carry, init=init, param=param, over=over, body=body):
                self.flow(param.name, self.value(over))
                self.flow(carry.name, self.value(init) | self.comp(body))
                return frozenset((carry.name,))
            case ir.Iterate(carry=carry, init=init, until=until, body=body, limit=limit):
                if limit is not None:
                    self.flow(_SHAPE, self.value(limit))
                inner = self.value(init) | self.comp(until) | self.comp(body)
                self.flow(carry.name, inner)
                return frozenset((carry.name,))
            case _:
                parts = (
                    self.comp(n) if isinstance(n, ir.Comp) else self.value(n)  # type: ignore[arg-type]
                    for n in ir.children(c)
                )
                return frozenset().union(*parts)

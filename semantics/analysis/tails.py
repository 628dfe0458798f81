"""Tail recursion: a function whose calls of itself are all the last thing that it runs.

A pure function calls itself in tail position. One that gives a measure runs itself there: where
`run_form` has moved its pure part inside the measure, every call of itself is bound to a variable
that is only run, in tail position:

    def walk(n) = return thunk { x <- …; if x then return n else { w <- call @walk(n + 1); run w } }

One step of the loop it stands for runs the body once: it ends in a result or in new arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.ir_map import nodes

Path = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TailRecursion:
    """`body` is run once a step. `calls`: variables bound to a call of itself (measures only).
    `places`: the paths, seen from the body's, at which it runs itself."""

    function: ir.Function
    body: ir.Comp
    calls: frozenset[str]
    places: tuple[Path, ...]

    @property
    def name(self) -> str:
        """As the user wrote it."""
        return self.function.name.partition("#")[0]

    @property
    def measure(self) -> bool:
        """Whether it is what the function returns that repeats itself."""
        return bool(self.calls)


def tail_recursion(f: ir.Function) -> TailRecursion | None:
    """The loop that a function is, if it calls itself, in tail position only."""
    mentions = _mentions(f.body, f.name)
    if not mentions:
        return None
    ends = list(_ends(f.body, (), f.name, frozenset()))
    if len(ends) == mentions:
        return TailRecursion(f, f.body, frozenset(), tuple(dict.fromkeys(ends)))
    if not (isinstance(f.type, T.Fun) and isinstance(f.type.result, T.Measure)):
        return None
    body = run_form(f.body, f.name)
    found = list(nodes(body))
    bound = [
        b.name
        for n in found
        if isinstance(n, ir.Block)
        for b in n.binds
        if calls_itself(b.comp, f.name)
    ]
    calls = frozenset(bound)
    uses = sum(isinstance(n, ir.Var) and n.name in calls for n in found)
    ends = list(_ends(body, (), f.name, calls))
    if not calls or len(bound) != _mentions(body, f.name) or len(ends) != uses:
        return None
    return TailRecursion(f, body, calls, tuple(dict.fromkeys(ends)))


def _mentions(body: ir.Comp, name: str) -> int:
    return sum(isinstance(n, ir.Global) and n.name == name for n in nodes(body))


def run_form(comp: ir.Comp, name: str) -> ir.Comp:
    """What running the measure that a pure computation returns does."""
    measure = comp.type
    assert isinstance(measure, T.Measure)
    match comp:
        case ir.Block(binds=binds, result=result):
            return ir.Block(measure.item, binds, run_form(result, name), span=comp.span)
        case ir.If(cond=cond, then=then, other=other):
            arms = run_form(then, name), run_form(other, name)
            return ir.If(measure.item, cond, *arms, span=comp.span)
        case ir.Return(value=ir.Thunk(body=body)):
            return body
        case ir.Return(value=value):
            return ir.Run(measure.item, value, span=comp.span)
        case _:  # names that are in no program: nothing is captured
            variable = f"{name} again" if calls_itself(comp, name) else f"{name} other"
            run = ir.Run(measure.item, ir.Var(measure, variable), span=comp.span)
            return ir.Block(measure.item, (ir.Bind(variable, comp),), run, span=comp.span)


def calls_itself(comp: ir.Comp, name: str) -> bool:
    """Whether a computation is a call of the top-level function `name`."""
    return isinstance(comp, ir.Call) and isinstance(comp.fn, ir.Global) and comp.fn.name == name


def last(block: ir.Block) -> tuple[tuple[ir.Bind, ...], ir.Comp]:
    """The bindings of a block before what it runs last, and that: `x <- c; return x` runs c."""
    *before, end = block.binds or (None,)
    match block.result:
        case ir.Return(value=ir.Var(name=name)) if end is not None and end.name == name:
            return tuple(before), end.comp  # type: ignore[arg-type]
    return block.binds, block.result


def _ends(comp: ir.Comp, path: Path, name: str, calls: frozenset[str]) -> Iterator[Path]:
    """Where a computation ends in running the function again."""
    match comp:
        case ir.Block():
            yield from _ends(last(comp)[1], path, name, calls)
        case ir.At(step=step, body=body, keep=False):
            yield from _ends(body, (*path, step), name, calls)
        case ir.If(then=then, other=other):
            yield from _ends(then, path, name, calls)
            yield from _ends(other, path, name, calls)
        case ir.Run(measure=ir.Var(name=variable)) if variable in calls:
            yield path
        case _ if not calls and calls_itself(comp, name):
            yield path

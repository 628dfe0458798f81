"""A program cut at its loop over data, so that the loop can go on with more rows.

    before: data → what the loop and what follows it read, and the first state
    again:  that, a state, rows → the loop on these rows
    after:  that, the loop's value → what follows

Law: the program on data and more rows is `before`, `again` on the rows in any number of pieces, one
after the other, and `after`. That holds where the rows enter the loop as its elements, one by one
and in order, and nothing that was computed before its end depends on them otherwise: of what
follows the loop anything may be computed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.effects import main_block
from ppl.semantics.analysis.forms import walk
from ppl.semantics.diagnostics import fail
from ppl.semantics.ir_names import Fresh
from ppl.semantics.op_types import op_type
from ppl.semantics.passes.holes import with_entry


@dataclass(frozen=True, eq=False)
class Resumable:
    """loop: of the program itself. rows: the parameters whose elements it goes over. path: the
    names that it runs under; keeps: whether results have its value there. live: what it and what
    follows it read, of what was computed before.

    again, after: programs, whose parameters are those that they read of `live`, the program's data,
    and `state`, `first` (the number of the first row), `value` (of the loop). again_loop: its loop.
    """

    loop: ir.Scan
    rows: tuple[str, ...]
    path: tuple[str, ...]
    keeps: bool
    live: tuple[str, ...]
    again: ir.Program
    again_loop: ir.Scan
    after: ir.Program
    state: str
    first: str
    value: str

    @property
    def value_is_read(self) -> bool:
        """Whether what follows the loop reads its value."""
        return any(p.name == self.value for p in self.after.entry.params)


@lru_cache(maxsize=64)  # filters ask for it at every run
def resumable(program: ir.Program) -> Resumable:
    """The program at the last loop of its main block that goes over data.

    Raises:
        DiagnosticError: E874, there is none, or what it goes over is read elsewhere.
    """
    main, data = main_block(program), {p.name: p for p in program.entry.params}
    binds, result = (main.binds, main.result) if isinstance(main, ir.Block) else ((), main)
    fresh = Fresh(program)
    last = ir.Bind(fresh.name("end"), result)
    lines = (*binds, last)
    for k in reversed(range(len(lines))):
        path, loop, keeps = under(lines[k].comp)
        if isinstance(loop, ir.Scan) and loop.effectful:
            rows = tuple(dict.fromkeys(_rows(loop.over, data)))
            if rows:
                break
    else:
        raise fail(
            "E874",
            f"`{program.main}` has no loop that could go on: none of its own goes over data alone, "
            "step by step",
            span=program.entry.span,
            hint="let the model itself go over the rows: scan x = x0 for y in ys { … }",
        )
    _read_only_there(program, rows, [b.comp for b in lines[:k]], loop)
    if k == len(lines) - 1:
        rest: ir.Comp = ir.Return(last.comp.type, ir.Var(last.comp.type, last.name))
    else:
        rest = ir.Block(main.type, binds[k + 1 :], result, span=main.span)
    state, first, value = fresh.name("state"), fresh.name("first"), lines[k].name
    types = {b.name: b.comp.type for b in lines[:k]}
    read = (loop.body.free - {loop.carry.name, loop.param.name}) | (rest.free - {value})
    live = tuple(name for name in types if name in read)
    counter = ir.Var(T.NAT, first)
    again_loop = replace(_numbered(loop, counter, fresh), init=ir.Var(loop.carry.type, state))
    again = placed(lines[k].comp, again_loop)
    given = {n: t for n, t in types.items() if n in live}
    given |= {state: loop.carry.type, first: T.NAT, value: lines[k].comp.type}
    return Resumable(
        loop,
        rows,
        path,
        keeps,
        live,
        running(program, again, given),
        again_loop,
        running(program, rest, given),
        state,
        first,
        value,
    )


def under(c: ir.Comp) -> tuple[tuple[str, ...], ir.Comp, bool]:
    """The names that a statement runs something under, what that is, and whether it is kept."""
    path: tuple[str, ...] = ()
    keeps = False
    while isinstance(c, ir.At):
        path, c, keeps = (*path, c.step), c.body, c.keep
    return path, c, keeps


def placed(c: ir.Comp, inside: ir.Comp) -> ir.Comp:
    return replace(c, body=placed(c.body, inside)) if isinstance(c, ir.At) else inside


def _rows(over: ir.Value, data: Iterable[str]) -> Iterator[str]:
    """The parameters whose elements a loop goes over, if it goes over nothing else."""
    match over:
        case ir.Var(name=name) if name in data:
            yield name
        case ir.Op(op="zip" | "enumerate", args=args):
            each = [tuple(_rows(a, data)) for a in args]
            if all(each) and not any(_counts(a) for a in args):
                for names in each:
                    yield from names


def _counts(over: ir.Value) -> bool:
    return isinstance(over, ir.Op) and over.op == "enumerate"


def _read_only_there(
    program: ir.Program, rows: tuple[str, ...], before: list[ir.Comp], loop: ir.Scan
) -> None:
    """Raise E874 if rows are read otherwise than as the loop's elements, before its end."""
    for where, c in (*(("before the loop", c) for c in (*before, loop.init)), ("in it", loop.body)):
        for name in sorted(c.free & set(rows)):
            read = next(n for n in walk(c) if isinstance(n, ir.Var) and n.name == name)
            raise fail(
                "E874",
                f"`{program.main}` cannot go on with more of `{name}`: all of it is read {where}, "
                "which more rows would change",
                span=read.span or c.span or loop.span,
                hint="read each row where the loop comes to it: for y in ys, for (t, y) in "
                "enumerate(ys), for (x, y) in zip(xs, ys)",
            )


def _numbered(loop: ir.Scan, first: ir.Var, fresh: Fresh) -> ir.Scan:
    """A loop over numbered elements, whose numbers begin later."""
    if not _counts(loop.over):
        return loop
    t = loop.param.type
    assert isinstance(t, T.Tuple)
    pair = ir.Var(t, fresh.name(loop.param.name))
    number = ir.Proj(T.NAT, pair, 0)
    sum_ = ir.Op(op_type("add", (T.NAT, T.NAT)), "add", (number, first))
    later = ir.MakeTuple(t, (sum_, ir.Proj(t.items[1], pair, 1)))
    body = ir.Block(
        loop.body.type,
        (ir.Bind(loop.param.name, ir.Return(t, later)),),
        loop.body,
        span=loop.body.span,
    )
    return replace(loop, param=ir.Param(pair.name, t), body=body)


def running(
    program: ir.Program, run: ir.Comp, given: Mapping[str, T.Type] = MappingProxyType({})
) -> ir.Program:
    """The program that runs a computation, with what it reads as parameters."""
    more = [ir.Param(n, t) for n, t in given.items() if n in run.free]
    whole = with_entry(program, more, run)
    entry = whole.entry
    params = tuple(p for p in entry.params if p.name in run.free)
    assert isinstance(entry.type, T.Fun)
    fun = T.Fun(tuple(p.type for p in params), entry.type.result)
    small = replace(entry, params=params, type=fun)
    return replace(whole, functions=tuple(small if f is entry else f for f in whole.functions))

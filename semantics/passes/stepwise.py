"""A program cut at its last loop that scores, so that it can be taken step by step.

    before: data → what the loop and what follows it read, and the first state
    over:   that → the elements that the loop goes over
    again:  that, a state, elements → the loop on these
    after:  that, the loop's value → what follows

Law: the program is `before`, `again` on its elements in any number of pieces, one after the other,
and `after`. (`resumable` cuts loops whose data may grow, of which fewer things can be known.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.effects import Effects, main_block
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes.resumable import placed, running, under


@dataclass(frozen=True, eq=False)
class Stepwise:
    """loop: of the program itself. live: what it, its elements and what follows it read, of what
    was computed before.

    before: its result is a tuple of `live` and of the first state. over: its result is an array.
    again, after: their parameters are those that they read of `live`, the program's data, and
    `state`, `rows`, `value` (of the loop). again_loop: the loop of `again`.
    """

    loop: ir.Scan
    live: tuple[str, ...]
    before: ir.Program
    over: ir.Program
    again: ir.Program
    again_loop: ir.Scan
    after: ir.Program
    state: str
    rows: str
    value: str


def stepwise(program: ir.Program) -> Stepwise:
    """The program, cut.

    Raises:
        DiagnosticError: E730, its main block has no loop that scores.
    """
    main, effects = main_block(program), Effects(program)
    binds, result = (main.binds, main.result) if isinstance(main, ir.Block) else ((), main)
    fresh = Fresh(program)
    lines = (*binds, ir.Bind(fresh.name("end"), result))
    for k in reversed(range(len(lines))):
        _, loop, _ = under(lines[k].comp)
        if isinstance(loop, ir.Scan) and effects.scores(loop):
            break
    else:
        raise without_steps(program.entry)
    rest: ir.Comp = ir.Return(lines[k].comp.type, ir.Var(lines[k].comp.type, lines[k].name))
    if k < len(lines) - 1:
        rest = ir.Block(main.type, binds[k + 1 :], result, span=main.span)
    state, rows, value = fresh.name("state"), fresh.name("rows"), lines[k].name
    types = {b.name: b.comp.type for b in lines[:k]}
    read = loop.over.free | (loop.body.free - {loop.carry.name, loop.param.name})
    read |= rest.free - {value}
    live = tuple(name for name in types if name in read)
    own = replace(loop, init=ir.Var(loop.carry.type, state), over=ir.Var(loop.over.type, rows))
    given = {name: types[name] for name in live}
    given |= {state: loop.carry.type, rows: loop.over.type, value: lines[k].comp.type}
    begun = T.Tuple((*(types[name] for name in live), loop.init.type))
    items = (*(ir.Var(types[name], name) for name in live), loop.init)
    return Stepwise(
        loop,
        live,
        running(program, ir.Block(begun, lines[:k], ir.Return(begun, ir.MakeTuple(begun, items)))),
        running(program, ir.Return(loop.over.type, loop.over), given),
        running(program, placed(lines[k].comp, own), given),
        own,
        running(program, rest, given),
        state,
        rows,
        value,
    )


def without_steps(node: ir.Function | ir.Scan) -> DiagnosticError:
    return fail(
        "E730",
        "filters go on step by step, and there is no loop in the main block that scores",
        span=node.span,
        hint="leave the choice of the engine to the compiler: engine='auto'",
    )

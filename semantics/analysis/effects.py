"""Which computations may score, and which may suspend: fixed points over the program.

Suspension points: the end of each scoring statement of the main block, each step of a `scan`,
`fold` or `iterate` with effects, each `checkpoint`. A `for` is one point unless its body contains
`checkpoint`: no loop in it has points of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.forms import RunCall, run_body, walk

_LOOPS = (ir.Scan, ir.Iterate)


def is_checkpoint(c: ir.Node) -> bool:
    return isinstance(c, ir.Score) and isinstance(c.value, ir.Op) and c.value.op == "checkpoint"


def main_block(program: ir.Program) -> ir.Comp:
    """What the entry runs."""
    return run_body(program.entry.body)


def last_effect(c: ir.Comp) -> ir.Comp | None:
    """The statement of a block, or of blocks in it, behind which nothing is drawn or scored."""
    last = c
    while isinstance(last, (ir.Block, ir.At)):
        if isinstance(last, ir.At):
            last = last.body
            continue
        parts = [*(b.comp for b in last.binds), last.result]
        effects = [part for part in parts if part.effectful]
        if not effects:
            return None
        last = effects[-1]
    return last


class Effects:
    """Facts about the computations of one program."""

    def __init__(self, program: ir.Program):
        self.program = program
        self.has_checkpoint = self._reaching(is_checkpoint)
        self._scores = self._reaching(
            lambda n: (
                isinstance(n, ir.Observe) or (isinstance(n, ir.Score) and not is_checkpoint(n))
            )
        )
        self._callee = {
            b.name: b.comp.fn.name
            for f in program.functions
            for n in walk(f.body)
            if isinstance(n, ir.Block)
            for b in n.binds
            if isinstance(b.comp, ir.Call) and isinstance(b.comp.fn, ir.Global)
        }
        self._unknown_scores = False
        self._unknown_scores = any(
            self.scores(n.body)
            for f in program.functions
            for n in walk(f.body)
            if isinstance(n, ir.Thunk)
        )
        self._suspends: dict[str, bool] = {f.name: False for f in program.functions}
        self._unknown_suspends = False
        while True:
            before = dict(self._suspends), self._unknown_suspends
            for f in program.functions:
                self._suspends[f.name] = self.suspends(run_body(f.body))
            self._unknown_suspends = any(
                self.suspends(n.body)
                for f in program.functions
                if f.name != program.main
                for n in walk(f.body)
                if isinstance(n, ir.Thunk)
            ) or any(
                self.suspends(n.body) for n in walk(main_block(program)) if isinstance(n, ir.Thunk)
            )
            if before == (self._suspends, self._unknown_suspends):
                break

    def _reaching(self, holds: Callable[[ir.Node], bool]) -> frozenset[str]:
        """The functions in whose code, or that of the functions they mention, a node holds."""
        direct = {f.name for f in self.program.functions if any(map(holds, walk(f.body)))}
        mentions = {
            f.name: {n.name for n in walk(f.body) if isinstance(n, ir.Global)}
            for f in self.program.functions
        }
        while True:
            more = {name for name, callees in mentions.items() if callees & direct} - direct
            if not more:
                return frozenset(direct)
            direct |= more

    def scores(self, c: ir.Comp) -> bool:
        """Whether running `c` may score."""
        for n in walk(c):
            if isinstance(n, ir.Observe) or (isinstance(n, ir.Score) and not is_checkpoint(n)):
                return True
            if isinstance(n, ir.Global) and n.name in self._scores:
                return True
            if isinstance(n, ir.Run) and isinstance(n.measure.type, T.Measure):
                if isinstance(n.measure, (ir.Op, ir.Thunk)):
                    continue  # what they hold is seen by itself
                callee = self._callee_of(n.measure)
                if callee in self._scores if callee else self._unknown_scores:
                    return True
        return False

    def _callee_of(self, measure: ir.Value) -> str | None:
        """The top-level function that a measure is a call of, if that is known."""
        return self._callee.get(measure.name) if isinstance(measure, ir.Var) else None

    def stops(self, c: ir.Comp) -> bool:
        """Whether `c` contains a `checkpoint`, itself or in a function that it mentions."""
        return any(
            is_checkpoint(n) or (isinstance(n, ir.Global) and n.name in self.has_checkpoint)
            for n in walk(c)
        )

    def suspends(self, c: ir.Comp) -> bool:
        """Whether running `c` may reach a suspension point (but for the main block's own)."""
        if not c.effectful and not isinstance(c, (ir.Block, ir.Call)):
            return False
        match c:
            case ir.Score():
                return is_checkpoint(c)
            case ir.Scan() | ir.Iterate():
                return c.effectful
            case ir.For(body=body):
                return self.stops(body)
            case RunCall(call=ir.Call(fn=ir.Global(name=name))):
                return self._suspends[name]
            case ir.Run(measure=measure):
                return self._may_suspend(measure)
            case ir.Call(fn=fn):
                return not isinstance(fn, ir.Global) and self._unknown_suspends
            case ir.Block(binds=binds, result=result):
                return any(self.suspends(b.comp) for b in binds) or self.suspends(result)
            case _:
                return any(self.suspends(n) for n in ir.children(c) if isinstance(n, ir.Comp))

    def _may_suspend(self, measure: ir.Value) -> bool:
        if isinstance(measure, ir.Thunk):
            return self.suspends(measure.body)
        if isinstance(measure.type, T.Dist):
            return False
        if isinstance(measure, ir.Op):
            return measure.op == "iid" and self._unknown_suspends
        callee = self._callee_of(measure)
        return self._suspends[callee] if callee else self._unknown_suspends

    def is_point(self, c: ir.Comp) -> bool:
        """Whether the end of a statement of the main block is a point, beside those inside it."""
        body = c
        while isinstance(body, ir.At):
            body = body.body
        return self.scores(c) and not isinstance(body, _LOOPS)

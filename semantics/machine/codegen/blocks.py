"""Block code: computations as blocks between which a run is a value.

A frame is a tuple (block, parent, path, state…, live variables…); `block(s, frame, v)` goes on with
v, the value that the frame waited for, and returns the next frame and the value for it. A block
runs what need not be a frame in line, as direct code. In `a` blocks every call of the language is a
frame; in `b` blocks only what may suspend. A `b` block has a twin `a` block with the same frame, in
which it is run again if its direct code is too deep.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.effects import is_checkpoint
from ppl.semantics.analysis.forms import RunCall, guarded_body, iid_loop
from ppl.semantics.machine.codegen.direct import Direct, run_call
from ppl.semantics.machine.codegen.targets import Path, Target
from ppl.semantics.machine.codegen.unit import Loop, Piece, Unit


@dataclass(frozen=True, eq=False)
class Later:
    """A block: what its frame holds, and how its code is emitted once that is unpacked.

    path: the variable of the path it begins at. state: what changes from one run of the block to
    the next (a loop's). live: what else its code reads.
    """

    number: int
    path: str | None
    state: tuple[str, ...]
    live: tuple[str, ...]
    emit: Callable[[Block, Path], None]
    place: Any


class Block(Direct):
    """Emits one block. `k` and `v` are its parent frame and the value that it was given."""

    def __init__(self, unit: Unit, letter: str, place: Any, piece: Piece | None = None):
        super().__init__(unit)
        self.letter, self.place = letter, place
        #: the function or measure that the block is the entry of
        self.enters = piece
        #: the block itself, if it gives its value to frames of its own
        self.again_at: str | None = None
        self.needed: list[Later] = []

    # ------------------------------------------------------------------------------ what is split

    def splits(self, c: ir.Comp) -> bool:
        """Whether running `c` needs frames."""
        unit = self.unit
        if unit.options.suspends and (unit.has_points(c) or unit.effects.suspends(c)):
            return True
        return self.letter == "a" and calling(c)

    # ------------------------------------------------------------------------------------- frames

    def later(
        self,
        key: Any,
        nodes: Sequence[ir.Node],
        bound: tuple[str, ...],
        path: Path,
        emit: Callable[[Block, Path], None],
        state: tuple[str, ...] = (),
    ) -> Later:
        """The block for `key`, which reads what `nodes` do but for what is `bound`."""
        if key not in self.unit.laters:
            live = tuple(sorted(self.unit.free(nodes, frozenset(bound))))
            variable = None if path is None else self.unit.names.fresh("p")
            self.unit.names.count += 1
            number = self.unit.names.count
            self.unit.laters[key] = Later(number, variable, state, live, emit, self.place)
        return self.unit.laters[key]

    def frame(self, block: Later, path: Path, state: list[str], parent: str) -> str:
        self.needed.append(block)
        where = [] if block.path is None else [self.where(path)]
        return (
            f"({', '.join([f'{self.letter}{block.number}', parent, *where, *state, *block.live])})"
        )

    def go_on(self, text: str) -> None:
        self.put(f"return {text}, 0")  # what is entered reads no value

    def finish(self, text: str, t: Target) -> None:
        if t.kind == "give" and t.name.startswith(SUSPENDED):  # stop there at once
            self.put(f"return (), ({t.name.removeprefix(SUSPENDED)[:-1]}, {text})")
        elif t == Target("give", "k") and self.again_at is not None:
            # a frame of the same block waits for it: as a recursion comes back
            self.put(f"v = {text}")
            self.put(f"if k[0] is {self.again_at}:")
            self.indent += 1
            if self.unit.options.fueled:
                self.burn(self.place)
            self.put("continue")
            self.indent -= 1
            self.put("return k, v")
            self.jumps = True
        else:
            super().finish(text, t)

    # --------------------------------------------------------------------------------------- code

    def tail(self, c: ir.Comp, path: Path, k: str) -> None:
        """Run `c` and give its value to the frame `k`; ends the block."""
        if id(c) in self.unit.points:
            k = suspended(k)
        if self.splits(c):
            getattr(self, "_t_" + type(c).__name__.lower())(c, path, k)
        else:
            self.comp(c, path, Target("give", k))

    def _t_block(self, c: ir.Block, path: Path, k: str) -> None:
        for i, b in enumerate(c.binds):
            fused = b.name in self.unit.fused and isinstance(b.comp, ir.Call)
            point = id(b.comp) in self.unit.points
            if fused or not (point or self.splits(b.comp)):
                self.bind(c, i, b, path)
                continue
            rest = self.unit.rest(c, i)
            if not point and _is_variable(rest, b.name):  # in tail position
                self.tail(b.comp, path, k)
                return

            def emit(block: Block, path: Path, rest: ir.Comp = rest, name: str = b.name) -> None:
                if name in rest.free:
                    block.put(f"{block.unit.variable(name)} = v")
                block.tail(rest, path, "k")

            block = self.later(("rest", id(rest)), [rest], (b.name,), path, emit)
            silent = is_checkpoint(b.comp) and b.name not in rest.free
            after = self.entered(rest, path, k) if silent else None
            self.tail(b.comp, path, self.as_atom(after or self.frame(block, path, [], k)))
            return
        self.tail(c.result, path, k)

    def entered(self, c: ir.Comp, path: Path, k: str) -> str | None:
        """The frame that `c` enters, if that is all it does, with arguments that sums and products
        give: they are computed before a suspension rather than after it, which nothing can tell."""
        trial = Block(self.unit, self.letter, self.place)
        trial.tail(c, path, k)
        match trial.lines:
            case [line] if line.startswith(" return (") and line.endswith("), 0"):
                frame = line.removeprefix(" return ").removesuffix(", 0")
                if all(isinstance(n, _SUMS) for n in ast.walk(ast.parse(frame, mode="eval").body)):
                    self.needed += trial.needed
                    return frame
        return None

    def _t_at(self, c: ir.At, path: Path, k: str) -> None:
        keeps = c.keep and self.unit.options.named
        stepped = keeps or self.uses_path(c.body)
        inner = self.step(path, c.step) if stepped else path
        if keeps:
            k = self.as_atom(f"(q_kept, {k}, {self.where(inner)}, {self.constant(c.type)})")
        self.settable_tail(c.body, inner, k, settable=stepped)

    def settable_tail(self, c: ir.Comp, path: Path, k: str, *, settable: bool) -> None:
        """As `tail`, unless the value at this path is set from outside."""
        if settable and self.unit.options.settable:
            found = self.as_atom(self.set_at(c, path))
            self.put(f"if {found}: return {k}, {found}[0]")
            k = self.as_atom(f"(q_put_block, {k}, {self.where(path)})")
        self.tail(c, path, k)

    def _t_if(self, c: ir.If, path: Path, k: str) -> None:
        self.put(f"if {self.forced(c.cond)}:")
        self.indent += 1
        self.tail(c.then, path, k)
        self.indent -= 1
        self.tail(c.other, path, k)

    def _t_match(self, c: ir.Match, path: Path, k: str) -> None:
        subject = self.as_atom(self.forced(c.subject))
        tag = self.as_atom(f"{subject}[0]")
        for arm in c.arms:
            if arm.constructor is None or arm is c.arms[-1]:
                self.fields(arm, subject)
                self.tail(arm.body, path, k)
                return
            self.put(f"if {tag} == {self.unit.constructors.number(arm.constructor)}:")
            self.indent += 1
            self.fields(arm, subject)
            self.tail(arm.body, path, k)
            self.indent -= 1

    # -------------------------------------------------------------------------------------- calls

    def enter(self, head: str, k: str, args: list[str]) -> None:
        self.go_on(f"({', '.join([head, k, *args])})")

    def enter_piece(self, piece: Piece, k: str, path: str | None, args: list[str]) -> None:
        """Enter a function: another, or this one again, which is a jump."""
        if piece is not self.enters:
            head = [] if path is None else [path]
            self.enter(f"{self.letter}{piece.number}", k, [*head, *args])
            return
        if self.unit.options.fueled:
            self.burn(self.place)
        names = ["k", *([piece.path] if piece.path else []), *piece.variables]
        values = [k, *([] if path is None else [path]), *args]
        self.assign(names, values)
        self.put("continue")
        self.jumps = True

    @property
    def entry(self) -> int:
        """Which block of a function or measure value is entered."""
        return 1 if self.letter == "a" else 2

    def _t_call(self, c: ir.Call, path: Path, k: str) -> None:
        args = self.arguments(c.args)
        if isinstance(c.fn, ir.Global):
            self.enter_piece(self.unit.function(c.fn.name, run=False), k, None, args)
        else:
            f = self.as_atom(self.forced(c.fn))
            self.enter(f"{f}[{self.entry}]", k, [f, *args])

    def _t_runcall(self, c: RunCall, path: Path, k: str) -> None:
        assert isinstance(c.call.fn, ir.Global)
        args = self.arguments(c.call.args)
        piece = self.unit.function(c.call.fn.name, run=True)
        self.enter_piece(piece, k, self.where(path), args)

    def _t_run(self, c: ir.Run, path: Path, k: str) -> None:
        m = c.measure
        match m:
            case ir.Thunk(body=body):
                self.tail(body, path, k)
            case ir.Var(name=name) if name in self.unit.pending:
                self.tail(self.unit.rewritten(self.unit.pending[name], run_call), path, k)
            case ir.Op(op="iid") if not isinstance(m.type, T.Dist):
                self.tail(self.unit.rewritten(m, iid_loop), path, k)
            case _:
                f = self.as_atom(self.forced(m))
                self.enter(f"{f}[{self.entry}]", k, [f, self.where(path)])

    def _t_score(self, c: ir.Score, path: Path, k: str) -> None:
        self.put(f"return (), ({k}, 0)")  # a checkpoint: other scores do not split

    # -------------------------------------------------------------------------------------- loops

    def again(self, block: Later, path: Path, k: str, point: bool) -> str:
        """The frame that a loop's body gives its value to."""
        frame = self.as_atom(self.frame(block, path, list(block.state), k))
        return suspended(frame) if point else frame

    def _t_for(self, c: ir.For, path: Path, k: str) -> None:
        body = c.body if c.guard is None else self.unit.rewritten(c, guarded_body)
        gather = "q_gather" if c.guard is None else "q_gather_some"
        x = self.unit.variable(c.param.name)

        def emit(block: Block, path: Path) -> None:
            i, acc, xs = later.state
            block.put(f"{i} += 1")
            block.put(f"if {i}: {acc} = ({acc}, v)")
            block.put(f"if {i} == q_len({xs}): return k, {gather}({acc})")
            block.put(f"{x} = {xs}[{i}]")
            block.settable_tail(
                body,
                block.inside(path, i, body),
                block.again(later, path, "k", False),
                settable=c.guard is None and path is not None and block.uses_path(body),
            )

        state = (self.fresh(), self.fresh(), self.fresh())
        later = self.later(("for", id(c)), [body], (c.param.name,), path, emit, state)
        start = ["-1", self.constant(None), self.as_atom(self.value(c.over))]
        self.go_on(self.frame(later, path, start, k))

    def _t_scan(self, c: ir.Scan, path: Path, k: str) -> None:
        carry, x = self.unit.variable(c.carry.name), self.unit.variable(c.param.name)
        point = self.unit.options.suspends and c.effectful

        def emit(block: Block, path: Path) -> None:
            i, acc, xs, carry = later.state
            block.put(f"{i} += 1")
            block.put(f"if {i}:")
            block.put(f" {carry} = v")
            if c.keep == "all":
                block.put(f" {acc} = ({acc}, v)")
            result = f"q_gather({acc})" if c.keep == "all" else carry
            block.put(f"if {i} == q_len({xs}): return k, {result}")
            block.put(f"{x} = {xs}[{i}]")
            block.settable_tail(
                c.body,
                block.inside(path, i, c.body),
                block.again(later, path, "k", point),
                settable=c.keep == "all" and path is not None and block.uses_path(c.body),
            )

        state = (self.fresh(), self.fresh(), self.fresh(), carry)
        bound = (c.param.name, c.carry.name)
        later = self.later(("scan", id(c)), [c.body], bound, path, emit, state)
        plain = point and not self.unit.effects.suspends(c.body)
        at = 4 + (later.path is not None)
        self.unit.loops[id(c)] = Loop(later.number, at, plain, c is self.unit.last)
        init, over = self.as_atom(self.value(c.init)), self.as_atom(self.value(c.over))
        self.go_on(self.frame(later, path, ["-1", self.constant(None), over, init], k))

    def _t_iterate(self, c: ir.Iterate, path: Path, k: str) -> None:
        """Two blocks: one makes the test, the other, given its outcome, a step."""
        carry = self.unit.variable(c.carry.name)
        point = self.unit.options.suspends and c.effectful

        def test(block: Block, path: Path) -> None:
            i, most, carry = tested.state
            block.put(f"{i} += 1")
            block.put(f"if {i}: {carry} = v")
            after = block.later(key, nodes, bound, path, step, tested.state)
            block.tail(c.until, None, block.again(after, path, "k", False))

        def step(block: Block, path: Path) -> None:
            i, most, carry = tested.state
            block.put(f"if v or {i} >= {most}: return k, {carry}")
            block.tail(c.body, block.inside(path, i, c.body), block.again(tested, path, "k", point))

        key, nodes, bound = ("step", id(c)), [c.until, c.body], (c.carry.name,)
        state = (self.fresh(), self.fresh(), carry)
        tested = self.later(("test", id(c)), nodes, bound, path, test, state)
        init = self.as_atom(self.value(c.init))
        limit = "q_forever" if c.limit is None else self.as_atom(self.forced(c.limit))
        self.go_on(self.frame(tested, path, ["-1", limit, init], k))

    def inside(self, path: Path, index: str, body: ir.Comp) -> Path:
        return self.at_index(path, index) if path is not None and self.uses_path(body) else path


#: how a frame that stops the run before it goes on in its parent begins
SUSPENDED = "(q_suspend, "
#: what sums and products are made of
_SUMS = (ast.Tuple, ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.operator)


def suspended(k: str) -> str:
    """The frame at which a run stops before it goes on in `k`."""
    return f"{SUSPENDED}{k})"


#: measures that are run without frames of their own
_IN_LINE = frozenset(
    ("mem", "lazy", "gaussian_process", "normalize_importance", "normalize_rejection")
)


def calling(c: ir.Comp) -> bool:
    """Whether `c` calls a function of the language, or runs a measure that may."""
    match c:
        case ir.Call() | RunCall():
            return True
        case ir.Run(measure=ir.Thunk(body=body)):
            return calling(body)
        case ir.Run(measure=measure):
            simple = isinstance(measure, ir.Op) and measure.op in _IN_LINE
            return not isinstance(measure.type, T.Dist) and not simple
        case _:
            return any(calling(n) for n in ir.children(c) if isinstance(n, ir.Comp))


def _is_variable(c: ir.Comp, name: str) -> bool:
    return isinstance(c, ir.Return) and isinstance(c.value, ir.Var) and c.value.name == name

"""One compilation: a program as the source of a module, and the objects bound to its names.

Every piece of code exists as *direct* code, functions `f…`, and as blocks `a…`, in which every call
of the language is a new frame, so that depth is bounded by memory. Where runs can be suspended
there are also blocks `b…`, in which only what may suspend is a frame, and the rest runs direct.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ppl.semantics import ir
from ppl.semantics.analysis import recursive_functions
from ppl.semantics.analysis.effects import Effects, last_effect, main_block
from ppl.semantics.analysis.forms import RunCall, fused_calls, run_body, walk
from ppl.semantics.diagnostics import Span
from ppl.semantics.machine import arrays, rational
from ppl.semantics.machine.codegen.names import Names
from ppl.semantics.machine.values import Constructors


@dataclass(frozen=True)
class Options:
    """named: record sites, kept values and observations. fueled: count steps in direct code.
    suspends: compile suspension points. rational: numbers are fractions. settable: names may be set
    from outside (they are recorded, too). keyed: draws are in line, for runs whose randomness is a
    `MachineKey` throughout."""

    named: bool = False
    fueled: bool = False
    suspends: bool = False
    rational: bool = False
    settable: bool = False
    keyed: bool = False


@dataclass(frozen=True, eq=False)
class Piece:
    """One function of the generated module.

    variables: parameters, as Python names. captured: what a closure holds, or None if it is no
    closure. path: the variable of its path, if it is run and not just called. counted: its calls
    may go on for ever, and count as steps.
    """

    number: int
    comp: ir.Comp
    variables: tuple[str, ...]
    captured: tuple[str, ...] | None
    path: str | None
    place: tuple[str, Span | None]
    main: bool = False
    key: Any = None
    counted: bool = False


class Loop(NamedTuple):
    """A scan as blocks. number: its block's. at: where its frame holds the elements, behind the
    number of the step and what is gathered. plain: whether a run stops once a step, at its end.
    last: whether no run draws, scores or stops behind the loop."""

    number: int
    at: int
    plain: bool
    last: bool


class Unit:
    """What the emitters share."""

    def __init__(self, program: ir.Program, options: Options):
        self.program, self.options = program, options
        self.effects = Effects(program)
        self.recursive = recursive_functions(program)
        self.fused = fused_calls(program)
        self.names = Names()
        self.constructors = Constructors()
        self.env: dict[str, str] = {}
        self.pending: dict[str, ir.Call] = {}
        self.pieces: dict[Any, Piece] = {}
        self.todo: list[Piece] = []
        self._rewritten: dict[Any, Any] = {}
        self._runs: dict[int, tuple[ir.Comp, bool]] = {}
        self.laters: dict[Any, Any] = {}
        self.loops: dict[int, Loop] = {}
        self.emitted: set[tuple[str, int]] = set()
        self.places: dict[str, tuple[str, Span | None]] = {}
        #: calls of primitives, as they are written in generated code
        self.calls: dict[str, Span | None] = {}
        ops = {n.op for f in program.functions for n in walk(f.body) if isinstance(n, ir.Op)}
        self.lazy, self.rejects = "lazy" in ops, "normalize_rejection" in ops
        self.points = frozenset(self._main_points()) if options.suspends else frozenset()
        remembers = ops & {"mem", "lazy", "gaussian_process"}  # and draws what is asked for
        self.last = last_effect(self.main) if options.suspends and not remembers else None
        self._collect_constructors()

    def _main_points(self) -> list[int]:
        body = main_block(self.program)
        out: list[int] = []
        todo = [body]
        while todo:
            c = todo.pop()
            if isinstance(c, ir.Block):
                out += [id(b.comp) for b in c.binds if self.effects.is_point(b.comp)]
                todo.append(c.result)
            elif isinstance(c, ir.At):
                todo.append(c.body)
            elif self.effects.is_point(c):
                out.append(id(c))
        self.main = body  # the points are of these very nodes
        return out

    def _collect_constructors(self) -> None:
        for f in self.program.functions:
            for n in walk(f.body):
                if isinstance(n, ir.Make):
                    self.constructors.used(n.constructor, n.type, tuple(a.type for a in n.args))
                elif isinstance(n, ir.Match):
                    for a in n.arms:
                        if a.constructor is not None:
                            types = tuple(p.type for p in a.params)
                            self.constructors.used(a.constructor, n.subject.type, types)

    # ---------------------------------------------------------------------------------- variables

    def variable(self, name: str) -> str:
        """The Python name of a binder; the same one whenever its code is generated again."""
        new = self.env.get(name)
        if new is None or not new.startswith("v"):
            new = self.names.fresh("v")
            self.env[name] = new
        return new

    def free(self, nodes: Sequence[ir.Node], bound: frozenset[str] = frozenset()) -> set[str]:
        """The local Python variables that code reads, through fused calls."""
        out: set[str] = set()
        todo = [n for node in nodes for n in node.free if n not in bound]
        while todo:
            name = todo.pop()
            if name in self.pending:
                todo += self.pending[name].free
            else:
                at = self.env[name]
                if at[0] in "vpt":
                    out.add(at)
        return out

    # ------------------------------------------------------------------------------------- pieces

    def piece(self, key: Any, make: Callable[[int], Piece]) -> Piece:
        if key not in self.pieces:
            self.names.count += 1
            self.pieces[key] = piece = make(self.names.count)
            self.todo.append(piece)
        return self.pieces[key]

    def function(self, name: str, *, run: bool) -> Piece:
        """A top-level function, called, or called and its measure run."""

        def make(number: int) -> Piece:
            f = self.program.by_name[name]
            variables = tuple(self.variable(p.name) for p in f.params)
            counted = name in self.recursive
            if not run:
                place = name, f.span
                return Piece(number, f.body, variables, None, None, place, counted=counted)
            main = name == self.program.main
            body = self.main if main and self.options.suspends else run_body(f.body)
            path, place = self.names.fresh("p"), (name, f.span)
            return Piece(number, body, variables, None, path, place, main=main, counted=counted)

        return self.piece((name, run), make)

    def closure(self, node: ir.Lam | ir.Thunk) -> Piece:
        """A function value or a measure."""

        def make(number: int) -> Piece:
            params = node.params if isinstance(node, ir.Lam) else ()
            captured = tuple(sorted(self.free([node])))
            variables = tuple(self.variable(p.name) for p in params)
            path = self.names.fresh("p") if isinstance(node, ir.Thunk) else None
            what = "a function" if isinstance(node, ir.Lam) else "a measure"
            place, counted = (what, node.span), isinstance(node, ir.Lam)
            return Piece(
                number, node.body, variables, captured, path, place, key=node, counted=counted
            )

        return self.piece(id(node), make)

    def part(self, comp: ir.Comp, path: str | None) -> Piece:
        """Code nested too deeply for one Python function, as a function of what it reads."""

        def make(number: int) -> Piece:
            variables = tuple(sorted(self.free([comp]) - {path}))
            return Piece(number, comp, variables, None, path, ("a block", comp.span), key=comp)

        return self.piece(("part", id(comp), path), make)

    # ----------------------------------------------------------------------------------- sharing

    def rewritten(self, node: Any, rewrite: Callable[[Any], Any]) -> Any:
        """A rewriting of a node, made once, so that its code is generated from the same nodes."""
        key = id(node), rewrite.__qualname__
        if key not in self._rewritten:
            self._rewritten[key] = (node, rewrite(node))
        return self._rewritten[key][1]

    def rest(self, c: ir.Block, i: int) -> ir.Comp:
        """What follows binding i of a block, the same node whenever it is asked for."""
        if i == len(c.binds) - 1:
            return c.result
        key = id(c), i
        if key not in self._rewritten:
            rest = ir.Block(c.type, c.binds[i + 1 :], c.result, span=c.span)
            self._rewritten[key] = (c, rest)
        return self._rewritten[key][1]

    def runs(self, c: ir.Comp) -> bool:
        """Whether there is a run of a measure in `c`: whether it needs to know its path."""
        key = id(c)
        if key not in self._runs:
            self._runs[key] = (c, any(isinstance(n, (ir.Run, RunCall)) for n in walk(c)))
        return self._runs[key][1]

    def has_points(self, c: ir.Comp) -> bool:
        """Whether points of the main block's own are in `c`, before its end."""
        match c:
            case ir.Block(binds=binds, result=result):
                inside = [*(b.comp for b in binds), result]
                return any(id(n) in self.points for n in inside) or self.has_points(result)
            case ir.At(body=body):
                return id(body) in self.points or self.has_points(body)
            case _:
                return False

    def lifted(self, op: str) -> Callable[..., Any]:
        """An elementwise primitive on arrays."""
        return rational.elementwise(op) if self.options.rational else arrays.elementwise(op)

"""Loops as statements of direct code, and as comprehensions where their bodies are expressions."""

from __future__ import annotations

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.forms import guarded_body
from ppl.semantics.machine.codegen.expressions import Expressions
from ppl.semantics.machine.codegen.targets import DROP, Path, Target

_RANGES = frozenset(("range", "range_from"))


class Loops(Expressions):
    """Emits loops. What their bodies are emitted by, and what finishes a value, is `Direct`'s."""

    lines: list[str]
    indent: int

    def comp(self, c: ir.Comp, path: Path, t: Target) -> None:
        raise NotImplementedError

    def finish(self, text: str, t: Target) -> None:
        raise NotImplementedError

    def iteration(self, c: ir.Comp, path: Path, t: Target, index: str | None) -> None:
        raise NotImplementedError

    def uses_path(self, c: ir.Comp) -> bool:
        raise NotImplementedError

    def at_index(self, path: Path, index: str) -> Path:
        raise NotImplementedError

    def head(self, over: ir.Value, path: Path, body: ir.Comp) -> tuple[str, str | None]:
        """What a loop goes over, and the variable of its index if the body needs a path."""
        text = self.iterable(over)
        if path is None or not self.uses_path(body):
            return text, None
        return f"q_pairs({text})", self.fresh()

    def iterable(self, over: ir.Value) -> str:
        match over:
            case ir.Op(op="range", args=(n,)):
                return f"q_irange({self.forced(n)})"
            case ir.Op(op="range_from", args=(lo, hi)):
                return f"q_irange({self.forced(lo)}, {self.forced(hi)})"
            case ir.Op(op="enumerate", args=(xs,)):
                return f"q_pairs({self.forced(xs)})"
            case ir.Op(op="zip"):
                return self.zipped(over, "q_zipping")
            case _:
                return self.forced(over)

    def each(self, index: str | None, x: str, text: str) -> None:
        names = x if index is None else f"{index}, {f'({x})' if ',' in x else x}"
        self.put(f"for {names} in {text}:")
        self.indent += 1

    def burn(self, place: object) -> None:
        """Count a step."""
        self.put("s.fuel -= 1")
        self.put(f"if s.fuel < 0: q_refill(s, {self.constant(place)})")

    def turns(self, loop: ir.For | ir.Scan | ir.Iterate) -> bool:
        """Whether turns of a loop are counted: if it could go on. What goes over an array ends."""
        over = None if isinstance(loop, ir.Iterate) else loop.over
        ends = over is not None and not (isinstance(over, ir.Op) and over.op in _RANGES)
        return self.unit.options.fueled and not ends

    def turn(self, loop: ir.For | ir.Scan | ir.Iterate) -> None:
        """Count a turn, if it is counted."""
        if self.turns(loop):
            self.burn(loop.span)

    def unpacked(self, c: ir.For) -> tuple[str, ir.Comp]:
        """What a loop assigns elements to, and its body: fields that the body begins by taking
        from a tuple are assigned at once."""
        body, t = c.body, c.param.type
        if isinstance(body, ir.Block) and isinstance(t, T.Tuple) and not self.unit.lazy:
            names = ["_"] * len(t.items)
            for i, b in enumerate(body.binds):
                v = b.comp.value if isinstance(b.comp, ir.Return) else None
                match v:
                    case ir.Proj(value=ir.Var(name=name), index=at) if name == c.param.name:
                        if names[at] != "_":
                            break
                        names[at] = self.unit.variable(b.name)
                    case _:
                        break
                rest = self.unit.rest(body, i)
                if c.param.name not in rest.free:
                    return f"{', '.join(names)}{',' if len(names) == 1 else ''}", rest
        return self.unit.variable(c.param.name), body

    def expression(self, c: ir.Comp) -> str | None:
        """A pure computation as one expression; None, and nothing is put, if it is not one."""
        before, text = len(self.lines), None
        match c:
            case ir.Return(value=value):
                text = self.value(value)
            case ir.If(cond=cond, then=then, other=other) if not c.effectful:
                test, yes, no = self.forced(cond), self.expression(then), self.expression(other)
                if yes is not None and no is not None:
                    text = f"({yes} if {test} else {no})"
        if len(self.lines) > before:
            del self.lines[before:]
            return None
        return text

    def _c_for(self, c: ir.For, path: Path, t: Target) -> None:
        if c.guard is not None:
            return self.filtered(c, path, t)
        wanted = t.kind != "drop"
        text, index = self.head(c.over, path, c.body)
        x, body = self.unpacked(c)
        if wanted and index is None and not self.turns(c):
            each = self.expression(body)
            if each is not None:
                self.finish(f"q_tuple([{each} for {x} in {text}])", t)
                return None
        acc = self.fresh()
        if wanted:
            self.put(f"{acc} = []")
        self.each(index, x, text)
        self.turn(c)
        inner = self.at_index(path, index) if index else path
        value = self.fresh()
        self.iteration(body, inner, Target("to", value) if wanted else DROP, index)
        if wanted:
            self.put(f"q_push({acc}, {value})")
        elif not self.lines[-1].startswith(" " * self.indent):
            self.put("pass")
        self.indent -= 1
        if wanted:
            self.finish(f"q_tuple({acc})", t)
        return None

    def filtered(self, c: ir.For, path: Path, t: Target) -> None:
        body = self.unit.rewritten(c, guarded_body)
        acc, value = self.fresh(), self.fresh()
        self.put(f"{acc} = []")
        self.each(None, self.unit.variable(c.param.name), self.iterable(c.over))
        self.turn(c)
        self.comp(body, path, Target("to", value))
        self.put(f"if {value}: q_push({acc}, {value}[0])")
        self.indent -= 1
        self.finish(f"q_tuple({acc})", t)

    def _c_scan(self, c: ir.Scan, path: Path, t: Target) -> None:
        carry = self.unit.variable(c.carry.name)
        init, (text, index) = self.value(c.init), self.head(c.over, path, c.body)
        acc = self.fresh()
        every = c.keep == "all" and t.kind != "drop"
        self.put(f"{carry} = {init}")
        if every:
            self.put(f"{acc} = []")
        self.each(index, self.unit.variable(c.param.name), text)
        self.turn(c)
        inner = self.at_index(path, index) if index else path
        only = index if c.keep == "all" else None
        self.iteration(c.body, inner, Target("to", carry), only)
        self.put(f"q_push({acc}, {carry})" if every else "pass")
        self.indent -= 1
        if t.kind != "drop":
            self.finish(f"q_tuple({acc})" if every else carry, t)

    def _c_iterate(self, c: ir.Iterate, path: Path, t: Target) -> None:
        carry, index = self.unit.variable(c.carry.name), self.fresh()
        init = self.value(c.init)
        limit = None if c.limit is None else self.as_atom(self.forced(c.limit))
        self.put(f"{carry} = {init}")
        self.put(f"{index} = 0")
        stop = self.fresh()
        self.put("while 1:")
        self.indent += 1
        self.turn(c)
        self.comp(c.until, None, Target("to", stop))
        more = "" if limit is None else f" or {index} >= {limit}"
        self.put(f"if {stop}{more}: break")
        inner = self.at_index(path, index) if path is not None and self.uses_path(c.body) else path
        self.comp(c.body, inner, Target("to", carry))
        self.put(f"{index} += 1")
        self.indent -= 1
        if t.kind != "drop":
            self.finish(carry, t)

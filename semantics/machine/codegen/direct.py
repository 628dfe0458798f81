"""Direct code: computations as statements of ordinary Python functions.

A call of the function itself in tail position is a jump to its beginning. Code that nests deeper
than DEEP indentations becomes a function of its own.
"""

from __future__ import annotations

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.forms import RunCall, iid_loop
from ppl.semantics.machine.codegen.draws import in_line, log_density
from ppl.semantics.machine.codegen.loops import Loops
from ppl.semantics.machine.codegen.paths import At, named_index, named_step
from ppl.semantics.machine.codegen.targets import DROP, RETURN, Path, Target
from ppl.semantics.machine.codegen.unit import Piece, Unit
from ppl.semantics.signatures import PRIMITIVES, Distribution

DEEP = 12


class Direct(Loops):
    """Emits one Python function. `calls` says whether its code calls functions of the language."""

    def __init__(self, unit: Unit, piece: Piece | None = None):
        self.unit, self.piece = unit, piece
        self.lines: list[str] = []
        self.indent = 1
        self.calls = self.jumps = False

    def put(self, line: str) -> None:
        self.lines.append(" " * self.indent + line)

    # ------------------------------------------------------------------------------------- paths

    def start(self, variable: str | None) -> Path:
        if variable is None:
            return None
        return variable if self.unit.options.named else At(variable)

    def step(self, path: Path, name: str) -> Path:
        if isinstance(path, str):
            new = self.unit.names.fresh("p")
            self.put(f"{new} = {named_step(path, name, self.constant(name))}")
            return new
        return path.step(name) if path is not None else None

    def at_index(self, path: Path, index: str) -> Path:
        if path is None:
            return None
        new = self.unit.names.fresh("p")
        if isinstance(path, str):
            self.put(f"{new} = {named_index(path, index)}")
            return new
        self.put(f"{new} = {path.indexed(index)}")
        return At(new)

    @staticmethod
    def where(path: Path) -> str:
        """The path as an expression."""
        assert path is not None
        return path if isinstance(path, str) else path.text()

    def uses_path(self, c: ir.Comp) -> bool:
        """Whether code needs its path: it runs something, or keeps a value that is recorded."""
        if not self.unit.options.named:
            return c.effectful and self.unit.runs(c)
        return c.effectful or _keeps(c)

    # ----------------------------------------------------------------------------------- targets

    def finish(self, text: str, t: Target) -> None:
        match t.kind:
            case "return":
                self.put(f"return {text}")
            case "give":
                self.put(f"return {t.name}, {text}")
            case "to":
                if text != t.name:
                    self.put(f"{t.name} = {text}")
            case _:
                if not (text.isidentifier() or text.isdigit()):
                    self.put(text)

    # -------------------------------------------------------------------------------------- code

    def comp(self, c: ir.Comp, path: Path, t: Target) -> None:
        """Run `c` and do with its value what `t` says."""
        if self.indent > DEEP and not isinstance(
            c, (ir.Return, ir.Call, ir.Run, ir.Observe, ir.Score)
        ):
            self.outlined(c, path, t)
        else:
            getattr(self, "_c_" + type(c).__name__.lower())(c, path, t)

    def outlined(self, c: ir.Comp, path: Path, t: Target) -> None:
        variable = None
        if path is not None and self.uses_path(c):
            variable = self.unit.names.fresh("p")
        piece = self.unit.part(c, variable)
        head = [self.where(path)] if piece.path else []
        self.finish(f"f{piece.number}({', '.join(['s', *head, *piece.variables])})", t)

    def _c_return(self, c: ir.Return, path: Path, t: Target) -> None:
        self.finish(self.value(c.value), t)

    def _c_block(self, c: ir.Block, path: Path, t: Target) -> None:
        for i, b in enumerate(c.binds):
            self.bind(c, i, b, path)
        self.comp(c.result, path, t)

    def bind(self, c: ir.Block, i: int, b: ir.Bind, path: Path) -> None:
        if b.name in self.unit.fused and isinstance(b.comp, ir.Call):
            self.unit.pending[b.name] = b.comp
        elif isinstance(b.comp, ir.Return) and self.alias(b):
            pass
        elif _unused(c, i):
            self.comp(b.comp, path, DROP)
        else:
            self.comp(b.comp, path, Target("to", self.unit.variable(b.name)))

    def alias(self, b: ir.Bind) -> bool:
        """A binder of a variable or a constant is that."""
        assert isinstance(b.comp, ir.Return)
        v = b.comp.value
        if isinstance(v, ir.Var) and v.name not in self.unit.pending:
            self.unit.env[b.name] = self.unit.env[v.name]
            return True
        if isinstance(v, ir.Lit):
            self.unit.env[b.name] = self.value(v)
            return True
        return False

    def _c_at(self, c: ir.At, path: Path, t: Target) -> None:
        keeps = c.keep and self.unit.options.named
        stepped = keeps or self.uses_path(c.body)
        inner = self.step(path, c.step) if stepped else path
        settable = stepped and self.unit.options.settable
        if not keeps and not settable:
            self.comp(c.body, inner, t)
            return
        name = t.name if t.kind == "to" else self.fresh()
        if settable:
            self.settable(c.body, inner, name)
        else:
            self.comp(c.body, inner, Target("to", name))
        if not keeps:
            self.finish(name, t)
            return
        self.put(f"q_keep(s, {self.where(inner)}, {name}, {self.constant(c.type)})")
        self.finish(name, t)

    def settable(self, c: ir.Comp, path: Path, name: str) -> None:
        """Run `c` into a variable, unless its value at this path is set from outside."""
        found = self.fresh()
        self.put(f"{found} = {self.set_at(c, path)}")
        self.put(f"if {found}: {name} = {found}[0]")
        self.branch("else:", c, path, Target("to", name))
        self.put(f" {name} = q_put(s, {self.where(path)}, {name})")

    def set_at(self, c: ir.Comp, path: Path) -> str:
        return f"q_set_at(s, {self.where(path)}, {self.constant(isinstance(c.type, T.Array))})"

    def iteration(self, c: ir.Comp, path: Path, t: Target, index: str | None) -> None:
        """The body of a loop whose value is the array of what its iterations give."""
        if index is None or not self.unit.options.settable:
            self.comp(c, path, t)
        else:
            self.settable(c, path, t.name or self.fresh())

    def branch(self, head: str, c: ir.Comp, path: Path, t: Target) -> None:
        self.put(head)
        self.indent += 1
        before = len(self.lines)
        self.comp(c, path, t)
        if len(self.lines) == before:
            self.put("pass")
        self.indent -= 1

    def _c_if(self, c: ir.If, path: Path, t: Target) -> None:
        self.branch(f"if {self.forced(c.cond)}:", c.then, path, t)
        if t.last:
            self.comp(c.other, path, t)
        else:
            self.branch("else:", c.other, path, t)

    def _c_match(self, c: ir.Match, path: Path, t: Target) -> None:
        subject = self.as_atom(self.forced(c.subject))
        tag = self.fresh()
        self.put(f"{tag} = {subject}[0]")
        word = "if"
        for arm in c.arms:
            rest = arm.constructor is None or arm is c.arms[-1]
            if rest and word == "if":
                self.fields(arm, subject)
                self.comp(arm.body, path, t)
                return
            number = (
                0 if arm.constructor is None else self.unit.constructors.number(arm.constructor)
            )
            self.put("else:" if rest else f"{word} {tag} == {number}:")
            self.indent += 1
            before = len(self.lines)
            self.fields(arm, subject)
            self.comp(arm.body, path, t)
            if len(self.lines) == before:
                self.put("pass")
            self.indent -= 1
            word = "elif"

    def fields(self, arm: ir.Arm, subject: str) -> None:
        free = arm.body.free
        for i, p in enumerate(arm.params):
            if p.name in free:
                self.put(f"{self.unit.variable(p.name)} = {subject}[{i + 1}]")

    # ------------------------------------------------------------------------------------- calls

    def arguments(self, args: tuple[ir.Value, ...]) -> list[str]:
        return [self.value(a) for a in args]

    def _c_call(self, c: ir.Call, path: Path, t: Target) -> None:
        args = self.arguments(c.args)
        self.calls = True
        if isinstance(c.fn, ir.Global):
            piece = self.unit.function(c.fn.name, run=False)
            if piece is self.piece and t is RETURN:
                self.jump(piece, None, args)
            else:
                self.finish(f"f{piece.number}({', '.join(['s', *args])})", t)
            return
        f, own = self.as_atom(self.forced(c.fn)), self.piece
        same = t is RETURN and own is not None and own.captured is not None and own.path is None
        if same and own is not None and len(own.variables) == len(args):
            # perhaps another closure of the same code: a chain of them is walked, not climbed down
            self.put(f"if {f}[0] is f{own.number}:")
            self.indent += 1
            self.assign(["c", *own.variables], [f, *args])
            self.put("continue")
            self.indent -= 1
            self.jumps = True
        self.finish(f"{f}[0]({', '.join(['s', f, *args])})", t)

    def _c_runcall(self, c: RunCall, path: Path, t: Target) -> None:
        assert isinstance(c.call.fn, ir.Global) and path is not None
        args = self.arguments(c.call.args)
        self.calls = True
        piece = self.unit.function(c.call.fn.name, run=True)
        if piece is self.piece and t is RETURN:
            self.jump(piece, self.where(path), args)
        else:
            self.finish(f"f{piece.number}({', '.join(['s', self.where(path), *args])})", t)

    def jump(self, piece: Piece, path: str | None, args: list[str]) -> None:
        """A call of the function itself in tail position."""
        names = list(piece.variables)
        if path is not None:
            names, args = [piece.path, *names], [path, *args]  # type: ignore[list-item]
        self.assign(names, args)
        self.put("continue")
        self.jumps = True

    def assign(self, names: list[str], values: list[str]) -> None:
        """All at once, but for those that keep their values."""
        changed = [(n, x) for n, x in zip(names, values, strict=True) if n != x]
        if changed:
            self.put(" = ".join(", ".join(side) for side in zip(*changed, strict=True)))

    def _c_run(self, c: ir.Run, path: Path, t: Target) -> None:
        m = c.measure
        match m:
            case ir.Thunk(body=body):
                self.comp(body, path, t)
            case ir.Var(name=name) if name in self.unit.pending:
                call = self.unit.pending[name]
                self.comp(self.unit.rewritten(call, run_call), path, t)
            case ir.Op(op="iid") if not isinstance(m.type, T.Dist):
                self.comp(self.unit.rewritten(m, iid_loop), path, t)
            case ir.Op(op="dirac", args=(x,)):
                self.finish(self.value(x), t)
            case ir.Op(op=op) if isinstance(PRIMITIVES.get(op), Distribution):
                if self.unit.options.keyed and op != "transform":
                    self.finish(in_line(self, m, self.where(path)), t)
                    return
                family, args = self.distribution(m)
                self.finish(f"s.draw({self.where(path)}, {family}, {args})", t)
            case _:
                self.calls = self.calls or not isinstance(m, ir.Op)
                name = self.as_atom(self.forced(m))
                self.finish(f"{name}[0](s, {name}, {self.where(path)})", t)

    # ------------------------------------------------------------------------------------ scores

    def _c_observe(self, c: ir.Observe, path: Path, t: Target) -> None:
        d = c.dist
        row = PRIMITIVES.get(d.op) if isinstance(d, ir.Op) else None
        if isinstance(d, ir.Op) and isinstance(row, Distribution) and d.op != "transform":
            args = [self.whole(a) for a in d.args]
            # the order of evaluation is that of the source: distribution, then value
            if self.unit.options.settable:
                text = self.seen(c, path, self.family(d), f"({''.join(a + ', ' for a in args)})")
            else:
                text = self.log_prob(d, args, c.value)
        else:
            dist = self.as_atom(self.forced(d))
            text = f"q_log_prob({dist}, {self.whole(c.value)})"
            if self.unit.options.settable:
                text = self.seen(c, path, f"{dist}[3]", f"{dist}[4]")
        if self.unit.options.named and not self.unit.options.settable:
            text = f"q_note(s, {self.where(path)}, {self.constant(c.name)}, {text})"
        self.scored(text, c)
        self.finish(self.constant(None), t)

    def log_prob(self, d: ir.Op, args: list[str], value: ir.Value) -> str:
        if not self.unit.options.rational:
            args = [self.as_atom(a) for a in args]
            x = self.as_atom(self.whole(value))
            text = log_density(self, d, args, x)
            if text is not None:
                return text
        else:
            x = self.whole(value)
        family = self.constant(self.unit.names.bound[self.family(d)].log_prob)
        return f"{family}({', '.join([x, *args])})"

    def seen(self, c: ir.Observe, path: Path, family: str, args: str) -> str:
        """The score of an observation that a run may look at."""
        where = f"{self.where(path)}, {self.constant(c.name)}"
        return f"q_seen(s, {where}, {family}, {self.whole(c.value)}, {args})"

    def scored(self, text: str, c: ir.Comp) -> None:
        if self.unit.rejects:
            text = f"q_bounded(s, {text}, {self.constant(c.span)})"
        w = self.fresh()
        self.put(f"{w} = s.w = s.w + {text}")
        self.put(f"if not {w} > q_never: q_dead(s)")

    def _c_score(self, c: ir.Score, path: Path, t: Target) -> None:
        v = c.value
        if isinstance(v, ir.Op) and v.op == "score_if" and not isinstance(v.args[0].type, T.Array):
            self.put(f"if not {self.forced(v.args[0])}: q_dead(s)")
        elif not (isinstance(v, ir.Op) and v.op == "checkpoint"):
            self.scored(self.forced(v), c)
        self.finish(self.constant(None), t)


def run_call(call: ir.Call) -> RunCall:
    """The call and the run of its measure, as one."""
    from ppl.semantics.analysis.forms import item

    return RunCall(item(call.type), call, span=call.span)


def _unused(c: ir.Block, i: int) -> bool:
    name = c.binds[i].name
    return name not in c.result.free and all(name not in b.comp.free for b in c.binds[i + 1 :])


def _keeps(c: ir.Comp) -> bool:
    from ppl.semantics.analysis.forms import walk

    return any(isinstance(n, ir.At) and n.keep for n in walk(c))


def function(unit: Unit, piece: Piece) -> list[str]:
    """The source of a piece's direct function."""
    out = Direct(unit, piece)
    closed = piece.captured is not None
    params = [
        "s",
        *(["c"] if closed else []),
        *([piece.path] if piece.path else []),
        *piece.variables,
    ]
    header = f"def f{piece.number}({', '.join(params)}):"
    out.indent = 2
    if piece.captured:
        names = ", ".join(["_", "_", "_", *piece.captured])
        out.put(f"{names} = c")
    if unit.options.fueled and piece.counted:
        out.burn(piece.place)
    out.comp(piece.comp, out.start(piece.path), RETURN)
    if out.jumps:
        return [header, " while 1:", *out.lines]
    return [header, *(line[1:] for line in out.lines)]

"""The IR as text that a person reads and `ir_parse.read` reads back to an equal program.

Binders carry their types. Any other node is annotated, `(e : T)`, only where its type is not the
one that its parts give.
"""

from __future__ import annotations

import json

from ppl.semantics import ir
from ppl.semantics.ir_tokens import quote
from ppl.semantics.ir_types import derive
from ppl.semantics.op_types import TypeFault
from ppl.semantics.signatures import OPERATORS
from ppl.semantics.types import Fun, Type

_INFIX = {op: sign for sign, op in OPERATORS.items() if not sign.isalpha()}
_STEP = "  "


def show(program: ir.Program) -> str:
    """The text of a program. Places in the source are not shown."""
    functions = {f.name: f.type for f in program.functions}
    parts = [f"main {quote(program.main)}"]
    parts += [_Printer(functions).function(f) for f in program.functions]
    return "\n\n".join(parts) + "\n"


def show_node(node: ir.Node) -> str:
    """The text of one value or computation; free variables are annotated."""
    printer = _Printer({})
    return printer.value(node, "") if isinstance(node, ir.Value) else printer.comp(node, "")


class _Printer:
    def __init__(self, functions: dict[str, Type]):
        self.functions = functions
        self.locals: dict[str, Type] = {}

    def function(self, f: ir.Function) -> str:
        if not isinstance(f.type, Fun) or f.type.params != tuple(p.type for p in f.params):
            raise ValueError(f"the type of `{f.name}` is not that of its parameters: {f.type}")
        params = self.params(f.params)
        return f"def {quote(f.name)}{params}: {f.type.result} =\n{_STEP}{self.comp(f.body, _STEP)}"

    def param(self, p: ir.Param) -> str:
        self.locals[p.name] = p.type
        return f"{quote(p.name)}: {p.type}"

    def params(self, params: tuple[ir.Param, ...]) -> str:
        return f"({', '.join(map(self.param, params))})"

    def annotated(self, node: ir.Node, text: str) -> str:
        try:
            derived = derive(node, self.locals, self.functions)
        except TypeFault:
            derived = None
        return text if derived == node.type else f"({text} : {node.type})"

    # ----------------------------------------------------------------------------------- values

    def value(self, v: ir.Node, indent: str) -> str:
        return self.annotated(v, self._value(v, indent))

    def values(self, items: tuple[ir.Value, ...], indent: str) -> str:
        return ", ".join(self.value(i, indent) for i in items)

    def _value(self, v: ir.Node, indent: str) -> str:
        match v:
            case ir.Lit(value=value):
                return _literal(value)
            case ir.Var(name=name):
                return quote(name)
            case ir.Global(name=name):
                return f"@{quote(name)}"
            case ir.Lam(params=params, body=body):
                return f"fn {self.params(params)} => {self.comp(body, indent)}"
            case ir.Thunk(body=body):
                return f"thunk {self.comp(body, indent)}"
            case ir.Op(op=op, args=(left, right)) if op in _INFIX:
                return f"({self.value(left, indent)} {_INFIX[op]} {self.value(right, indent)})"
            case ir.Op(op=op, args=args):
                return f"{quote(op)}({self.values(args, indent)})"
            case ir.MakeTuple(items=items):
                comma = "," if len(items) < 2 else ""
                return f"({self.values(items, indent)}{comma})"
            case ir.MakeRecord(names=names, items=items):
                fields = (
                    f"{quote(n)} = {self.value(i, indent)}"
                    for n, i in zip(names, items, strict=True)
                )
                return f"{{{', '.join(fields)}}}"
            case ir.MakeArray(items=items):
                return f"[{self.values(items, indent)}]"
            case ir.Proj(value=value, index=index):
                return f"{self.primary(value, indent)}.({index})"
            case ir.Get(value=value, name=name):
                return f"{self.primary(value, indent)}.{quote(name)}"
            case ir.Make(constructor=constructor, args=args):
                return f"new {quote(constructor)}({self.values(args, indent)})"
            case _:
                raise TypeError(f"not a value: {v!r}")

    def primary(self, v: ir.Node, indent: str) -> str:
        """A value that something is applied to."""
        text = self.value(v, indent)
        plain = isinstance(v, (ir.Var, ir.Global, ir.Proj, ir.Get)) or text.startswith("(")
        return text if plain else f"({text})"

    # ----------------------------------------------------------------------------- computations

    def comp(self, c: ir.Node, indent: str) -> str:
        return self.annotated(c, self._comp(c, indent))

    def _comp(self, c: ir.Node, indent: str) -> str:
        match c:
            case ir.Return(value=value):
                return f"return {self.value(value, indent)}"
            case ir.Block():
                return self.block(c, indent)
            case ir.Call(fn=fn, args=args):
                return f"call {self.primary(fn, indent)}({self.values(args, indent)})"
            case ir.Run(measure=measure):
                return f"run {self.value(measure, indent)}"
            case ir.Observe(dist=dist, value=value, name=name):
                shown = f"{self.value(value, indent)} ~ {self.value(dist, indent)}"
                return f"observe {shown} as {_literal(name)}"
            case ir.Score(value=value):
                return f"score {self.value(value, indent)}"
            case ir.At(step=step, body=body, keep=keep):
                word = "keep" if keep else "at"
                return f"{word} {_literal(step)} {self.comp(body, indent)}"
            case ir.If(cond=cond, then=then, other=other):
                head = f"if {self.value(cond, indent)}"
                then_text = self.comp(then, indent + _STEP)
                other_text = self.comp(other, indent + _STEP)
                deeper = f"\n{indent}{_STEP}"
                return f"{head}{deeper}then {then_text}{deeper}else {other_text}"
            case ir.Match(subject=subject, arms=arms):
                lines = [f"match {self.value(subject, indent)} with {{"]
                lines += [f"{indent}{_STEP}| {self.arm(a, indent + _STEP * 2)}" for a in arms]
                return "\n".join([*lines, indent + "}"])
            case ir.For(param=param, over=over, body=body, guard=guard):
                over_text = self.value(over, indent)
                head = f"for {self.param(param)} in {over_text}"
                if guard is not None:
                    head += f" when {self.comp(guard, indent)}"
                return f"{head} do {self.comp(body, indent)}"
            case ir.Scan(carry=carry, init=init, param=param, over=over, body=body, keep=keep):
                word = "scan" if keep == "all" else "fold"
                init_text, over_text = self.value(init, indent), self.value(over, indent)
                head = f"{word} {self.param(carry)} = {init_text} for {self.param(param)}"
                return f"{head} in {over_text} do {self.comp(body, indent)}"
            case ir.Iterate(carry=carry, init=init, until=until, body=body, limit=limit):
                init_text = self.value(init, indent)
                limit_text = "" if limit is None else f" max {self.value(limit, indent)}"
                head = f"iterate {self.param(carry)} = {init_text}{limit_text}"
                return f"{head} until {self.comp(until, indent)} do {self.comp(body, indent)}"
            case _:
                raise TypeError(f"not a computation: {c!r}")

    def block(self, c: ir.Block, indent: str) -> str:
        inner = indent + _STEP
        lines = ["{"]
        for bind in c.binds:
            text = self.comp(bind.comp, inner)
            self.locals[bind.name] = bind.comp.type
            lines.append(f"{inner}{quote(bind.name)}: {bind.comp.type} <- {text};")
        lines.append(inner + self.comp(c.result, inner))
        return "\n".join([*lines, indent + "}"])

    def arm(self, a: ir.Arm, indent: str) -> str:
        head = "_" if a.constructor is None else quote(a.constructor)
        if a.params:
            head += self.params(a.params)
        return f"{head} => {self.comp(a.body, indent)}"


def _literal(value: object) -> str:
    match value:
        case None:
            return "()"
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return repr(value)

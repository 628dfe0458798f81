"""Programs from the text that `ir_print.show` writes: recursive descent, one token ahead.

A node's type is derived from its parts unless it is written, `(e : T)`. Nothing else is checked
here: `ir_verify.verify` does that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, Source
from ppl.semantics.ir_tokens import TokenReader
from ppl.semantics.ir_types import derive
from ppl.semantics.op_types import TypeFault
from ppl.semantics.signatures import OPERATORS
from ppl.semantics.types import Fun, Type

N = TypeVar("N", bound=ir.Node)
T = TypeVar("T")


def read(text: str, *, name: str = "IR") -> ir.Program:
    """The program that a text denotes; `read(show(p)) == p`.

    Raises DiagnosticError(E080) where the text is no program; `name` is what the text is called
    in the message.
    """
    return _Parser(Source(name, text)).program()


@dataclass(frozen=True)
class _Untyped(Type):
    """The type of a node that has yet to be annotated, and why it has to be."""

    problem: DiagnosticError | None = None


_UNTYPED = _Untyped()


class _Parser(TokenReader):
    def __init__(self, source: Source):
        super().__init__(source)
        self.locals: dict[str, Type] = {}
        self.functions: dict[str, Type] = {}

    # --------------------------------------------------------------------------------- programs

    def program(self) -> ir.Program:
        self._read_headers()
        self.expect("main")
        main = self.name()
        functions = []
        while self.next.kind != "end":
            functions.append(self.function())
        return ir.Program(tuple(functions), main)

    def _read_headers(self) -> None:
        """Functions may be used before they stand: their types are read first."""
        for i, token in enumerate(self.tokens):
            if token.kind == "keyword" and token.text == "def":
                self.at = i + 1
                name, params, result = self.header()
                self.functions[name] = Fun(tuple(p.type for p in params), result)
        self.at = 0

    def header(self) -> tuple[str, tuple[ir.Param, ...], Type]:
        name, params = self.name(), self.params()
        self.expect(":")
        return name, params, self.type()

    def function(self) -> ir.Function:
        self.expect("def")
        name, params, _ = self.header()
        self.expect("=")
        body = self.comp()
        self.demand_types(body)
        return ir.Function(name, params, body, self.functions[name])

    def param(self) -> ir.Param:
        name = self.name()
        self.expect(":")
        param = ir.Param(name, self.type())
        self.locals[name] = param.type
        return param

    def params(self) -> tuple[ir.Param, ...]:
        return self.items("(", self.param, ")")

    def items(self, opening: str, item: Callable[[], T], closing: str) -> tuple[T, ...]:
        self.expect(opening)
        out = []
        while not self.sees(closing):
            out.append(item())
            if not self.take(","):
                break
        self.expect(closing)
        return tuple(out)

    # ------------------------------------------------------------------------------------ types

    def typed(self, node: N) -> N:
        """The node with the type its parts give; an annotation that follows may give another."""
        self.demand_types(*ir.children(node))
        try:
            derived = derive(node, self.locals, self.functions)
            problem = "a type is needed here: `(… : type)`"
        except TypeFault as fault:
            derived, problem = None, str(fault)
        if derived is not None:
            return replace(node, type=derived)
        if self.sees(":"):
            return replace(node, type=_Untyped(self.error(problem)))
        raise self.error(problem)

    def demand_types(self, *nodes: ir.Node) -> None:
        """The annotation that a node lacked was of something around it."""
        for node in nodes:
            if isinstance(node.type, _Untyped) and node.type.problem is not None:
                raise node.type.problem

    def annotation(self, node: N) -> N:
        """Reads `: T)`."""
        self.expect(":")
        node = replace(node, type=self.type())
        self.expect(")")
        return node

    # ----------------------------------------------------------------------------------- values

    def value(self) -> ir.Value:
        return self.postfix(self.primary())

    def postfix(self, value: ir.Value) -> ir.Value:
        while self.take("."):
            if self.take("("):
                index = self.natural()
                self.expect(")")
                value = self.typed(ir.Proj(_UNTYPED, value, index))
            else:
                value = self.typed(ir.Get(_UNTYPED, value, self.name()))
        return value

    def natural(self) -> int:
        if self.next.kind != "number" or not self.next.text.isdigit():
            raise self.error(f"expected an index, found `{self.next.text}`")
        self.at += 1
        return int(self.tokens[self.at - 1].text)

    def primary(self) -> ir.Value:
        token = self.next
        match token.kind:
            case "number":
                self.at += 1
                integer = token.text.removeprefix("-").isdigit()
                number = int(token.text) if integer else float(token.text)
                return self.typed(ir.Lit(_UNTYPED, number))
            case "string":
                return self.typed(ir.Lit(_UNTYPED, self.string()))
            case "name":
                name = self.name()
                if self.sees("("):
                    return self.typed(ir.Op(_UNTYPED, name, self.items("(", self.value, ")")))
                return self.typed(ir.Var(_UNTYPED, name))
        word = self.take(*_CONSTANTS, "@", "fn", "thunk", "[", "{", "new", "(")
        match word:
            case "@":
                return self.typed(ir.Global(_UNTYPED, self.name()))
            case "fn":
                params = self.params()
                self.expect("=>")
                return self.typed(ir.Lam(_UNTYPED, params, self.comp()))
            case "thunk":
                return self.typed(ir.Thunk(_UNTYPED, self.comp()))
            case "[":
                self.at -= 1
                return self.typed(ir.MakeArray(_UNTYPED, self.items("[", self.value, "]")))
            case "{":
                self.at -= 1
                fields = self.items("{", self.field, "}")
                names, values = tuple(n for n, _ in fields), tuple(v for _, v in fields)
                return self.typed(ir.MakeRecord(_UNTYPED, names, values))
            case "new":
                name = self.name()
                return self.typed(ir.Make(_UNTYPED, name, self.items("(", self.value, ")")))
            case "(":
                return self.parenthesis()
            case None:
                raise self.error(f"expected a value, found `{token.text}`")
            case _:
                return self.typed(ir.Lit(_UNTYPED, _CONSTANTS[word]))

    def field(self) -> tuple[str, ir.Value]:
        name = self.name()
        self.expect("=")
        return name, self.value()

    def parenthesis(self) -> ir.Value:
        """What `(` opens: unit, a tuple, an operator, an annotation or a value."""
        if self.take(")"):
            return self.typed(ir.Lit(_UNTYPED, None))
        if self.take(","):
            self.expect(")")
            return self.typed(ir.MakeTuple(_UNTYPED, ()))
        first = self.value()
        if self.sees(":"):
            return self.annotation(first)
        if self.take(")"):
            return first
        sign = self.take(*OPERATORS)
        if sign is not None:
            right = self.value()
            self.expect(")")
            return self.typed(ir.Op(_UNTYPED, OPERATORS[sign], (first, right)))
        items = [first]
        while self.take(",") and not self.sees(")"):
            items.append(self.value())
        self.expect(")")
        return self.typed(ir.MakeTuple(_UNTYPED, tuple(items)))

    # ----------------------------------------------------------------------------- computations

    def comp(self) -> ir.Comp:
        word = self.expect(*_COMPUTATIONS)
        match word:
            case "(":
                return self.annotation(self.comp())
            case "{":
                return self.block()
            case "return":
                return self.typed(ir.Return(_UNTYPED, self.value()))
            case "call":
                fn = self.callee()
                return self.typed(ir.Call(_UNTYPED, fn, self.items("(", self.value, ")")))
            case "run":
                return self.typed(ir.Run(_UNTYPED, self.value()))
            case "observe":
                value = self.value()
                self.expect("~")
                dist = self.value()
                self.expect("as")
                return self.typed(ir.Observe(_UNTYPED, dist, value, self.string()))
            case "score":
                return self.typed(ir.Score(_UNTYPED, self.value()))
            case "at" | "keep":
                step = self.string()
                return self.typed(ir.At(_UNTYPED, step, self.comp(), word == "keep"))
            case "if":
                cond = self.value()
                self.expect("then")
                then = self.comp()
                self.expect("else")
                return self.typed(ir.If(_UNTYPED, cond, then, self.comp()))
            case "match":
                return self.match()
            case "for":
                return self.loop()
            case "iterate":
                return self.iterate()
            case _:
                return self.scan("all" if word == "scan" else "last")

    def callee(self) -> ir.Value:
        if self.next.kind == "name":
            return self.postfix(self.typed(ir.Var(_UNTYPED, self.name())))
        return self.value()

    def block(self) -> ir.Block:
        binds = []
        while self.next.kind == "name":
            name = self.name()
            self.expect(":")
            declared = self.type()
            self.expect("<-")
            comp = self.comp()
            if comp.type != declared:
                raise self.error(f"`{name}` is declared {declared} and has type {comp.type}")
            self.locals[name] = declared
            binds.append(ir.Bind(name, comp))
            self.expect(";")
        result = self.comp()
        self.expect("}")
        return self.typed(ir.Block(_UNTYPED, tuple(binds), result))

    def match(self) -> ir.Match:
        subject = self.value()
        self.expect("with")
        self.expect("{")
        arms = []
        while self.take("|"):
            name = self.name()
            params = self.params() if self.sees("(") else ()
            self.expect("=>")
            arms.append(ir.Arm(None if name == "_" else name, params, self.comp()))
        self.expect("}")
        return self.typed(ir.Match(_UNTYPED, subject, tuple(arms)))

    def loop(self) -> ir.For:
        param = self.param()
        self.expect("in")
        over = self.value()
        guard = self.comp() if self.take("when") else None
        self.expect("do")
        return self.typed(ir.For(_UNTYPED, param, over, self.comp(), guard))

    def scan(self, keep: Literal["all", "last"]) -> ir.Scan:
        carry = self.param()
        self.expect("=")
        init = self.value()
        self.expect("for")
        param = self.param()
        self.expect("in")
        over = self.value()
        self.expect("do")
        return self.typed(ir.Scan(_UNTYPED, carry, init, param, over, self.comp(), keep))

    def iterate(self) -> ir.Iterate:
        carry = self.param()
        self.expect("=")
        init = self.value()
        limit = self.value() if self.take("max") else None
        self.expect("until")
        until = self.comp()
        self.expect("do")
        return self.typed(ir.Iterate(_UNTYPED, carry, init, until, self.comp(), limit))


_CONSTANTS: dict[str, bool | float] = {
    "true": True,
    "false": False,
    "nan": float("nan"),
}
_COMPUTATIONS = "( { return call run observe score at keep if match for iterate scan fold".split()

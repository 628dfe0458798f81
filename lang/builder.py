"""From reductions of the parser to nodes of the syntax tree, one method per rule of the grammar.

A method gets the span of the whole rule and its children: tokens, nodes, tuples of nodes, and None
for what was left out. What the grammar cannot say (names that begin with a capital, arguments in
order, …) is refused here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any

from ppl.lang import patterns
from ppl.lang import syntax as s
from ppl.lang.tokens import Token
from ppl.semantics.diagnostics import Note, Source, Span, fail


class Builder:
    """`docs` maps where an item begins to the text of the doc comment before it."""

    def __init__(self, source: Source, docs: Mapping[int, str]):
        self._source = source
        self._docs = docs

    def _span(self, token: Token) -> Span:
        return Span(self._source, token.start, token.end)

    def _head(self, span: Span, name: Token) -> tuple[Span, str, Span, str | None]:
        """What every item begins with."""
        return span, _name(name), self._span(name), self._docs.get(span.start)

    # ------------------------------------------------------------------------------------- items

    def module(self, span: Span, *items: s.Item) -> s.Module:
        return s.Module(Span(self._source, 0, len(self._source.text)), items)

    def model(self, span, name, params, result, body):
        return s.Function(*self._head(span, name), "model", (), params, result, body)

    def function(self, span, name, type_params, params, result, body):
        return s.Function(*self._head(span, name), "fn", type_params or (), params, result, body)

    def guide(self, span, name, params, target, body):
        return s.Guide(*self._head(span, name), params, _name(target), body)

    def type_decl(self, span, name, type_params, *constructors):
        return s.TypeDecl(*self._head(span, name), type_params or (), constructors)

    def import_file(self, span, path, name):
        return s.Import(*self._head(span, name), path.value)

    def import_library(self, span, name):
        return s.Import(*self._head(span, name), _name(name))

    def type_params(self, span, *names):
        self._once("type parameter", ((_name(n), self._span(n)) for n in names))
        return tuple(map(_name, names))

    def constructor(self, span, name, fields):
        text = _name(name)
        if not patterns.is_constructor(text):
            raise fail(
                "E113",
                f"`{text}` is used as a constructor, and begins with a small letter",
                span=self._span(name),
                hint=f"write `{text[:1].upper()}{text[1:]}`",
            )
        return s.Constructor(span, text, fields or ())

    def types(self, span, *types):
        return types

    def params(self, span, *params):
        return params

    def param(self, span, pattern, type_, default):
        # A parameter's name binds whatever its spelling, so that a design matrix may be `X`.
        if isinstance(pattern, s.PCons) and not pattern.args and "." not in pattern.name:
            pattern = s.PName(pattern.span, pattern.name)
        return s.ParamDecl(span, self._binder(pattern), type_, default)

    # ------------------------------------------------------------------------------------- types

    def qualified(self, span, name, member):
        text = _name(name) if member is None else f"{_name(name)}.{_name(member)}"
        return Token("NAME", span.start, span.end, text)

    def type_name(self, span, name, args=()):
        return s.TypeName(span, _name(name), args)

    def type_array(self, span, item):
        return s.TypeArray(span, item)

    def type_record(self, span, *fields):
        return s.TypeRecord(span, self._fields(fields))

    def type_field(self, span, name, type_):
        return name, type_

    def type_list(self, span, *types):
        return s.TypeTuple(span, types)

    def type_tuple(self, span, types):
        return types

    def type_option(self, span, item):
        return s.TypeOption(span, item)

    def type_option_of_tuple(self, span, item):
        return s.TypeOption(span, item)

    def type_fun(self, span, param, result):
        return s.TypeFun(span, (param,), result)

    def type_fun_of_list(self, span, params, result):
        return s.TypeFun(span, params.items, result)

    # ---------------------------------------------------------------------------------- patterns

    def pattern_name(self, span, name):
        return patterns.of_name(span, _name(name))

    def pattern_constructor(self, span, name, *args):
        if not patterns.is_constructor(_name(name)):
            raise fail(
                "E113",
                f"`{_name(name)}` is used as a constructor, and begins with a small letter",
                span=self._span(name),
                hint="only constructors are taken apart; a function cannot be",
            )
        return s.PCons(span, _name(name), args)

    def pattern_literal(self, span, *tokens):
        value = _value(tokens[-1])
        return s.PLit(span, -value if tokens[0].kind == "-" else value)

    def pattern_tuple(self, span, *items):
        return s.PTuple(span, items)

    def pattern_record(self, span, *fields):
        return s.PRecord(span, self._fields(fields))

    def pattern_field(self, span, name, pattern):
        return name, pattern or s.PName(self._span(name), _name(name))

    def _binder(self, pattern: s.Pattern) -> s.Pattern:
        """A pattern that cannot be tried and fail."""
        literal = patterns.first_literal(pattern)
        if literal is not None:
            raise fail(
                "E110",
                "a value stands where a name is bound",
                span=literal.span,
                hint="compare with `==`, or take cases with `match`",
            )
        return pattern

    # -------------------------------------------------------------------------------- statements

    def block(self, span, *statements):
        for statement in statements[1:]:
            start = statement.span.start
            if self._source.text[start] == "-":
                raise fail(
                    "E108",
                    "a statement begins with `-`, and might continue the one before",
                    span=Span(self._source, start, start + 1),
                    hint="end the line before with `-` to go on, or write `(-x)` to begin anew",
                )
        return s.Block(span, statements)

    def draw(self, span, left, expr, strategy):
        return s.Draw(span, self._binder(patterns.of_expression(left)), expr, strategy)

    def let(self, span, pattern, type_, expr):
        return s.Let(span, self._binder(pattern), type_, expr)

    def local_function(self, span, name, params, result, body):
        function = s.Lambda(span, params, body, result)
        return s.Let(span, s.PName(self._span(name), _name(name)), None, function)

    def param_statement(self, span, name, type_, init):
        return s.ParamStmt(span, _name(name), type_, init)

    def checkpoint(self, span):
        return s.Checkpoint(span)

    def expr_statement(self, span, expr):
        if (
            isinstance(expr, s.Binary)
            and expr.op == "<"
            and isinstance(expr.left, s.Name)
            and self._source.text[expr.left.span.end : span.end].lstrip().startswith("<- ")
        ):
            name = expr.left.name
            raise fail(
                "E104",
                "`<-` is read as `<` and `-`",
                span=span,
                hint=f"write `{name} ~ d` for a draw, `let {name} = e` for a value",
            )
        return s.ExprStmt(span, expr)

    def observe(self, span, value, dist):
        return s.Observe(span, value, dist)

    def factor(self, span, value):
        return s.Factor(span, value)

    def condition(self, span, value):
        return s.Condition(span, value)

    def return_(self, span, value):
        return s.Return(span, value)

    # ------------------------------------------------------------------------------- expressions

    def lambda_(self, span, params, result, body):
        return s.Lambda(span, params, body, result)

    def binary(self, span, left, operator, right):
        return s.Binary(span, operator.kind, left, right)

    def unary(self, span, operator, value):
        return s.Unary(span, operator.kind, value)

    def cast(self, span, value, type_):
        return s.Cast(span, value, type_)

    def call(self, span, function, arguments):
        args = tuple(takewhile(lambda a: isinstance(a, s.Expr), arguments))
        named = arguments[len(args) :]
        for argument in named:
            if isinstance(argument, s.Expr):
                raise fail(
                    "E112",
                    "an argument without a name follows one with a name",
                    span=argument.span,
                    hint="named arguments come last",
                )
        return s.Call(span, function, args, self._fields(named, "argument"))

    def arguments(self, span, *arguments):
        return arguments

    def named_argument(self, span, name, value):
        return name, value

    def index(self, span, value, *items):
        return s.Index(span, value, items)

    def slice(self, span, low, high):
        return s.Slice(span, low, high)

    def field(self, span, value, name):
        return s.Field(span, value, str(name.value))

    def variable(self, span, name):
        return s.Name(span, _name(name))

    def literal(self, span, token):
        return s.Lit(span, _value(token))

    def truth(self, span, token):
        return s.Lit(span, _value(token))

    def unit(self, span):
        return s.Lit(span, None)

    def tuple(self, span, *items):
        return s.Tuple(span, items)

    def array(self, span, *items):
        return s.ArrayLit(span, items)

    def comprehension(self, span, item, pattern, over, guard):
        return s.Comprehension(span, item, self._binder(pattern), over, guard)

    def record(self, span, *fields):
        return s.Record(span, self._fields(fields))

    def entry(self, span, name, value):
        return name, value

    def shorthand(self, span, name):
        return name, s.Name(span, _name(name))

    def if_(self, span, cond, then, other):
        return s.If(span, cond, then, other)

    def match(self, span, subject, *arms):
        return s.Match(span, subject, arms)

    def arm(self, span, pattern, guard, body):
        if isinstance(body, s.Statement):
            body = s.Block(body.span, (body,))
        return s.Arm(span, pattern, guard, body)

    def for_(self, span, pattern, over, body):
        return s.For(span, self._binder(pattern), over, body)

    def scan(self, span, carry, init, pattern, over, body):
        return s.Scan(span, "all", self._binder(carry), init, self._binder(pattern), over, body)

    def fold(self, span, carry, init, pattern, over, body):
        return s.Scan(span, "last", self._binder(carry), init, self._binder(pattern), over, body)

    def iterate(self, span, carry, init, until, _max, limit, body):
        return s.Iterate(span, self._binder(carry), init, until, limit, body)

    # ------------------------------------------------------------------------------------ shared

    def _fields(self, fields: Iterable[tuple[Token, Any]], what: str = "field") -> Any:
        fields = tuple(fields)
        self._once(what, ((_name(n), self._span(n)) for n, _ in fields))
        return tuple((_name(n), value) for n, value in fields)

    def _once(self, what: str, names: Iterable[tuple[str, Span]]) -> None:
        seen: dict[str, Span] = {}
        for name, span in names:
            if name in seen:
                first = Note("given first", seen[name])
                raise fail("E111", f"{what} `{name}` is given twice", span=span, notes=[first])
            seen[name] = span


def _name(token: Token) -> str:
    assert isinstance(token.value, str)
    return token.value


def _value(token: Token) -> Any:
    """The value of a literal's token."""
    return token.kind == "true" if token.kind in ("true", "false") else token.value

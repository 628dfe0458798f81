"""From a source text to its syntax tree: lexer, newline filter, LALR(1) automaton, builder.

The automaton is the textbook's (Aho, Lam, Sethi & Ullman, *Compilers*, 2nd ed., algorithm 4.44)
over Lark's tables. Its stacks are lists, so the depth of a program does not touch Python's.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppl.lang import lexer, newlines, syntax, tables
from ppl.lang.builder import Builder
from ppl.lang.expected import syntax_error
from ppl.lang.lexer import MAX_ERRORS
from ppl.lang.tokens import ITEMS, Token
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Source, Span, fail

#: the depth of a syntax tree; later stages recurse over it
MAX_DEPTH = 200


def parse(source: Source) -> syntax.Module:
    """The syntax tree of a file. Raises DiagnosticError (E0xx, E1xx), with one error an item."""
    tree = _parse(source, "module")
    assert isinstance(tree, syntax.Module)
    return tree


def parse_expression(text: str | Source) -> syntax.Expr:
    """The syntax tree of one expression. Raises DiagnosticError."""
    tree = _parse(_source(text), "expr")
    assert isinstance(tree, syntax.Expr)
    return tree


def parse_type(text: str | Source) -> syntax.TypeExpr:
    """The syntax tree of one type. Raises DiagnosticError."""
    tree = _parse(_source(text), "type")
    assert isinstance(tree, syntax.TypeExpr)
    return tree


def _source(text: str | Source) -> Source:
    return text if isinstance(text, Source) else Source("<text>", text)


def _parse(source: Source, start: str) -> syntax.Node:
    scanned = lexer.scan(source)
    builder = Builder(source, doc_comments(source, scanned))
    problems: list[Diagnostic] = []
    first: int | None = 0
    tree = None
    while first is not None and len(problems) < MAX_ERRORS:
        tokens = newlines.separate(source, scanned[first:])
        end = tokens[-1].end if tokens else 0
        automaton = Automaton(source, [*tokens, Token(tables.END, end, end)], builder, start)
        try:
            tree = automaton.run()
            break
        except DiagnosticError as error:  # go on with the next item
            problems += error.diagnostics
            first = _next_item(source, scanned, first + 1, automaton.token.start)
    if problems or tree is None:
        raise DiagnosticError(*problems)
    check(tree)
    return tree


def _next_item(source: Source, scanned: Sequence[Token], first: int, offset: int) -> int | None:
    """The first token, from both a number and an offset on, that begins a line and an item."""
    for i in range(first, len(scanned)):
        token = scanned[i]
        if token.kind in ITEMS and token.start >= max(1, offset):
            if source.text[token.start - 1] == "\n":
                return i
    return None


class Automaton:
    """One run over `tokens`, which end with END. `token` is the one being read."""

    def __init__(self, source: Source, tokens: Sequence[Token], builder: Builder, start: str):
        self.token = tokens[0]
        self._source = source
        self._tokens = tokens
        self._builder = builder
        self._start = start
        self._tables = tables.load()

    def run(self) -> syntax.Node:
        """The value of the start symbol. Raises DiagnosticError (E1xx) at the first error."""
        actions, gotos, rules = self._tables.actions, self._tables.gotos, self._tables.rules
        accept = self._tables.accept[self._start]
        states = [self._tables.start[self._start]]
        values: list[object] = []
        begins: list[int] = []  # where the text of each value begins
        end = 0  # where the text of the last one ends
        for at, token in enumerate(self._tokens):
            self.token = token
            while not (token.kind == tables.END and states[-1] == accept):
                action = actions[states[-1]].get(token.kind)
                if action is None:
                    expected = self._expected(states)
                    raise DiagnosticError(syntax_error(self._source, self._tokens, at, expected))
                if action >= 0:
                    states.append(action)
                    values.append(token)
                    begins.append(token.start)
                    end = token.end
                    break
                rule = rules[~action]
                if rule.size == 1 and rule.action == tables.PASS:  # most reductions; for speed
                    states[-1] = gotos[states[-2]][rule.origin]
                    continue
                first = len(values) - rule.size
                children = values[first:]
                begin = begins[first] if rule.size else token.start
                del states[first + 1 :], values[first:], begins[first:]
                states.append(gotos[states[-1]][rule.origin])
                values.append(self._value(rule, children, begin, end))
                begins.append(begin)
        (tree,) = values
        assert isinstance(tree, syntax.Node)
        return tree

    def _value(self, rule: tables.Rule, children: list[object], begin: int, end: int) -> object:
        shape = rule.shape
        if rule.action == tables.PASS:
            return children[shape[0]]
        if shape and shape[0] >= 0 and isinstance(children[shape[0]], list):
            out = children[shape[0]]  # grow the list in place: rules that repeat stay linear
            shape = shape[1:]
            assert isinstance(out, list)
        else:
            out = []
        for i in shape:
            child = children[i] if i >= 0 else None
            if isinstance(child, list):
                out += child
            else:
                out.append(child)
        if rule.action == tables.SPLICE:
            return out
        return getattr(self._builder, rule.action)(Span(self._source, begin, end), *out)

    def _expected(self, states: list[int]) -> frozenset[str]:
        """The terminals that can follow. (The row lists more: its lookaheads are merged.)"""
        kinds = {*self._tables.actions[states[-1]], tables.END}
        return frozenset(kind for kind in kinds if self._accepts(states, kind))

    def _accepts(self, states: list[int], kind: str) -> bool:
        actions, rules = self._tables.actions, self._tables.rules
        height, top = len(states), []  # the stack is states[:height] + top
        while True:
            state = top[-1] if top else states[height - 1]
            if kind == tables.END and state == self._tables.accept[self._start]:
                return True
            action = actions[state].get(kind)
            if action is None or action >= 0:
                return action is not None
            rule = rules[~action]
            below = max(0, rule.size - len(top))
            height -= below
            del top[len(top) - (rule.size - below) :]
            state = top[-1] if top else states[height - 1]
            top.append(self._tables.gotos[state][rule.origin])


def doc_comments(source: Source, tokens: Sequence[Token]) -> dict[int, str]:
    """The `##` lines directly before a token, by the token's offset."""
    docs: dict[int, str] = {}
    lines: list[str] = []
    blank = True  # whether the line so far is empty
    for token in tokens:
        if token.kind == "DOC":
            lines.append(source.text[token.start : token.end].lstrip("#").strip())
            blank = False
        elif token.kind == "NEWLINE":
            if blank:
                lines = []
            blank = True
        else:
            if lines and token.kind != "COMMENT":
                docs[token.start] = "\n".join(lines)
            lines = []
            blank = False
    return docs


def check(tree: syntax.Node) -> None:
    """Refuse a tree that is too deep (E004), and `_` used as a value (E114)."""
    level: list[syntax.Node] = [tree]
    for _ in range(MAX_DEPTH):
        below: list[syntax.Node] = []
        for node in level:
            if isinstance(node, syntax.Name) and node.name == "_":
                raise fail(
                    "E114",
                    "`_` has no value",
                    span=node.span,
                    hint="`_` stands where a name is bound and not used; give it a name to use it",
                )
            below += syntax.children(node)
        if not below:
            return
        level = below
    raise fail(
        "E004",
        f"more than {MAX_DEPTH} expressions are nested here",
        span=level[0].span,
        hint="name parts of this with `let`, use `sum([…])` for a long sum, or make functions",
    )

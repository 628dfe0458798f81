"""Syntax errors in the user's words: what was found, what could stand there, what was meant."""

from __future__ import annotations

from collections.abc import Sequence, Set

from ppl.lang.recognise import hint, recognise
from ppl.lang.tables import END
from ppl.lang.tokens import ITEMS, KEYWORDS, Token
from ppl.semantics.diagnostics import Diagnostic, Note, Source, Span

_EXPRESSION = frozenset(
    "NAME MAX INT FLOAT TEXT true false ( [ { not - fn if match for scan".split()
)
_OPERAND = _EXPRESSION - {"not", "fn"}  # of a comparison or of arithmetic
_STATEMENT = frozenset("let observe factor condition return checkpoint".split())
_PATTERN = frozenset("NAME MAX INT FLOAT TEXT true false - ( {".split())
_TYPE = frozenset("NAME MAX ( [ {".split())
_OPERATORS = frozenset("== != < > <= >= + - * / // % @ ^ and or as".split())
_AFTER_VALUE = frozenset("( [ .".split())
_WORDS = {
    "NAME": "a name",
    "INT": "a number",
    "TEXT": "a text",
    "_SEP": "a new line",
    END: "the end",
}


def describe(expected: Set[str]) -> str:
    """`expected` terminals in words: "an expression or `)`"."""
    rest = set(expected)
    words = []
    for kinds, phrase in (
        (ITEMS, "`model`, `fn`, `guide`, `type` or `import`"),
        (_EXPRESSION | _STATEMENT, "a statement"),
        (_EXPRESSION, "an expression"),
        (_OPERAND, "an expression"),
        (_PATTERN, "a pattern"),
        (_TYPE, "a type"),
    ):
        if kinds <= rest:
            rest -= kinds | {"param", "iterate", "fold"}
            words.append(phrase)
    if len(rest & _OPERATORS) > 3:
        rest -= _OPERATORS
        words.append("an operator")
    rest.discard("MAX")  # it is a name
    if words or "_SEP" in rest:
        rest.discard(END)
    if words or rest - _AFTER_VALUE:
        rest -= _AFTER_VALUE
    if rest and "an operator" in words:
        words.remove("an operator")
    order = sorted(rest, key=lambda k: (k == "_SEP", k.isalpha(), k))
    words += [_WORDS.get(kind, f"`{kind}`") for kind in order]
    if len(words) > 1:
        return f"{', '.join(words[:-1])} or {words[-1]}"
    return words[0]


def found(source: Source, token: Token) -> str:
    text = source.text[token.start : token.end]
    if token.kind == END:
        return "the end"
    if token.kind == "_SEP" and text != ";":
        return "the end of the line"
    return f"`{text if len(text) <= 40 else text[:37] + '…'}`"


def syntax_error(
    source: Source, tokens: Sequence[Token], at: int, expected: Set[str]
) -> Diagnostic:
    """The diagnostic for `tokens[at]`, where only `expected` terminals could stand."""
    token = tokens[at]
    span = Span(source, token.start, token.end)
    open_ = _open_bracket(tokens, at)
    if token.kind == "UNMATCHED":
        return _unmatched(source, token, open_)
    notes = ()
    if open_ is not None:
        place = Span(source, open_.start, open_.end)
        on_earlier_line = "\n" in source.text[open_.end : token.start]
        if token.kind in ITEMS | {END} or (open_.kind != "{" and on_earlier_line):
            notes = (Note(f"`{open_.kind}` is not closed", place),)
    habit = recognise(source, tokens, at, expected)
    if habit is not None:
        return Diagnostic(habit.code, habit.message, span, notes, habit.hint)
    message = f"expected {describe(expected)}, found {found(source, token)}"
    if token.kind in KEYWORDS and "NAME" in expected and not _STATEMENT <= expected:
        message += ", a word of the language"
    return Diagnostic("E101", message, span, notes, hint(tokens, at, expected))


def _open_bracket(tokens: Sequence[Token], at: int) -> Token | None:
    """The bracket that is open at `tokens[at]`, innermost."""
    closed = 0
    for token in reversed(tokens[:at]):
        if token.kind in (")", "]", "}"):
            closed += 1
        elif token.kind in ("(", "[", "{"):
            if closed == 0:
                return token
            closed -= 1
    return None


def _unmatched(source: Source, token: Token, open_: Token | None) -> Diagnostic:
    span = Span(source, token.start, token.end)
    if open_ is None:
        return Diagnostic("E102", f"this `{span.text}` closes nothing", span)
    closing = {"(": ")", "[": "]", "{": "}"}[open_.kind]
    note = Note(f"`{open_.kind}` was opened", Span(source, open_.start, open_.end))
    return Diagnostic("E102", f"expected `{closing}`, found `{span.text}`", span, (note,))

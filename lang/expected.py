"""Syntax errors in the user's words: what was found, what could stand there, what was meant."""

from __future__ import annotations

from collections.abc import Sequence, Set

from ppl.lang import habits
from ppl.lang.tokens import KEYWORDS, Token
from ppl.lang.tables import END
from ppl.semantics.diagnostics import Diagnostic, Note, Source, Span

_EXPRESSION = frozenset("NAME MAX INT FLOAT TEXT true false ( [ { not - fn if match for scan".split())
_STATEMENT = frozenset("let observe factor condition return checkpoint".split())
_ITEM = frozenset("model fn guide type import".split())
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
        (_ITEM | {END}, "`model`, `fn`, `guide`, `type` or `import`"),
        (_EXPRESSION | _STATEMENT, "a statement"),
        (_EXPRESSION, "an expression"),
        (_PATTERN, "a pattern"),
        (_TYPE, "a type"),
        (_OPERATORS, "an operator"),
    ):
        if kinds - {END} <= rest and (END not in kinds or "{" not in rest):
            rest -= kinds | {"param", "iterate", "fold"}
            words.append(phrase)
            if phrase == "an operator":
                rest -= _AFTER_VALUE
    rest.discard("MAX")
    if "_SEP" in rest:
        rest.discard(END)
    if "an operator" in words and len(rest) > 0:
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
    source: Source,
    tokens: Sequence[Token],
    at: int,
    *,
    expected: Set[str],
) -> Diagnostic:
    """The diagnostic for a token that cannot stand where it does."""
    token = tokens[at]
    habit = habits.recognise(source, tokens, at, expected)
    span = Span(source, token.start, max(token.end, token.start))
    if habit is not None:
        begin = tokens[habit.first] if habit.first is not None else token
        return Diagnostic(
            habit.code, habit.message, Span(source, begin.start, token.end), (), habit.hint
        )
    message = f"expected {describe(expected)}, found {found(source, token)}"
    hint = None
    if token.kind in KEYWORDS and "NAME" in expected:
        message += ", a word of the language"
    previous = tokens[at - 1] if at else None
    for word in (token, previous):
        if hint is None and word is not None and word.kind == "NAME":
            hint = habits.word(str(word.value))
    return Diagnostic("E101", message, span, _open_brackets(source, tokens, at), hint)


def _open_brackets(source: Source, tokens: Sequence[Token], at: int) -> tuple[Note, ...]:
    """Where the innermost open bracket is, if an item or the end came before it was closed."""
    if tokens[at].kind not in _ITEM | {END}:
        return ()
    open_: list[Token] = []
    for token in tokens[:at]:
        if token.kind in ("(", "[", "{"):
            open_.append(token)
        elif token.kind in (")", "]", "}"):
            open_.pop()
    if not open_:
        return ()
    last = open_[-1]
    return (Note(f"`{last.kind}` is not closed", Span(source, last.start, last.end)),)

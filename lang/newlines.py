"""Which line ends separate statements: a filter between the lexer and the parser.

A line end separates unless the line cannot end there (inside `(` or `[`, after an operator or a
word that needs more) or the next cannot start there (with a closing bracket, an operator, `else`,
…). Inside a `{` nested in brackets line ends count again. Repeats are one; `;` always separates.
"""

from __future__ import annotations

from collections.abc import Iterable

from ppl.lang.tokens import Token
from ppl.semantics.diagnostics import Source, Span, fail

MAX_NESTING = 200

_CLOSES = {"(": ")", "[": "]", "{": "}"}
_OPERATORS = frozenset("* / // % @ ^ + == != < > <= >= = ~ -> => : | and or".split())
#: after these the statement goes on
_NEED_MORE = _OPERATORS | frozenset(
    "_SEP { ( [ , . - as by condition else factor fn fold for guide if import in iterate let match"
    " model not observe param return scan type until".split()
)
#: before these it went on
_CONTINUE = _OPERATORS | frozenset("} ) ] , . in else as by until".split())


def separate(source: Source, tokens: Iterable[Token]) -> list[Token]:
    """The tokens the parser reads: no comments, and of the line ends only those that separate.

    A bracket that does not close the last one opened becomes UNMATCHED, which no rule has. Raises
    DiagnosticError (E004) for more than 200 open brackets.
    """
    out: list[Token] = []
    open_: list[str] = []
    pending: Token | None = None  # a line end not yet known to separate
    for token in tokens:
        kind = token.kind
        if kind in ("COMMENT", "DOC"):
            continue
        if kind == "NEWLINE":
            inside = open_ and open_[-1] != "{"
            if out and not inside and out[-1].kind not in _NEED_MORE:
                pending = pending or Token("_SEP", token.start, token.end)
            continue
        if kind == "_SEP":
            pending = None
            if out and out[-1].kind == "_SEP":
                continue
        elif pending is not None and kind not in _CONTINUE:
            out.append(pending)
        pending = None
        if kind in _CLOSES:
            open_.append(kind)
            if len(open_) > MAX_NESTING:
                raise fail(
                    "E004",
                    f"more than {MAX_NESTING} brackets are open here",
                    span=Span(source, token.start, token.end),
                    hint="name parts of this with `let`, or make functions of them",
                )
        elif kind in (")", "]", "}"):
            if not open_ or _CLOSES[open_.pop()] != kind:
                token = token._replace(kind="UNMATCHED")
        out.append(token)
    return out

"""The language for Pygments: `pygmentize -l ppl`, Sphinx, Jupyter.

Pieces and keywords are our own lexer's, so that the two cannot come to differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pygments.lexer import Lexer
from pygments.token import (
    Comment,
    Error,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
)

from ppl.lang.check.builtins import BUILTINS
from ppl.lang.lexer import pieces
from ppl.lang.tokens import ITEMS, KEYWORDS
from ppl.semantics.signatures import CONSTANTS
from ppl.semantics.types import NAMED, NUMBERS

_WORDS = {k: Keyword for k in KEYWORDS}
_WORDS |= {k: Keyword.Declaration for k in (*ITEMS, "let", "param")}
_WORDS |= {k: Keyword.Constant for k in ("true", "false")}
_WORDS |= {k: Operator.Word for k in ("and", "or", "not", "in", "as", "by")}
_KINDS = {
    "SPACE": Whitespace,
    "NEWLINE": Whitespace,
    "COMMENT": Comment.Single,
    "DOC": String.Doc,
    "INT": Number.Integer,
    "FLOAT": Number.Float,
    "TEXT": String,
    "STRAY": Error,
}
_TYPES = frozenset((*NUMBERS, *NAMED)) - {"bit"}


class PplLexer(Lexer):
    """Probabilistic programs."""

    name = "PPL"
    aliases = ("ppl", "quasiborel")
    filenames = ("*.ppl",)
    mimetypes = ("text/x-ppl",)
    url = "https://pypi.org/project/quasiborel/"

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """(offset, token, text); the texts together are the whole."""
        last = ""  # the kind before, blanks aside
        for kind, start, end in pieces(text):
            word = text[start:end]
            yield start, _token(kind, word, last), word
            if kind != "SPACE":
                last = kind


def _token(kind: str, word: str, last: str) -> Any:
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in _KINDS:
        return _KINDS[kind]
    if kind != "NAME":
        return Punctuation if kind in "()[]{},;:." else Operator
    if last == ".":
        return Name.Attribute
    if last in ("fn", "model", "guide"):
        return Name.Function
    if last == "type" or word[0].isupper():
        return Name.Class
    if word in _TYPES:
        return Keyword.Type
    if word in CONSTANTS:
        return Name.Constant
    return Name.Builtin if word in BUILTINS else Name

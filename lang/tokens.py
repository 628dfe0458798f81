"""Tokens, and the words that are the language's own."""

from __future__ import annotations

from typing import NamedTuple

#: these name nothing else, except after a `.`
KEYWORDS = frozenset(
    "and as by checkpoint condition else factor false fn fold for guide if import in iterate let"
    " match model not observe or param return scan true type until".split()
)
#: an item begins with one of these
ITEMS = frozenset("model fn guide type import".split())


class Token(NamedTuple):
    """`kind` is a terminal of the grammar, or NEWLINE, COMMENT or DOC.

    `value` is a literal's value or a name's normal form.
    """

    kind: str
    start: int
    end: int
    value: str | int | float | None = None

"""What was meant, where the text is no program but would be one elsewhere."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from ppl.lang import habits
from ppl.lang.tokens import Token
from ppl.semantics.diagnostics import Source

_COMPARISONS = frozenset("== != < > <= >=".split())
_ARITHMETIC = frozenset("+ - * / // % @ ^".split())
_VALUE_ENDS = frozenset("NAME MAX INT FLOAT TEXT true false ) ] }".split())


class Habit(NamedTuple):
    code: str
    message: str
    hint: str


def _kind(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].kind if 0 <= at < len(tokens) else ""


def _ends_line(source: Source, token: Token) -> bool:
    return source.text[token.end : token.end + 100].lstrip(" \t\r")[:1] in ("\n", "#", "")


def recognise(source: Source, tokens: Sequence[Token], at: int, expected: Set[str]) -> Habit | None:
    """The habit behind a syntax error at `tokens[at]`, if it has a code of its own."""
    here, before, after = (_kind(tokens, i) for i in (at, at - 1, at + 1))
    in_block = "_SEP" in expected or "}" in expected
    if here == "=" and in_block and before in ("NAME", "MAX", "]") and "~" in expected:
        alone = before != "]" and _kind(tokens, at - 2) in ("_SEP", "{")
        name = source.text[tokens[at - 1].start : tokens[at - 1].end] if alone else "x"
        return Habit(
            "E104",
            "nothing is assigned here",
            f"write `let {name} = e` for a value, `{name} ~ d` for a draw, `==` to compare",
        )
    if here == "if" and before in _VALUE_ENDS:
        return Habit(
            "E105",
            "an expression is followed by `if`",
            "a choice is written `if c { a } else { b }`",
        )
    if here in _COMPARISONS and before in _VALUE_ENDS and "and" in expected:
        return Habit("E106", "comparisons do not chain", "write `a < b and b < c`")
    if "{" in expected and here == ":" and _ends_line(source, tokens[at]):
        return Habit("E107", "a block begins with `{`", "write `{ … }` around it, not `:`")
    if "{" in expected and here == "_SEP" and after == "{":
        return Habit(
            "E107",
            "the line ends where a block begins",
            "put `{` at the end of this line",
        )
    return None


def hint(tokens: Sequence[Token], at: int, expected: Set[str]) -> str | None:
    """A hint for a syntax error at `tokens[at]` that is nothing in particular."""
    here, before, after = (_kind(tokens, i) for i in (at, at - 1, at + 1))
    for i in (at, at - 1):
        if _kind(tokens, i) == "NAME" and (found := habits.word(str(tokens[i].value))):
            return found
    if "model" in expected and here in ("let", "observe", "return", "NAME", "for", "if"):
        return "statements stand in the block of a `model` or `fn`"
    if before == "MAX" and _kind(tokens, at - 2) == "(":
        return "the limit of `iterate` has no brackets: `until c max n { … }`"
    if here == "." and after == "INT":
        return "a number has a digit before its point, as in `0.5`"
    if before == "." and _kind(tokens, at - 2) == "INT":
        return "a number has a digit after its point, as in `1.0`"
    if here == "//":
        return "a comment begins with `#`; `//` is the integer division"
    if here == "," and "_SEP" in expected:
        return "statements are separated by new lines or `;`"
    if before == "return":
        return "write `return ()` to return nothing"
    if here == "->" and "=>" in expected:
        return "write `=>`; `->` is for types"
    if here == "=" and "=>" in expected:
        return "write `=> e`, or a block `{ … }`"
    if here == "in" and before in _VALUE_ENDS and ")" in expected:
        return "the loop has no brackets: `for x in xs { … }`"
    if here == ":" and before in _VALUE_ENDS and after in ("INT", "NAME"):
        return "write `range(n)` for the numbers from 0 to n - 1; `a:b` stands in an index only"
    if here in _ARITHMETIC and _kind(tokens, at - 2) == "as":
        return "`as` reaches further than arithmetic: write `(x as t) + 1`"
    if here == "?":
        return "`?` belongs to types; a choice is written `if c { a } else { b }`"
    return None

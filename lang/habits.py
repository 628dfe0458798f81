"""Habits from other languages: what someone may have meant, and how it is written here."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from ppl.lang.tokens import Token
from ppl.semantics.diagnostics import Source

#: operators of other languages -> what to write here; none can occur in a program
FOREIGN = {
    "**": "a power is written `x ^ y`",
    "&&": "write `and`",
    "||": "write `or`",
    "===": "write `==`",
    "!==": "write `!=`",
    "<>": "write `!=`",
    "!": "write `not`",
    ":=": "write `let x = e` for a value, `x ~ d` for a draw",
    "+=": "names are bound once; a loop's state is carried by `scan`, `fold` or `iterate`",
    "-=": "names are bound once; a loop's state is carried by `scan`, `fold` or `iterate`",
    "*=": "names are bound once; a loop's state is carried by `scan`, `fold` or `iterate`",
    "/=": "names are bound once; a loop's state is carried by `scan`, `fold` or `iterate`",
    "++": "names are bound once; arrays are joined by `concat(a, b)`",
    "|>": "write the call, `f(x)`",
    "...": "write `range(n)` for numbers, `x[a:b]` for a part of an array",
    "..": "write `range(n)` for numbers, `x[a:b]` for a part of an array",
    "/*": "a comment begins with `#` and ends with its line",
    "::": "write `.` between a module and a name; a slice `a:b` has no step",
    "=<": "write `<=`",
}

_CHARACTERS = {
    "'": 'a text is written in double quotes, "…"',
    "“": 'a text is written in double quotes, "…"',
    "”": 'a text is written in double quotes, "…"',
    "‘": 'a text is written in double quotes, "…"',
    "’": 'a text is written in double quotes, "…"',
    "`": 'a text is written in double quotes, "…"',
    "\\": "a function is written `fn (x) => e`",
    "λ": "a function is written `fn (x) => e`",
    "&": "write `and`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "−": "write `-`",
    "–": "write `-`",
    "×": "write `*`",
    "·": "write `*`",
    "÷": "write `/`",
    "∼": "write `~`",
    "←": "write `~` for a draw, `let x = e` for a value",
    "→": "write `->`",
    "⇒": "write `=>`",
    "∈": "write `in`",
    "∞": "write `inf`",
    "¬": "write `not`",
    "∧": "write `and`",
    "∨": "write `or`",
    "²": "write `x ^ 2`",
    "³": "write `x ^ 3`",
    "\N{NO-BREAK SPACE}": "write an ordinary space",
}

#: words of other languages, where a statement or item was expected
_WORDS = {
    "def": "a function is written `fn f(x) { … }`",
    "function": "a function is written `fn f(x) { … }`",
    "func": "a function is written `fn f(x) { … }`",
    "fun": "a function is written `fn f(x) { … }`",
    "lambda": "a function is written `fn (x) => e`",
    "var": "write `let x = e`",
    "val": "write `let x = e`",
    "const": "write `let x = e`",
    "while": "write `iterate x = e until c { … }`",
    "repeat": "write `iterate x = e until c { … }`",
    "elif": "write `else if`",
    "elseif": "write `else if`",
    "then": "write `if c { … } else { … }`",
    "switch": "write `match e { p => …, q => … }`",
    "case": "an arm is written `pattern => e`, without a word before it",
    "sample": "a draw is written `x ~ d`",
    "data": "data are the parameters of a `model`",
    "parameters": "parameters are drawn in the `model`: `x ~ d`",
    "from": 'write `import "file.ppl" as name`',
    "class": "write `type name = Constructor(type) | …`",
    "struct": "records need no declaration: `{a: 1, b: 2}`",
    "enum": "write `type name = A | B | …`",
    "print": "a program has no output but its result; return what you want to see",
    "use": 'write `import "file.ppl" as name`',
    "end": "a block ends with `}`",
    "begin": "a block begins with `{`",
    "do": "a block begins with `{`",
}


def character(c: str) -> str | None:
    """A hint for a character that no program has."""
    return _CHARACTERS.get(c)


def word(text: str) -> str | None:
    """A hint for a word that another language begins a statement with."""
    return _WORDS.get(text)


def number(text: str) -> str | None:
    """A hint for a malformed number."""
    lower = text.lower()
    if lower.startswith(("0x", "0b", "0o")):
        return "numbers are decimal"
    if "_" in text:
        return "a `_` stands between two digits, as in `1_000`"
    if lower[-1] in "jlfuld" and lower[:-1].isdecimal():
        return f"write `{text[:-1]}`: numbers have no suffix"
    if text.count(".") > 1:
        return "a number has one point"
    digits = len(text) - len(text.lstrip("0123456789."))
    if lower[digits:] == "e":
        return "an exponent follows the `e`, as in `1e-3`"
    if text[digits:].isidentifier():
        return f"write `{text[:digits]} * {text[digits:]}` for a product; a name begins with a letter"
    return None


class Habit(NamedTuple):
    """What was recognised; `first` is the token its span begins with, if not the one in error."""

    code: str
    message: str
    hint: str
    first: int | None = None


def recognise(
    source: Source, tokens: Sequence[Token], at: int, expected: Set[str]
) -> Habit | None:
    """The habit behind a syntax error at `tokens[at]`, where `expected` could stand."""

    def kind(i: int) -> str:
        return tokens[i].kind if 0 <= i < len(tokens) else ""

    def text(i: int) -> str:
        return source.text[tokens[i].start : tokens[i].end]

    here = kind(at)
    statement_may_end = "_SEP" in expected or "}" in expected
    comparisons = ("==", "!=", "<", ">", "<=", ">=")
    if here == "=" and statement_may_end and kind(at - 1) in ("NAME", "MAX", "]"):
        name = text(at - 1) if kind(at - 2) in ("_SEP", "{") and kind(at - 1) != "]" else "x"
        return Habit(
            "E104",
            "nothing is assigned here",
            f"write `let {name} = e` for a value, `{name} ~ d` for a draw, `==` to compare",
        )
    if here == "if" and kind(at - 1) not in ("_SEP", "{", "}") and "as" in expected:
        return Habit(
            "E105",
            "an expression is followed by `if`",
            "a choice is written `if c { a } else { b }`",
        )
    if here in comparisons and "and" in expected:
        return Habit(
            "E106",
            "comparisons do not chain",
            "write `a < b and b < c`",
        )
    if "{" in expected and here == ":":
        return Habit("E107", "a block begins with `{`", "write `{ … }` around it, not `:`")
    if "{" in expected and here == "_SEP" and kind(at + 1) == "{":
        return Habit(
            "E107",
            "the line ends where a block begins",
            "put `{` at the end of this line",
        )
    return None

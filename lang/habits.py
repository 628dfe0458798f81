"""Habits from other languages: what someone may have meant, and how it is written here."""

from __future__ import annotations

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
    "'": 'a text is written in double quotes, "…"; names have no `\'`',
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
        product = f"{text[:digits]} * {text[digits:]}"
        return f"write `{product}` for a product; a name begins with a letter"
    return None

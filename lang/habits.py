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
    "%*%": "a product of matrices is written `a @ b`",
    "%/%": "whole parts of quotients are written `a // b`",
    "%%": "the remainder is written `a % b`",
    "%in%": "whether an array has an element: `any([y == x for y in ys])`",
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
    "is": "write `==`",
}

#: what begins declarations elsewhere
DECLARATIONS = frozenset(
    "int real float double bool boolean string vector row_vector matrix array list simplex ordered"
    " positive_ordered unit_vector cov_matrix corr_matrix cholesky_factor_corr".split()
)

#: modules of Python that models are written with
_MODULES = frozenset(
    "np numpy jnp math random scipy stats torch tf tfp tfd pm pymc pyro numpyro dist"
    " distributions jax sps jsp".split()
)

#: names of other languages that nothing has here -> what to write
_NAMES = {
    **dict.fromkeys(("True", "TRUE"), "write `true`"),
    **dict.fromkeys(("False", "FALSE"), "write `false`"),
    **dict.fromkeys(("null", "NULL", "nil", "NA"), "write `None`; a present value is `Some(x)`"),
    **dict.fromkeys(("length", "rows", "num_elements", "nrow"), "the length is `len(xs)`"),
    **dict.fromkeys(("cols", "ncol"), "the length of a row is `len(xs[0])`"),
    **dict.fromkeys(("rep_vector", "rep_array", "rep_row_vector", "rep"), "write `repeat(x, n)`"),
    **dict.fromkeys(("append_row", "append_array", "append"), "write `concat(xs, ys)`"),
    **dict.fromkeys(("pow", "power"), "write `x ^ y`"),
    "fmin": "write `min(a, b)`",
    "fmax": "write `max(a, b)`",
    **dict.fromkeys(("std", "stdev"), "the standard deviation is `sd(xs)`"),
    **dict.fromkeys(("logpdf", "logprob"), "write `log_prob(d, x)`; `observe x ~ d` scores"),
    **dict.fromkeys(("int", "float", "str", "bool"), "write `x as int`, `x as real`, `text(x)`"),
    "inv": "write `1 / x` for numbers, `inverse(a)` for matrices",
    "inv_sqrt": "write `1 / sqrt(x)`",
    "dot_product": "write `dot(a, b)`",
    "quad_form": "write `transpose(b) @ a @ b`",
    "to_array_1d": "an array is a vector already; `flatten(a)` puts the rows of a matrix together",
    "seq": "write `range(n)` or `linspace(lo, hi, n)`",
    "arange": "write `range(n)`",
    "array": "arrays are written `[a, b]`",
    "list": "arrays are written `[a, b]`",
    "ifelse": "a choice is written `if c { a } else { b }`",
    "where": "a choice is written `if c { a } else { b }`",
    "target": "a score is added by `factor e`",
    "potential": "a score is added by `factor e`",
}

_SUFFIXES = {
    ("_lpdf", "_lpmf", "_lupdf", "_lupmf"): "a value is scored by `observe x ~ d`",
    ("_rng",): "a draw is written `x ~ d`",
    (
        "_lcdf",
        "_lccdf",
        "_cdf",
    ): "laws between bounds are `truncate(d, lower=a, upper=b)`",
}


def operator(text: str, before: str) -> str:
    """A hint for a foreign operator after the text `before`."""
    if text == "+=" and before.rstrip().endswith(("target", "lp__")):
        return "a score is added by `factor e`, that of a value by `observe x ~ d`"
    return FOREIGN[text]


def character(c: str, before: str = "") -> str | None:
    """A hint for a character that no program has, after the text `before`."""
    if c == "'" and (before[-1:].isalnum() or before[-1:] in (")", "]")):
        return "a transposed matrix is written `transpose(a)`"
    return _CHARACTERS.get(c)


def word(text: str) -> str | None:
    """A hint for a word that another language begins a statement with."""
    return _WORDS.get(text)


def name(text: str) -> str | None:
    """A hint for a name that nothing has, but something has in another language."""
    if text in _MODULES:
        return "functions have no module before them: `normal(0, 1)`, `exp(x)`"
    for endings, said in _SUFFIXES.items():
        if text.endswith(endings):
            return said
    return _NAMES.get(text) or _WORDS.get(text)


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

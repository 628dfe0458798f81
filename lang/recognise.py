"""What was meant, where the text is no program but would be one elsewhere."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from ppl.lang import habits
from ppl.lang.tokens import Token
from ppl.semantics.diagnostics import Source

_COMPARISONS = frozenset("== != < > <= >=".split())
_ARITHMETIC = frozenset("+ - * / // % @ ^".split())
#: what follows the type of a declaration: the name, bounds or sizes
_DECLARED = frozenset("NAME MAX < [".split())
_VALUE_ENDS = frozenset("NAME MAX INT FLOAT TEXT true false ) ] }".split())


#: what shows that a statement begins, or, after a name, began
_BEGINS = frozenset("~ let observe factor condition return".split())


class Habit(NamedTuple):
    code: str
    message: str
    hint: str


_BRACED = {
    "if": "if c { a } else { b }",
    "for": "for x in xs { … }",
    "scan": "scan s = e for x in xs { … }",
    "fold": "fold s = e for x in xs { … }",
    "iterate": "iterate s = e until c { … }",
}


def _kind(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].kind if 0 <= at < len(tokens) else ""


def _ends_line(source: Source, token: Token) -> bool:
    return source.text[token.end : token.end + 100].lstrip(" \t\r")[:1] in ("\n", "#", "")


def _first(tokens: Sequence[Token], at: int) -> int:
    """Where the statement of `tokens[at]` begins."""
    while at > 0 and tokens[at - 1].kind not in ("_SEP", "{", "=>"):
        at -= 1
    return at


def _declares(tokens: Sequence[Token], at: int) -> str | None:
    """The type that a statement begins with, as declarations of other languages do."""
    first = _first(tokens, at)
    if first < at and _kind(tokens, first) == "NAME" and _kind(tokens, first + 1) in _DECLARED:
        type_ = str(tokens[first].value)
        return type_ if type_ in habits.DECLARATIONS else None
    return None


def recognise(source: Source, tokens: Sequence[Token], at: int, expected: Set[str]) -> Habit | None:
    """The habit behind a syntax error at `tokens[at]`, if it has a code of its own."""
    here, before, after = (_kind(tokens, i) for i in (at, at - 1, at + 1))
    in_block = "_SEP" in expected or "}" in expected
    if "~" in expected and (type_ := _declares(tokens, at)) is not None:
        return Habit(
            "E121",
            f"variables are not declared, and `{type_}` begins nothing here",
            "write `let x = e` for a value, `x ~ d` for a draw; data are parameters of the model",
        )
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
    follows = _kind(tokens, at + 2) if after in ("NAME", "MAX") else after
    if (
        "{" in expected
        and here == ":"
        and (_ends_line(source, tokens[at]) or follows in _BEGINS or "=>" in expected)
    ):
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
    if here in ("return", "let", "observe", "factor", "condition") and "_SEP" in expected:
        return "statements are separated by new lines or `;`"
    first = _first(tokens, at)
    begin = _kind(tokens, first)
    if here == "TEXT" and before == "NAME" and len(str(tokens[at - 1].value)) <= 2:
        return 'texts are joined by `+`: `"n = " + text(n)`'
    if begin == "observe" and "~" in expected:
        return "an observation is written `observe y ~ d`"
    if begin == "let" and first < at and here == "~":
        return "a draw is written `x ~ d`, without `let`"
    if begin == "let" and first < at and here == "," and "=" in expected:
        return "write `let (a, b) = e` to take a pair apart"
    if here == ":" and at == first + 1 and "~" in expected:
        return "names are bound without a type, `x ~ d`; a value may have one, `let x: real = e`"
    if here == "for" and before in _VALUE_ENDS and ")" in expected:
        return "write `[e for x in xs]` in square brackets, as in `sum([x^2 for x in xs])`"
    if here == "in" and before in _VALUE_ENDS and "and" in expected:
        return "whether an array has an element: `any([y == x for y in ys])`"
    if here == "[" and "[" not in expected and {"NAME", "("} <= expected:
        return "arrays have no patterns: ask for `len(xs)`, and take `xs[0]`"
    if here == "|":
        return "an absolute value is `abs(x)`; what a law depends on are its arguments, `d(a, b)`"
    if any(t.kind == "//" for t in tokens[first:at]) and before in ("NAME", "MAX"):
        return "a comment begins with `#`; `//` is the integer division"
    if begin == "import" and here == "as":
        return 'a file is imported by its path: `import "file.ppl" as name`'
    if here == "import":
        return "`import` stands at the top of the file"
    if "(" in expected and here == "{" and _kind(tokens, at - 2) in ("model", "fn", "guide"):
        return "parameters stand in brackets, `()` if there are none"
    if here == "{" and before in ("model", "fn", "guide"):
        return f"it has a name and parameters: `{before} name(x: real) {{ … }}`"
    if here in ("NAME", "MAX") and before in ("NAME", "MAX", "]") and ":" in expected:
        return "the type of a parameter follows its name: `x: real`"
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
    words = [t.kind for t in tokens[first:at] if t.kind in _BRACED]
    if "{" in expected and words:
        return f"what follows `{words[-1]}` stands in braces: `{_BRACED[words[-1]]}`"
    if here in _ARITHMETIC and _kind(tokens, at - 2) == "as":
        return "`as` reaches further than arithmetic: write `(x as t) + 1`"
    if here == "?":
        return "`?` belongs to types; a choice is written `if c { a } else { b }`"
    return None

"""Words of the IR's text, and the types written in it.

Types are read back exactly as they print. A name that is not built in is an inductive type; in the
schemes of `signatures` single lower-case letters are type variables, which read as types without
arguments.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import NamedTuple

from ppl.semantics.diagnostics import DiagnosticError, Source, Span, fail
from ppl.semantics.types import (
    NAMED,
    NUMBERS,
    Array,
    Data,
    Dist,
    Fun,
    Measure,
    Option,
    Record,
    Tuple,
    Type,
)

KEYWORDS = frozenset(
    "main def fn thunk new true false nan return call run observe as score at keep if then else"
    " match with for in when do scan fold iterate until max".split()
)

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<quoted>`[^`\n]*`)
      | (?P<number>-?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|inf\b))
      | (?P<name>[^\W\d]\w*(?:\.\d+)*(?:\#\d+)?)
      | (?P<symbol><-|->|=>|==|!=|<=|>=|//|[-+*/%^@<>=~(){}\[\],.:;?|])
    """,
    re.VERBOSE,
)
_NAME = re.compile(r"[^\W\d]\w*(?:\.\d+)*(?:#\d+)?")


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def quote(name: str) -> str:
    """A name as the text writes it: in backquotes if it is no plain word."""
    plain = _NAME.fullmatch(name) and name not in KEYWORDS and name != "inf"
    return name if plain else f"`{name}`"


def tokens(source: Source) -> list[Token]:
    out, at, text = [], 0, source.text
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            span = Span(source, at, at + 1)
            raise fail("E080", f"unexpected character {text[at]!r} in IR text", span=span)
        kind = found.lastgroup or ""
        if kind == "quoted":
            out.append(Token("name", found.group()[1:-1], at, found.end()))
        elif kind == "name" and found.group() in KEYWORDS:
            out.append(Token("keyword", found.group(), at, found.end()))
        elif kind != "space":
            out.append(Token(kind, found.group(), at, found.end()))
        at = found.end()
    out.append(Token("end", "the end of the text", len(text), len(text)))
    return out


class TokenReader:
    """A cursor over tokens, with the reader of types."""

    def __init__(self, source: Source):
        self.source = source
        self.tokens = tokens(source)
        self.at = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def error(self, message: str, token: Token | None = None) -> DiagnosticError:
        token = token or self.next
        return fail(
            "E080", message, span=Span(self.source, token.start, max(token.end, token.start + 1))
        )

    def sees(self, *texts: str) -> bool:
        """Whether one of these symbols or keywords comes next."""
        return self.next.kind in ("symbol", "keyword") and self.next.text in texts

    def take(self, *texts: str) -> str | None:
        """The next symbol or keyword if it is one of these, read."""
        if not self.sees(*texts):
            return None
        self.at += 1
        return self.tokens[self.at - 1].text

    def expect(self, *texts: str) -> str:
        found = self.take(*texts)
        if found is None:
            wanted = " or ".join(f"`{t}`" for t in texts)
            raise self.error(f"expected {wanted}, found `{self.next.text}`")
        return found

    def name(self) -> str:
        if self.next.kind != "name":
            raise self.error(f"expected a name, found `{self.next.text}`")
        self.at += 1
        return self.tokens[self.at - 1].text

    def label(self) -> str:
        """The name of a field or a type, which may be a word that is reserved for terms."""
        if self.next.kind not in ("name", "keyword"):
            raise self.error(f"expected a name, found `{self.next.text}`")
        self.at += 1
        return self.tokens[self.at - 1].text

    def string(self) -> str:
        if self.next.kind != "string":
            raise self.error(f"expected a string, found `{self.next.text}`")
        try:
            text = json.loads(self.next.text)
        except ValueError as problem:
            raise self.error(f"malformed string: {problem}") from None
        self.at += 1
        return text

    # ------------------------------------------------------------------------------------ types

    def type(self) -> Type:
        left = self._types() if self.sees("(") else (self._type_atom(),)
        if self.take("->"):
            return Fun(left, self.type())
        if len(left) == 1:
            return self._options(left[0])
        if not left:
            raise self.error("`()` is no type; the type of `()` is `unit`")
        return self._options(Tuple(left))

    def _types(self) -> tuple[Type, ...]:
        """`(A, B)`: the parameters of a function, a tuple, or a type in parentheses."""
        self.expect("(")
        items = []
        while not self.sees(")"):
            items.append(self.type())
            if not self.take(","):
                break
        self.expect(")")
        return tuple(items)

    def _type_atom(self) -> Type:
        if self.take("["):
            item = self.type()
            self.expect("]")
            return self._options(Array(item))
        if self.take("{"):
            fields = []
            while not self.sees("}"):
                name = self.label()
                self.expect(":")
                fields.append((name, self.type()))
                if not self.take(","):
                    break
            self.expect("}")
            return self._options(Record(tuple(fields)))
        name = self.label()
        while self.take("."):  # of a module
            name += "." + self.label()
        args = []
        if self.take("["):
            while not self.sees("]"):
                args.append(self.type())
                if not self.take(","):
                    break
            self.expect("]")
        if name in ("dist", "measure"):
            if len(args) != 1:
                raise self.error(f"`{name}` takes one type")
            return self._options((Dist if name == "dist" else Measure)(args[0]))
        base = NAMED.get(name) or NUMBERS.get(name)
        return self._options(base if base is not None and not args else Data(name, tuple(args)))

    def _options(self, t: Type) -> Type:
        while self.take("?"):
            t = Option(t)
        return t


@cache
def read_type(text: str) -> Type:
    """The type that prints as `text`. Raises DiagnosticError(E080)."""
    reader = TokenReader(Source("type", text))
    out = reader.type()
    if reader.next.kind != "end":
        raise reader.error(f"unexpected `{reader.next.text}` after a type")
    return out

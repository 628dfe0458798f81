"""From text to tokens: words, numbers, texts, operators, comments and line ends.

One regular expression names every kind of token, so that the time is linear in the text. What
no program can contain is an error here, with a hint when it is at home in another language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ppl.lang import habits
from ppl.lang.tokens import KEYWORDS, Token
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Source, Span, fail

#: characters of a source file; one of this size is read in a few seconds
MAX_CHARACTERS = 250_000
MAX_INT = 2**63 - 1
#: digits and separators of one number; no double needs more than 767 significant digits
MAX_NUMBER_LENGTH = 1_000
#: errors reported at once
MAX_ERRORS = 20

_FOREIGN = "|".join(map(re.escape, sorted(habits.FOREIGN, key=len, reverse=True)))
_TOKEN = re.compile(
    rf"""
    (?P<space>[ \t\r\f]+)
  | (?P<newline>\n)
  | (?P<doc>\#\#[^\n]*)
  | (?P<comment>\#[^\n]*)
  | (?P<number>[0-9](?:[eE][+-](?=[0-9])|\.(?=[0-9])|\w)*)
  | (?P<word>\w+)
  | (?P<text>"(?:[^"\\\n]|\\[^\n])*(?P<closed>")?)
  | (?P<quoted>'[^'\n]*')
  | (?P<foreign>(?!!=(?!=))(?:{_FOREIGN}))
  | (?P<operator>=>|->|==|!=|<=|>=|//|[-+*/%^@=<>~()\[\]{{}},;:.|?])
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"[0-9]+(?:_[0-9]+)*(\.[0-9]+(?:_[0-9]+)*)?([eE][+-]?[0-9]+)?")
_INDEX = re.compile(r"(?P<number>[0-9]+(?:_[0-9]+)*)")
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|(.))", re.DOTALL)
#: control characters other than a tab, and halves of characters: none of them can be seen
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


def scan(source: Source) -> list[Token]:
    """All tokens, with comments and line ends. Raises DiagnosticError (E001-E003, E005, E006)."""
    text = source.text
    if len(text) > MAX_CHARACTERS:
        raise fail(
            "E005",
            f"this file has {len(text):,} characters, more than {MAX_CHARACTERS:,}",
            span=Span(source, 0, 0),
            hint="a program holds the model; pass the data as parameters",
        )
    tokens: list[Token] = []
    problems: list[Diagnostic] = []
    at, after_dot = (1 if text.startswith("\ufeff") else 0), False  # a byte order mark is no text
    while at < len(text) and len(problems) < MAX_ERRORS:
        match = _TOKEN.match(text, at)
        if match is not None and match.lastgroup == "number" and after_dot:
            match = _INDEX.match(text, at) or match  # t.0.1 is two fields
        try:
            token = _token(source, at, match, after_dot)
        except DiagnosticError as error:
            problems += error.diagnostics
            token = None
        if token is not None:
            tokens.append(token)
            after_dot = token.kind == "."
        at = match.end() if match else at + 1
    if problems:
        raise DiagnosticError(*problems)
    return tokens


def pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """The whole text in pieces, (kind, start, end), with blanks and whatever is no token: for
    programs that show a text and do not judge it. Kinds are those of tokens, "SPACE" and "STRAY".
    """
    at, after_dot = 0, False
    if text.startswith("\ufeff"):  # a byte order mark is no text
        yield "SPACE", 0, 1
        at = 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is not None and match.lastgroup == "number" and after_dot:
            match = _INDEX.match(text, at) or match
        kind = "STRAY" if match is None else _kind(match, after_dot)
        end = at + 1 if match is None else match.end()
        yield kind, at, end
        at, after_dot = end, kind == "." or (after_dot and kind == "SPACE")


def _kind(match: re.Match[str], after_dot: bool) -> str:
    word, group = match.group(), str(match.lastgroup)
    match group:
        case "operator":
            return word
        case "word" if not word.isidentifier():
            return "STRAY"
        case "word":
            return word if word in KEYWORDS and not after_dot else "NAME"
        case "text" | "closed":
            return "TEXT" if match["closed"] else "STRAY"
        case "quoted" | "foreign":
            return "STRAY"
        case "number":
            number = _NUMBER.fullmatch(word)
            if number is None:
                return "STRAY"
            return "INT" if number[1] is None and number[2] is None else "FLOAT"
    return group.upper()


def _token(source: Source, at: int, match: re.Match[str] | None, after_dot: bool) -> Token | None:
    """The token at an offset; None for blanks."""
    if match is None:
        raise _stray(source, at)
    end = match.end()
    match match.lastgroup:
        case "space":
            return None
        case "number":
            return _number(source, at, end)
        case "word":
            return _word(source, at, end, after_dot)
        case "text" | "closed":
            return Token("TEXT", at, end, _text(source, at, end, match["closed"] is not None))
        case "quoted":
            hint = habits.character("'")
            raise fail("E001", "`'` has no place here", span=Span(source, at, end), hint=hint)
        case "foreign":
            raise fail(
                "E103",
                f"`{match.group()}` is an operator of other languages",
                span=Span(source, at, end),
                hint=habits.operator(match.group(), source.text[:at]),
            )
        case "operator":
            kind = match.group()
            return Token("_SEP" if kind == ";" else kind, at, end)
        case kind:
            return Token(str(kind).upper(), at, end)


def _word(source: Source, start: int, end: int, after_dot: bool) -> Token:
    word = source.text[start:end]
    if not word.isidentifier():
        bad = next((i for i, c in enumerate(word) if not ("a" + c).isidentifier()), 0)
        raise _stray(source, start + bad)
    if word in KEYWORDS and not after_dot:
        return Token(word, start, end)
    # The same normal form as Python's, so that `µ` (micro) and `μ` (Greek) are one name and
    # parameters are found under the names Python gives them.
    name = unicodedata.normalize("NFKC", word)
    return Token("MAX" if name == "max" else "NAME", start, end, name)


def _number(source: Source, start: int, end: int) -> Token:
    text, span = source.text[start:end], Span(source, start, end)
    match = _NUMBER.fullmatch(text) if len(text) <= MAX_NUMBER_LENGTH else None
    if len(text) > MAX_NUMBER_LENGTH:
        raise fail("E003", f"this number is {len(text):,} characters long", span=span)
    if match is None:
        hint = habits.number(text)
        raise fail("E003", f"`{text[:40]}` is not a number", span=span, hint=hint)
    digits = text.replace("_", "")
    if match[1] is None and match[2] is None:
        value = int(digits)
        if value > MAX_INT:
            raise fail(
                "E003",
                "this integer does not fit in 64 bits",
                span=span,
                hint="write it as a real number, with a point or an exponent",
            )
        return Token("INT", start, end, value)
    real = float(digits)
    if real == float("inf"):
        raise fail(
            "E003",
            "this number is larger than any real number of double precision",
            span=span,
            hint="infinity is written `inf`",
        )
    if real == 0 and any(c in "123456789" for c in digits.lower().split("e")[0]):
        raise fail(
            "E003",
            "this number is so small that it would be rounded to zero",
            span=span,
            hint="work with its logarithm",
        )
    return Token("FLOAT", start, end, real)


def _text(source: Source, start: int, end: int, closed: bool) -> str:
    if not closed:
        raise fail(
            "E002",
            'this text has no closing `"` on its line',
            span=Span(source, start, end),
            hint='close it with `"`; a line break within a text is written `\\n`',
        )
    text = source.text

    def escape(match: re.Match[str]) -> str:
        if match[1] is not None:
            code = int(match[1], 16)
            if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
                return chr(code)
        elif match[2] in _ESCAPES:
            return _ESCAPES[match[2]]
        raise fail(
            "E006",
            f"`{match.group()}` means nothing in a text",
            span=Span(source, match.start(), match.end()),
            hint=r"write `\\` for a backslash; others are \n \t \r \" and \u{1F600}",
        )

    if control := _CONTROL.search(text, start, end):
        raise _stray(source, control.start())
    parts, at = [], start + 1
    for match in _ESCAPE.finditer(text, start + 1, end - 1):
        parts += [text[at : match.start()], escape(match)]
        at = match.end()
    return "".join(parts) + text[at : end - 1]


def _stray(source: Source, at: int) -> DiagnosticError:
    text, c = source.text, source.text[at]
    shown = f"`{c}`" if c.isprintable() else f"U+{ord(c):04X}"
    name = unicodedata.name(c, "")
    return fail(
        "E001",
        f"{shown}{f' ({name.lower()})' if ord(c) > 127 and name else ''} has no place here",
        span=Span(source, at, at + 1),
        hint=habits.character(c, text[:at]),
    )

"""Errors as data: what is wrong, where, why something else was expected, and one hint.

A `Diagnostic` is made once, where the problem is noticed, and rendered once, where a person reads
it. Every stage, from the lexer to inference, reports through this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Source:
    """A text and the name it is shown under."""

    name: str
    text: str

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        starts = [0]
        for i, c in enumerate(self.text):
            if c == "\n":
                starts.append(i + 1)
        return tuple(starts)

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of a character offset."""
        from bisect import bisect_right

        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its newline."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] - 1 if number < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r")


@dataclass(frozen=True)
class Span:
    """The half-open range of characters [start, end) of a source."""

    source: Source = field(repr=False)
    start: int
    end: int

    def __repr__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The smallest span that covers both."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))


@dataclass(frozen=True)
class Note:
    """A reason, and where in the source it comes from (if anywhere)."""

    message: str
    span: Span | None = None


@dataclass(frozen=True)
class Diagnostic:
    """One problem. `code` is a key of `ppl.semantics.codes.CODES`."""

    code: str
    message: str
    span: Span | None = None
    notes: tuple[Note, ...] = ()
    hint: str | None = None

    @property
    def severity(self) -> Severity:
        return "warning" if self.code.startswith("W") else "error"

    def render(self) -> str:
        """The text a person reads: message, place with a caret, reasons, hint."""
        out = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.span is not None:
            out += _excerpt(self.span)
        for note in self.notes:
            if note.span is None:
                out.append(f"  because: {note.message}")
            else:
                out.append(f"  because: {note.message}, at {note.span!r}")
                out += _excerpt(note.span)[1:]
        if self.hint:
            out.append(f"  hint: {self.hint}")
        return "\n".join(out)

    __str__ = render


def _excerpt(span: Span) -> list[str]:
    line, column = span.source.position(span.start)
    text = span.source.line(line)
    width = max(1, min(span.end - span.start, len(text) - column + 1))
    gutter = f"{line:>4} | "
    shown, shift = text.replace("\t", " "), 0
    if len(shown) > 120:  # keep the caret in view on very long lines
        shift = max(0, column - 40)
        shown = shown[shift : shift + 100]
        width = min(width, 100 - (column - 1 - shift))
    return [
        f"  --> {span!r}",
        f"  {gutter}{shown}",
        f"  {' ' * len(gutter)}{' ' * (column - 1 - shift)}{'^' * max(1, width)}",
    ]


class DiagnosticError(Exception):
    """One or more problems that stopped the work. `diagnostics` has them as data."""

    def __init__(self, *diagnostics: Diagnostic):
        self.diagnostics: tuple[Diagnostic, ...] = diagnostics
        super().__init__("\n\n".join(d.render() for d in diagnostics))


def fail(
    code: str,
    message: str,
    *,
    span: Span | None = None,
    notes: Iterable[Note] = (),
    hint: str | None = None,
) -> DiagnosticError:
    """The exception for one problem: `raise fail("E701", …)`."""
    return DiagnosticError(Diagnostic(code, message, span, tuple(notes), hint))


def suggest(name: str, known: Iterable[str]) -> str | None:
    """A hint naming the closest known spelling, if one is close."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None

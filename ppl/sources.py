"""Model files as sources."""

from __future__ import annotations

from pathlib import Path

from ppl.semantics.diagnostics import Source, fail

#: bytes beyond which no file can be a program (the lexer's own limit is in characters)
LIMIT = 8_000_000


def read_source(path: str | Path) -> Source:
    """The text of a model file, under the name the user gave it.

    Raises:
        DiagnosticError: E007, the file cannot be read, or is not text in UTF-8.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise fail("E007", f"{path} cannot be read: {error.strerror}") from error
    if len(data) > LIMIT:
        raise fail("E005", f"{path} has more than {LIMIT} bytes, and no program does")
    try:
        return Source(str(path), data.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        hint = "model files are text in UTF-8"
        raise fail("E007", f"{path} is not UTF-8 text (byte {error.start})", hint=hint) from None

"""Model files as sources, and the folder that a program may import from."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ppl.semantics.diagnostics import Source, Span, fail, suggest

#: bytes beyond which no file can be a program (the lexer's own limit is in characters)
LIMIT = 8_000_000
#: entries of a folder that a misspelt name is compared with
MANY = 1_000


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
    return source_of(str(path), data)


@dataclass(frozen=True)
class Folder:
    """The model files that a program may import: those in `root`, the folder of its own file, and
    below it. `main`: the program's own file there; empty for a text."""

    root: Path
    main: str = ""

    @classmethod
    def of(cls, path: str | Path) -> Folder:
        """The folder of a program's file."""
        return cls(Path(path).parent, Path(path).name)

    def read(self, path: str, span: Span) -> Source:
        """A file of the folder, by its relative path, which the compiler has checked.

        Only a regular file that lies in the folder once symbolic links are followed is opened, and
        it is opened without waiting, so that a device or a pipe in its place blocks nothing.

        Raises:
            DiagnosticError: E090, E091, or what `read_source` raises.
        """
        shown = self.root / path
        try:
            root, target = self.root.resolve(strict=True), shown.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: links in a circle, in Python 3.11 and 3.12
            raise fail(
                "E090", f"there is no file {shown}", span=span, hint=self._similar(shown)
            ) from None
        if not target.is_relative_to(root):
            raise fail(
                "E091",
                f"{shown} is a link that leads out of the program's folder",
                span=span,
                hint="a program reads no files outside the folder of its own file: copy it there",
            )
        try:
            data = _read_regular(target)
        except OSError as error:
            raise fail("E090", f"{shown} cannot be read: {error.strerror}", span=span) from None
        return source_of(str(shown), data)

    def _similar(self, path: Path) -> str | None:
        try:
            with os.scandir(path.parent) as entries:
                names = [e.name for e, _ in zip(entries, range(MANY), strict=False)]
        except OSError:
            return f"there is no folder {path.parent}"
        models = sorted(n for n in names if n.endswith(".ppl") and n != self.main)
        here = f"model files there: {', '.join(models[:5])}" if models else None
        return suggest(path.name, models) or here


def _read_regular(path: Path) -> bytes:
    """The bytes of a regular file, one more than allowed at most. Raises OSError."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    if not stat.S_ISREG(os.stat(path, follow_symlinks=False).st_mode):  # before a device is opened
        raise OSError(0, "it is no regular file")
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no regular file")
        return file.read(LIMIT + 1)


def source_of(name: str, data: bytes) -> Source:
    """The text of bytes. Raises DiagnosticError: E005, there are too many; E007, not UTF-8."""
    if len(data) > LIMIT:
        raise fail("E005", f"{name} has more than {LIMIT} bytes, and no program does")
    try:
        return Source(name, data.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        hint = "model files are text in UTF-8"
        raise fail("E007", f"{name} is not UTF-8 text (byte {error.start})", hint=hint) from None

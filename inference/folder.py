"""The folder that a checkpoint is: `run.json` says of which run, and files beside it how far it is.

A file is written under another name and renamed, so it is there whole or not at all, whenever the
process is killed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any, Self

from ppl.semantics.diagnostics import DiagnosticError, fail

#: seconds between writings
EVERY = 5.0


@dataclass(frozen=True)
class Folder:
    """`run` is what the run is determined by, as JSON can hold it."""

    folder: Path
    run: Mapping[str, Any]

    def begin(self, **how: Any) -> Self:
        """Make the folder, or see that it is of this run, which was made in the way `how`.

        Raises:
            DiagnosticError: E898, it is of another run, of none, or cannot be written.
        """
        run = json.loads(json.dumps({**self.run, **how}))
        file = self.folder / "run.json"
        try:
            if not file.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                if any(not other.name.startswith(".") for other in self.folder.iterdir()):
                    raise refused(f"`{self.folder}` holds other things than a checkpoint")
                write_whole(file, json.dumps(run, indent=1).encode())
            before = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise refused(f"`{self.folder}` is no checkpoint: {error}") from None
        other = [k for k in {**run, **before} if run.get(k) != before.get(k)]
        if other:
            raise refused(f"`{self.folder}` is of another run, not of the same {_listed(other)}")
        return self

    def part(self, of: Any) -> Self:
        """A checkpoint within this one: of one of the runs that it is made of; itself if that is
        the only one, of nothing."""
        if not of:
            return self
        name = sha256(repr(of).encode()).hexdigest()[:12]
        return type(self)(self.folder / name, self.run).begin()

    def remove(self) -> None:
        """All of it, which is not needed any more."""
        rmtree(self.folder, ignore_errors=True)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    other = file.with_name(f".{file.name}.{os.getpid()}")
    other.write_bytes(content)
    os.replace(other, file)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def refused(message: str) -> DiagnosticError:
    """What is said of a checkpoint that cannot be used."""
    return fail(
        "E898",
        message,
        hint="a run goes on with the program, data, method and seed that it began with; name "
        "another folder to begin anew",
    )

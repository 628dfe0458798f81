"""Checkpoints of runs on the machine: what was made so far, and where the run is, as bytes.

`NAME.pickle` says where a run is and how many parts there are of what it has made; part 3 is
`NAME-3.pickle`. A part is there before the place that counts on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from ppl.inference import folder
from ppl.inference.folder import Folder, refused, write_whole
from ppl.semantics.machine.pickles import Pickles, Unwritable

#: things made that are in memory at a time, where not all are held
BLOCK = 1_000


@dataclass(eq=False)
class Journal:
    """What is written of one of the runs of a checkpoint.

    place: where it is, None if it has not begun; made: what it has made until there. Unless it
    `holds` that, it is in memory only until it is written.
    """

    folder: Folder
    pickles: Pickles
    name: str
    holds: bool = True
    place: Any = None
    made: list[Any] = field(default_factory=list)
    _parts: int = 0
    _counted: int = 0
    _written: float = field(default_factory=monotonic)
    _cost: float = 0.0

    @staticmethod
    def of(folder: Folder, pickles: Pickles, name: str, *, holds: bool = True) -> Journal:
        """As it is on disk.

        Raises:
            DiagnosticError: E898, it cannot be read.
        """
        journal = Journal(folder, pickles, name, holds)
        file = journal._file()
        if not file.exists():
            return journal
        try:
            journal._parts, journal.place = pickles.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise refused(f"`{file}` cannot be read: {error}") from None
        if holds:
            for part in journal.parts():
                journal.made += part
        journal._counted = len(journal.made)
        return journal

    def parts(self) -> Iterator[list[Any]]:
        """What was made and written, part after part.

        Raises:
            DiagnosticError: E898, it cannot be read.
        """
        for k in range(self._parts):
            file = self._file(k)
            try:
                yield self.pickles.loads(file.read_bytes())
            except (OSError, ValueError) as error:
                raise refused(f"`{file}` cannot be read: {error}") from None

    def due(self, *, now: bool = False) -> bool:
        """Whether it is time to write: which takes at most a tenth of all time."""
        full = not self.holds and len(self.made) >= BLOCK
        return now or full or monotonic() - self._written >= folder.EVERY * (1 + 2 * self._cost)

    def write(self, place: Any, made: Sequence[Any] = ()) -> None:
        """Where the run is, and all that it has made, of which the first are written already.

        Raises:
            DiagnosticError: E898, it cannot be written.
        """
        began = monotonic()
        try:
            new = list(made[self._counted :])
            if new:
                write_whole(self._file(self._parts), self.pickles.dumps(new))
                self._parts, self._counted = self._parts + 1, len(made)
            write_whole(self._file(), self.pickles.dumps((self._parts, place)))
            if not self.holds:
                self.made.clear()
                self._counted = 0
        except OSError as error:
            raise refused(f"`{self.folder.folder}` cannot be written: {error}") from None
        except Unwritable as what:
            raise refused(f"the runs of this program hold what no file can: {what}") from None
        self._written = monotonic()
        self._cost = self._written - began

    def _file(self, part: int | None = None) -> Path:
        number = "" if part is None else f"-{part}"
        return self.folder.folder / f"{self.name}{number}.pickle"

"""Snapshots of what is said about programs: a file a code.

A file is a row of cases: a program, a line of dashes, the rendered diagnostics, a line of `=`. With
`UPDATE_SNAPSHOTS=1` the diagnostics are written anew; the change is then read like any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ppl.semantics.diagnostics import Diagnostic

AFTER_PROGRAM, AFTER_CASE = "-" * 80 + "\n", "=" * 80 + "\n"


def programs_of(path: Path) -> list[str]:
    """The programs of a file."""
    cases = path.read_text("utf-8").split(AFTER_CASE)
    assert cases.pop() == ""
    return [case.partition(AFTER_PROGRAM)[0] for case in cases]


def check_snapshot(path: Path, diagnostics: Callable[[str], Sequence[Diagnostic]]) -> None:
    """Every program of a file gets the diagnostics beside it, that of the file's code among them."""
    out = ""
    for program in programs_of(path):
        found = diagnostics(program.removesuffix("\n"))
        assert path.stem in {d.code for d in found}, program
        rendered = "\n\n".join(d.render() for d in found)
        out += program + AFTER_PROGRAM + rendered + "\n" + AFTER_CASE
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(out, "utf-8")
    assert out == path.read_text("utf-8")

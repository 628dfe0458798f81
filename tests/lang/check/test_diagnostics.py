"""What the checker says: one file of snapshots per code, programs and the diagnostics they get.

A file is a row of cases: a program, a line of dashes, the rendered diagnostics, a line of `=`.
`UPDATE_SNAPSHOTS=1 pytest tests/lang/check/test_diagnostics.py` writes the diagnostics anew; the
change is then read like any other.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import ppl.lang.check
from ppl.lang.check import check
from ppl.lang.parser import parse
from ppl.semantics.codes import CODES
from ppl.semantics.diagnostics import Source

SNAPSHOTS = Path(__file__).parent / "snapshots"
AFTER_PROGRAM, AFTER_CASE = "-" * 80 + "\n", "=" * 80 + "\n"


def found(text: str):
    return check(parse(Source("program.ppl", text))).diagnostics


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.glob("*.txt")), ids=lambda path: path.stem)
def test_snapshots(path: Path):
    cases = path.read_text("utf-8").split(AFTER_CASE)
    assert cases.pop() == ""
    out = ""
    for case in cases:
        program, _, _ = case.partition(AFTER_PROGRAM)
        diagnostics = found(program.removesuffix("\n"))
        assert path.stem in {d.code for d in diagnostics}, program
        rendered = "\n\n".join(d.render() for d in diagnostics)
        out += program + AFTER_PROGRAM + rendered + "\n" + AFTER_CASE
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(out, "utf-8")
    assert out == path.read_text("utf-8")


def test_every_code_has_a_snapshot_and_a_page():
    (folder,) = ppl.lang.check.__path__
    texts = [p.read_text("utf-8") for p in Path(folder).glob("*.py")]
    used = {code for text in texts for code in re.findall(r'"([EW]\d{3})"', text)}
    assert used == {path.stem for path in SNAPSHOTS.glob("*.txt")}
    assert used <= CODES.keys()
    assert used >= {code for code in CODES if code[:2] in ("E2", "E3", "E4", "E5")}


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.glob("*.txt")), ids=lambda path: path.stem)
def test_reasons_are_few_and_errors_have_a_place(path: Path):
    for case in path.read_text("utf-8").split(AFTER_CASE)[:-1]:
        for d in found(case.partition(AFTER_PROGRAM)[0]):
            assert d.span is not None
            assert len(d.notes) <= 4

"""What the checker says: one file of snapshots per code, programs and the diagnostics they get.

`UPDATE_SNAPSHOTS=1 pytest tests/lang/check/test_diagnostics.py` writes the diagnostics anew: see `shown`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ppl.lang.check
from ppl.lang.check import check
from ppl.lang.parser import parse
from ppl.semantics.codes import CODES
from ppl.semantics.diagnostics import Source
from tests.lang.shown import check_snapshot, programs_of

SNAPSHOTS = Path(__file__).parent / "snapshots"


def found(text: str):
    return check(parse(Source("program.ppl", text))).diagnostics


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.glob("*.txt")), ids=lambda path: path.stem)
def test_snapshots(path: Path):
    check_snapshot(path, found)


def test_every_code_has_a_snapshot_and_a_page():
    (folder,) = ppl.lang.check.__path__
    texts = [p.read_text("utf-8") for p in Path(folder).glob("*.py")]
    used = {code for text in texts for code in re.findall(r'"([EW]\d{3})"', text)}
    assert used == {path.stem for path in SNAPSHOTS.glob("*.txt")}
    assert used <= CODES.keys()
    assert used >= {code for code in CODES if code[:2] in ("E2", "E3", "E4", "E5")}


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.glob("*.txt")), ids=lambda path: path.stem)
def test_reasons_are_few_and_errors_have_a_place(path: Path):
    for program in programs_of(path):
        for d in found(program):
            assert d.span is not None
            assert len(d.notes) <= 4

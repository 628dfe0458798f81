"""What a person reads: one file of snapshots per code, programs and what is said about them.

`UPDATE_SNAPSHOTS=1 pytest tests/lang/test_syntax_errors.py` writes the diagnostics anew: see `shown`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ppl.lang
from ppl.lang.parser import parse
from ppl.semantics.codes import CODES
from ppl.semantics.diagnostics import DiagnosticError, Source
from tests.lang.shown import check_snapshot

SNAPSHOTS = Path(__file__).parent / "snapshots"
SYNTAX = "builder expected habits lexer newlines parser patterns recognise".split()

#: a program of this code is too large to read; `test_hostile` has it
UNSHOWN = {"E005"}


def codes_in_the_source() -> set[str]:
    (folder,) = ppl.lang.__path__
    texts = [(Path(folder) / f"{name}.py").read_text("utf-8") for name in SYNTAX]
    return {code for text in texts for code in re.findall(r'"(E\d{3})"', text)}


def diagnostics(text: str):
    with pytest.raises(DiagnosticError) as error:
        parse(Source("program.ppl", text))
    return error.value.diagnostics


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.glob("E*.txt")), ids=lambda path: path.stem)
def test_snapshots(path: Path):
    check_snapshot(path, diagnostics)


def test_every_code_has_a_snapshot_and_a_page():
    used = codes_in_the_source()
    assert used == {path.stem for path in SNAPSHOTS.glob("E*.txt")} | UNSHOWN
    assert used <= CODES.keys()
    assert used >= {code for code in CODES if "E100" < code < "E115"}  # then modules and names


@pytest.mark.parametrize("code", sorted(codes_in_the_source() - {"E004", "E005"}))
def test_the_example_on_a_page_goes_wrong_and_then_right(code):
    """(The examples of E004 and E005 are too long to be written out.)"""
    page = CODES[code].page
    shown = [line[4:] for line in page.split("\n") if line.startswith("    ") or not line]
    text = "\n".join(shown).strip("\n")
    wrong, right = text.split("\n\n") if "\n\n" in text else text.split("\n")

    def program(part: str) -> str:
        return part if part.startswith("type ") else f"model m() {{\n{part}\n}}"

    assert code in {d.code for d in diagnostics(program(wrong))}
    parse(Source("right", program(right)))

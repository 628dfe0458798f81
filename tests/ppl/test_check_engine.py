"""What `ppl check --engine` prints for each reason to run on the machine: snapshots.

`UPDATE_SNAPSHOTS=1` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner

from ppl.cli import main

HERE = Path(__file__).parent
PROGRAM, SNAPSHOT = HERE / "engines.ppl", HERE / "engines.txt"


def test_the_reasons_are_shown_in_the_lines_of_the_source(monkeypatch):
    monkeypatch.chdir(HERE)
    out = CliRunner().invoke(main, ["check", "--engine", PROGRAM.name])
    assert out.exit_code == 0, out.output
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(out.stdout)
    assert out.stdout == SNAPSHOT.read_text()


def test_every_model_but_one_has_its_reason():
    """One model a reason, named after it; and `plain`, with none."""
    blocks = SNAPSHOT.read_text().split("engines.ppl: model ")[1:]
    reasons = {b.split("(")[0]: [x for x in b.splitlines() if "because:" in x] for b in blocks}
    assert reasons.pop("plain") == []
    assert all(reasons.values())
    kinds = {line.split(": ", 2)[2] for lines in reasons.values() for line in lines}
    assert len(kinds) >= len(reasons)

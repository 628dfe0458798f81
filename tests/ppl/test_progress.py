"""The progress bar: drawn on terminals, silent elsewhere."""

from __future__ import annotations

import sys

from ppl.progress import progress_bar


def test_nothing_is_drawn_where_nobody_looks(capsys):
    assert not sys.stderr.isatty()
    with progress_bar() as report:
        assert report is None
    assert capsys.readouterr().err == ""


def test_the_bar_shows_steps_phase_and_divergences(capsys):
    with progress_bar(True, title="sampling") as report:
        assert report is not None
        report(300, 4000, {"phase": "warmup", "divergences": 0})
        report(2500, 4000, {"phase": "draws", "divergences": 7})
    drawn = capsys.readouterr().err
    assert "2500/4000" in drawn and "draws" in drawn and "divergences 7" in drawn
    assert "divergences 0" not in drawn

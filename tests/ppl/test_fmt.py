"""`ppl fmt`: in place, checked, as a diff, through a pipe."""

from __future__ import annotations

import subprocess

import pytest
from click.testing import CliRunner

from ppl.cli import main

MESSY = "model m( ){\n x~normal(0,1) # a draw\n return x}"
NEAT = "model m() {\n  x ~ normal(0, 1)  # a draw\n  return x }\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "m.ppl"
    path.write_text(MESSY)
    return path


def fmt(*args, **options):
    return CliRunner().invoke(main, ["fmt", *map(str, args)], **options)


def test_in_place_and_once(file):
    assert "formatted" in fmt(file).stderr and file.read_text() == NEAT
    again = fmt(file)
    assert (again.exit_code, again.output) == (0, "") and file.read_text() == NEAT


def test_checking_changes_nothing(file):
    out = fmt(file, "--check")
    assert out.exit_code == 1 and "would format" in out.stderr and file.read_text() == MESSY
    fmt(file)
    assert fmt(file, "--check").exit_code == 0


def test_a_diff_is_a_patch(file, tmp_path):
    out = fmt(file, "--diff")
    assert out.exit_code == 0 and file.read_text() == MESSY
    assert "- x~normal(0,1) # a draw\n" in out.stdout
    assert "\\ No newline at end of file" in out.stdout
    done = subprocess.run(
        ["git", "apply", "--unsafe-paths", "-p0", "--directory", str(tmp_path)],
        input=out.stdout.replace(f"{file} (formatted)", "m.ppl").replace(str(file), "m.ppl"),
        text=True,
        cwd=tmp_path,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert file.read_text() == NEAT
    assert fmt(file, "--diff", "--check").output == ""
    file.write_text(MESSY)
    assert fmt(file, "--diff", "--check").exit_code == 1


def test_standard_input(file):
    assert fmt("-", input=MESSY).stdout == NEAT
    assert fmt("-", input=NEAT).stdout == NEAT
    out = fmt("-", "--check", input=MESSY)
    assert (out.exit_code, out.stdout) == (1, "") and "<stdin>" in out.stderr
    assert fmt("-", "--check", input=NEAT).exit_code == 0
    assert fmt("-", "--diff", input=MESSY).stdout.startswith("--- <stdin>")


def test_what_does_not_parse_is_left_alone(file):
    file.write_text("model m( {")
    out = fmt(file)
    assert out.exit_code == 1 and "E101" in out.stderr and file.read_text() == "model m( {"
    out = fmt("-", input="model m( {")
    assert (out.exit_code, out.stdout) == (1, "") and "<stdin>:1:" in out.stderr

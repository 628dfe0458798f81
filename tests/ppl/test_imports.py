"""Model files that import others: only from their own folder, only regular files, never waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import ppl
from ppl.cli import main
from ppl.sources import LIMIT

MAIN = 'import "parts/noise.ppl" as noise\nmodel m(y: [real]) { s ~ noise.scale(); observe y ~ normal(0, s); return s }\n'
NOISE = "## A scale.\nfn scale() { s ~ half_normal(2); return s }\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "parts").mkdir(parents=True)
    (folder / "model.ppl").write_text(MAIN)
    (folder / "parts/noise.ppl").write_text(NOISE)
    (tmp_path / "outside.ppl").write_text("fn scale() { 1 }\n")
    return folder


def codes(path: Path) -> list[str]:
    with pytest.raises(ppl.DiagnosticError) as error:
        ppl.load(path)
    return [d.code for d in error.value.diagnostics]


def test_load_and_compile(project: Path):
    assert ppl.load(project / "model.ppl").m.program.by_name.keys() >= {"noise.scale"}
    assert len(ppl.compile(MAIN, folder=project)) == 1
    with pytest.raises(ppl.DiagnosticError) as error:
        ppl.compile(MAIN)
    assert error.value.diagnostics[0].code == "E094"


@pytest.mark.parametrize("command", ["check", "ir", "fmt"])
def test_commands(project: Path, command: str):
    out = CliRunner().invoke(main, [command, str(project / "model.ppl")], catch_exceptions=False)
    assert out.exit_code == 0, out.output
    assert {"check": "model m(y: [real])", "ir": "noise.scale", "fmt": ""}[command] in out.output


def test_a_missing_file_suggests(project: Path):
    (project / "model.ppl").write_text(MAIN.replace("noise.ppl", "noises.ppl"))
    with pytest.raises(ppl.DiagnosticError) as error:
        ppl.load(project / "model.ppl")
    (d,) = error.value.diagnostics
    assert d.code == "E090" and d.hint == "did you mean `noise.ppl`?"
    assert d.span is not None and d.span.source.name == str(project / "model.ppl")


def test_links_that_lead_out_are_refused(project: Path):
    target = project / "parts/noise.ppl"
    target.unlink()
    target.symlink_to(project.parent / "outside.ppl")
    assert codes(project / "model.ppl") == ["E091"]
    target.unlink()
    (project / "parts").rmdir()
    (project.parent / "elsewhere").mkdir()
    (project.parent / "elsewhere/noise.ppl").write_text(NOISE)
    (project / "parts").symlink_to(project.parent / "elsewhere")
    assert codes(project / "model.ppl") == ["E091"]


def test_links_within_the_folder_are_followed(project: Path):
    (project / "parts/noise.ppl").rename(project / "scales.ppl")
    (project / "parts/noise.ppl").symlink_to("../scales.ppl")
    assert len(ppl.load(project / "model.ppl")) == 1


def test_links_in_a_circle(project: Path):
    target = project / "parts/noise.ppl"
    target.unlink()
    target.symlink_to("noise.ppl")
    assert codes(project / "model.ppl") == ["E090"]


@pytest.mark.parametrize("what", ["pipe", "folder", "device"])
def test_what_is_no_file_blocks_nothing(project: Path, what: str):
    """A pipe that nobody writes to would wait for ever if it were opened to read."""
    target = project / "parts/noise.ppl"
    target.unlink()
    if what == "pipe":
        os.mkfifo(target)
    elif what == "folder":
        target.mkdir()
    else:
        target.symlink_to("/dev/zero")
    assert codes(project / "model.ppl") == ["E091" if what == "device" else "E090"]


def test_huge_files_are_not_read_to_the_end(project: Path):
    with (project / "parts/noise.ppl").open("wb") as file:
        file.truncate(LIMIT * 1_000)  # sparse
    assert codes(project / "model.ppl") == ["E005"]


def test_bytes_that_are_no_text(project: Path):
    (project / "parts/noise.ppl").write_bytes(b"fn f() { \xff }")
    assert codes(project / "model.ppl") == ["E007"]


def test_no_python_is_run(project: Path, monkeypatch):
    monkeypatch.setattr("builtins.__import__", _no_import_of("noise", __import__))
    (project / "parts/noise.py").write_text("raise SystemExit")
    ppl.load(project / "model.ppl")


def _no_import_of(name, real):
    def guarded(module, *args, **kwargs):
        assert name not in module.split("."), module
        return real(module, *args, **kwargs)

    return guarded

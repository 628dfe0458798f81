"""Every block of code in the README and in docs/ runs and prints what it says it prints."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ppl.lang.compile import compile_source
from ppl.semantics.diagnostics import Source

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+?)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page.name, text.count("\n", 0, m.start()) + 1, m[1], m[2])
        for m in BLOCK.finditer(text)
    ]


ALL = [b for page in PAGES for b in blocks(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_blocks_of_a_page_run_in_order(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    namespace: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python":
            code = "\n" * block.line + block.text  # so that a traceback shows the page's line
            exec(compile(code, str(page), "exec"), namespace)


@pytest.mark.parametrize(
    "block", [b for b in ALL if b.language == "ppl"], ids=lambda b: f"{b.page}:{b.line}"
)
def test_models_are_well_typed(block):
    compile_source(Source(f"{block.page}:{block.line}", block.text))


@pytest.mark.parametrize(
    "block", [b for b in ALL if b.language == "console"], ids=lambda b: f"{b.page}:{b.line}"
)
def test_commands_print_what_the_page_shows(block):
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    assert parts[0] == "" and len(parts) > 1, "a console block begins with a command: $ ppl …"
    for command, expected in zip(parts[1::2], parts[2::2], strict=True):
        program, *arguments = shlex.split(command)
        assert program == "ppl"
        run = subprocess.run(
            [sys.executable, "-m", "ppl.cli", *arguments],
            cwd=ROOT, env=dict(os.environ), capture_output=True, text=True,
        )  # fmt: skip
        assert run.returncode in (0, 1), run.stderr
        shown = run.stdout + run.stderr
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(expected, shown, flags), f"{command}\n{shown}"


def test_no_language_is_left_unchecked():
    assert {b.language for b in ALL} <= {"", "python", "ppl", "console"}
    assert {"python", "ppl", "console"} <= {b.language for b in ALL}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target

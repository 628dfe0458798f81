"""Every diagnostic code that the program can give has a page, and every page a use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ppl.semantics.codes import CODES

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"""["']([EW]\d{3})["']""")


def used() -> dict[str, str]:
    """Each code that stands as a literal in the source, and a file where it does."""
    found: dict[str, str] = {}
    for folder in ("lang", "semantics", "inference", "ppl"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.parent.name == "codes" or any(p.is_symlink() for p in path.parents):
                continue
            for code in CODE.findall(path.read_text()):
                found.setdefault(code, str(path.relative_to(ROOT)))
    return found


def test_codes_in_use_are_explained():
    assert {c: f for c, f in used().items() if c not in CODES} == {}


def test_explained_codes_are_in_use():
    found = {*used(), "W895"}  # W895 is a Python warning, not a diagnostic object
    assert [code for code in CODES if code not in found] == []


@pytest.mark.parametrize("code", CODES)
def test_a_page_has_a_title_prose_and_an_example(code):
    page = CODES[code]
    assert page.title and not page.title[0].isupper() and not page.title.endswith(".")
    lines = page.page.strip("\n").split("\n")
    assert any(line.startswith("    ") for line in lines), "an example is indented"
    assert any(line and not line.startswith(" ") for line in lines), "and prose is not"
    assert all(len(line) <= 100 for line in lines)

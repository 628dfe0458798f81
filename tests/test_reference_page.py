"""docs/reference.md says what the table of primitives says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ppl.semantics.signatures import PRIMITIVES

ROOT = Path(__file__).resolve().parent.parent


def maker():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs/make_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date():
    module = maker()
    assert module.PAGE.read_text() == module.page(), "run: python -m docs.make_reference"


def test_every_primitive_is_there_or_hidden_by_name():
    module = maker()
    text = module.page()
    assert set(PRIMITIVES) >= module.HIDDEN
    rules = {name for name, row in PRIMITIVES.items() if row.kind == "rule"}
    shown = {name for name in PRIMITIVES if f"\n| `{name}(" in text}
    assert shown == PRIMITIVES.keys() - module.HIDDEN - rules

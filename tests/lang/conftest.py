"""Programs that the tests of the syntax share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppl.semantics.diagnostics import Source

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def corpus() -> list[Source]:
    """The language's examples, and one program with every piece of syntax."""
    paths = sorted((HERE / "corpus").glob("*.ppl"))
    assert len(paths) >= 8
    return [Source(path.name, path.read_text("utf-8")) for path in paths]

"""Helpers of the checker's tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ppl.lang.check import Checked, check
from ppl.lang.parser import parse
from ppl.semantics.diagnostics import Source


@pytest.fixture(scope="session")
def checked() -> Callable[[str], Checked]:
    """A checked program, from its text."""
    return lambda text: check(parse(Source("program.ppl", text)))

"""Realistic models have the types a statistician expects, without annotations beyond the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppl.semantics.types import Measure

#: program, declared below in `models/`, and the types of its models
MODELS = Path(__file__).parent / "models"


def cases():
    for path in sorted(MODELS.glob("*.ppl")):
        text = path.read_text("utf-8")
        expected = [line[3:].strip() for line in text.splitlines() if line.startswith("#: ")]
        yield pytest.param(text, expected, id=path.stem)


@pytest.mark.parametrize(("text", "expected"), list(cases()))
def test_the_types_of_models(checked, text: str, expected: list[str]):
    """Each file states, after `#:`, the type of each of its models."""
    c = checked(text)
    assert [d.render() for d in c.diagnostics] == []
    assert [str(c.entry(name)) for name in c.models] == expected
    assert all(isinstance(c.entry(name).result, Measure) for name in c.models)


def test_there_are_enough_models():
    assert len(list(MODELS.glob("*.ppl"))) >= 14


def test_every_example_passes(checked, root: Path):
    paths = sorted(root.glob("examples/*/*.ppl"))
    assert len(paths) >= 15
    for path in paths:
        assert checked(path.read_text("utf-8")).diagnostics == (), path

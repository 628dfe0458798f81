"""Every model in the repository parses, checks without warnings, elaborates, and takes its data."""

import json
from pathlib import Path

import pytest

import ppl

ROOT = Path(__file__).parent.parent.parent
FILES = sorted(
    p.relative_to(ROOT)
    for folder in ("examples", "benchmarks")
    for p in (ROOT / folder).rglob("*.ppl")
)


def test_there_are_models():
    assert len(FILES) >= 14 + 20


@pytest.mark.parametrize("path", FILES, ids=lambda p: "/".join(p.parts[:-1]) + "/" + p.stem)
def test_compiles_and_takes_its_data(path):
    models = ppl.load(ROOT / path)
    assert not models.warnings
    (model,) = models
    assert model.program.entry.name == model.name
    assert model.doc, "the first doc comment says what the model shows"
    data = (ROOT / path).with_name("data.json")
    if path.name == "model.ppl":
        assert model.name == path.parent.name
        target = model(**json.loads(data.read_text()))
        assert not target.warnings
        assert model.engine.name == "xla", model.engine.reasons

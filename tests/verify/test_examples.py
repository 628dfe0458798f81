"""The examples of inference code: what is wrong in each is found, and its correction passes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ppl.verify import Kernel, Posterior, ProperlyWeighted, Resampler, Reversible, Sampler, check

FOLDER = Path(__file__).parents[2] / "examples" / "verify"
EXAMPLES = {
    "partial_resampling": (Resampler, ProperlyWeighted()),
    "block_gibbs": (Kernel, Reversible()),
    "lookahead": (Sampler, ProperlyWeighted()),
}


def load(name):
    spec = importlib.util.spec_from_file_location(f"examples_verify_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_listed():
    assert {p.stem for p in FOLDER.glob("*.py")} == set(EXAMPLES)
    assert all(f"({name}.py)" in (FOLDER / "README.md").read_text() for name in EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_mistake_is_found_and_the_correction_passes(name):
    module, (kind, contract) = load(name), EXAMPLES[name]
    verdict = check(kind(module.wrong), module.PROGRAM, contract)
    assert verdict.outcome == "FAIL" and verdict.counterexample.tape is not None
    verdict = check(kind(module.right), module.PROGRAM, contract)
    assert verdict.ok, verdict
    assert verdict.report.compared >= 3


def test_a_lost_normaliser_is_invisible_to_the_posterior():
    module = load("lookahead")
    assert check(module.wrong, module.PROGRAM, Posterior()).ok

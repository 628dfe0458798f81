"""Every method on every model of the corpus that it takes, against the answer."""

from __future__ import annotations

from functools import cache

import jax
import pytest

import ppl
from tests.known_answers.case import TRAITS, Case, corpus
from tests.known_answers.methods import METHODS, Method

CORPUS = corpus()
PAIRS = [(case, method) for case in CORPUS for method in METHODS if method.takes(case)]


@cache
def model(source: str) -> ppl.Model:
    (only,) = ppl.compile(source)
    return only


@pytest.fixture(autouse=True)
def quick_compilation():
    """No optimiser: every program is compiled, run once and forgotten."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.parametrize(("case", "method"), PAIRS, ids=[f"{c.name}: {m.name}" for c, m in PAIRS])
def test_the_answer_is_right(case: Case, method: Method):
    method.check(case, model(case.source)(**case.data))


@pytest.mark.parametrize("case", CORPUS, ids=[c.name for c in CORPUS])
def test_a_case_is_named_and_described_rightly(case: Case):
    assert [c.name for c in CORPUS].count(case.name) == 1
    assert (model(case.source).engine.name == "machine") == ("machine" in case.traits)


def test_no_trait_and_no_method_goes_unused():
    assert set().union(*(case.traits for case in CORPUS)) == set(TRAITS)
    assert {method.name for _, method in PAIRS} == {method.name for method in METHODS}

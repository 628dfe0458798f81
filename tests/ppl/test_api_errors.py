"""Mistakes in calls of the Python interface: a code, and a hint with the closest name."""

from __future__ import annotations

from typing import Any

import pytest

import ppl

COIN = "model coin(y: bool) { p ~ beta(2, 3); observe y ~ bernoulli(p); return p }"
MODELS = ppl.compile(COIN)
TARGET = MODELS.coin(y=True)


def refused(call: Any) -> Any:
    with pytest.raises(ppl.DiagnosticError) as error:
        call()
    (found,) = error.value.diagnostics
    return found


@pytest.mark.parametrize(
    ("call", "code", "told"),
    [
        (lambda: MODELS.coyn, "E818", "coin"),
        (lambda: MODELS["coyn"], "E818", "coin"),
        (lambda: ppl.infer(TARGET, "nuds"), "E815", "nuts"),
        (lambda: ppl.infer(TARGET, 3), "E815", "ppl.nuts()"),
        (lambda: ppl.infer(MODELS.coin, ppl.nuts()), "E817", "call the model first"),
    ],
)
def test_a_wrong_name_or_kind_is_told_with_the_right_one(call, code, told):
    found = refused(call)
    assert found.code == code
    assert told in found.hint


def test_an_unknown_setting():
    from ppl.methods import method_named

    found = refused(lambda: method_named("nuts", warm_up=100))
    assert found.code == "E816"
    assert "warmup" in found.hint


def test_a_default_is_a_constant():
    models = ppl.compile("model m(a: real = 1 + 2) { x ~ normal(a, 1); return x }")
    found = refused(lambda: models.m())
    assert found.code == "E082"
    assert found.span.text == "1 + 2"
    assert found.hint

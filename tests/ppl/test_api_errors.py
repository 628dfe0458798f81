"""Mistakes in calls of the Python interface: a code, and a hint with the closest name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ppl

COIN = "model coin(y: bool) { p ~ beta(2, 3); observe y ~ bernoulli(p); return p }"
MODELS = ppl.compile(COIN)
UNTYPED: Any = ppl
TARGET: Any = MODELS.coin(y=True)
DRAWN: Any = ppl.Posterior(draws={"p": np.array([[0.2, 0.5, 0.3]])}, target=TARGET)


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
        (lambda: UNTYPED.infer(MODELS.coin, ppl.nuts()), "E817", "call the model first"),
    ],
)
def test_a_wrong_name_or_kind_is_told_with_the_right_one(call, code, told):
    found = refused(call)
    assert found.code == code
    assert told in found.hint


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        (lambda: UNTYPED.compile(Path("coin.ppl")), "E007", "the text of a program"),
        (lambda: UNTYPED.load(3), "E007", "the path of a model file, not int"),
        (lambda: UNTYPED.prior(MODELS.coin), "E817", "`prior` needs a model applied"),
        (lambda: DRAWN.predict(MODELS.coin), "E817", "`predict` needs a model applied"),
        (lambda: UNTYPED.predict(3, TARGET), "E817", "`predict` needs a posterior, not int"),
        (lambda: DRAWN.log_likelihood(0), "E817", "applied to its data, not int"),
        (lambda: UNTYPED.counterfactual(MODELS.coin, do={"p": 1}), "E817", "counterfactual"),
        (lambda: UNTYPED.counterfactual(TARGET, do=["p"]), "E855", "['p'] is none"),
        (lambda: TARGET.do("p"), "E855", "'p' is none"),
        (lambda: TARGET.given({2: 0.5}), "E855", "2 is none"),
        (lambda: UNTYPED.prior(TARGET, draws=2.5), "E811", "draws = 2.5"),
        (lambda: UNTYPED.prior(TARGET, draws=0), "E811", "at least 1"),
        (lambda: DRAWN.resample(0, seed=1), "E811", "at least 1"),
        (lambda: DRAWN[2], "E891", "2 is none"),
        (lambda: UNTYPED.infer(TARGET, limits=3), "E811", "ppl.limits"),
    ],
)
def test_arguments_of_another_kind(call, code, said):
    found = refused(call)
    assert found.code == code
    assert said in found.message


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

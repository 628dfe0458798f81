"""A setting of the wrong type is refused when it is given."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("nuts", {"draws": "abc"}),
        ("nuts", {"draws": 2.5}),
        ("nuts", {"chains": True}),
        ("nuts", {"mode": "fast"}),
        ("nuts", {"precision": "half"}),
        ("nuts", {"dense_mass": 1}),
        ("hmc", {"trajectory_length": "long"}),
        ("map", {"tolerance": "small"}),
        ("laplace", {"draws": None}),
        ("importance", {"particles": 1e3}),
        ("exact", {"paths": "many"}),
    ],
)
def test_settings_of_the_wrong_type(method, settings):
    (name,) = settings
    with pytest.raises(DiagnosticError, match=f"E811.*{name}"):
        getattr(ppl, method)(**settings)


def test_settings_of_the_right_type():
    assert ppl.nuts(draws=np.int64(5), target_accept=np.float32(0.5)).draws == 5
    assert ppl.map(tolerance=None).tolerance is None and ppl.map(tolerance=1).tolerance == 1
    assert ppl.nuts(precision="single", mode="loop").mode == "loop"


def test_a_seed_is_a_whole_number():
    target = ppl.compile("model m() { x ~ normal(0, 1); return x }").m()
    with pytest.raises(DiagnosticError, match="E811.*seed"):
        ppl.infer(target, ppl.importance(particles=1), seed=1.5)  # type: ignore[arg-type]

"""Parameters that may have holes: without any they are plain data, with one the run is refused."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError

MODEL = """
model m(y: [{of}], last: {of}) {{
  a ~ normal(0, 1)
  for v in y {{ observe v ~ normal(a, 1) }}
  observe last ~ normal(2 * a, 1)
  return a
}}
"""


def model(of: str):
    return ppl.compile(MODEL.format(of=of)).m


def test_data_without_holes_are_plain_data():
    data = {"y": [1.0, 2.0, 4.0], "last": 0.5}
    at = {"a": np.float64(0.3)}
    maybe, plain = (model(of)(**data).log_density(at) for of in ("real?", "real"))
    assert float(maybe) == float(plain)


@pytest.mark.parametrize(
    "data", [{"y": [1.0, None, 4.0], "last": 0.5}, {"y": [1.0, 2.0, 4.0], "last": None}]
)
def test_holes_are_refused(data):
    with pytest.raises(DiagnosticError, match="E706.*hole"):
        _ = model("real?")(**data).density

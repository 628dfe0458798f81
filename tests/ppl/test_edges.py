"""Models without a posterior, and results without numbers: one diagnostic, or a result that can be
looked at, whatever the method and the engine."""

from __future__ import annotations

import numpy as np
import pytest

import ppl

FINITE = (ppl.exact(), ppl.exact(paths=1), ppl.importance(particles=5))
FOLLOWING = (ppl.nuts(chains=1, draws=5, warmup=5), ppl.laplace(), ppl.map())


def code(target: ppl.Target, method: object, **options: object) -> str:
    """The code of the one thing that is wrong."""
    with pytest.raises(ppl.DiagnosticError) as caught:
        ppl.infer(target, method, progress=False, **options).summary()
    (problem,) = caught.value.diagnostics
    assert problem.hint
    return problem.code


@pytest.mark.parametrize(
    ("method", "engine"),
    [*((m, "xla") for m in FINITE), (FINITE[0], "machine"), (FINITE[2], "machine")],
    ids=["exact", "sums", "importance", "exact, machine", "importance, machine"],
)
@pytest.mark.parametrize("impossible", ["condition x > n", "observe -0.5 ~ uniform(0, x + n)"])
def test_no_execution_agrees_with_the_evidence(impossible, method, engine):
    source = f"model m(n: nat) {{ x ~ categorical([0.2, 0.3, 0.5])\n {impossible}\n return x }}"
    assert code(ppl.compile(source).m(n=7), method, engine=engine) == "E895"


@pytest.mark.parametrize("method", FOLLOWING, ids=["nuts", "laplace", "map"])
def test_gradient_methods_need_a_point_and_something_to_move(method):
    m = ppl.compile("""
model still(y: real) { x ~ bernoulli(0.3); observe y ~ normal(indicator(x), 1); return x }
model impossible(y: real) { x ~ normal(0, 1); observe y ~ uniform(0, exp(x)); return x }
""")
    assert code(m.still(y=0.3), method) == "E814"
    assert code(m.impossible(y=-2.5), method) == "E810"


@pytest.mark.parametrize("engine", ["xla", "machine"])
@pytest.mark.parametrize(
    "method", [ppl.exact(), ppl.importance(particles=3)], ids=["exact", "importance"]
)
def test_a_model_may_return_nothing_and_have_no_names(method, engine):
    m = ppl.compile("""
model scores(ys: [bool]) { observe ys ~ bernoulli(0.25) }
model empty(rows: [[bool]]) {
  zs ~ for row in rows { for v in row { z ~ bernoulli(0.5); return z } }
  return zs
}
""")
    scored = ppl.infer(m.scores(ys=[True, False, False]), method, progress=False, engine=engine)
    assert np.exp(scored.log_evidence) == pytest.approx(9 / 64, rel=1e-12)
    assert "log evidence" in str(scored.summary())
    empty = ppl.infer(m.empty(rows=np.zeros((3, 0), bool)), method, progress=False, engine=engine)
    assert empty.result.shape[2:] == (3, 0)
    assert "log evidence" in str(empty.summary())

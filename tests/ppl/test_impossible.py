"""Laws without a density are named where they make weights zero: what the scale 0 does at run time."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError

MODELS = ppl.compile("""
model seen(y: [real], s: pos) { mu ~ normal(0, 1); observe y ~ normal(mu, s); return mu }
model some(y: [real]) {
  k ~ binomial(3, 0.4)
  for v in y { observe v ~ student_t(4, 0, k) }
  return k
}
model drawn(s: pos) { x ~ uniform(s, 1); return x }
model each(y: [real], s: [pos]) { observe y ~ normal(0, s) }
model two(y: real, s: pos) { x ~ bernoulli(0.5); observe y ~ normal(if x { 1 } else { 3 }, s) }
model infinite() { x ~ categorical([0.2, 0.5, 0.3]); factor (if x == 1 { -log(0) } else { 1 }); return x }
model cast(low: real) {
  u ~ normal(-1, 1)
  condition u > low
  observe 2 ~ normal(0, u as pos)
  return u
}
model fine(y: real) { x ~ bernoulli(0.5); condition x; observe y ~ normal(0, 1); return x }
""")
METHOD = ppl.importance(particles=40)


def infer(target, method=METHOD):
    return ppl.infer(target, method, engine="machine", progress=False)


@pytest.mark.parametrize(
    ("model", "data", "says"),
    [
        ("seen", {"y": [0.4, -1.0, 2.0], "s": 0}, "`y` is observed from `normal("),
        ("drawn", {"s": 1.5}, "a draw is from `uniform(1.5, 1)`"),
        ("each", {"y": [0.4, -1.0, 2.0], "s": [1, 0, 2]}, "`y` is observed from `normal(0, 0)`"),
    ],
)
def test_no_run_has_a_density(model, data, says):
    posterior = infer(MODELS[model](**data))
    (remark,) = (r for r in posterior.remarks if r.code == "W726")
    assert says in remark.message and "20 of 20 runs" in remark.message
    with pytest.raises(DiagnosticError) as raised:
        posterior.summary()
    (problem,) = raised.value.diagnostics
    assert problem.code == "E895" and says in problem.notes[0].message


def test_some_runs_have_none():
    posterior = infer(MODELS.some(y=[0.4, -1.0, 2.0]))
    assert (np.isneginf(posterior.log_weights) == (posterior["k"] == 0)).all()
    (remark,) = (r for r in posterior.remarks if r.code == "W726")
    assert "student_t(4, 0, 0)" in remark.message


def test_zero_weights_that_conditions_make_are_no_news():
    posterior = infer(MODELS.fine(y=0.3))
    assert np.isneginf(posterior.log_weights).any() and not posterior.remarks
    assert "W726" not in [r.code for r in infer(MODELS.some(y=[0.4]), ppl.mcmc(draws=5)).remarks]


def test_an_error_that_makes_a_weight_zero_is_one_on_both_engines():
    """The scale is negative in most runs, which have no density; unless they ended before."""
    for engine in ("xla", "machine"):
        with pytest.raises(DiagnosticError, match=r"E710(.|\n)*cast to pos is negative"):
            ppl.infer(MODELS.cast(low=-9), METHOD, engine=engine, progress=False)
        posterior = ppl.infer(MODELS.cast(low=0), METHOD, engine=engine, progress=False)
        assert np.isneginf(posterior.log_weights).any()


def test_methods_that_cannot_start_say_why():
    with pytest.raises(DiagnosticError) as raised:
        infer(MODELS.two(y=0.4, s=0), "exact")
    (problem,) = raised.value.diagnostics
    assert problem.code == "E895" and "which has no density" in problem.notes[-1].message


@pytest.mark.parametrize("engine", ["xla", "machine"])
def test_infinite_weights_are_no_posterior(engine):
    target = MODELS.infinite()
    with pytest.raises(DiagnosticError, match="infinite weight"):
        ppl.infer(target, "exact", engine=engine, progress=False)
    posterior = ppl.infer(target, METHOD, engine="machine", progress=False)
    with pytest.raises(DiagnosticError, match="infinite weight"):
        posterior.summary()

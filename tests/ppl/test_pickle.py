"""Posteriors, targets and models go to other processes by pickle and mean the same there."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import ppl
from ppl.storage import ResultNotSaved

MODELS = ppl.compile("""
type size = Small | Large(nat)
## A random line.
model line(x: [real], y: [real?]) {
  a ~ normal(0, 1)
  s ~ half_normal(1)
  observe y ~ normal(a * x, s)
  return {f: fn (t) => a * t, s}
}
model sizes(y: nat) {
  f ~ mem(fn (k: nat) => categorical([0.2, 0.3, 0.5]))
  observe y ~ binomial(4, 0.25 * (1 + f(0)))
  return if f(0) == 0 { Small } else { Large(f(0)) }
}
model random(y: nat) {
  f ~ mem(fn (k: nat) => bernoulli(0.25))
  condition f(y)
  return f
}
""")
METHOD = ppl.importance(particles=8)


@pytest.fixture(scope="module")
def line():
    target = MODELS.line(x=[1.0, 2.0, 4.0], y=[0.5, None, 2.5])
    return ppl.infer(target, METHOD, seed=1, progress=False)


def test_a_posterior_with_functions(line):
    again = pickle.loads(pickle.dumps(line))
    for name in ("a", "s", "y"):
        np.testing.assert_array_equal(again[name], line[name])
    np.testing.assert_array_equal(again.weights, line.weights)
    assert again.log_evidence == line.log_evidence and again.seed == 1
    f = again.result["f"]
    np.testing.assert_array_equal(f([0.1, 2.0]), line.result["f"]([0.1, 2.0]))
    assert f(0.1).dtype == np.float64
    assert str(again.summary()) == str(line.summary())
    np.testing.assert_array_equal(again.predict(seed=3)["y"], line.predict(seed=3)["y"])
    assert copy.deepcopy(line)["a"].shape == (1, 8)


def test_another_process_infers_the_same(line, tmp_path):
    (tmp_path / "target").write_bytes(pickle.dumps(line.target))
    code = (
        "import pickle, sys, ppl\n"
        f"target = pickle.load(open({str(tmp_path / 'target')!r}, 'rb'))\n"
        "p = ppl.infer(target, ppl.importance(particles=8), seed=1, progress=False)\n"
        "print(p.log_evidence.hex())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float.fromhex(run.stdout) == line.log_evidence


def test_models_keep_their_documentation_and_parameters():
    again = pickle.loads(pickle.dumps(MODELS))
    assert [m.name for m in again] == ["line", "sizes", "random"]
    assert again.line.doc == MODELS.line.doc and repr(again.line) == repr(MODELS.line)
    assert again.line(x=[1], y=[2]).do(a=1).name == "line.do(a=1.)"
    assert pickle.loads(pickle.dumps(again.random)).name == "random"


def test_a_posterior_of_the_machine():
    posterior = ppl.infer(MODELS.sizes(y=3), ppl.exact(), progress=False)
    again = pickle.loads(pickle.dumps(posterior))
    np.testing.assert_array_equal(again["f"], posterior["f"])
    assert again.exact and list(again.result[0]) == list(posterior.result[0])


def test_functions_of_the_machine_stay_behind_with_a_warning():
    posterior = ppl.infer(MODELS.random(y=1), ppl.importance(particles=40), progress=False)
    with pytest.warns(ResultNotSaved, match="W895"):
        again = pickle.loads(pickle.dumps(posterior))
    assert again.result is None and again["f[1]"].shape == (1, 40)

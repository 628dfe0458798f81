"""`ppl.infer` on programs that only the machine runs."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from click.testing import CliRunner

import ppl
from ppl.cli import main
from ppl.semantics.diagnostics import DiagnosticError

TREES = """
type tree = Leaf(real) | Node(tree, tree)
fn grow(depth: nat) -> measure[tree] {
  split ~ bernoulli(0.3)
  if split and depth > 0 { l ~ grow(depth - 1); r ~ grow(depth - 1); return Node(l, r) }
  else { x ~ normal(0, 1); return Leaf(x) }
}
fn total(t: tree) -> real { match t { Leaf(x) => x, Node(l, r) => total(l) + total(r) } }
model trees(y: real) {
  t ~ grow(2)
  ks ~ for i in range(3) { k ~ poisson(1 + i); return k }
  observe y ~ normal(total(t), 0.5)
  return {t, sum: total(t), f: fn (x) => x + total(t)}
}
model coins(heads: nat) {
  f ~ mem(fn (k: nat) => bernoulli(0.25))
  observe heads ~ binomial(3, if f(0) { 0.75 } else { 0.5 })
  return (f(0), f(1))
}
"""
MODELS = ppl.compile(TREES)


def test_importance_sampling():
    posterior = ppl.infer(
        MODELS.trees(y=0.7), ppl.importance(particles=400), seed=3, progress=False
    )
    assert posterior.shape == (1, 400)
    assert posterior["ks"].shape == (1, 400, 3)
    assert np.array_equal(posterior["ks/k"], posterior["ks"])
    leaf = posterior["t/else/x"]
    assert np.isnan(leaf).any() and not np.isnan(leaf).all()
    assert posterior.result["t"].dtype == object
    f = posterior.result["f"]
    assert np.allclose(f(2.0), 2 + posterior["sum"])
    # a leaf alone: the mean of y given one leaf is conjugate, so the evidence is bounded by hand
    assert posterior.log_evidence == pytest.approx(exact_evidence(), abs=5 * posterior.evidence_se)
    again = ppl.infer(MODELS.trees(y=0.7), ppl.importance(particles=400), seed=3, progress=False)
    assert again.log_evidence == posterior.log_evidence
    assert posterior.summary() is not None
    posterior.resample(50, seed=1)


def exact_evidence() -> float:
    """y is the sum of as many normals as the tree has leaves, plus noise."""
    sizes = {1: 1.0}
    for _ in range(2):
        new = {1: 0.7}
        for a, p in sizes.items():
            for b, q in sizes.items():
                new[a + b] = new.get(a + b, 0.0) + 0.3 * p * q
        sizes = new
    var = {n: n + 0.25 for n in sizes}
    density = {n: math.exp(-0.49 / (2 * v)) / math.sqrt(2 * math.pi * v) for n, v in var.items()}
    return math.log(sum(p * density[n] for n, p in sizes.items()))


def test_exact_enumeration():
    posterior = ppl.infer(MODELS.coins(heads=2), ppl.exact(), progress=False)
    heads = {True: math.comb(3, 2) * 0.75**2 * 0.25, False: math.comb(3, 2) * 0.5**3}
    evidence = 0.25 * heads[True] + 0.75 * heads[False]
    assert posterior.log_evidence == pytest.approx(math.log(evidence), abs=1e-12)
    weight = np.sum(posterior.weights * posterior["f[0]"])
    assert weight == pytest.approx(0.25 * heads[True] / evidence, abs=1e-12)
    assert np.sum(posterior.weights * posterior["f[1]"]) == pytest.approx(0.25, abs=1e-12)


def test_a_method_of_xla_says_what_stands_in_its_way():
    with pytest.raises(DiagnosticError, match="mem") as caught:
        ppl.infer(MODELS.coins(heads=2), "nuts")
    assert caught.value.diagnostics[0].code == "E712"


def test_no_execution_of_positive_weight():
    impossible = ppl.compile(
        """
model main() {
  f ~ mem(fn (k: nat) => bernoulli(0.5))
  condition f(0) and not f(0)
  return f(0)
}
"""
    )
    with pytest.raises(DiagnosticError, match="E895"):
        ppl.infer(impossible.main(), ppl.exact(), progress=False)


def test_posteriors_of_random_structure_are_saved_and_read(tmp_path):
    posterior = ppl.infer(MODELS.coins(heads=2), ppl.importance(particles=30), progress=False)
    path = tmp_path / "posterior.nc"
    posterior.save(path)
    assert np.array_equal(ppl.load_posterior(path)["f[0]"], posterior["f[0]"])


def test_check_shows_the_engine(tmp_path):
    path = tmp_path / "model.ppl"
    path.write_text(TREES + "model plain() { x ~ normal(0, 1); return x }\n")
    out = CliRunner().invoke(main, ["check", "--engine", str(path)])
    assert out.exit_code == 0
    assert "runs on the machine" in out.output and "runs on XLA" in out.output
    assert "f ~ mem(fn (k: nat) => bernoulli(0.25))" in out.output


@pytest.mark.parametrize(("method", "better"), [("importance", "`smc`"), ("smc", "particles")])
def test_advice_names_methods_that_can_run_the_program(method, better):
    sharp = ppl.compile("""
model main(y: real) {
  f ~ mem(fn (k: nat) => normal(0, 10))
  observe y ~ normal(f(0), 0.01)
  return f(0)
}
""").main(y=1.0)
    made = getattr(ppl, method)(particles=30)
    posterior = ppl.infer(sharp, made, seed=1, progress=False)
    weighted = dataclasses.replace(posterior, log_weights=np.linspace(-90.0, 0.0, 30)[None])
    # also of few survivors, if there was resampling
    (warning,) = (w for w in weighted.warnings if w.code != "W889")
    assert warning.code == "W894" and warning.hint is not None and better in warning.hint

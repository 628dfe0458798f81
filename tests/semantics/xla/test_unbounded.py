"""`iterate … until` without a bound: laws, names, values, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from tests.semantics.xla.joint import engines_agree
from tests.semantics.xla.running import gradient, log_density, result, target

FINITE = """
fn fall(s: int) -> measure[int] {
  t ~ iterate t = s until t <= 0 { a ~ bernoulli(0.3); factor if a { log(0.5) } else { 0 }
    return t - 1 - indicator(a) }
  return t
}
model m(n: int) {
  z ~ bernoulli(0.4)
  x ~ if z {
    iterate (s, r) = (n, {k: 0, odd: false}) until s <= 0 {
      a ~ categorical([0.2, 0.5, 0.3])
      factor log([0.5, 1, 0.25][a])
      u ~ iterate u = a until u >= 2 { b ~ bernoulli(0.25); return u + 1 + indicator(b) }
      return (s - 1 - a, {k: r.k + u, odd: not r.odd})
    }
  } else { return (n, {k: 7, odd: true}) }
  ys ~ for i in range(2) { fall(i) }
  fall(2)
  return (x, ys)
}"""


def test_loops_in_branches_plates_loops_and_calls():
    """Scores, states of several parts, loops of no steps; on the machine the names are the same."""
    assert len(engines_agree(FINITE, n=2)) > 100


GEOMETRIC = """
model m(p: prob) {
  k ~ iterate k = 0 until k < 0 { stop ~ bernoulli(p); return if stop { -1 - k } else { k + 1 } }
  return -1 - k
}"""


def sampled(source: str, n: int, seed: int = 5, **data: Any) -> ppl.Posterior:
    return ppl.infer(target(source, **data), ppl.importance(particles=n), seed=seed, progress=False)


def test_a_geometric_law_and_its_steps():
    """Chi-square at a false alarm rate of 1e-4; more steps than there is room for at first."""
    posterior = sampled(GEOMETRIC, 4000, p=0.1)
    k = np.asarray(posterior.result)[0]
    assert k.max() >= 40
    edges = np.arange(0, 31)
    counts = np.append(np.bincount(k, minlength=200)[:30], (k >= 30).sum())
    law = stats.geom(0.1, loc=-1)
    expected = 4000 * np.append(law.pmf(edges[:-1]), law.sf(29))
    assert stats.chisquare(counts, expected).pvalue > 1e-4
    stop = posterior["k/stop"]
    assert stop.shape == (1, 4000, k.max() + 1), "as many steps as the longest run"
    np.testing.assert_array_equal(np.isfinite(stop[0]).sum(-1), k + 1)
    np.testing.assert_array_equal(np.nansum(stop[0], -1), 1)


def test_a_lane_does_not_depend_on_the_other_lanes():
    few, many = sampled(GEOMETRIC, 5, p=0.1), sampled(GEOMETRIC, 500, p=0.1)
    np.testing.assert_array_equal(few.result[0], many.result[0, :5])
    n = few["k/stop"].shape[-1]
    assert n < many["k/stop"].shape[-1]
    np.testing.assert_array_equal(few["k/stop"][0], many["k/stop"][0, :5, :n])


PURE = """
fn collatz(n: nat) -> nat {
  (iterate (n, k) = (n, 0) until n <= 1 { (if n % 2 == 0 { n // 2 } else { 3 * n + 1 }, k + 1) }).1
}
model m(ns: [nat], a: pos, none: nat) {
  let newton = iterate r = a until abs(r * r - a) < 1e-12 { (r + a / r) / 2 }
  let swap = iterate (f, g, k) = (fn (x) => x + 1, fn (x) => 2 * x, none) until k >= ns[0] { (g, f, k + 1) }
  let array = iterate v = [a, 2 * a, 3] until sum(v) > 50 { [w * w for w in v] }
  let some = if ns[0] > 100 { iterate k = 0 until k < 0 { k + 1 } } else { 4 }
  return {steps: [collatz(n) for n in ns], newton, f: (swap.0)(10), array, some,
    zero: iterate k = none until true { k + 1 }, later: fn (k: nat) => collatz(k)}
}"""  # fmt: skip


def collatz(n: int) -> int:
    steps = 0
    while n > 1:
        n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
    return steps


def test_pure_loops_against_python():
    """Different numbers of steps side by side; functions, arrays and records as states; a loop in a
    branch that is not taken, which would not end."""
    ns = [7, 1, 27, 0]
    t = target(PURE, ns=ns, a=2.0, none=0)
    got = ppl.infer(t, ppl.importance(particles=1), progress=False).result
    assert got["steps"][0, 0].tolist() == list(map(collatz, ns))
    assert got["newton"][0, 0] == pytest.approx(math.sqrt(2), rel=1e-12)
    assert got["f"][0, 0] == 20, "after seven swaps the first is g"
    np.testing.assert_allclose(got["array"][0, 0], [16, 256, 81])
    assert (got["some"][0, 0], got["zero"][0, 0]) == (4, 0)
    assert got["later"](27)[0, 0] == 111
    assert got["later"](np.array([6, 97, 1]))[0, 0].tolist() == [8, 118, 0]


def test_an_infinite_loop_is_an_error_that_names_it():
    source = "model m(y: real) { x ~ iterate s = 0 until s > 9 { e ~ normal(0, 1)\n observe y ~ normal(e, 1); return 0 }; return x }"
    t = target(source, y=0.3)
    bound, data = t._split
    t.__dict__["_split"] = dataclasses.replace(bound, limit=300), data
    with pytest.raises(DiagnosticError) as caught:
        ppl.infer(t, ppl.importance(particles=3), progress=False)
    (problem,) = caught.value.diagnostics
    assert problem.code == "E843" and "`x`" in problem.message and "300" in problem.message
    assert problem.span is not None and problem.span.text.startswith("iterate")


def test_a_lane_without_mass_need_not_end():
    source = "model m() { x ~ iterate s = 0 until s > 3 { b ~ bernoulli(0.5); condition b or s > 0; return s + indicator(b) }; return x }"
    posterior = sampled(source, 64)
    assert 0 < np.isneginf(posterior.log_weights).sum() < 64
    assert posterior.log_evidence == pytest.approx(math.log(0.5), abs=1)


def test_infinitely_many_paths_are_not_enumerated():
    t = target(GEOMETRIC, p=0.25)
    with pytest.raises(DiagnosticError, match="E807"):
        ppl.infer(t, ppl.exact(paths=50), progress=False)


def test_draws_inside_have_no_density():
    t = target(GEOMETRIC, p=0.25)
    with pytest.raises(DiagnosticError) as caught:
        ppl.infer(t, ppl.nuts(), progress=False)
    (problem,) = caught.value.diagnostics
    assert problem.code == "E713" and problem.span is not None and "max" in (problem.hint or "")


def test_a_loop_is_cut_by_an_intervention():
    t = target(GEOMETRIC, p=0.25).do(k=-3)
    posterior = ppl.infer(t, ppl.importance(particles=4), progress=False)
    assert np.asarray(posterior.result)[0].tolist() == [2, 2, 2, 2]
    assert "k/stop" not in posterior.draws


ROOT = """
model m(c: pos) {{
  a ~ lognormal(0, 1)
  let r = iterate r = 1.0 until abs(r * r - {of}) < 1e-9 {{ (r + {of} / r) / 2 }}
  observe r ~ normal(a, 1)
  return r
}}"""


def test_a_pure_loop_has_a_value_everywhere_and_no_derivative():
    free, fixed = target(ROOT.format(of="a"), c=2.0), target(ROOT.format(of="c"), c=2.0)
    u = np.array(0.7)
    a, r = math.exp(0.7), math.sqrt(math.exp(0.7))
    base = stats.norm.logpdf(0.7)  # the Jacobian cancels the lognormal's 1/a
    want = base + stats.norm.logpdf(r, a, 1)
    assert log_density(free, {"a": u}) == pytest.approx(want, rel=1e-9)
    with pytest.raises(DiagnosticError, match="E714"):
        gradient(free, {"a": u})
    slope = -0.7 + (math.sqrt(2) - a) * a
    assert gradient(fixed, {"a": u})["a"] == pytest.approx(slope, rel=1e-9)


def test_predictions_take_the_choices_of_every_step():
    source = """
model m(y: [real]) {
  s ~ iterate s = 0.0 until abs(s) > 2 { e ~ normal(0, 1); return s + e }
  observe y ~ normal(s, 1e-6)
  return s
}"""
    posterior = ppl.prior(target(source, y=np.zeros(3)), draws=40, seed=2)
    replayed = posterior.predict(target(source, y=np.zeros(2)), seed=3)
    np.testing.assert_allclose(replayed["y"][0, :, 0], posterior["s"][0], atol=1e-5)


def test_one_result_for_one_seed():
    assert result("model m(n: nat) { return iterate k = n until k * k > 200 { k + 1 } }", n=3) == 15

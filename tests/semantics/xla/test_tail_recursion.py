"""Tail recursion as a loop: laws, the names of calls, values, and what is refused."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from tests.semantics.xla.joint import engines_agree
from tests.semantics.xla.running import target

FINITE = """
fn down(n: int, acc: nat) -> measure[nat] {
  if n <= 0 { return acc } else {
    b ~ bernoulli(0.3)
    factor if b { log(0.5) } else { 0 }
    if b { down(n - 1, acc + 1) } else {
      c ~ bernoulli(0.2)
      ks ~ for i in range(2) { k ~ once(i + indicator(c)); return k }
      down(n - 2 + indicator(c), acc + ks[0])
    }
  }
}
fn once(n: nat) -> measure[nat] { if n >= 2 { return n } else { d ~ bernoulli(0.25); once(n + 1 + indicator(d)) } }
model m(n: int) {
  z ~ bernoulli(0.4)
  x ~ if z { down(n, 0) } else { return 9 }
  once(1)
  once(1)
  return x
}"""


def test_calls_have_the_names_that_the_machine_gives_them():
    """Two places of calls, recursion in a plate of a recursion, branches, a function run twice."""
    joint = engines_agree(FINITE, n=2)
    names = {entry[0] for _, named in joint for entry in named}
    assert {"x/then/down/then/down/b", "x/then/down/else/ks/k/once/d", "once#2/d"} <= names
    assert len(joint) > 100


GEOMETRIC = """
fn walk(k: nat, p: prob) -> measure[nat] {
  stop ~ bernoulli(p)
  if stop { return k } else { walk(k + 1, p) }
}
model m(ps: [prob]) {
  k ~ walk(0, ps[0])
  ks ~ for p in ps { walk(1, p) }
  return k
}"""


def sampled(n: int) -> ppl.Posterior:
    t = target(GEOMETRIC, ps=[0.1, 0.3, 0.7])
    return ppl.infer(t, ppl.importance(particles=n), seed=11, progress=False)


@pytest.fixture(scope="module")
def many() -> ppl.Posterior:
    return sampled(2000)


def test_a_geometric_law(many):
    """Chi-square at a false alarm rate of 1e-4."""
    k = np.asarray(many.result)[0]
    counts = np.append(np.bincount(k, minlength=200)[:20], (k >= 20).sum())
    law = stats.geom(0.1, loc=-1)
    assert stats.chisquare(counts, 2000 * np.append(law.pmf(range(20)), law.sf(19))).pvalue > 1e-4
    for j in range(4):
        calls = "/".join(["k", *["else/walk"] * j, "stop"])
        np.testing.assert_array_equal(np.isfinite(many[calls][0]), k >= j)
    assert f"k{'/else/walk' * int(k.max())}/stop" in many.draws
    assert f"k{'/else/walk' * int(k.max() + 1)}/stop" not in many.draws


def test_plates_of_recursion_keep_their_dimension(many):
    first, second = many["ks/walk/stop"], many["ks/walk/else/walk/stop"]
    assert first.shape == second.shape == (1, 2000, 3)
    np.testing.assert_array_equal(np.isfinite(second), many["ks"] >= 2)
    # three binomial proportions, each at a false alarm rate of 1e-4
    for p, share in zip((0.1, 0.3, 0.7), first[0].mean(0), strict=True):
        assert abs(share - p) < stats.norm.isf(5e-5) * math.sqrt(p * (1 - p) / 2000)


def test_a_lane_does_not_depend_on_the_other_lanes(many):
    few = sampled(5)
    np.testing.assert_array_equal(few.result[0], many.result[0, :5])
    np.testing.assert_array_equal(few["ks"][0], many["ks"][0, :5])
    for name, column in few.draws.items():
        np.testing.assert_array_equal(column[0], many[name][0, :5])


PURE = """
fn gcd(a: nat, b: nat) -> nat { if b == 0 { a } else { gcd(b, a % b) } }
fn apply(f: real -> real, x: real, k: nat) -> {x: real, k: nat} {
  if x > 100 { {x, k} } else { apply(f, f(x), k + 1) }
}
fn law(a: real, k: nat) -> dist[real] { if a > 10 { normal(a, 0.5) } else { law(2 * a, k + 1) } }
model m(xs: [nat], s: real) {
  let d = law(s, 0)
  observe 13.0 ~ d
  return {gcd: [gcd(x, 360) for x in xs], grown: [apply(fn (v) => v * (2 + x), 1, 0) for x in xs],
    later: fn (a: nat, b: nat) => gcd(a, b)}
}"""


def test_pure_recursion_against_python():
    """Results that are records and distributions; functions as arguments; calls from Python."""
    xs = [48, 7, 1, 0]
    posterior = ppl.infer(target(PURE, xs=xs, s=3.0), ppl.importance(particles=1), progress=False)
    got = posterior.result
    assert got["gcd"][0, 0].tolist() == [math.gcd(x, 360) for x in xs]
    assert got["later"](np.array([12, 35]), 18)[0, 0].tolist() == [6, 1]
    for x, v, k in zip(xs, got["grown"]["x"][0, 0], got["grown"]["k"][0, 0], strict=True):
        steps = math.floor(math.log(100, 2 + x)) + 1
        assert (v, k) == ((2 + x) ** steps, steps)
    assert posterior.log_evidence == pytest.approx(stats.norm.logpdf(13, 12, 0.5), rel=1e-12)


def test_recursion_that_does_not_end():
    t = target(
        "fn f(n: nat) -> nat { if n < 1 { n } else { f(n + 1) } }\nmodel m(n: nat) { return f(n) }",
        n=1,
    )
    bound, data = t._split
    t.__dict__["_split"] = dataclasses.replace(bound, limit=300), data
    with pytest.raises(DiagnosticError, match="E843"):
        ppl.infer(t, ppl.importance(particles=2), progress=False)
    endless = "fn f(n: nat) -> measure[nat] { b ~ bernoulli(0.5); f(n + indicator(b)) }\nmodel m() { x ~ f(0); return x }"
    with pytest.raises(DiagnosticError, match="E843") as caught:
        ppl.infer(target(endless), ppl.importance(particles=2), progress=False)
    assert "`f`" in caught.value.diagnostics[0].message


def test_predictions_take_the_choices_of_every_call():
    source = """
fn walk(s: real) -> measure[real] {
  e ~ normal(0, 1)
  if abs(s) > 2 { return s + e } else if e > 0 { walk(s + e) } else { u ~ uniform(0, 1); walk(s + 3 * u) }
}
model m(y: [real]) {
  s ~ for i in range(2) { walk(0.1) }
  observe y ~ normal(s[0] + 10 * s[1], 1e-6)
  return s
}"""
    posterior = ppl.prior(target(source, y=np.zeros(3)), draws=30, seed=2)
    replayed = posterior.predict(target(source, y=np.zeros(2)), seed=3)
    s = posterior["s"][0]
    np.testing.assert_allclose(replayed["y"][0, :, 1], s[:, 0] + 10 * s[:, 1], atol=1e-4)

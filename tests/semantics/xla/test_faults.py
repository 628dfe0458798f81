"""Errors that depend on values: found where they happen, counted only in runs that count."""

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from tests.semantics.xla.running import result, target


def said(source, method=None, **data):
    """The diagnostics of running it, by (code, the source it points to)."""
    with pytest.raises(DiagnosticError) as error:
        ppl.infer(target(source, **data), method or ppl.exact(), progress=False)
    return {(d.code, d.span.text) for d in error.value.diagnostics}


EVERYWHERE = """
model m(xs: [real], k: nat) {
  z ~ categorical([0.2, 0.5, 0.3])
  let a = xs[z + k]
  ys ~ for i in range(3) { b ~ bernoulli(0.5); return if b { xs[i + z - 2] } else { 0.0 } }
  s ~ fold s = 0.0 for i in range(3) { b ~ bernoulli(0.5); return s + xs[i * 2] }
  let f = fn (j: int) => xs[j]
  let t = f(z - 1)
  let p = (z / 1.5) as prob
  let n = (z - 1) as nat
  let q = (a - 3) as pos
  let c = [[1, 2], [3, 4]][:, z]
  return a
}"""


def test_every_fault_is_reported_at_its_place():
    """Three elements; each index leaves them for some value of z, inside and outside of loops,
    branches and functions."""
    assert said(EVERYWHERE, xs=[1.0, 2.0, 4.0], k=1) == {
        ("E709", "xs[z + k]"),
        ("E709", "xs[i + z - 2]"),
        ("E709", "xs[i * 2]"),
        ("E710", "i + z - 2"),
        ("E709", "xs[j]"),
        ("E710", "j"),
        ("E709", "[[1, 2], [3, 4]][:, z]"),
        ("E710", "(z / 1.5) as prob"),
        ("E710", "(z - 1) as nat"),
        ("E710", "(a - 3) as pos"),
    }


GUARDED = """
model m(xs: [real]) {
  z ~ categorical([0.2, 0.5, 0.3])
  let a = if z > 0 { xs[z - 1] } else { 9.5 }
  ys ~ for i in range(3) { if i + z < 3 { return xs[i + z] } else { return -1.0 } }
  s ~ fold s = 0.0 for i in range(5) { b ~ bernoulli(0.5)
    return if i < 3 { s + xs[i] } else { s } }
  let f = if z == 2 { fn (j: nat) => xs[j - 2] } else { fn (j: nat) => xs[j] }
  let p = if z > 1 { 0.5 } else { (z / 1) as prob }
  k ~ poisson(2)
  condition k < 3
  let c = xs[k]
  return (a, f(z), p, c)
}"""


def test_lanes_that_are_not_taken_have_no_faults():
    """Also runs of weight zero: `k` beyond the array is conditioned away."""
    found = ppl.infer(
        target(GUARDED, xs=[1.0, 2.0, 4.0]), ppl.importance(particles=500), progress=False
    )
    xs, z = np.array([1.0, 2.0, 4.0]), found["z"][0]
    a, f, p, c = (np.asarray(v)[0] for v in found.result)
    np.testing.assert_array_equal(a, np.where(z > 0, xs[z - 1], 9.5))
    np.testing.assert_array_equal(f, np.where(z == 2, 1.0, xs[z]))
    np.testing.assert_array_equal(p, np.where(z > 1, 0.5, np.minimum(z, 1)))
    alive = found.log_weights[0] > -np.inf
    assert 200 < alive.sum() < 450
    np.testing.assert_array_equal(c[alive], xs[found["k"][0][alive]])


def test_the_share_of_runs_is_told():
    source = "model m(xs: [real]) { k ~ categorical([0.25, 0.25, 0.25, 0.25]); return xs[k] }"
    with pytest.raises(DiagnosticError) as error:
        ppl.infer(target(source, xs=[1.0, 2.0, 4.0]), ppl.exact(), progress=False)
    (problem,) = error.value.diagnostics
    assert problem.code == "E709" and "length 3" in problem.message and "1 of 4" in problem.message


def test_gradient_methods_report_faults_of_their_draws():
    source = "model m(xs: [real]) { v ~ normal(-3, 0.1); let k = floor(v); return xs[k] }"
    got = said(source, ppl.laplace(draws=10), xs=[1.0, 2.0, 4.0])
    assert got == {("E709", "xs[k]"), ("E710", "k")}


def test_casts_of_constants_fail_before_anything_runs():
    for expr, code in (
        ("(1 - k) as nat", "E710"),
        ("(k / 2) as int", "E710"),
        ("(0 - k) as pos", "E710"),
    ):
        got = said(
            f"model m(k: nat, xs: [real]) {{ z ~ bernoulli(0.5); let n = range(k); return {expr} }}",
            k=3,
            xs=[1],
        )
        assert got == {(code, expr)}


def test_rounding_at_the_ends_of_probabilities_is_no_fault():
    """1/3 + 2/3 + 1e-16 and 1 - (0.1 + 0.9) are cast to the ends, where a Bernoulli is certain."""
    source = """
model m(a: real, b: real) {
  x ~ bernoulli((a + 1e-12) as prob)
  y ~ bernoulli((b - 1e-12) as prob)
  return (x, y, (a + 1e-12) as prob, 2.0 as int, (a * 3) as int)
}"""
    assert result(source, a=1.0, b=0.0) == (True, False, 1.0, 2, 3)

"""Plates: independent iterations side by side, whatever their bodies read, score and give."""

import numpy as np
import pytest
from scipy import stats

import ppl
from tests.semantics.xla.running import agrees, log_density, refused, result, target

NESTED = """
fn site(p: prob) -> measure[nat] { a ~ bernoulli(p); b ~ bernoulli(0.3)
  return if a { 2 } else if b { 1 } else { 0 } }
model m(ps: [prob], rows: [{k: nat, p: prob}]) {
  z ~ bernoulli(0.4)
  xs ~ for (i, p) in enumerate(ps) {
    u ~ site(p)
    vs ~ for r in rows { v ~ bernoulli(if z { r.p } else { p }); if v { factor log(0.5) }
      return (v, r.k + i) }
    return {u, sum: sum([k for (v, k) in vs]), vs: [v for (v, k) in vs]}
  }
  return (z, [x.u for x in xs], [x.sum for x in xs], [x.vs for x in xs])
}"""


def test_nested_plates_of_calls_tuples_and_records():
    source = NESTED
    law = agrees(source, ps=[0.2, 0.7], rows=[{"k": 3, "p": 0.1}, {"k": 5, "p": 0.6}])
    assert len(law) > 100


SHADOWED = """
model m(xs: [nat], ys: [nat]) {
  a ~ for x in xs { c ~ bernoulli(0.3); return if c { x } else { 0 } }
  b ~ for x in ys { d ~ for x in xs { e ~ bernoulli(0.6); return if e { x } else { 1 } }
    return sum(d) + x }
  let c = [[x * y for y in [z + y for z in xs]] for (x, y) in zip(xs, ys)]
  let d = [x + y + z for (x, y, z) in zip(xs, ys, reverse(xs))]
  let e = [[u for u in xs if k > 0] for k in range(3) if k != 1]
  f ~ for x in a { g ~ bernoulli(0.5); return if g { x + len(b) } else { a[0] } }
  return (sum(a), b, c, d, e, f)
}"""


def test_shadowing_siblings_zips_and_guards():
    agrees(SHADOWED.replace("e = [[u for u in xs if k > 0] for k in range(3) if k != 1]",
                            "e = [[u + k for u in xs if u > 2] for k in range(3) if k != 1]"),
           xs=[2, 3], ys=[5, 7])  # fmt: skip


EDGES = """
model m(none: [real], one: [real], g: [nat], table: [real]) {
  mu ~ normal(0, 1)
  a ~ for y in none { z ~ normal(mu, 1); w ~ fold w = z for v in none { return w + v }
    observe y ~ normal(w, 1); return {z, k: table[g[0]]} }
  b ~ for y in one { z ~ normal(mu, 1); observe y ~ normal(z, 1); return z }
  c ~ for (y, k) in zip(none, g) { observe y ~ normal(table[k] + mu, 1); return table[k] }
  return (len(a), sum([r.z for r in a]), b[0], c)
}"""


def test_plates_of_no_element_and_of_one():
    data = {"none": [], "one": [0.7], "table": []}
    t = target(EDGES.replace("zip(none, g)", "zip(none, none_g)").replace("g: [nat]", "g: [nat], none_g: [nat]"),
               **data, g=[0], none_g=[])  # fmt: skip
    mu, z = 0.3, -0.4
    got = log_density(t, {"mu": np.array(mu), "a/z": np.zeros(0), "b/z": np.array([z])})
    want = stats.norm.logpdf([mu, z - mu, 0.7 - z]).sum()
    assert got == pytest.approx(want, rel=1e-12)


CONSTANT = """
model m(xs: [real], ys: [[real]]) {
  s ~ half_normal(1)
  for x in xs { factor -0.5 * s; observe 0.3 ~ normal(s, 2); for y in xs { observe 1.5 ~ normal(0,
    s) } }
  for r in ys { observe r ~ normal(s, 1); for v in r { observe v ~ normal(r[0], s) } }
  return s
}"""


def test_factors_that_do_not_vary_count_once_an_element():
    xs, ys, s = [1.0, 2.0, 4.0], np.array([[0.5, 1.0], [2.0, -1.0], [0.0, 3.0]]), 0.8
    got = log_density(target(CONSTANT, xs=xs, ys=ys), {"s": np.log(s)})
    want = np.log(2 * stats.norm.pdf(s)) + np.log(s)
    want += 3 * (-0.5 * s + stats.norm.logpdf(0.3, s, 2)) + 9 * stats.norm.logpdf(1.5, 0, s)
    want += stats.norm.logpdf(ys, s, 1).sum() + stats.norm.logpdf(ys, ys[:, :1], s).sum()
    assert got == pytest.approx(want, rel=1e-12)


PATHS = """
fn pair() { x ~ normal(0, 1); y ~ normal(x, 1); return x + y }
model m(xs: [real]) {
  a ~ pair()
  pair()
  pair()
  b ~ for v in xs { t ~ pair(); pair(); normal(v, 1) }
  (c, d) ~ pair_of()
  h ~ scan h = 0.0 for v in xs { e ~ for w in xs { normal(h, 1) }; return e[0] }
  normal(0, 1)
  _ ~ normal(0, 1)
  return a
}
fn pair_of() { u ~ bernoulli(0.5); return (u, 2) }"""


def test_sites_are_named_by_binders_callees_and_repeats():
    found = ppl.prior(target(PATHS, xs=[1.0, 2.0, 4.0]), draws=3)
    shapes = {k: v.shape[2:] for k, v in found.draws.items()}
    for name in ("a/x", "a/y", "pair/x", "pair#2/y", "pair_of/u", "c", "d", "normal", "normal#2"):
        assert shapes[name] == (), name
    for name in ("b", "b/t/x", "b/pair/y", "h"):
        assert shapes[name] == (3,), name
    assert shapes["h/e"] == (3, 3)
    np.testing.assert_array_equal(found["h"], found["h/e"][..., 0])
    values = np.stack([found[k].reshape(3, -1)[:, 0] for k in shapes if shapes[k] == ()])
    assert len({tuple(v) for v in values if len(set(v)) > 2}) >= 8, "two sites share their draws"


COMPREHENSIONS = """
model m(xs: [real], n: nat, rows: [[real]]) {
  return {
    a: [x * i for (i, x) in enumerate(xs) if i % 2 == 0],
      b: [[i * j for j in range(i)] for i in range(n) if i == 3],
    c: [x for x in xs if x > 0], d: [sum(r) for r in rows], e: [(x, -x) for x in xs],
      f: [r[0] for r in rows if r[1] > 2],
    g: [i for i in range(2, 6)], h: [x for x in xs if false]
  }
}"""


def test_comprehensions_keep_what_their_guard_says():
    got = result(COMPREHENSIONS, xs=[1.5, -2.0, 4.0, 0.5], n=5, rows=[[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(got["a"], [0.0, 8.0])
    np.testing.assert_array_equal(got["b"], [[0, 3, 6]])
    np.testing.assert_array_equal(got["c"], [1.5, 4.0, 0.5])
    np.testing.assert_array_equal(got["d"], [3, 7, 11])
    np.testing.assert_array_equal(got["e"][1], [-1.5, 2.0, -4.0, -0.5])
    np.testing.assert_array_equal(got["f"], [3, 5])
    np.testing.assert_array_equal(got["g"], [2, 3, 4, 5])
    assert got["h"].shape == (0,)


def test_what_a_guard_keeps_must_be_known():
    source = (
        "model m(xs: [real]) { ys ~ for x in xs { normal(x, 1) }; return [y for y in ys if y > 0] }"
    )
    said = refused(source, xs=[1.0, 2.0, 4.0])
    assert said.code == "E702" and said.span is not None and said.hint

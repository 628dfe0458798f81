"""Scans, folds and bounded loops: states threaded in order, with what happened in each step."""

import numpy as np
import pytest
from scipy import stats

import ppl
from tests.semantics.xla.running import agrees, law, log_density, refused, result, target

THREADED = """
fn step(s: nat, x: nat) -> measure[nat] { a ~ bernoulli(0.3); if a { factor log(0.5)
  return s + x } else { return s } }
model m(xs: [nat]) {
  z ~ bernoulli(0.4)
  hs ~ scan (s, t) = (0, z) for (i, x) in enumerate(xs) {
    s ~ step(s, x)
    u ~ fold u = 0 for j in range(2) { v ~ bernoulli(0.6); condition v or i < 2
      return if v { u + j + 1 } else { u } }
    return (s + u, not t)
  }
  ps ~ for x in xs[1:] { fold q = x for y in xs[1:] { w ~ bernoulli(0.25)
    return if w { q + y } else { q } } }
  return ([s for (s, t) in hs], [t for (s, t) in hs][-1], ps)
}"""


def test_states_draws_and_scores_of_nested_loops():
    assert len(agrees(THREADED, xs=[1, 2, 4])) > 100


BOUNDED = """
model m(n: nat) {
  x ~ iterate (s, k) = (0, 0) until s >= 3 max n {
    a ~ categorical([0.2, 0.5, 0.3])
    factor log([0.5, 1, 0.25][a])
    return (s + a, k + 1)
  }
  let y = iterate v = 1 until v > 20 max 3 { 3 * v }
  let z = iterate v = 1 until v > 20 max 30 { 3 * v }
  return (x, y, z)
}"""


@pytest.mark.parametrize("n", [0, 1, 4])
def test_a_bounded_loop_stops_at_its_condition_or_its_bound(n):
    assert len(agrees(BOUNDED, n=n)) >= 1 + 2 * n


def test_a_bounded_loop_has_a_density_where_steps_were_not_taken():
    """Coordinates of steps after the end have the reference density."""
    source = """
model m(y: real) {
  x ~ iterate s = 0.0 until s > 1 max 4 { e ~ normal(s + 0.5, 0.3); observe y ~ normal(e, 2)
    return e }
  return x
}"""
    e = np.array([0.4, 1.3, -0.2, 0.7])
    want = stats.norm.logpdf(0.4, 0.5, 0.3) + stats.norm.logpdf(1.3, 0.9, 0.3)
    want += stats.norm.logpdf(0.9, e[:2], 2).sum() + stats.norm.logpdf(e[2:]).sum()
    assert log_density(target(source, y=0.9), {"x/e": e}) == pytest.approx(want, rel=1e-12)


PURE = """
model m(xs: [real], rows: [[real]], none: [real]) {
  let grow = scan s = 1 for x in xs { s * x }
  let last = fold (a, b) = (0, 1) for x in xs { (b, a + b + x) }
  let array = scan v = [1, 2, 3] for r in rows { [u * w for (u, w) in zip(v, r)] }
  let record = fold r = {best: -100.0, at: 0} for (i,
    x) in enumerate(xs) { if x > r.best { {best: x, at: i} } else { r } }
  let inner = [fold t = 0 for x in r { t + x * y } for (r, y) in zip(rows, xs)]
  let nested = scan s = 0 for r in rows { fold t = s for x in r { t / 2 + x } }
  let back = scan s = 0 for i in range(len(xs)) { s + xs[len(xs) - 1 - i] }
  return {grow, last, array, record, inner, nested, back,
    none: scan s = 1.5 for x in none { s + x },
          start: fold s = (1.5, 2) for x in none { (s.0 + x, s.1) },
            one: scan s = 2 for x in xs[0:1] { s - x },
          fs: (fold f = (fn (x) => x) for x in xs { fn (y) => x * y })(3)}
}"""


def test_pure_loops_against_python():
    xs, rows = [1.5, -2.0, 4.0], np.array([[1.0, 2, 3], [0.5, -1, 2], [4, 5, 6]])
    got = result(PURE, xs=xs, rows=rows, none=[])
    np.testing.assert_allclose(got["grow"], np.cumprod(xs))
    a, b = 0.0, 1.0
    for x in xs:
        a, b = b, a + b + x
    assert got["last"] == (a, b)
    np.testing.assert_allclose(got["array"], np.array([1, 2, 3]) * np.cumprod(rows, 0))
    assert (got["record"]["best"], got["record"]["at"]) == (4.0, 2)
    np.testing.assert_allclose(got["inner"], rows.sum(1) * xs)
    s, states = 0.0, []
    for r in rows:
        for x in r:
            s = s / 2 + x
        states.append(s)
    np.testing.assert_allclose(got["nested"], states)
    np.testing.assert_allclose(got["back"], np.cumsum(xs[::-1]))
    assert got["none"].shape == (0,) and got["start"] == (1.5, 2)
    np.testing.assert_allclose(got["one"], [0.5])
    assert got["fs"] == 12.0


DENSITY = """
model m(ys: [real], groups: [[real]]) {
  s ~ half_normal(1)
  hs ~ scan h = 0.0 for y in ys { h ~ normal(0.5 * h, s)
    for g in groups[0] { observe g ~ normal(h, 2) }; observe y ~ normal(h, 1); return h }
  ks ~ for g in groups { scan k = hs[0] for y in g { j ~ normal(k, 1); observe y ~ normal(j, s)
    return (j + k) / 2 } }
  factor hs[1] * ks[1, 2]
  return ks
}"""


def test_the_density_of_loops_in_loops():
    rng = np.random.default_rng(3)
    ys, groups = rng.normal(size=3), rng.normal(size=(2, 3))
    h, j, s = rng.normal(size=3), rng.normal(size=(2, 3)), 0.7
    t = target(DENSITY, ys=ys, groups=groups)
    assert {x.path: x.shape for x in t.density.sites} == {"s": (), "hs/h": (3,), "ks/j": (2, 3)}
    got = log_density(t, {"s": np.log(s), "hs/h": h, "ks/j": j})
    want = np.log(2 * stats.norm.pdf(s)) + np.log(s)
    want += stats.norm.logpdf(h, 0.5 * np.array([0, *h[:2]]), s).sum()
    want += stats.norm.logpdf(groups[0][:, None], h, 2).sum() + stats.norm.logpdf(ys, h, 1).sum()
    k = np.full(2, h[0])
    for i in range(3):
        want += (
            stats.norm.logpdf(j[:, i], k, 1) + stats.norm.logpdf(groups[:, i], j[:, i], s)
        ).sum()
        k = (j[:, i] + k) / 2
    want += h[1] * k[1]
    assert got == pytest.approx(want, rel=1e-12)


def test_histories_have_time_first_after_the_draws():
    source = """
model m(xs: [real]) {
  hs ~ scan h = 0.0 for x in xs { u ~ for k in range(2) { normal(h, 1) }; h ~ normal(u[0], 1)
    return h + x }
  f ~ fold (a, b) = (0.0, 1) for x in xs { g ~ normal(a, 1); return (g, b + 1) }
  return (hs, f)
}"""
    found = ppl.prior(target(source, xs=[1.0, 2.0, 4.0]), draws=5)
    assert {k: v.shape for k, v in found.draws.items()} == {
        "hs": (1, 5, 3), "hs/u": (1, 5, 3, 2), "hs/h": (1, 5, 3), "f.0": (1, 5), "f.1": (1, 5), "f/g": (1, 5, 3),
    }  # fmt: skip
    np.testing.assert_allclose(found["hs"], found["hs/h"] + [1.0, 2.0, 4.0], rtol=1e-12)
    np.testing.assert_array_equal(found["f.0"], found["f/g"][..., -1])
    assert (found["f.1"] == 4).all()
    steps = found["hs/h"].reshape(5, 3)
    assert len(np.unique(steps)) == 15, "steps share their randomness"


REFUSED = {
    "a state that grows": ("x ~ scan s = [a] for i in range(3) { v ~ normal(0, 1); return concat(s, [v]) }", "E701"),
    "a function that grows": ("f ~ fold f = (fn (x) => x) for i in range(3) { v ~ normal(0, 1); return fn (x) => f(x) + v }", "E701"),
    "a text that changes": ('x ~ scan s = "u" for i in range(3) { v ~ normal(0, 1); return if v > 0 { "w" } else { "w" } }', "E701"),
    "a random bound": ("n ~ poisson(3)\n  x ~ iterate s = a until s > 1 max n { v ~ normal(0, 1); return s + v }", "E702"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED)
def test_loops_without_one_form_are_refused(body, code):
    said = refused(f"model m(a: real) {{\n  {body}\n  return 1\n}}", a=1.0)
    assert said.code == code and said.span is not None and said.hint


def test_a_loop_over_nothing_has_the_law_of_its_start():
    source = """
model m(xs: [nat]) {
  z ~ bernoulli(0.3)
  s ~ fold s = z for x in xs { b ~ bernoulli(0.5); return b }
  h ~ scan s = z for x in xs { b ~ bernoulli(0.5); return b }
  return (s, len(h))
}"""
    assert law(source, xs=[]) == pytest.approx({(True, 0): 0.3, (False, 0): 0.7}, rel=1e-12)

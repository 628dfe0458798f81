"""Values: arithmetic on constants, arrays of anything, equality, texts, linear algebra, equations."""

import numpy as np
import pytest
import scipy.linalg
from scipy.special import logsumexp

from tests.semantics.xla.running import refused, result, trace

CONSTANTS = """
model m(xs: [real]) {
  let k = floor(2.7)
  return {
    size: len([i for i in range(k)]), inf: 1 / 0, nan: 0.0 / 0.0, none: log(0.0),
    mod: 7 % 3, below: -7 % 3, down: -7 // 2, power: 2 ^ 3, half: 0.5 ^ 2,
    big: 10.0 ^ 30, kept: [x for x in xs if round(x) > 1]
  }
}"""


def test_constants_are_folded_as_arrays_compute():
    got = result(CONSTANTS, xs=[0.5, 1.7, 3.25])
    want = {
        "size": 2, "inf": np.inf, "none": -np.inf, "mod": 1, "below": 2, "down": -4, "power": 8,
        "half": 0.25, "big": 1e30,
    }  # fmt: skip
    assert {k: got[k] for k in want} == want
    assert np.isnan(got["nan"])
    np.testing.assert_array_equal(got["kept"], [1.7, 3.25])


def test_a_whole_number_beyond_64_bits_is_refused():
    for expr in ("a + 10 ^ 30", "9223372036854775807 + 1"):
        said = refused(f"model m(a: real) {{ return {expr} }}", a=1.0)
        assert said.code == "E728" and said.span is not None and "real" in str(said.hint)


STRUCTURES = """
model m(rows: [{x: real, k: nat}], grid: [[(real, nat)]], e: [real], er: [(real, nat)]) {
  let pairs = [(r.x * 2, r.k + 1) for r in rows]
  return {
    pairs, last: pairs[-1], part: rows[1:], back: reverse(rows), twice: concat(rows, rows[0:1]),
    same: rows[0:2] == rows[0:2], other: [(1, 2.5), (3, 4)] == [(1, 2.5), (3, 5)],
    sizes: rows == rows[1:], turned: transpose(grid), cell: grid[1][0], copies: repeat((1.5, 2), 3),
    numbers: concat(e, [1, 2]), none: concat([p for p in er if false], pairs),
    nested: len(concat([], [[1.5, 2]])), joined: concat(e, e), total: sum(e),
      all: all([x > 0 for x in e]),
    flat: flatten([[1, 2, 3], [4, 5, 6]])
  }
}"""


def test_arrays_of_records_and_tuples():
    got = result(
        STRUCTURES,
        rows=[{"x": 0.5, "k": 3}, {"x": -1.25, "k": 0}, {"x": 2.0, "k": 7}],
        grid=[[(1.5, 1), (2.5, 2), (3.5, 3)], [(4.5, 4), (5.5, 5), (6.5, 6)]],
        e=[],
        er=[],
    )
    np.testing.assert_array_equal(got["pairs"][0], [1.0, -2.5, 4.0])
    np.testing.assert_array_equal(got["pairs"][1], [4, 1, 8])
    assert got["last"] == (4.0, 8) and got["cell"] == (4.5, 4)
    np.testing.assert_array_equal(got["part"]["k"], [0, 7])
    np.testing.assert_array_equal(got["back"]["x"], [2.0, -1.25, 0.5])
    np.testing.assert_array_equal(got["twice"]["k"], [3, 0, 7, 3])
    assert got["same"] and not got["other"] and not got["sizes"]
    np.testing.assert_array_equal(got["turned"][0], [[1.5, 4.5], [2.5, 5.5], [3.5, 6.5]])
    np.testing.assert_array_equal(got["copies"][1], [2, 2, 2])
    np.testing.assert_array_equal(got["numbers"], [1, 2])
    np.testing.assert_array_equal(got["none"][1], [4, 1, 8])
    assert got["nested"] == 1 and got["joined"].shape == (0,)
    assert got["total"] == 0 and got["all"]
    np.testing.assert_array_equal(got["flat"], [1, 2, 3, 4, 5, 6])


TEXTS = """
model m(a: text, n: nat) {
  b ~ bernoulli(0.3)
  xs ~ for i in range(3) { v ~ normal(0, 1); return {v, a} }
  s ~ scan s = (a, 0.0) for i in range(3) { v ~ normal(0, 1); return (s.0, v) }
  let f = fn (z) => if a == "u" { 10 * z } else { z }
  return {a, xs, last: s[-1], f, w: f(2), same: a == "u", differs: a != "v"}
}"""


def test_texts_are_constants_that_pass_through_loops_closures_and_results():
    import ppl

    found = ppl.prior(ppl.compile(TEXTS).m(a="u", n=3), draws=4)
    assert found.result["a"] == found.result["xs"]["a"] == found.result["last"][0] == "u"
    assert (found.result["w"] == 20).all()
    assert found.result["same"].all() and found.result["differs"].all()
    np.testing.assert_array_equal(found.result["f"](3.0), np.full((1, 4), 30.0))


LINEAR = """
model m(a: [[real]], b: [real], x: [[real]], y: real) {
  let l = cholesky(a)
  return {
    l, mv: x @ b, mm: x @ a, vm: b @ a, vv: b @ b, s: solve(a, b), t: solve_triangular(l, b),
    inv: inverse(a), det: log_det(a), d: diagonal(a), tr: trace(a), o: outer(b, b), dd: diag(b),
    ad: add_diag(a, y), eye: identity(3), lse: logsumexp(b), two: log_sum_exp(y, 1.0),
    sm: softmax(b), lsm: log_softmax(b), cs: cumsum(b), cp: cumprod(b), df: diff(b), so: sort(b),
    am: argmax(b), an: argmin(b), oh: one_hot(2, 4), li: linspace(y, 2, 5), va: var(b), sdv: sd(b)
  }
}"""


def test_linear_algebra_and_functions_of_vectors():
    a = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 2.0]])
    b, x, y = np.array([0.5, -1.5, 2.0]), np.array([[1.0, 2, 3], [0.5, -1, 4]]), 0.75
    got = result(LINEAR, a=a, b=b, x=x, y=y)
    low = np.linalg.cholesky(a)
    want = {
        "l": low, "mv": x @ b, "mm": x @ a, "vm": b @ a, "vv": b @ b, "s": np.linalg.solve(a, b),
        "t": scipy.linalg.solve_triangular(low, b, lower=True), "inv": np.linalg.inv(a),
        "det": np.linalg.slogdet(a)[1], "d": np.diag(a), "tr": np.trace(a), "o": np.outer(b, b),
        "dd": np.diag(b), "ad": a + y * np.eye(3), "eye": np.eye(3), "lse": logsumexp(b),
        "two": np.logaddexp(y, 1), "sm": np.exp(b - logsumexp(b)), "lsm": b - logsumexp(b),
        "cs": np.cumsum(b), "cp": np.cumprod(b), "df": np.diff(b), "so": np.sort(b), "am": 2, "an": 1,
        "oh": [0, 0, 1, 0], "li": np.linspace(y, 2, 5), "va": b.var(ddof=1), "sdv": b.std(ddof=1),
    }  # fmt: skip
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-12, atol=1e-14, err_msg=name)


ODE = """
model m(k: pos, ts: [real]) {
  rows ~ for s in [1.5, -0.5, 2.0] {
    return ode(fn (t, y) => {a: y.b, b: -k * k * y.a}, {a: s, b: 0.5 * k}, 0, ts, 1e-10, 1e-10)
  }
  return rows
}"""


def test_ode_against_its_closed_form():
    """Oscillators in a plate over initial states; tolerances of 1e-10 add up to less than 1e-7."""
    k, ts = 1.75, np.array([0.3, 1.0, 2.5])
    got = result(ODE, k=k, ts=ts)
    for i, s in enumerate([1.5, -0.5, 2.0]):
        want = s * np.cos(k * ts) + 0.5 * np.sin(k * ts)
        np.testing.assert_allclose(got["a"][i], want, atol=1e-7)


SHAPES = {
    "+": ("a + b", "shapes 2 and 3"),
    "@": ("x @ a", "shapes 2x3 and 2"),
    "dot": ("dot(b[0:1], b)", "shapes 1 and 3"),
    "cholesky": ("cholesky(x)", "2x3"),
    "solve": ("solve(x @ transpose(x), b)", "shapes 2x2 and 3"),
    "trace": ("trace(x)", "2x3"),
    "argmax": ("argmax(b[0:0])", "shape 0"),
    "concat": ("concat([a], [b])", "1x2"),
    "an array": ("[a, b]", "different sizes"),
    "zip": ("[u * v for (u, v) in zip(a, b)]", "2 and 3"),
}


@pytest.mark.parametrize(("expr", "says"), SHAPES.values(), ids=SHAPES)
def test_shapes_that_do_not_fit_are_named(expr, says):
    source = f"model m(a: [real], b: [real], x: [[real]]) {{ return {expr} }}"
    said = refused(source, a=[1, 2], b=[1, 2, 4], x=np.ones((2, 3)))
    assert said.code == "E704" and says in said.message and said.span is not None and said.hint


@pytest.mark.parametrize("expr", ["[a, b] == [b, a]", '[t, "v"]', 'if c { t } else { "w" }'])
def test_texts_that_would_depend_on_the_run_are_refused(expr):
    source = f"model m(t: text, a: [real], b: [real]) {{ c ~ bernoulli(0.3); return {expr} }}"
    said = refused(source, t="u", a=[1], b=[2, 3])
    assert said.code in ("E701", "E704") and said.span is not None and said.hint


def test_what_only_the_machine_runs_is_refused():
    for body in (
        "f ~ mem(fn (k: nat) => normal(0, 1)); return f(0)",
        "x ~ lazy(normal(0, 1)); return x",
        "k ~ mixture([0.2, 0.8], [dirac((1, 2)), dirac((3, 4))]); return k",
    ):
        said = refused(f"model m(a: real) {{ {body} }}", a=1.0)
        assert said.code == "E706" and said.span is not None and said.hint
    tree = "type t = A(real) | B\nmodel m(n: int) { let e = A(2.0)\n return match e { A(x) => x, B => 0.0 } }"
    assert refused(tree, n=1).code == "E706"


def test_recursion_unrolls_on_constants_and_is_refused_otherwise():
    fib = "fn f(n: nat) -> nat { if n < 2 { n } else { f(n - 1) + f(n - 2) } }\n"
    assert result(fib + "model m(a: real) { return f(7) }", a=1.0) == 13
    for source in (
        "fn f(x: real) -> real { if x > 10 { x } else { 1 + f(x + 1) } }\n"
        "model m(a: real) { x ~ normal(0, 1); return f(x) }",
        "fn f(n: nat) -> measure[nat] { b ~ bernoulli(0.5)\n if b { return n } else { m ~ f(n + 1)\n return m + 1 } }\n"
        "model m(a: real) { x ~ f(0); return x }",
    ):
        said = refused(source, a=1.0)
        assert said.code == "E707" and said.span is not None and "machine" in str(said.hint)


def test_tracing_gives_shapes_alone():
    """The helper that these tests stand on compiles nothing and sees every site."""
    (_, sites, _), weight = trace(
        "model m(a: [real]) { x ~ for v in a { normal(v, 1) }; return x }", a=[1, 2]
    )
    assert sites["x"].data.shape == (7, 2) and weight.shape == (7,)

"""Functions and distributions are values everywhere: stored, chosen, returned, carried, passed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from tests.semantics.xla.running import agrees, gradient, log_density, refused, result, target

CHOSEN = """
fn twice(f: real -> real, x: real) -> real { f(f(x)) }
model m() {
  z ~ categorical([0.2, 0.5, 0.3])
  let fs = [fn (x) => x + 1, fn (x) => x * 2, fn (x) => x * x - z]
  b ~ bernoulli(0.25)
  let f = if b { fs[z] } else { fn (x) => x + 3 * z }
  g ~ fold g = f for i in range(3) {
    c ~ bernoulli(0.4)
    return if c { fn (x) => f(x) + i } else { g }
  }
  let hs = [f, g, fn (x) => 5 * x]
  j ~ categorical([0.1, 0.2, 0.7])
  let r = {pair: (f, 2), inner: hs[j]}
  let closed = [fn (x) => x * k + z for k in range(3)]
  return (twice(f, 3), g(2), [h(z) for h in hs], r.inner(5), r.pair.0(r.pair.1),
          [c(7) for c in closed][j], closed[z](1))
}"""


def test_functions_chosen_at_random_stored_and_carried():
    assert len(agrees(CHOSEN)) > 40


DISTRIBUTIONS = """
model m() {
  z ~ categorical([0.2, 0.5, 0.3])
  let same = [bernoulli(0.25), bernoulli(0.75), bernoulli(0.5)]
  let families = [categorical([0.5, 0.25, 0.25]), binomial(2, 0.25), discrete_uniform(0, 2)]
  a ~ same[z]
  e ~ families[z]
  observe 1 ~ families[e]
  l ~ mixture([0.2, 0.8], [families[e], binomial(2, 0.5)])
  let t = if a { truncate(binomial(3, 0.5), 1, 2) } else { discrete_uniform(1, 2) }
  observe 2 ~ t
  observe l ~ mixture([0.2, 0.3, 0.5], families)
  return (z, a, e, l)
}"""


def test_distributions_chosen_at_random_drawn_and_observed():
    assert len(agrees(DISTRIBUTIONS)) > 40


def test_a_literal_index_takes_code_out_of_an_array():
    assert agrees("""
model m() {
  let fs = [(fn (x) => x + 1, 5), (fn (x) => x * 2, 7)]
  let families = [categorical([0.5, 0.25, 0.25]), binomial(2, 0.25), discrete_uniform(0, 2)]
  x ~ families[1]
  y ~ (if x > 0 { families } else { [families[2], families[0], families[1]] })[2]
  observe y ~ families[0]
  return (x, y, fs[1].0(x))
}""")


MEASURES = """
fn pick(k: nat) -> measure[nat] { a ~ bernoulli(0.2); b ~ categorical([0.5, 0.3, 0.2])
  return if a { b } else { k } }
model m() {
  xs ~ iid(3, pick(1))
  z ~ bernoulli(0.3)
  let run = if z { pick(0) } else { categorical([0.5, 0.5]) }
  y ~ run
  v ~ iid(2, if z { bernoulli(0.25) } else { dirac(true) })
  d ~ dirac((z, 3))
  observe (true, 3) ~ dirac(d)
  return (xs, y, v, d)
}"""


def test_measures_as_values_repeated_and_chosen():
    assert len(agrees(MEASURES)) > 100


RETURNED = """
model m(ys: [real]) {
  a ~ normal(0, 2)
  b ~ bernoulli(0.5)
  fs ~ for y in ys { c ~ normal(y, 1); return fn (x) => c + x * y }
  let table = [10.0, 20.0, 40.0]
  return {
    line: fn (x) => a * x, pick: fn (k: nat) => table[k], both: fn (x, y) => x - y,
    kink: if b { fn (x) => x } else { fn (x) => if x > 0 { x * x } else { -3.0 } },
    fs, c: [{f: fn (x) => a + x, v: 1.5}, {f: fn (x) => a + x, v: 2.5}],
    rec: fn (r: {u: real, v: (real, nat)}) => r.u + r.v.0 * r.v.1,
    sum: fn (xs: [real]) => sum(xs), apply: fn (f: real -> real) => f(a)
  }
}"""


def test_returned_functions_are_called_from_python():
    found = ppl.prior(target(RETURNED, ys=[1.0, -2.0, 4.0]), draws=5)
    f, a, b = found.result, found["a"], found["b"]
    np.testing.assert_allclose(f["line"](3), a * 3, rtol=1e-12)
    grid = np.array([[-1.0, 0.5, 2.0], [3.0, 4.0, 5.0]])
    np.testing.assert_allclose(f["line"](grid), a[..., None, None] * grid, rtol=1e-12)
    np.testing.assert_array_equal(f["pick"](2), np.full((1, 5), 40.0))
    np.testing.assert_array_equal(f["pick"](np.array([2, 0]))[0, 3], [40.0, 10.0])
    np.testing.assert_array_equal(f["both"](grid[0], 1)[0, 0], grid[0] - 1)
    np.testing.assert_array_equal(f["both"](grid[:, :1], grid[0])[0, 0], grid[:, :1] - grid[0])
    want = np.where(b[..., None], grid[0], np.where(grid[0] > 0, grid[0] ** 2, -3.0))
    np.testing.assert_allclose(f["kink"](grid[0]), want, rtol=1e-12)
    for k, y in enumerate([1.0, -2.0, 4.0]):
        np.testing.assert_allclose(f["fs"][k](0.5), found["fs/c"][..., k] + 0.5 * y, rtol=1e-12)
    np.testing.assert_allclose(f["c"][1]["f"](2), a + 2, rtol=1e-12)
    assert (f["c"][1]["v"] == 2.5).all()
    np.testing.assert_array_equal(f["rec"]({"u": 1.5, "v": (2.0, 3)}), np.full((1, 5), 7.5))
    np.testing.assert_array_equal(f["sum"](grid)[0, 1], grid.sum(1))
    np.testing.assert_allclose(f["apply"](jnp.sin), np.sin(a), rtol=1e-12)
    np.testing.assert_allclose(f["apply"](f["line"]), a * a, rtol=1e-12)
    for call in (
        lambda: f["line"](1, 2),
        lambda: f["line"]("x"),
        lambda: f["pick"](0.5),
        lambda: f["sum"](1.0),
        lambda: f["rec"]({"u": 1.0}),
        lambda: f["both"](grid[0], grid[0, :2]),
        lambda: f["apply"](3),
    ):
        with pytest.raises(DiagnosticError) as error:
            call()
        assert error.value.diagnostics[0].code == "E609"


@pytest.mark.parametrize("double", [False, True])
def test_returned_functions_are_transformed_by_jax(double):
    found = ppl.prior(target(CURVE), draws=5)
    f, a, c = found.result, found["a"], found["b"]
    tolerance, kind = (1e-12, np.float64) if double else (1e-5, np.float32)
    grid = np.array([-1.0, 0.5, 2.0])
    at = a[..., None] * grid**2 + c[..., None]
    with jax.enable_x64(double):
        compiled = jax.jit(lambda x: 3 * f["curve"](x))(grid)
        each = jax.vmap(f["curve"])(jnp.asarray(grid))
        slope = jax.grad(lambda x: f["curve"](x)[0, 2])(1.5)
        both = jax.jit(f["both"])(jnp.asarray(grid), {"k": 4, "on": True})
    assert {v.dtype for v in (compiled, each, slope, *both)} == {np.dtype(kind)}
    np.testing.assert_allclose(compiled, 3 * at, rtol=tolerance)
    np.testing.assert_allclose(each, np.moveaxis(at, -1, 0), rtol=tolerance)
    np.testing.assert_allclose(slope, 3.0 * a[0, 2], rtol=tolerance)
    np.testing.assert_allclose(both[0], 1.5 * a, rtol=tolerance)
    np.testing.assert_allclose(both[1], 4 * c, rtol=tolerance)
    with pytest.raises(DiagnosticError, match="cannot be an array of shape .* of float"):
        jax.jit(f["both"])(jnp.asarray(grid), {"k": 4.5, "on": True})
    assert f["curve"](grid).dtype == np.float64


CURVE = """
model m() {
  a ~ normal(0, 2)
  b ~ normal(1, 3)
  return {
    curve: fn (x) => a * x^2 + b,
    both: fn (v: [real], r: {k: nat, on: bool}) => (a * sum(v), if r.on { b * r.k } else { a })
  }
}"""

HOST = """
model m(f: real -> real, g: (real, [real]) -> {a: real, b: [real]}, hs: [real -> real],
  xs: [real]) {
  rows ~ for x in xs { return (f(x), g(x, xs).b, [h(x) for h in hs]) }
  k ~ scan s = 0.5 for x in xs { return f(s + x) }
  return {rows, k, a: g(2, xs).a}
}"""


def test_functions_of_python_are_data():
    xs = np.array([0.5, -1.5, 2.0])
    got = result(
        HOST,
        f=jnp.sin,
        g=lambda x, v: {"a": x * v.sum(), "b": x + v},
        hs=[jnp.cos, jnp.sin, jnp.cos],
        xs=xs,
    )
    np.testing.assert_allclose(got["rows"][0], np.sin(xs), rtol=1e-12)
    np.testing.assert_allclose(got["rows"][1], xs[:, None] + xs, rtol=1e-12)
    columns = np.stack([np.cos(xs), np.sin(xs), np.cos(xs)], 1)
    np.testing.assert_allclose(got["rows"][2], columns, rtol=1e-12)
    state, states = 0.5, []
    for x in xs:
        states.append(state := np.sin(state + x))
    np.testing.assert_allclose(got["k"], states, rtol=1e-12)
    np.testing.assert_allclose(got["a"], 2 * xs.sum(), rtol=1e-12)


BAD_HOSTS = {
    "needs values": (lambda x: float(np.sin(x)), "values"),
    "raises": (lambda x: {}["missing"], "KeyError"),
    "gives an array": (lambda x: x * jnp.ones(3), "(3,)"),
    "gives nothing": (lambda x: None, "raised"),
    "takes two": (lambda x, y: x, "TypeError"),
}


@pytest.mark.parametrize(("f", "says"), BAD_HOSTS.values(), ids=BAD_HOSTS)
def test_functions_of_python_that_do_not_fit_are_named(f, says):
    said = refused("model m(f: real -> real) { x ~ normal(0, 1); return f(x) }", f=f)
    assert said.code == "E711" and says in said.message and said.span is not None and said.hint


SIZES = """
model m(n: nat, xs: [real]) {
  fs ~ for x in xs { c ~ normal(x, 1); return fn (u) => sum([u * c * i for i in range(n)]) }
  b ~ bernoulli(0.4)
  f ~ fold f = (fn (u) => u + n) for x in xs { c ~ normal(x, 1)
    return fn (u) => sum([c + u for i in range(n)]) }
  let g = if b { fn (u) => sum([u for i in range(n)]) } else { fn (u) => 1 * u }
  return {all: [h(2) for h in fs], f, g}
}"""


def test_sizes_that_functions_capture_stay_known():
    found = ppl.prior(target(SIZES, n=4, xs=[1.0, 2.0, 4.0]), draws=3)
    np.testing.assert_allclose(found.result["all"], 2 * 6 * found["fs/c"], rtol=1e-12)
    last = found["f/c"][..., -1]
    np.testing.assert_allclose(found.result["f"](1.5), 4 * (last + 1.5), rtol=1e-12)
    np.testing.assert_allclose(found.result["g"](5), np.where(found["b"], 20.0, 5.0), rtol=1e-12)


DENSITIES = """
model m(ys: [real], ps: [pos]) {
  s ~ half_normal(2)
  let ds = [normal(0, s), student_t(3, 1, s), logistic(-1, s)]
  for (i, y) in enumerate(ys) { observe y ~ ds[i] }
  for y in ys { observe y ~ mixture([0.2, 0.3, 0.5], ds) }
  for y in ys { observe y ~ mixture([0.25, 0.75], [normal(y / 2, s), normal(1, 2)]) }
  for p in ps { observe p ~ transform(normal(s, p / 4), fn (x) => exp(x), fn (v) => log(v as pos)) }
  for y in ys { observe y ~ truncate(normal(s, 2), -3, s + 4) }
  observe ys ~ iid(3, normal(s, 1.5))
  observe ps ~ iid(3, transform(normal(0, s), fn (x) => exp(x + s), fn (v) => log(v as pos) - s))
  return s
}"""


def test_densities_of_combinators_against_scipy():
    ys, ps, s = np.array([0.5, -1.25, 2.0]), np.array([0.75, 1.5, 4.0]), 0.8
    got = log_density(target(DENSITIES, ys=ys, ps=ps), {"s": np.log(s)})
    ds = [stats.norm(0, s), stats.t(3, 1, s), stats.logistic(-1, s)]
    want = np.log(2 * stats.norm.pdf(s, 0, 2)) + np.log(s)
    want += sum(d.logpdf(y) for d, y in zip(ds, ys, strict=True))
    want += sum(
        np.log(sum(w * d.pdf(y) for w, d in zip([0.2, 0.3, 0.5], ds, strict=True))) for y in ys
    )
    want += sum(
        np.log(0.25 * stats.norm.pdf(y, y / 2, s) + 0.75 * stats.norm.pdf(y, 1, 2)) for y in ys
    )
    want += sum(stats.norm.logpdf(np.log(p), s, p / 4) - np.log(p) for p in ps)
    base = stats.norm(s, 2)
    want += sum(base.logpdf(y) - np.log(base.cdf(s + 4) - base.cdf(-3)) for y in ys)
    want += stats.norm.logpdf(ys, s, 1.5).sum()
    want += sum(stats.norm.logpdf(np.log(p) - s, 0, s) - np.log(p) for p in ps)
    assert got == pytest.approx(want, rel=1e-12)


def test_a_dead_option_has_no_derivative():
    """log of a negative number, and a density outside its support, in options not taken."""
    source = """
model m(ks: [nat]) {
  x ~ normal(0, 1)
  let fs = [fn (v) => log(v as pos), fn (v) => sqrt(v as pos), fn (v) => v * v]
  let ds = [lognormal(x, 1), normal(x, 2), normal(sqrt(x as pos), 1)]
  for k in ks { factor fs[k + 2](x); observe -0.5 ~ ds[k + 1] }
  return x
}"""
    got = gradient(target(source, ks=[0, 0, 0]), {"x": np.array(-0.75)})["x"]
    assert got == pytest.approx(0.75 + 3 * (2 * -0.75 + (-0.5 + 0.75) / 4), rel=1e-12)

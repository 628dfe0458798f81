"""Branches on random conditions: both sides run under masks, and count only where they are taken."""

import jax
import numpy as np
import pytest
from scipy import integrate, stats

import ppl
from ppl.semantics.precision import precision
from tests.semantics.xla.running import agrees, gradient, log_density, target

NESTED = """
fn act(z: nat) -> measure[nat] {
  if z == 0 { k ~ categorical([0.2, 0.5, 0.3]); factor log([0.5, 2, 1][k]); return k }
  else if z == 1 {
    a ~ bernoulli(0.3)
    if a { b ~ categorical([0.6, 0.4]); observe true ~ bernoulli(0.25); return 10 + b }
    else { condition true; return 20 }
  }
  else { return 30 }
}
model m(zs: [nat]) {
  z ~ categorical([0.2, 0.5, 0.3])
  x ~ act(z)
  ys ~ for w in zs { c ~ bernoulli(0.4); v ~ if c { act(w) } else { return 40 }; return v }
  s ~ fold s = 0 for w in zs { d ~ bernoulli(0.7); if d { factor log(0.5)
    return s + w } else { k ~ bernoulli(0.1); condition k or s < 2; return s } }
  if x > 20 { factor log(3) }
  return (x, ys, s)
}"""


def test_values_and_scores_of_nested_branches_in_plates_and_scans():
    assert len(agrees(NESTED, zs=[0, 1, 2])) > 300


MISSING = """
model m(xs: [real]) {
  b ~ bernoulli(0.5)
  u ~ if b { u1 ~ normal(100, 1); return u1 } else { normal(-100, 1) }
  ws ~ for x in xs { c ~ bernoulli(0.5); if c { w ~ normal(x, 1); return w } else { return x } }
  hs ~ scan h = 0.0 for x in xs { if h > 0 { e ~ normal(-x, 0.01); return e } else { normal(x,
    0.01) } }
  return u
}"""


def test_draws_that_a_run_did_not_make_are_missing():
    found = ppl.prior(target(MISSING, xs=[1.0, 2.0, 4.0]), draws=40)
    b = found["b"]
    assert 5 < b.sum() < 35
    names = sorted(found.draws)
    assert names == [
        "b",
        "hs",
        "hs/else",
        "hs/then/e",
        "u",
        "u/else",
        "u/then/u1",
        "ws",
        "ws/c",
        "ws/then/w",
    ]
    np.testing.assert_array_equal(np.isnan(found["u/then/u1"]), ~b)
    np.testing.assert_array_equal(np.isnan(found["u/else"]), b)
    np.testing.assert_array_equal(found["u"] > 0, b)
    np.testing.assert_array_equal(np.isnan(found["ws/then/w"]), ~found["ws/c"])
    before = np.concatenate([np.zeros((1, 40, 1)), found["hs"][..., :-1]], -1)
    np.testing.assert_array_equal(np.isnan(found["hs/then/e"]), ~(before > 0))
    np.testing.assert_array_equal(np.isnan(found["hs/else"]), before > 0)
    assert not np.isnan(found["hs"]).any() and not np.isnan(found.result).any()


GRADIENTS = """
model m(ys: [real]) {
  x ~ normal(0, 1)
  t ~ normal(0, 1)
  let a = if x > 0 { log(x as pos) } else { x * t }
  let b = if x < 0 { t } else { sqrt((x - 1) as pos) }
  let c = if x > 0 { if t > 0 { log(t as pos) } else { 1 / x } } else { if t < 0 { (t + x) ^ 2 } else { sqrt(t as pos) } }
  for y in ys { factor if y > x { log((y - x) as pos) } else { y * x } }
  s ~ fold s = x for y in ys { return if s > 3 { log((s - 3) as pos) } else { s * t + y } }
  factor a + b + c + s
  return x
}"""


def test_gradients_are_those_of_the_side_that_is_taken():
    x, t, ys = -0.75, -0.5, np.array([1.25, -2.0, 0.5])
    got = gradient(target(GRADIENTS, ys=ys), {"x": np.array(x), "t": np.array(t)})

    want_x = -x + t + 2 * (t + x) + sum(-1 / (y - x) if y > x else y for y in ys) + t**3
    want_t = -t + x + 1 + 2 * (t + x)
    s, ds = x, 0.0
    for y in ys:
        s, ds = s * t + y, ds * t + s
    assert got["x"] == pytest.approx(want_x, rel=1e-12)
    assert got["t"] == pytest.approx(want_t + ds, rel=1e-12)


SECOND = """
model m(y: real) {
  x ~ normal(0, 1)
  factor if x > 0 { log(x as pos) } else { x ^ 3 }
  return x
}"""


def test_second_derivatives_are_those_of_the_side_that_is_taken():
    t = target(SECOND, y=0.0)
    with precision():
        hessian = jax.jit(jax.hessian(t.density.log_density, argnums=1))
        got = float(hessian(t.data, {"x": np.array(-0.75)})["x"]["x"])
    assert got == pytest.approx(-1 + 6 * -0.75, rel=1e-12)


UNUSED = """
model m(y: real) {
  z ~ bernoulli(0.3)
  a ~ if z { u ~ uniform(1, 3); v ~ exponential(0.5 + u); return u * v } else { return 0.25 }
  observe y ~ normal(a, 0.8)
  return a
}"""


def test_an_unused_latent_keeps_the_evidence():
    """Integrating the density over all coordinates gives 0.3 Z_taken + 0.7 Z_not_taken, only if a
    latent of the side not taken has a normalised reference density."""
    t = target(UNUSED, y=1.1)
    paths = [s.path for s in t.density.sites]
    assert paths == ["a/then/u", "a/then/v"]
    grid = np.linspace(-14, 14, 561)
    u, v = np.meshgrid(grid, grid, indexing="ij")
    with precision():
        batched = jax.jit(jax.vmap(t.density.log_density, in_axes=(None, 0)))
        lp = batched(t.data, {"a/then/u": u.ravel(), "a/then/v": v.ravel()})
        got = np.exp(np.asarray(lp)).sum() * (grid[1] - grid[0]) ** 2

    def taken(v, u):
        p = 0.5 * stats.expon.pdf(v, scale=1 / (0.5 + u))
        return p * stats.norm.pdf(1.1, u * v, 0.8)

    side, _ = integrate.dblquad(taken, 1, 3, 0, 40, epsabs=1e-12)
    assert got == pytest.approx(0.3 * side + 0.7 * stats.norm.pdf(1.1, 0.25, 0.8), rel=1e-6)


UNDEFINED = """
model m(y: real) {
  x ~ normal(0, 1)
  w ~ if x > 0 { normal(0, sqrt(x as pos)) } else { v ~ lognormal(log((0 - x) as pos), 1)
    return v }
  observe y ~ normal(w, 1)
  return w
}"""


def test_a_latent_whose_parameters_are_undefined_when_unused():
    x, u = -0.75, np.array([0.4, -0.3])
    t = target(UNDEFINED, y=0.6)
    position = {"x": np.array(x), "w/then": u[0], "w/else/v": u[1]}
    v = np.exp(u[1])
    want = stats.norm.logpdf([x, u[0]]).sum() + stats.norm.logpdf(u[1], np.log(0.75), 1)
    want += stats.norm.logpdf(0.6, v, 1)
    assert log_density(t, position) == pytest.approx(want, rel=1e-12)
    got = gradient(t, position)
    assert got["w/then"] == pytest.approx(-u[0], rel=1e-12)
    slope = -(u[1] - np.log(0.75)) + (0.6 - v) * v
    assert got["w/else/v"] == pytest.approx(slope, rel=1e-12)
    assert got["x"] == pytest.approx(-x + (u[1] - np.log(0.75)) / x, rel=1e-12)

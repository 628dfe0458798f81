"""The density: constrained sites, Jacobians, and positions that do not fit."""

import jax
import numpy as np
import pytest
from scipy import stats

from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.precision import precision
from tests.semantics.xla.running import log_density, target

SUPPORTS = """
model m(ys: [real]) {
  a ~ normal(0, 2)
  b ~ uniform(-1, a)
  s ~ half_normal(1)
  w ~ dirichlet([2, 3, 4])
  c ~ for y in ys { beta(2, 3) }
  d ~ normal([a, b, s], s)
  e ~ iid(3, exponential(2))
  o ~ flat_ordered(3)
  for (y, k) in zip(ys, c) { observe y ~ normal(a + k, s) }
  return {a, w}
}"""


def test_sites_map_through_their_current_support():
    ys = np.array([0.5, -1.0, 2.0])
    t = target(SUPPORTS, ys=ys)
    rng = np.random.default_rng(5)
    position = {s.path: rng.normal(size=s.unconstrained_shape) for s in t.density.sites}
    position["a"] = np.array(1.3)
    with precision():
        x = jax.jit(t.density.constrain)(t.data, position, jax.random.key(0))
        x = {k: np.asarray(x[k].data) for k in position}
        own = float(jax.jit(t.density.log_density_no_jacobian)(t.data, position))
    assert x["w"].sum() == pytest.approx(1, rel=1e-12) and (np.diff(x["o"]) > 0).all()
    assert -1 < x["b"] < 1.3
    want = stats.norm.logpdf(x["a"], 0, 2) - np.log(x["a"] + 1)
    want += np.log(2 * stats.norm.pdf(x["s"])) + stats.dirichlet.logpdf(x["w"], [2, 3, 4])
    want += stats.beta.logpdf(x["c"], 2, 3).sum()
    want += stats.norm.logpdf(x["d"], [x["a"], x["b"], x["s"]], x["s"]).sum()
    want += stats.expon.logpdf(x["e"], scale=0.5).sum()
    want += stats.norm.logpdf(ys, x["a"] + x["c"], x["s"]).sum()
    assert own == pytest.approx(want, rel=1e-12)
    jacobian = np.log(x["s"]) + np.log(x["c"] * (1 - x["c"])).sum() + np.log(x["e"]).sum()
    u = (x["b"] + 1) / (x["a"] + 1)
    jacobian += np.log(u * (1 - u) * (x["a"] + 1)) + position["o"][1:].sum()
    simplex = log_density(t, position) - want - jacobian
    step = 1e-6

    def weights(v):
        with precision():
            return np.asarray(
                jax.jit(t.density.constrain)(t.data, {**position, "w": v}, jax.random.key(0))[
                    "w"
                ].data
            )

    columns = [
        (weights(position["w"] + step * e) - weights(position["w"] - step * e)) / (2 * step)
        for e in np.eye(2)
    ]
    volume = np.linalg.slogdet(np.array(columns).T[:2])[1]
    assert simplex == pytest.approx(volume, abs=1e-7)


def test_positions_of_another_name_or_size_are_refused():
    t = target(
        "model m(ys: [real]) { a ~ for y in ys { normal(y, 1) }; return a }", ys=[1.0, 2.0, 4.0]
    )
    for position in ({}, {"b": np.zeros(3)}, {"a": np.zeros(2)}):
        with pytest.raises(DiagnosticError) as error:
            t.log_density(position)
        assert error.value.diagnostics[0].code == "E802" and (
            error.value.diagnostics[0].span is not None or "b" in position
        )


def test_impossible_observations_have_no_mass_and_do_not_raise():
    source = """
model m(ys: [nat]) {
  p ~ beta(2, 3)
  for y in ys { observe y ~ binomial(3, p) }
  condition p < 2
  return p
}"""
    assert log_density(target(source, ys=[1, 2, 3]), {"p": 0.3}) > -np.inf
    assert log_density(target(source, ys=[1, 2, 4]), {"p": 0.3}) == -np.inf


def test_a_density_as_a_value_scores_as_an_observation_does():
    """Of one of two families, of an array, and of a choice that is summed out."""
    drawn = """
    model m(ys: [real]) {
      mu ~ normal(0, 1)
      s ~ bernoulli(0.3)
      let d = if s { normal(mu, 1) } else { student_t(3, mu, 2) }
      %s
      return mu
    }"""
    seen = "for y in ys { observe y ~ d }; observe ys ~ normal(mu, 2)"
    asked = "factor sum([log_prob(d, y) for y in ys]) + log_prob(normal([mu, mu, mu], 2), ys)"
    ys, position = np.array([0.3, 2.0, -1.0]), {"mu": np.array(0.3)}
    with jax.disable_jit():
        first, second = (
            log_density(target(drawn % text, ys=ys), position) for text in (seen, asked)
        )
    assert first == pytest.approx(second, abs=1e-12)

"""Data, positions and seeds: what is taken, and what is refused in the language's own words."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import scipy.stats as st

import ppl
from ppl.semantics.diagnostics import DiagnosticError

MODELS = ppl.compile("""
model line(x: [real], y: [real]) {
  slope ~ normal(0, 2)
  level ~ for _ in range(3) { normal(0, 1) }
  observe y ~ normal(level + slope * x, 0.5)
  return slope
}
model grown(y: nat) {
  f ~ mem(fn (k: nat) => bernoulli(0.5))
  observe y ~ binomial(3, if f(0) { 0.25 } else { 0.5 })
  return f(0)
}
""")
X, Y = np.array([0.5, -1.0, 2.0]), np.array([0.1, 0.4, -0.7])
LEVEL = np.array([0.3, -0.2, 0.9])


@pytest.fixture(scope="module")
def line():
    return MODELS.line(x=X, y=Y)


def test_the_density_is_a_function_for_jax(line):
    at = {"slope": 0.7, "level": LEVEL}
    want = st.norm.logpdf(0.7, 0, 2) + st.norm.logpdf(LEVEL).sum()
    want += st.norm.logpdf(Y, LEVEL + 0.7 * X, 0.5).sum()
    assert line.log_density(at) == pytest.approx(want, abs=1e-12)
    with jax.enable_x64(True):
        slope = -0.7 / 4 + ((Y - LEVEL - 0.7 * X) * X).sum() / 0.25
        assert jax.jit(jax.grad(line.log_density))(at)["slope"] == pytest.approx(slope, abs=1e-12)
        many = {"slope": np.array([0.7, 0.1]), "level": np.stack([LEVEL, Y])}
        assert jax.vmap(line.log_density)(many)[0] == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize(
    ("position", "says"),
    [
        ([0.7, 0.1], "no list"),
        ({"slope": 0.7}, "`level`"),
        ({"slope": 0.7, "level": LEVEL, "scale": 1.0}, "no free site `scale`"),
        ({"slop": 0.7, "level": LEVEL}, "did you mean `slope`"),
        ({"slope": X, "level": LEVEL}, r"shape \(3,\), and must be of \(\)"),
        ({"slope": 0.7, "level": 0.3}, r"shape \(\), and must be of \(3,\)"),
    ],
)
def test_a_position_has_exactly_the_sites_and_their_shapes(line, position, says):
    with pytest.raises(DiagnosticError, match=says) as caught:
        line.log_density(position)
    assert caught.value.diagnostics[0].code == "E802"


@pytest.mark.parametrize("seed", [2**63, -(2**70), 1.5, "1", None])
def test_seeds_are_whole_numbers_of_64_bits(seed):
    target = MODELS.grown(y=2)
    posterior = ppl.infer(target, ppl.importance(particles=5), progress=False)
    for call in (
        lambda: ppl.infer(target, ppl.importance(particles=5), seed=seed, progress=False),
        lambda: ppl.prior(target, draws=3, seed=seed),
        lambda: posterior.predict(seed=seed),
        lambda: posterior.resample(3, seed=seed),
    ):
        with pytest.raises(DiagnosticError, match="seed") as caught:
            call()
        assert caught.value.diagnostics[0].code == "E811"


def test_seeds_may_be_negative_numpys_and_booleans(line):
    few = ppl.importance(particles=5)
    draws = {
        int(seed): ppl.infer(line, few, seed=seed, progress=False)["slope"]  # type: ignore[arg-type]
        for seed in (-3, np.int64(1), 2**63 - 1)
    }
    assert len(np.unique([d[0, 0] for d in draws.values()])) == 3
    same = ppl.infer(line, few, seed=True, progress=False)
    np.testing.assert_array_equal(same["slope"], draws[1])
    assert same.resample(4, seed=-1)["slope"].shape == (1, 4)


def test_data_are_given_by_name(line):
    with pytest.raises(DiagnosticError, match=r"E601(.|\n)*hint: write line\(x=…, y=…\)"):
        MODELS.line(X, Y)
    named = ppl.compile("model m(self: real) { return self }").m
    assert named(self=2.0).values["self"] == 2.0

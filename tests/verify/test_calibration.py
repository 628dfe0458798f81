"""Calibration of methods on models whose posterior nobody is told; the rank test for kernels.

Checks are seeded by what they check, so that each has one verdict; a method that is right fails with
probability 1e-4 at most (1e-6 for kernels), were the seeds drawn anew.
"""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify import Kernel, Plan, bernoulli, calibrate, rank_test, uniform
from ppl.verify.calibration import LIKELIHOOD, TARP
from ppl.verify.ranks import band, differences, even, pattern, rank

# -------------------------------------------------------------------------------------------- ranks


def test_ranks_of_one_law_are_even_and_ties_are_broken_at_random():
    """Each of 6 ranks within 0.03 of 1/6 in 4,000 trials: five standard errors (seed 30)."""
    rng = np.random.default_rng(30)
    for make in (lambda n: rng.normal(size=n), lambda n: rng.integers(2, size=n)):
        found = np.bincount([rank(x[0], x[1:], rng) for x in (make(6) for _ in range(4_000))])
        assert found / 4_000 == pytest.approx(np.full(6, 1 / 6), abs=0.03)
    assert rank(0.5, [0.1, 0.2, 0.9], rng) == 2


def test_cells_of_ranks_have_their_probabilities():
    statistic = even("x", 9, lambda t: t)
    assert statistic.probabilities == pytest.approx((0.3, 0.2, 0.3, 0.2))
    assert [statistic.read(r) for r in range(10)] == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert statistic.labels[1] == "x: rank 3 to 4 of 9"
    assert even("x", 1, lambda t: t).probabilities == (0.5, 0.5)


def test_the_band_holds_even_ranks_as_often_as_stated():
    """Of 1,000 samples of 80 even ranks 950 stay inside, within 35: five standard errors (seed 31)."""
    x, low, high = band(80, 63, 0.95)
    made = np.random.default_rng(31).integers(64, size=(1_000, 80))
    off = np.stack([differences(r, 63, x) for r in made])
    inside = ((off >= low - 1e-12) & (off <= high + 1e-12)).all(1).sum()
    assert 915 <= inside <= 985


@pytest.mark.parametrize(
    ("law", "says"),
    [((1, 1), ""), ((3, 1.5), "too small"), ((1, 2.5), "too large"), ((0.4, 0.4), "too alike"),
     ((4, 4), "too spread out")],
)  # fmt: skip
def test_the_shape_of_ranks_says_what_is_wrong(law, says):
    u = stats.beta(*law).ppf((np.arange(90) + 0.5) / 90)
    assert says in pattern((64 * u).astype(int), 63) and bool(says) == bool(
        pattern((64 * u).astype(int), 63)
    )


# -------------------------------------------------------------------------------------- calibration

MODELS = ppl.compile("""
model normals(y: [real]) {
  a ~ normal(0.4, 1.5)
  b ~ normal(-1, 0.7)
  for v in y { observe v ~ normal(a + b, 0.8) }
}
model counts(k: [nat], extra: pos) {
  z ~ categorical([0.2, 0.5, 0.3])
  r ~ for _ in range(2) { bernoulli(0.3 + 0.2 * z) }
  observe k ~ poisson(extra * (1 + z))
  return (z, r)
}
model partial(y: [real]) { a ~ normal(0, 1); observe y[0] ~ normal(a, 1) }
model scored(y: [real]) { a ~ normal(0, 1); factor -sum((y - a) ^ 2) }
model unseen(y: [real]) { a ~ normal(sum(y), 1); return a }
model holes(y: [real?]) { a ~ normal(0, 1); for v in y { observe v ~ normal(a, 1) } }
""")
TARGET = MODELS.normals(y=[0.0, 0.0, 0.0])


def exactly(target, seed, *, scale=1.0, shift=0.0, data=1.0, n=63):
    """The posterior of `normals`, by hand; or one that is wrong in one way."""
    y = np.asarray(target.values["y"])
    precision = np.diag([1 / 1.5**2, 1 / 0.7**2]) + data * len(y) / 0.8**2 * np.ones((2, 2))
    covariance = np.linalg.inv(precision)
    prior = np.array([0.4 / 1.5**2, -1 / 0.7**2])
    mean = covariance @ (prior + data * np.sum(y) / 0.8**2)
    root = np.linalg.cholesky(covariance)
    noise = np.random.default_rng(seed).normal(size=(n, 2))
    a, b = (mean + shift + scale * noise @ root.T).T
    return Posterior(draws={"a": a[None], "b": b[None]}, target=target)


def with_(**wrong):
    return lambda target, seed: exactly(target, seed, **wrong)


def test_the_posterior_is_calibrated_and_drawn(tmp_path):
    done = []
    found = calibrate(
        TARGET, exactly, simulations=50, progress=lambda k, n: done.append((k, n)),
        quantities={"product": lambda values, data: values["a"] * data["y"][0]},
    )  # fmt: skip
    assert found.ok and found.verdict.report.level == "calibration", found
    assert found.verdict.report.trials == 50 and done[-1] == (50, 50)
    assert set(found.ranks) == {
        "a",
        "b",
        "combination 1",
        "combination 2",
        LIKELIHOOD,
        TARP,
        "product",
    }
    assert all(r.shape == (50,) and 0 <= r.min() < r.max() <= 63 for r in found.ranks.values())
    assert "0.0001 at most" in str(found)
    found.assert_ok()
    found.plot(tmp_path / "ranks.png")
    assert (tmp_path / "ranks.png").stat().st_size > 10_000
    assert len(found.figure().axes) == 8
    with pytest.raises(DiagnosticError, match="E894"):
        found.plot(tmp_path / "no" / "ranks.png")


@pytest.mark.parametrize(
    ("wrong", "by"),
    [({"scale": 0.5}, ""), ({"scale": 2.0}, ""), ({"shift": 0.8}, ""), ({"data": 0.0}, LIKELIHOOD)],
    ids=["too narrow", "too wide", "shifted", "the prior"],
)
def test_a_wrong_posterior_is_found(wrong, by):
    found = calibrate(TARGET, with_(**wrong))
    assert found.verdict.outcome == "FAIL" and by in found.verdict.why, found
    assert found.verdict.report.trials < 200 and "model normals" in str(found)


def test_the_prior_is_calibrated_for_every_parameter_alone():
    """So that the likelihood among the quantities is what finds a method that ignores the data."""
    found = calibrate(TARGET, with_(data=0.0))
    n = len(found.ranks["a"])
    assert found.verdict.report.trials <= n == 16
    for name in ("a", "b"):
        assert abs(np.mean(found.ranks[name]) / 63 - 0.5) < 4 * math.sqrt(1 / 12 / n)
    assert np.mean(found.ranks[LIKELIHOOD]) > 50


def test_methods_of_either_engine_compile_once():
    compiled = 0

    def count(event, seconds, **more):
        nonlocal compiled
        compiled += "backend_compile" in event

    at = []
    jax.monitoring.register_event_duration_secs_listener(count)
    target = MODELS.counts(k=[0, 0, 1], extra=0.8)
    found = calibrate(
        target, ppl.exact(), simulations=40, progress=lambda k, n: at.append(compiled)
    )
    assert found.ok and "z" in found.ranks and "r[1]" in found.ranks, found
    assert 0 < at[0] == at[-1]
    machine = calibrate(target, "exact", simulations=20, engine="machine")
    assert machine.ok, machine


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (MODELS.scored(y=[0.0]), "factor"),
        (MODELS.unseen(y=[0.0]), "observes nothing"),
        (MODELS.holes(y=[0.0, None]), "missing"),
    ],
)
def test_models_that_do_not_make_their_data_are_refused(target, why):
    with pytest.raises(DiagnosticError, match=f"(?s)E749.*{why}"):
        calibrate(target, exactly)


def test_settings_are_checked():
    for call in (
        lambda: calibrate(TARGET, exactly, draws=0),
        lambda: calibrate(TARGET, exactly, draws=200),
        lambda: calibrate(TARGET, exactly, simulations=0),
        lambda: rank_test(walk(), TARGET, length=0),
    ):
        with pytest.raises(DiagnosticError, match="E746"):
            call()
    with pytest.raises(DiagnosticError, match="E817"):
        calibrate(MODELS.normals, exactly)
    with pytest.raises(DiagnosticError, match="E749.*part of"):
        calibrate(MODELS.partial(y=[0.0, 1.0]), exactly)


# ------------------------------------------------------------------------------------ the rank test


def walk(power=1.0):
    def step(model, state, omega):
        a, b = state.trace["a",], state.trace["b",]
        moved = {("a",): a + 2 * uniform(omega, "a") - 1, ("b",): b + 2 * uniform(omega, "b") - 1}
        after = model.replay({**state.trace, **moved})
        ratio = math.exp(min(0.0, power * (after.log_weight - state.log_weight)))
        return after if bernoulli(omega, "accept", ratio) else state

    return step


def drift(forward):
    """A kernel that is not reversible, and its reverse: a turn round the ellipses of the prior."""

    def step(model, state, omega):
        angle = 0.9 if forward else -0.9
        x, y = (state.trace["a",] - 0.4) / 1.5, (state.trace["b",] + 1) / 0.7
        x, y = (
            math.cos(angle) * x - math.sin(angle) * y,
            math.sin(angle) * x + math.cos(angle) * y,
        )
        return model.replay({**state.trace, ("a",): 0.4 + 1.5 * x, ("b",): -1 + 0.7 * y})

    return step


PLAN = Plan(alpha=1e-3, trials=120)


def test_a_kernel_that_keeps_every_posterior_passes():
    verdict = rank_test(walk(), TARGET, length=7, plan=PLAN)
    assert verdict.ok and verdict.report.compared == 3, verdict
    begun = Kernel(walk(), lambda model, omega: model.replay(model.run(omega).trace))
    assert rank_test(begun, TARGET, length=7, plan=PLAN).ok


def test_a_kernel_that_does_not_is_found():
    verdict = rank_test(walk(power=0.3), TARGET)
    assert verdict.outcome == "FAIL" and "rank" in verdict.counterexample.at


def test_a_kernel_that_is_not_reversible_needs_its_reverse():
    """On a model whose data say nothing, so that the turn keeps the posterior."""
    models = ppl.compile("model m(y: real) { a ~ normal(0.4, 1.5); b ~ normal(-1, 0.7); "
                         "observe y ~ normal(0, 1) }")  # fmt: skip
    target = models.m(y=0.0)
    assert rank_test(drift(True), target, reverse=drift(False), plan=PLAN).ok
    assert rank_test(walk(power=0.0), target, plan=Plan(alpha=1e-3)).outcome == "FAIL"

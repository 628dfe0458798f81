"""What is told of the particles of a filter: the evidence so far, its error, and collapse."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

import ppl
from ppl.inference.ancestry import history, survivors
from ppl.semantics.diagnostics import DiagnosticError

YS = [0.3, -1.1, 0.6, 1.4, -0.2]
MODELS = ppl.compile("""
model walk(ys: [real], s: pos) {
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x, 1); observe y ~ normal(x, s); return x }
  return xs
}
type list = Nil | Cons(real, list)
model listed(ys: [real], s: pos) {
  _ ~ fold last = Nil for y in ys {
    let at = match last { Nil => 0.0, Cons(x, _) => x }
    x ~ normal(at, 1)
    observe y ~ normal(x, s)
    return Cons(x, last)
  }
  return 1.0
}
""")


def kalman(s):
    """The log evidence of the first 1, 2, … observations."""
    mean, variance, total, out = 0.0, 0.0, 0.0, []
    for y in YS:
        variance += 1
        spread = variance + s * s
        total += -0.5 * (math.log(2 * math.pi * spread) + (y - mean) ** 2 / spread)
        gain = variance / spread
        mean, variance = mean + gain * (y - mean), (1 - gain) * variance
        out.append(total)
    return np.array(out)


def fit(model, s=0.7, **settings):
    return ppl.infer(model(ys=YS, s=s), ppl.smc(**settings), seed=3, progress=False)


def test_the_evidence_so_far_is_that_of_the_observations_so_far():
    """Seeds fixed; errors of the logarithms are below 0.02 with 4,000 particles, 0.1 with 200."""
    for model, n, error in ((MODELS.walk, 4_000, 0.1), (MODELS.listed, 200, 0.5)):
        found = fit(model, particles=n)
        so_far = found.points["log_evidence"]
        np.testing.assert_allclose(so_far, kalman(0.7), atol=error)
        assert so_far[-1] == pytest.approx(found.log_evidence, abs=1e-12)


def test_lineages_that_go_on_are_counted():
    """By hand: at the first point 3 and 0 have descendants, at the second 0, 1 and 2."""
    links = [np.array([3, 3, 0, 1]), np.array([1, 0, 2, 1])]
    told = ((None, (2.0, True, -1.0, links[0])), (3.0, False, -2.0, links[1]))
    found = history(told)
    assert found["lineages"].tolist() == [2, 3]
    assert survivors(np.array(links))[0].tolist() == [True, False, False, True]
    assert found["effective_sample_size"].tolist() == [2.0, 3.0]
    assert found["resampled"].tolist() == [True, False]
    assert history(None)["log_evidence"].shape == (0,)


@pytest.mark.parametrize(
    ("model", "settings"),
    [(MODELS.walk, {}), (MODELS.listed, {}), (MODELS.listed, {"trajectories": 3})],
    ids=["xla", "machine", "backward"],
)
def test_particles_tell_whom_they_go_on_from(tmp_path, model, settings):
    """All that are left have the values of the one that each descends from at the first point."""
    n = 10 if settings else 200
    found = fit(model, particles=n, **settings)
    links, lineages = found.points["ancestors"], found.points["lineages"]
    assert links.shape == (len(YS), n) and len(lineages) == len(found.points["resampled"])
    assert np.all(np.diff(lineages) >= 0) and 0 < lineages[0] < n
    found.plot_ancestry(tmp_path / "ancestry.png")
    assert (tmp_path / "ancestry.png").stat().st_size > 5_000
    if settings:
        return
    first = found[found_name(found)][0].reshape(n, -1)[:, 0]
    who = np.arange(n)
    for row in links[::-1]:
        who = row[who]
    for a, x in zip(who, first, strict=True):
        assert np.all(first[who == a] == x)
    assert len(np.unique(first)) == lineages[0]


def found_name(posterior):
    return next(name for name in posterior.draws if name.endswith("x"))


@pytest.mark.parametrize("model", [MODELS.walk, MODELS.listed], ids=["xla", "machine"])
def test_points_are_plotted(tmp_path, model):
    found = fit(model, particles=200)
    found.plot_points(tmp_path / "points.png")
    assert (tmp_path / "points.png").stat().st_size > 5_000
    with pytest.raises(DiagnosticError, match="E894"):
        found.plot_points(tmp_path / "x.nonsense")
    other = ppl.infer(model(ys=YS, s=0.7), ppl.importance(particles=10), progress=False)
    with pytest.raises(DiagnosticError, match="E891.*`importance` tells nothing of points"):
        other.plot_points(tmp_path / "points.png")


@pytest.mark.parametrize("model", [MODELS.walk, MODELS.listed], ids=["xla", "machine"])
def test_replicas_give_the_evidence_an_error(model):
    """By the definition: the mean of independent estimates, whose error their spread tells. The
    first is the run without replicas. False-alarm rate below 1e-5 (4.5 standard errors)."""
    one, several = fit(model, particles=200), fit(model, particles=200, replicas=6)
    assert one.evidence_se is None
    np.testing.assert_array_equal(one.log_weights, several.log_weights)
    error = several.evidence_se
    assert several.evidence != one.evidence
    assert error is not None and 0 < error < 0.2
    assert abs(several.log_evidence - kalman(0.7)[-1]) < 4.5 * error + 0.01
    again = fit(model, particles=200, replicas=3)
    assert again.evidence_se != several.evidence_se
    with pytest.raises(DiagnosticError, match="E811.*replicas"):
        ppl.smc(replicas=0)


@pytest.mark.parametrize("make", [ppl.rmsmc, partial(ppl.smc2, parameters="x", states=2)])
def test_replicas_of_other_particles(make):
    """The evidence is the mean of that of runs from other seeds."""
    target = ppl.compile("""
    model two(y: real) { x ~ normal(0, 1); observe y ~ normal(x, 1); z ~ normal(x, 1); observe y ~ normal(z, 1); return z }
    """).two(y=0.8)
    run = partial(ppl.infer, target, seed=3, progress=False)
    one, several = run(make(particles=8)), run(make(particles=8, replicas=4))
    assert one.evidence_se is None and 0 < several.evidence_se < 1
    np.testing.assert_array_equal(one.log_weights, several.log_weights)
    # x, and both observations: 1.0 times their covariance [[2, 1], [1, 3]]
    spread = np.array([[2.0, 1.0], [1.0, 3.0]])
    y = np.array([0.8, 0.8])
    known = -0.5 * (y @ np.linalg.solve(spread, y)) - 0.5 * np.linalg.slogdet(2 * np.pi * spread)[1]
    assert abs(several.log_evidence - known) < 6 * several.evidence_se
    with pytest.raises(DiagnosticError, match="E811.*replicas"):
        make(replicas=0)


def test_particles_that_collapse_are_warned_of():
    def told(posterior):
        return {w.code: w for w in posterior.warnings}

    assert "W889" not in told(fit(MODELS.walk, particles=200))
    found = fit(MODELS.walk, s=1e-5, particles=200)
    assert "collapsed at" in told(found)["W889"].message
    assert np.min(found.points["effective_sample_size"]) < 2

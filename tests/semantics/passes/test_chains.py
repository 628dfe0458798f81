"""States of linear-Gaussian loops, integrated out: the evidence and the whole law of the states
given the data, against the Kalman filter and smoother in matrices.

The states are affine in the standard normals that the program draws, so running it at no noise and
at each unit of noise gives their mean and joint covariance without error.
"""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_verify import verify
from ppl.semantics.machine import Machine
from ppl.semantics.passes.conjugacy.belief import Belief
from ppl.semantics.passes.conjugacy.build import number, times
from ppl.semantics.passes.conjugacy.chains import Filter
from tests.oracles.kalman import smoothed

TEXT = """
model level(y: [real], start: real) {
  xs ~ scan x = start for v in y {
    x ~ normal(0.9 * x + 0.1, 0.7)
    observe v ~ normal(2 * x + 0.3, 0.4)
    return x
  }
  let twice = 2 * xs[1]
  return {xs, twice}
}
model trend(y: [real], c: [real], r: [pos]) {
  end ~ fold (level, slope) = (0.5, -0.2) for (v, a, s) in zip(y, c, r) {
    let turn = slope / 2
    slope ~ normal(0.8 * slope, 0.3)
    level ~ normal(level + 2 * turn, 0.5)
    observe v ~ normal(a * level, s)
    let both = level - slope
    observe a ~ normal(both, 1.5)
    return (level, slope)
  }
  return end
}
model lagged(y: [real]) {
  xs ~ scan s = {now: 0.4, before: -0.3, count: 0} for v in y {
    x ~ normal(0.5 * s.now - 0.3 * s.before, 0.6 + 0 * s.count)
    observe v ~ normal(x, 0.4)
    return {now: x, before: s.now, count: s.count + 1}
  }
  return xs
}
model switching(y: [real]) {
  x0 ~ normal(0.3, 1.5)
  let above = x0 > 0
  condition len(y) < 9
  xs ~ scan x = x0 for v in y {
    jump ~ bernoulli(0.2)
    x ~ normal(x, if_(jump))
    observe v ~ normal(x, 0.4)
    return x
  }
  return {xs, x0, above}
}
fn if_(jump: bool) -> pos { if jump { 3 } else { 0.5 } }
model regression(y: [real], u: [real], a: real) {
  h0 ~ normal(0.2, 2)
  drift ~ normal(0.1, 0.5)
  b ~ normal(-0.3, 1)
  xs ~ scan x = h0 for (v, w) in zip(y, u) {
    x ~ normal(a * x + drift, 0.7)
    observe v ~ normal(2 * x + b * w, 0.4)
    return x
  }
  return {h0, drift, b, xs}
}
model volatility(y: [real]) {
  hs ~ scan h = 0.0 for v in y {
    h ~ normal(0.9 * h, 0.3)
    observe v ~ normal(0, exp(h / 2))
    return h
  }
  return hs
}
"""
MODELS = ppl.compile(TEXT)
Y = [0.4, -1.3, 2.2, 0.9]


class Noise:
    """Standard normals from a list, others from a table by family."""

    def __init__(self, normals, **others):
        self.normals, self.others = iter(normals), {k: iter(v) for k, v in others.items()}
        self.count = 0

    def begin(self, state):
        def draw(path, family, args):
            if family.name in self.others:
                return next(self.others[family.name])
            if family.name == "normal":
                self.count += 1
                return args[0] + args[1] * next(self.normals, 0.0)
            assert family.name == "iid"
            self.count += args[0]
            return tuple(next(self.normals, 0.0) for _ in range(args[0]))

        return draw

    def mark(self):
        return None

    def restore(self, mark):
        pass


def law(target: ppl.Target, states, **others):
    """(log evidence, mean, covariance) of `states(result)`, a list of numbers."""
    found = target.collapsed
    assert found is not None
    verify(found.program)
    machine, data = Machine(found.program), target.plain

    def run(normals):
        omega = Noise(normals, **others)
        execution = machine.run(data, omega)  # type: ignore[arg-type]
        return execution, np.array(states(execution.result)), omega.count

    execution, mean, n = run([])
    columns = np.array([run(row)[1] - mean for row in np.eye(n)])
    return execution.log_weight, mean, columns.T @ columns


def check(found, oracle, pick):
    log_evidence, mean, cov = found
    assert log_evidence == pytest.approx(oracle.log_evidence, abs=1e-10)
    assert mean == pytest.approx([m[i] for m in oracle.mean for i in pick], abs=1e-10)
    k = len(pick)
    for t in range(len(oracle.mean)):
        own = cov[k * t : k * (t + 1), k * t : k * (t + 1)]
        assert own == pytest.approx(oracle.cov[t][np.ix_(pick, pick)], abs=1e-10)


def test_a_level():
    target = MODELS.level(y=Y, start=0.5).rao_blackwellize()
    one = np.ones((1, 1))
    oracle = smoothed(
        Y, [0.5], 0 * one, 0.9 * one, 0.1, 0.49 * one, [2 * one] * 4, 0.3, [0.16 * one] * 4
    )
    check(law(target, lambda r: r["xs"]), oracle, [0])


def test_the_joint_law_of_all_states():
    """Dense conditioning: cov(x, x') too, which the backward pass has to draw."""
    target = MODELS.level(y=Y, start=0.5).rao_blackwellize("xs")
    move = np.array([[0.9 ** (t - s) if s <= t else 0 for s in range(4)] for t in range(4)])
    prior = 0.49 * move @ move.T
    mean = np.array(
        [0.9 ** (t + 1) * 0.5 + 0.1 * sum(0.9**s for s in range(t + 1)) for t in range(4)]
    )
    gain = prior * 2 @ np.linalg.inv(4 * prior + 0.16 * np.eye(4))
    want = mean + gain @ (np.array(Y) - 2 * mean - 0.3)
    _, found, cov = law(target, lambda r: r["xs"])
    assert found == pytest.approx(want, abs=1e-10)
    assert cov == pytest.approx(prior - gain @ (2 * prior), abs=1e-10)


def test_a_level_and_its_slope():
    c, r = [1.0, -0.5, 0.7, 2.0], [0.4, 0.9, 0.6, 0.5]
    target = MODELS.trend(y=Y, c=c, r=r).rao_blackwellize()
    move = np.array([[1.0, 1.0], [0.0, 0.8]])
    noise = np.diag([0.25, 0.09])
    see = [np.array([[a, 0.0], [1.0, -1.0]]) for a in c]
    error = [np.diag([s**2, 2.25]) for s in r]
    both = list(zip(Y, c, strict=True))
    oracle = smoothed(both, [0.5, -0.2], np.zeros((2, 2)), move, 0.0, noise, see, 0.0, error)
    log_evidence, mean, cov = law(target, list)
    assert log_evidence == pytest.approx(oracle.log_evidence, abs=1e-10)
    assert mean == pytest.approx(oracle.mean[-1], abs=1e-10)
    assert cov == pytest.approx(oracle.cov[-1], abs=1e-10)


def test_a_state_with_the_state_before():
    target = MODELS.lagged(y=Y).rao_blackwellize("xs/x")
    move, noise = np.array([[0.5, -0.3], [1.0, 0.0]]), np.diag([0.36, 0.0])
    see, error = [np.array([[1.0, 0.0]])] * 4, [0.16 * np.ones((1, 1))] * 4
    oracle = smoothed(Y, [0.4, -0.3], np.zeros((2, 2)), move, 0.0, noise, see, 0.0, error)
    found = law(target, lambda r: [s[k] for s in r for k in ("now", "before")])
    check(found, oracle, [0, 1])


def test_given_other_draws_of_the_loop():
    """A mixture Kalman filter: jumps are drawn, the levels given them are integrated out."""
    target = MODELS.switching(y=Y).rao_blackwellize()
    found = target.collapsed
    assert found is not None and found.sites == ("xs/x", "x0")
    jumps = [False, True, False, False]
    prior = np.diag([9.0 if j else 0.25 for j in jumps])
    walk = np.tril(np.ones((4, 4)))
    prior = 1.5**2 + walk @ prior @ walk.T
    both = np.vstack([np.full((1, 4), 1.5**2), prior])  # the covariances of x0, too
    total = prior + 0.16 * np.eye(4)
    gap = np.array(Y) - 0.3
    log_evidence, mean, cov = law(target, lambda r: [r["x0"], *r["xs"]], bernoulli=jumps * 12)
    want = -0.5 * (gap @ np.linalg.solve(total, gap) + np.linalg.slogdet(2 * np.pi * total)[1])
    assert log_evidence == pytest.approx(want, abs=1e-10)
    assert mean == pytest.approx(0.3 + both @ np.linalg.solve(total, gap), abs=1e-10)
    own = np.block([[np.full((1, 1), 1.5**2), both[:1]], [both[:1].T, prior]])
    assert cov == pytest.approx(own - both @ np.linalg.solve(total, both.T), abs=1e-10)


def test_a_loop_over_nothing_leaves_the_law_it_starts_from():
    target = MODELS.switching(y=[]).rao_blackwellize()
    log_evidence, mean, cov = law(target, lambda r: [r["x0"], r["above"]])
    assert log_evidence == 0
    assert mean[0] == pytest.approx(0.3)
    assert cov[0, 0] == pytest.approx(1.5**2)


def test_a_loop_and_what_it_starts_from_and_is_driven_by():
    u, a = np.array([0.5, -1.0, 0.0, 2.0]), 0.8
    target = MODELS.regression(y=Y, u=u, a=a).rao_blackwellize()
    found = target.collapsed
    assert found is not None and found.sites == ("xs/x", "h0", "b", "drift")
    # everything as a linear map of independent normals: h0, drift, b, and each step's own
    parts = np.zeros((7, 7))
    parts[:3, :3] = np.eye(3)
    state = parts[0]
    for t in range(4):
        state = a * state + parts[1] + np.eye(7)[3 + t]
        parts[3 + t] = state
    scale = np.diag([4, 0.25, 1, *[0.49] * 4])
    centre = parts @ np.array([0.2, 0.1, -0.3, 0, 0, 0, 0])
    prior = parts @ scale @ parts.T
    see = np.hstack([np.zeros((4, 2)), u[:, None], 2 * np.eye(4)])
    total = see @ prior @ see.T + 0.16 * np.eye(4)
    gap = np.array(Y) - see @ centre
    gain = prior @ see.T @ np.linalg.inv(total)
    log_evidence, mean, cov = law(target, lambda r: [r["h0"], r["drift"], r["b"], *r["xs"]])
    want = -0.5 * (gap @ np.linalg.solve(total, gap) + np.linalg.slogdet(2 * np.pi * total)[1])
    assert log_evidence == pytest.approx(want, abs=1e-10)
    assert mean == pytest.approx(centre + gain @ gap, abs=1e-9)
    assert cov == pytest.approx(prior - gain @ see @ prior, abs=1e-9)


def test_noise_used_twice_would_be_found(monkeypatch):
    """NumPyro, BlackJAX, coix: one key for two draws. Means and evidence are right; covariances
    are not."""
    monkeypatch.setattr(f"{__name__}.MODELS", ppl.compile(TEXT))  # what is known is kept by models
    right = Belief.drawn
    twice = lambda self, noise: right(self, [noise[0], *noise[:-1]])  # noqa: E731
    monkeypatch.setattr(Belief, "drawn", twice)
    with pytest.raises(AssertionError):
        test_a_level_and_its_slope()


def test_a_first_step_too_many_would_be_found(monkeypatch):
    """TensorFlow Probability: a hidden Markov model's first state moved before it was seen."""
    monkeypatch.setattr(f"{__name__}.MODELS", ppl.compile(TEXT))
    right = Filter.begin
    moved = lambda self, starts: right(self, {k: times(number(0.9), v) for k, v in starts.items()})  # noqa: E731
    monkeypatch.setattr(Filter, "begin", moved)
    with pytest.raises(AssertionError):
        test_a_loop_and_what_it_starts_from_and_is_driven_by()


def test_what_is_not_linear_is_refused():
    target = MODELS.volatility(y=Y)
    with pytest.raises(DiagnosticError, match="`exp` is not linear in it") as error:
        target.rao_blackwellize("hs/h")
    assert error.value.diagnostics[0].code == "E881"

"""`rao_blackwellize` keeps the measure: at any values of all sites, the two programs agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_verify import verify
from ppl.semantics.machine import Machine
from ppl.semantics.machine.omega import MachineKey
from ppl.semantics.passes.conjugacy import families
from ppl.semantics.passes.conjugacy.build import ONE, ZERO, over, plus
from ppl.settings import for_machine

MODELS = ppl.compile("""
model coins(tosses: [bool], more: [bool], n: [nat], k: [nat], waits: [nat]) {
  p ~ beta(2, 3.5)
  for t in tosses { observe t ~ bernoulli(p) }
  observe more ~ bernoulli(p)
  for (a, b) in zip(n, k) { observe b ~ binomial(a, p) }
  observe waits ~ geometric(p)
  let odds = p / (1 - p)
  again ~ bernoulli(p)
  return {odds, again}
}
model groups(n: [nat], k: [nat], of: [nat], tosses: [bool]) {
  theta ~ for a in n { beta(1 + a, 2.5) }
  for (t, a, b) in zip(theta, n, k) { observe b ~ binomial(a, t) }
  for (g, t) in zip(of, tosses) { observe t ~ bernoulli(theta[g]) }
  observe tosses[0] ~ bernoulli(theta[-2])
  q ~ uniform(0, 1)
  observe tosses[1] ~ bernoulli(q)
  return [2 * t for t in theta]
}
model rates(counts: [nat], exposure: [pos], times: [pos], groups: [nat]) {
  rate ~ gamma(2, 1.5)
  observe counts ~ poisson(rate * exposure)
  observe times ~ exponential(3 * rate)
  observe times ~ gamma(2.5, rate / 2)
  own ~ for (c, e) in zip(counts, exposure) {
    r ~ exponential(0.7)
    if e > 1 { observe c ~ poisson(e * r) }
    return r
  }
  many ~ iid(3, gamma(1.5, 2))
  for (g, t) in zip(groups, times) { observe t ~ exponential(many[g]) }
  return rate
}
model shares(kinds: [nat], table: [nat], twice: [[nat]]) {
  w ~ dirichlet([1, 2.5, 0.7])
  for k in kinds { observe k ~ categorical(w) }
  observe table ~ multinomial(6, w)
  for t in twice { observe t ~ multinomial(3, w) }
  return w
}
model means(y: [real], x: [real], s: [pos]) {
  shift ~ normal(0.2, 1)
  mu ~ normal(1, 2)
  observe y ~ normal(mu, s)
  for (a, b) in zip(x, y) {
    let mean = shift - 2 * (mu + a) / 3
    observe b ~ normal(mean, 0.7)
  }
  observe exp(y[0]) ~ lognormal(a_bit(mu), 2)
  next ~ normal(mu, 1)
  return {mu, next, high: mu > 0}
}
fn a_bit(x) { 0.1 * x - 1 }
model schools(y: [real], of: [nat], x: [real], groups: nat) {
  mu ~ normal(0.3, 1)
  tau ~ half_normal(1)
  alpha ~ for _ in range(groups) { z ~ normal(mu, tau); return z }
  slope ~ normal(0, 2)
  observe y ~ normal(alpha[of] + slope * x, 0.5)
  return {alpha, mu}
}
model waits(times: [pos], scale: pos) {
  shape ~ uniform(0, 3)
  rate ~ gamma(shape, 1.5)
  observe times ~ gamma(2.5, rate / scale)
  observe times[1] ~ exponential(rate)
  return {rate, shape}
}
model regression(y: [real], X: [[real]], s: pos) {
  a ~ normal(0.5, 2)
  b ~ iid(len(X[0]), normal(0.2, 1.5))
  observe y ~ normal(a + X @ b, s)
  for (v, row) in zip(y, X) { observe v ~ normal(dot(row, b) / 2, 1.2) }
  c ~ for k in range(3) { z ~ normal(k, 1 + k); return z }
  observe y[0] ~ normal(c[0] - 2 * c[2], 0.6)
  for v in y { observe v ~ normal(sum(c), 3) }
  return c
}
model nested(y: [real], x: [real]) {
  mu ~ normal(0.3, 1)
  rate ~ gamma(2, 1)
  theta ~ for (v, w) in zip(y, x) {
    t ~ normal(2 * mu, 0.7)
    observe v ~ normal(t, 0.5)
    if v > 0 { observe w ~ normal(t - mu, 2) }
    k ~ poisson(rate)
    return t + k
  }
  for v in x { q ~ beta(2, 1); observe abs(v) ~ exponential(rate); observe v > 0 ~ bernoulli(q) }
  return theta
}
model autoregression(y: [real]) {
  phi ~ normal(0.1, 0.8)
  _ ~ scan last = 0.5 for v in y { observe v ~ normal(phi * last, 0.6); return v }
  return phi
}
""")

Y = [0.4, -1.3, 2.2, 0.9]
DATA = {
    "coins": {
        "tosses": [1, 0, 1, 1],
        "more": [0, 1, 1],
        "n": [3, 5],
        "k": [2, 1],
        "waits": [0, 3, 1],
    },
    "groups": {
        "n": [3, 5, 4],
        "k": [2, 0, 4],
        "of": [2, 0, 2, 2],
        "tosses": [1, 0, 0, 1],
    },
    "rates": {
        "counts": [3, 0, 7, 2],
        "exposure": [1.5, 0.2, 2.5, 1.1],
        "times": [0.3, 1.7, 0.8, 2.2],
        "groups": [1, 0, 1, 2],
    },
    "shares": {"kinds": [0, 2, 2, 1], "table": [3, 1, 2], "twice": [[1, 0, 2], [2, 1, 0]]},
    "means": {"y": Y, "x": [1.0, 0.0, -2.0, 0.5], "s": [0.5, 1.0, 2.0, 0.7]},
    "schools": {"y": Y, "of": [0, 2, 1, 2], "x": [0.5, -1.0, 0.0, 2.0], "groups": 3},
    "regression": {"y": Y, "X": [[0.5, 1.0], [0.0, -1.0], [2.0, 0.3], [1.0, 1.0]], "s": 0.8},
    "nested": {"y": Y, "x": [1.0, 0.0, -2.0, 0.5]},
    "autoregression": {"y": Y},
}
SITES = {
    "coins": {"p"},
    "groups": {"theta", "q"},
    "rates": {"rate", "own/r", "many"},
    "shares": {"w"},
    "means": {"mu", "shift"},
    "schools": {"alpha/z", "slope", "mu"},
    "regression": {"a", "b", "c/z"},
    "nested": {"theta/t", "for/q", "rate", "mu"},
    "autoregression": {"phi"},
}


def made(name: str) -> ppl.Target:
    return MODELS[name](**DATA[name])


def agree(target: ppl.Target, collapsed: ppl.Target, *, tries: int = 3) -> None:
    """The densities of the two programs are equal at draws of all sites."""
    drawn = ppl.infer(collapsed, ppl.importance(particles=tries), engine="machine", seed=5)
    sites = [k for k, at in target.names.items() if at.choice is not None]
    for i in range(tries):
        values = {k: drawn[k][0, i] for k in sites}
        settings = for_machine(target.given(values).settings)
        scores = [
            Machine(t.program).setting(settings).run(t.plain, MachineKey(0)).log_weight
            for t in (target, collapsed)
        ]
        assert np.isfinite(scores[0])
        assert scores[1] == pytest.approx(scores[0], abs=1e-9)


@pytest.mark.parametrize("name", DATA)
def test_the_joint_density_stays_the_same(name):
    target = made(name)
    collapsed = target.rao_blackwellize()
    found = collapsed.collapsed
    assert found is not None and set(found.sites) == SITES[name]
    verify(collapsed.program)
    agree(target, collapsed)


# ---------------------------------------------------------------------------- bugs of others, planted


def _rate_passed_as_scale(use):
    """Anglican: a gamma's rate where its scale belongs."""
    return (ONE, over(use.value, use.form.slope)), use.form.at


def _first_likelihood_twice(hyper, sums):
    """particles: the first observation counted again."""
    return plus(hyper[0], plus(sums[0], ONE)), plus(hyper[1], sums[1])


def _not_renormalised(family, args, at):
    """PyMC, of truncation: what mass a law has is left out."""
    return ZERO


@pytest.mark.parametrize("bug", [_rate_passed_as_scale, _first_likelihood_twice, _not_renormalised])
def test_bugs_of_others_would_be_found(bug, monkeypatch):
    gamma = families.FAMILIES["gamma"]
    if bug is _rate_passed_as_scale:
        exponential = replace(gamma.likelihoods["exponential"], statistics=bug)
        gamma = replace(gamma, likelihoods={**gamma.likelihoods, "exponential": exponential})
    elif bug is _first_likelihood_twice:
        gamma = replace(gamma, posterior=bug)
    else:
        monkeypatch.setattr("ppl.semantics.passes.conjugacy.collapse.minus_log_density", bug)
    monkeypatch.setitem(families.FAMILIES, "gamma", gamma)  # type: ignore[arg-type]
    target = ppl.compile(WAITS).waits(times=[0.3, 1.7, 0.8])
    collapsed = target.rao_blackwellize()
    with pytest.raises(AssertionError):
        agree(target, collapsed, tries=1)


WAITS = """
model waits(times: [pos]) {
  rate ~ gamma(2, 1.5)
  observe times ~ exponential(3 * rate)
  return rate
}
"""


def test_what_the_bugs_are_planted_in_is_right_without_them():
    target = ppl.compile(WAITS).waits(times=[0.3, 1.7, 0.8])
    agree(target, target.rao_blackwellize(), tries=1)


FINITE = ppl.compile("""
model mixture(y: [real]) {
  w ~ dirichlet([1, 2, 1.5])
  flip ~ bernoulli(0.3)
  z ~ for v in y {
    k ~ categorical(w)
    let m = [-1, 0.5, 2][k]
    observe v ~ normal(if flip { m } else { m + 1 }, 1)
    if k > 0 { observe v ~ normal(0, k) } else { factor -0.3 * v }
    return k
  }
  p ~ beta(2, 3)
  n ~ categorical_logit([0.1, 0.7, -0.4])
  for v in y { observe v ~ normal(n, 2); observe v > 0 ~ bernoulli(p) }
  later ~ bernoulli_logit(n - 1)
  return {z, flip, later}
}
model inside(y: [real]) {
  k ~ categorical([0.2, 0.3, 0.5])
  x ~ for v in y { copy ~ { return k }; return v }
  observe y ~ normal(k, 1)
  return x
}
model coupled(y: [real]) {
  k ~ bernoulli(0.3)
  x ~ for v in y { a ~ normal(0, 1); observe v ~ normal(a, if k { 1 } else { 2 }); return a }
  return x
}
""")


def test_finite_choices_are_summed_out():
    target = FINITE.mixture(y=Y)
    summed = target.marginalize()
    found = summed.collapsed
    assert found is not None and set(found.sites) == {"z/k", "flip", "n"}
    assert found.late == {"z/k", "flip", "n", "later"}
    verify(summed.program)
    agree(target, summed)
    both = target.rao_blackwellize().marginalize("z", "n")
    assert both.collapsed is not None and both.collapsed.sites == ("p", "n", "z/k")
    agree(target, both)


def test_a_statement_may_keep_what_it_does_not_return():
    target = FINITE.inside(y=Y)
    summed = target.marginalize()
    verify(summed.program)
    agree(target, summed)


def test_what_draws_and_scores_by_a_choice_is_refused():
    with pytest.raises(DiagnosticError, match="draws and scores together") as error:
        FINITE.coupled(y=Y).marginalize("k")
    assert error.value.diagnostics[0].code == "E881"


def scorer(target: ppl.Target, *names: str):
    """The log density of a target, all of whose scored sites are named, at values of these."""
    machine, data = Machine(target.program), target.plain
    settings = for_machine(target.given(dict.fromkeys(names, 0.5)).settings)

    def score(*values: float) -> float:
        at = dict(zip(names, values, strict=True))
        here = [(path, replace(s, value=at[path[0]])) for path, s in settings]
        return machine.setting(here).run(data, MachineKey(0)).log_weight

    return score


def test_what_is_left_is_the_integral_over_a_site():
    target = MODELS.waits(times=[0.3, 1.7, 0.8], scale=2.0)
    whole, left = scorer(target, "rate", "shape"), scorer(target.rao_blackwellize("rate"), "shape")
    for shape in (0.7, 2.4):
        mass = integrate.quad(lambda x, k=shape: np.exp(whole(x, k)), 0, 20, epsabs=1e-14)[0]
        assert left(shape) == pytest.approx(np.log(mass), abs=1e-8)


def test_what_is_left_is_the_integral_over_two_sites():
    """Trapezoids are exact beyond digits for what is smooth and vanishes."""
    target = made("means")
    whole, left = scorer(target, "mu", "shift", "next"), scorer(target.rao_blackwellize())
    a, b = np.arange(-2.6, 3.6, 0.2), np.arange(-2.8, 5.2, 0.2)
    density = [[whole(x, y, 0.0) - stats.norm.logpdf(0.0, x, 1) for y in b] for x in a]
    assert max(density[0] + density[-1]) < np.max(density) - 30
    mass = np.exp(density).sum() * 0.2**2
    assert left() == pytest.approx(np.log(mass), abs=1e-8)

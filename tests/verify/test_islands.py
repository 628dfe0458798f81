"""Conjugate islands under discrete control flow: two oracles agree, the passes keep their law, and
bugs of others would be found."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from scipy import integrate, stats

from ppl.semantics.passes.conjugacy import families
from ppl.verify.islands import FAMILIES, NOISE, Islands, islands
from tests.verify.suite.table import MACHINE

#: distributions of scipy's by the hyperparameters of ours
PRIORS = {
    "beta": lambda a, b: stats.beta(a, b),
    "gamma": lambda a, r: stats.gamma(a, scale=1 / r),
    "normal": lambda m, s: stats.norm(m, s),
}
LIKELIHOODS = {
    "bernoulli": lambda v, n, x: stats.bernoulli.pmf(int(v), x),
    "binomial": lambda v, n, x: stats.binom.pmf(v, n, x),
    "poisson": lambda v, c, x: stats.poisson.pmf(v, c * x),
    "exponential": lambda v, c, x: stats.expon.pdf(v, scale=1 / (c * x)),
    "normal": lambda v, c, x: stats.norm.pdf(v, c * x, NOISE),
}


def by_quadrature(island, values):
    """The evidence of an island, integrated over its site."""
    if island.when is not None and not island.when.holds(values):
        return 1.0
    seen = [s for s in island.seen if s.when is None or s.when.holds(values)]
    args = [float(t.at(values)) for t in island.args]
    if island.prior == "dirichlet":  # not one observation after the other
        counts = np.bincount([s.value for s in seen], minlength=3)
        log = [math.lgamma(a + n) - math.lgamma(a) for a, n in zip(args, counts, strict=True)]
        return math.exp(sum(log) + math.lgamma(sum(args)) - math.lgamma(sum(args) + len(seen)))
    prior = PRIORS[island.prior](*args)

    def integrand(x):
        out = prior.pdf(x)
        for s in seen:
            out *= LIKELIHOODS[s.likelihood](float(s.value), float(s.more.at(values)), x)
        return out

    low, high = prior.ppf([1e-15, 1 - 1e-15])
    return integrate.fixed_quad(integrand, low, high, n=120)[0]


MET: set[str] = set()


@settings(max_examples=12, database=None, deadline=None, derandomize=True, phases=[Phase.generate])
@given(islands())
def agree(program: Islands):
    """The law in rational arithmetic, and by quadrature."""
    law = program.law()
    for row in product(*(c.options for c in program.choices)):
        values = dict(zip((c.name for c in program.choices), row, strict=True))
        want = 1.0
        for c in program.choices:
            parts = program.parts[c.groups[int(values[c.by]) if c.by else 0]]
            want *= parts[c.options.index(values[c.name])] / sum(parts)
        for island in program.islands:
            want *= by_quadrature(island, values)
            MET.update(s.likelihood for s in island.seen)
        assert float(law[row][0]) == pytest.approx(want, rel=1e-9)


def test_the_closed_form_is_what_quadrature_finds():
    agree()
    assert MET == {name for names in FAMILIES.values() for name in names}


LINES = {e.name: e for e in MACHINE}


@pytest.mark.parametrize("name", ["islands", "islands importance", "rao_blackwellize smc"])
def test_a_subject_keeps_its_law_on_islands(name):
    found = LINES[name].run(2, shrink=0.0)
    assert found.outcome == "PASS", found.failure or found.why
    assert found.levels == {"exact": 2}


def test_posteriors_that_forget_a_failure_are_found(monkeypatch):
    """The evidence is right, and the site is drawn from another law."""
    beta = families.FAMILIES["beta"]
    wrong = replace(beta, posterior=lambda prior, more: (beta.posterior(prior, more)[0], prior[1]))
    monkeypatch.setitem(families.FAMILIES, "beta", wrong)  # type: ignore[arg-type]
    found = LINES["rao_blackwellize"].run(40, shrink=0.0)
    assert found.failure is not None
    example = found.failure.verdict.counterexample
    assert example is not None and "~ beta(" in example.program

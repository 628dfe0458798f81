"""Compiled code is checked on every tape: sequential Monte Carlo as it runs, and wrong versions.

All at the exact level: no test here has a false-alarm rate.
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import pytest

import ppl
from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify import Compiled, Posterior, ProperlyWeighted, check
from ppl.verify.compiled import Runs

#: a site in a branch, one in each step of a loop, a value that is dead after a zero score
PROGRAM = """
model steps(w: prob) {
  a ~ bernoulli(w)
  observe true ~ bernoulli(if a { 0.9 } else { 0.2 })
  b ~ if a { b ~ categorical([0.5, 0.2, 0.3]); return b } else { return 1 }
  condition b != 2
  cs ~ scan c = b for i in range(2) {
    c ~ bernoulli([0.3, 0.65, 0.8][c + i])
    factor log(if c { 0.4 + 0.1 * i } else { 1.3 })
    return indicator(c)
  }
  return {a, last: cs[1]}
}
"""
SHORT = """
model short() {
  a ~ categorical([0.2, 0.5, 0.3])
  factor log([0.9, 0.25, 0.6][a])
  b ~ bernoulli([0.15, 0.6, 0.35][a])
  factor log(if b { 2 } else { 0.3 + 0.2 * a })
  return (a, b)
}
"""
ALWAYS = compiled_policy(Resample("systematic", 1.0))


def steps():
    return ppl.compile(PROGRAM).steps(w=0.35)


def test_compiled_smc_is_properly_weighted():
    policy = compiled_policy(Resample("systematic", 0.8))
    verdict = check(Compiled(lambda m, o: m.sequential(o, 2, policy)), steps(), ProperlyWeighted())
    assert verdict.ok, verdict
    assert verdict.report.compared == 12 and verdict.report.paths > 700


def test_ancestors_off_by_one_are_found():
    """Each value is weighted for another one; the mutants of the suite have the other mistakes."""

    def policy(log_weights, *more):
        omega, decision = ALWAYS(log_weights, *more)
        ancestors, levelled = decision.choose()
        shifted = (ancestors + 1) % 3, levelled
        return omega, replace(decision, choose=lambda: shifted)

    subject = Compiled(lambda model, omega: model.sequential(omega, 3, policy))
    verdict = check(subject, SHORT, ProperlyWeighted())
    assert verdict.outcome == "FAIL"
    example = verdict.counterexample
    assert example.tape and {c.name for c in example.choices} >= {"a", "b"}
    assert isinstance(example.replay(), Runs)


def test_a_draw_made_twice_at_one_place_is_found():
    def twice(model, omega):
        runs = model.forward(omega, 2)
        accept = []
        for _ in range(2):
            omega, coin = runs.omega.draw(("", "accept"), D.make("bernoulli", (0.5,)), ())
            runs = replace(runs, omega=omega)
            accept.append(coin)
        return replace(runs, log_weights=jnp.where(accept[0] & accept[1], runs.log_weights, -9.0))

    verdict = check(Compiled(twice), SHORT, ProperlyWeighted())
    assert verdict.outcome == "FAIL" and "one place" in verdict.why
    assert verdict.counterexample.choices[-1].name == "accept"


def test_results_alone_are_compared_where_there_are_no_traces():
    def results(model, omega):
        runs = model.forward(omega, 2)
        values = {k: v for k, v in runs.values.items() if k.startswith("result")}
        return replace(runs, values=values, log_weights=runs.log_weights + 0.7)

    assert check(Compiled(results), SHORT, Posterior()).ok
    verdict = check(Compiled(results), SHORT, ProperlyWeighted())
    assert verdict.outcome == "FAIL" and "times what it should be" in verdict.why


def test_what_cannot_be_enumerated_says_so():
    verdict = check(
        Compiled(lambda m, o: m.forward(o, 4)), SHORT, ProperlyWeighted(), limit=50, level="exact"
    )
    assert verdict.outcome == "INCONCLUSIVE" and "more than" in verdict.why
    assert verdict.report.paths < 100
    with pytest.raises(DiagnosticError, match="E742"):
        check(Compiled(lambda m, o: m.forward(o, 2).log_weights), SHORT, ProperlyWeighted())

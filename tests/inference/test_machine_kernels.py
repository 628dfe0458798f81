"""Kernels on the machine's traces leave the posterior alone: their whole transition matrices, by
tapes, over every trace of programs whose traces have unequal lengths."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

import ppl
from ppl import kernels
from ppl.inference.kernels.machine import gibbs
from ppl.inference.kernels.machine.program import Program
from ppl.inference.kernels.machine.steps import Tally, step_of
from ppl.inference.kernels.machine.traces import Turns, first_trace
from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify import Invariant, Kernel, Reversible, check

#: one, two or three sites; the law of later ones depends on earlier ones; some values of a kept
#: site become impossible
LENGTHS = ppl.compile("""
model lengths() {
  n ~ categorical([0.5, 0.3, 0.2])
  a ~ if n == 0 { return 0 } else { a ~ categorical([[0.2, 0.3, 0.5], [0.6, 0.4, 0]][n - 1]); return a }
  b ~ if n == 2 { b ~ bernoulli([0.9, 0.25, 0.4][a]); return b } else { return false }
  last ~ bernoulli([0.15, 0.7, 0.45][a])
  observe true ~ bernoulli(if b { 0.8 } else { if last { 0.3 } else { 0.55 } })
  condition not (n == 1 and a == 1)
  return (n, a, b, last)
}
""").lengths()

#: a loop of random length; a site whose family changes under one path
LOOPS = ppl.compile("""
model loops() {
  n ~ categorical([0.3, 0.4, 0.3])
  xs ~ for i in range(n) { x ~ bernoulli([0.35, 0.8][i]); return x }
  let law = if n == 1 { binomial(2, 0.3) } else { categorical([0.5, 0.2, 0.3]) }
  k ~ law
  observe true ~ bernoulli([0.9, 0.25, 0.6][k] * (if any(xs) { 0.4 } else { 1 }))
  return (n, k)
}
""").loops()

#: an array drawn whole, of random length, and integers that reach below zero
ARRAYS = ppl.compile("""
model arrays() {
  n ~ discrete_uniform(1, 2)
  k ~ discrete_uniform(-2, n)
  ys ~ iid(n, bernoulli(0.35))
  observe true ~ bernoulli([0.9, 0.25, 0.6, 0.35, 0.8][k + 2] * (if any(ys) { 0.7 } else { 1 }))
  return (n, k)
}
""").arrays()


#: what a value brings with it is drawn from a law that differs between values
DEPENDENT = ppl.compile("""
model dependent() {
  n ~ categorical([0.3, 0.45, 0.25])
  if n > 0 { x ~ bernoulli([0.5, 0.2, 0.7][n]); factor log(if x { 0.4 } else { 0.9 }) }
  z ~ bernoulli([0.35, 0.6, 0.8][n])
  factor log([0.9, 0.25, 0.6][n] + (if z { 0.3 } else { 0.1 }))
  return n
}
""").dependent()


def subject(kernel):
    """A kernel, made anew for each program."""
    made = {}

    def step(model, trace, omega):
        if id(model) not in made:
            # the check compares traces by name, so that all runs record them
            program = Program(model.machine, model.data, model.run, model.run, named=True)
            made[id(model)] = step_of(kernel, program)
        return made[id(model)](trace, Turns(omega), Tally())

    return Kernel(step, lambda model, omega: first_trace(model.run, omega))


BASIC = {
    "prior": (kernels.prior(), LENGTHS),
    "prior, some": (kernels.prior().on("n", "a/else/a"), LENGTHS),
    "prior, block": (kernels.prior(block=True).on("n", "b"), LENGTHS),
    "walk of one": (kernels.random_walk().on("a"), LENGTHS),
    "long steps": (kernels.random_walk(scale=2.0).on("n"), LENGTHS),
    "walk of arrays": (kernels.random_walk().on("ys"), ARRAYS),
    "walk below zero": (kernels.random_walk(scale=5.0).on("k"), ARRAYS),
    "gibbs of one": (kernels.gibbs().on("n"), LENGTHS),
    "gibbs of lengths and families": (kernels.gibbs().on("n"), LOOPS),
    "gibbs of arrays": (kernels.gibbs().on("ys"), ARRAYS),
    "prior, an element": (kernels.prior().on("xs[1]"), LOOPS),
    "mixture": (
        kernels.mixture(kernels.prior().on("a"), kernels.gibbs().on("n"), weights=(0.3, 0.7)),
        LENGTHS,
    ),
}


@pytest.mark.parametrize("name", BASIC)
def test_basic_kernels_and_mixtures_are_reversible(name):
    kernel, program = BASIC[name]
    verdict = check(subject(kernel), program, Reversible())
    assert verdict.ok, verdict
    assert verdict.report.paths > 20


SEQUENCES = {
    "gibbs": (kernels.gibbs().on("a", "n"), LENGTHS),
    "walk": (kernels.random_walk().on("n", "k"), ARRAYS),
    "then": (kernels.random_walk().on("n").then(kernels.gibbs().on("b", "last")), LENGTHS),
    "repeat": (kernels.prior().on("xs", "k").repeat(2), LOOPS),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_kernels_in_sequence_keep_the_posterior(name):
    kernel, program = SEQUENCES[name]
    verdict = check(subject(kernel), program, Invariant())
    assert verdict.ok, verdict
    assert verdict.report.paths > 20


def without_the_other_sites(found, pool, path):
    """The weights of values without the densities of sites that other values' runs have drawn."""
    lost = -math.inf
    return [
        lost if c.trace is None else c.log_p + c.trace.log_weight + sum(c.met.values())
        for c in found
    ]


@pytest.mark.parametrize("wrong", ["other sites lost", "scores lost", "laws of kept sites lost"])
def test_gibbs_that_forgets_what_else_a_value_changes_is_found(monkeypatch, wrong):
    right = gibbs.weights

    def weights(found, pool, path):
        if wrong == "other sites lost":
            return without_the_other_sites(found, pool, path)
        if wrong == "laws of kept sites lost":
            return right([replace(c, met=dict.fromkeys(c.met, 0.0)) for c in found], pool, path)
        return [
            w if c.trace is None else c.log_p
            for c, w in zip(found, right(found, pool, path), strict=True)
        ]

    monkeypatch.setattr(gibbs, "weights", weights)
    assert check(subject(kernels.gibbs().on("n")), DEPENDENT, Reversible()).outcome == "FAIL"


def test_unknown_names_and_sites_that_do_not_move_are_refused():
    machine = LENGTHS.machine
    program = Program.of(machine, LENGTHS.plain)
    for name, told in [
        ("m", "there is no site `m`"),
        ("n[", "no name of a site"),
        ("a/b[-1]", "no name"),
    ]:
        with pytest.raises(DiagnosticError, match=f"E855.*{re.escape(told)}"):
            step_of(kernels.gibbs().on(name), program)
    with pytest.raises(DiagnosticError, match="E858.*`ys\\[1\\]`"):
        kernel = kernels.gibbs().on("ys[1]")
        ppl.infer(
            ARRAYS, ppl.mcmc(kernel=kernel, draws=5, warmup=0), engine="machine", progress=False
        )
    target = ppl.compile(
        "model m(y: real) { k ~ poisson(2); p ~ dirichlet([1, 2, 3]); observe y ~ normal(k, p[0]); return k }"
    ).m(y=1)
    for kernel in (kernels.gibbs().on("k"), kernels.random_walk()):
        with pytest.raises(DiagnosticError, match="E819"):
            ppl.infer(
                target,
                ppl.mcmc(kernel=kernel, chains=1, draws=5, warmup=0),
                engine="machine",
                progress=False,
            )


def test_results_tell_which_moves_were_accepted_and_which_chains_never_moved():
    target = ppl.compile("""
model pairs() {
  x ~ bernoulli(0.3)
  y ~ bernoulli(0.6)
  z ~ categorical([0.2, 0.5, 0.3])
  condition x == y
  w ~ { return 2 * z }
  return w
}
""").pairs()

    def run(kernel):
        method = ppl.mcmc(kernel=kernel, chains=2, draws=60, warmup=5, thin=2)
        return ppl.infer(target, method, seed=1, engine="machine", progress=False)

    stuck = run(kernels.prior().on("x", "y"))
    assert "W897" in [w.code for w in stuck.warnings]
    assert set(stuck.stats) == {f"acceptance_rate{of}" for of in ("", " of x", " of y")}
    assert not stuck.stats["acceptance_rate"].any()
    idle = run(kernels.prior().then(kernels.gibbs().on("w")))
    (told,) = [w.message for w in idle.warnings if w.code == "W897"]
    assert "`gibbs().on(w)`" in told
    moving = run(kernels.prior(block=True).on("x", "y").then(kernels.gibbs().on("z")))
    assert "W897" not in [w.code for w in moving.warnings]
    rates = {name: np.nanmean(rate) for name, rate in moving.stats.items()}
    both, site = "acceptance_rate of prior(block=True).on(x, y)", "acceptance_rate of gibbs().on(z)"
    assert set(rates) == {"acceptance_rate", both, site}
    assert rates["acceptance_rate"] == pytest.approx((rates[both] + rates[site]) / 2)
    assert 0 < rates[both] < 0.6

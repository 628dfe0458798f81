"""What a check says, how it is read, and what it refuses; laws on generated programs."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis.errors import FailedHealthCheck

import ppl
import ppl.verify
from ppl.inference.choices import ACCEPT, COIN
from ppl.inference.kernels.machine.single_site import revise
from ppl.inference.kernels.machine.traces import first_trace
from ppl.inference.smc import Smc, advance, resample, run_smc, spawn
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import MachineKey
from ppl.semantics.passes import PASSES
from ppl.verify import (
    Approximates,
    Enumerates,
    Enumeration,
    Invariant,
    Kernel,
    LawBroken,
    Measure,
    Posterior,
    ProperlyWeighted,
    Resampler,
    Reversible,
    Rewrite,
    SameDensity,
    Sampler,
    Sequential,
    bernoulli,
    categorical,
    check,
    index,
    preserves,
    uniform,
)
from ppl.verify.runnable import trace_of

SMALL = """
model small() {
  a ~ categorical([0.2, 0.5, 0.3])
  b ~ if a == 0 { return false } else { b ~ bernoulli(0.3 * a); return b }
  factor log([0.9, 0.25, 0.6][a] + (if b { 0.3 } else { 0 }))
  return (a, b)
}
"""


def forward(model, omega):
    return model.run(omega)


def weightless(model, omega):
    return model.run(omega), 0.0


def masses(program=SMALL):
    """The masses of SMALL's results, by hand."""
    out = {}
    for a, p in enumerate([0.2, 0.5, 0.3]):
        for b, q in [(False, 1 - 0.3 * a), (True, 0.3 * a)]:
            if q > 0:
                out[a, b] = p * q * ([0.9, 0.25, 0.6][a] + 0.3 * b)
    return out


def code_of(call):
    with pytest.raises(DiagnosticError) as error:
        call()
    (diagnostic,) = error.value.diagnostics
    return diagnostic.code


# ------------------------------------------------------------------------------------------ verdicts


def test_a_pass_says_how_it_was_decided_and_what_it_could_have_seen():
    verdict = check(forward, SMALL, ProperlyWeighted())
    assert verdict.ok and verdict.counterexample is None
    assert verdict.report.level == "exact" and verdict.report.arithmetic == "rational arithmetic"
    assert verdict.report.compared == 5 and verdict.report.paths == 10
    assert verdict.distance <= 1e-15 < verdict.smallest_effect == 1e-9
    verdict.assert_ok()
    assert "10 paths, 5 masses" in str(verdict)


def test_an_effect_of_the_stated_size_is_seen():
    def shifted(by):
        return lambda m, o: (e := m.run(o), e.log_weight + (by if e.result[0] == 2 else 0))

    z, part = sum(masses().values()), sum(w for (a, _), w in masses().items() if a == 2 and not _)
    worst = max(w for (a, _), w in masses().items() if a == 2)
    assert part < worst
    assert check(shifted(2e-9 * z / worst), SMALL, ProperlyWeighted()).outcome == "FAIL"
    assert check(shifted(0.5e-9 * z / worst), SMALL, ProperlyWeighted()).ok


def test_a_counterexample_has_the_program_the_point_both_masses_and_the_choices():
    verdict = check(weightless, SMALL, ProperlyWeighted())
    example = verdict.counterexample
    assert verdict.outcome == "FAIL"
    assert example.program == SMALL.strip("\n")
    assert example.at == "a = 1, b/else/b = False, result = (1, False)"
    assert example.expected == pytest.approx(masses()[1, False], abs=1e-12)
    assert example.found == pytest.approx(0.5 * 0.7, abs=1e-12)
    assert [(c.name, c.value) for c in example.choices] == [("a", 1), ("b/else/b", False)]
    assert [c.probability for c in example.choices] == pytest.approx([0.5, 0.7])
    execution, log_weight = example.replay()
    assert execution.result == (1, False) and log_weight == 0
    with pytest.raises(LawBroken, match="E740") as error:
        verdict.assert_ok()
    assert isinstance(error.value, AssertionError) and error.value.verdict is verdict
    text = str(error.value)
    assert "expected  mass 0.0875" in text and "found     mass 0.35" in text
    assert "a = 1, probability 0.5" in text and "  model small() {" in text


def test_what_no_path_gives_cannot_be_replayed():
    verdict = check(lambda m: {(0, False): 0.18}, SMALL, Enumerates())
    assert verdict.outcome == "FAIL" and "no path gives it" in str(verdict)
    with pytest.raises(ValueError, match="no path"):
        verdict.counterexample.replay()


def test_checks_agree_with_themselves():
    first, second = (check(weightless, SMALL, ProperlyWeighted()) for _ in range(2))
    assert first == second and str(first) == str(second)


def test_too_many_paths_decide_nothing_and_are_told_before_they_are_run():
    made = 0

    def many(model, omega):
        nonlocal made
        made += 1
        for i in range(40):
            categorical(omega, ("x", i), (0.2, 0.5, 0.3))
        return model.run(omega)

    verdict = check(many, SMALL, ProperlyWeighted(), limit=5_000, level="exact")
    assert verdict.outcome == "INCONCLUSIVE" and "paths" in verdict.why
    assert made < 50
    assert code_of(verdict.assert_ok) == "E741"
    few = check(forward, SMALL, ProperlyWeighted(), limit=9, level="exact")
    assert few.outcome == "INCONCLUSIVE"
    assert check(forward, SMALL, ProperlyWeighted(), limit=10).ok


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("model m() { x ~ normal(0, 1); return x }", "finitely many"),
        ("model m() { x ~ bernoulli(0.3); condition x and not x; return x }", "weight zero"),
    ],
)
def test_what_is_not_finite_or_has_no_mass_decides_nothing(program, why):
    verdict = check(forward, program, ProperlyWeighted(), level="exact")
    assert verdict.outcome == "INCONCLUSIVE" and why in verdict.why


def test_a_density_that_is_zero_where_draws_are_is_wrong():
    """Also if it is zero everywhere, or the program, which is not asked, has no mass."""
    draw = lambda m, o: categorical(o, "x", (0.2, 0.5, 0.3))  # noqa: E731
    nowhere = "model m() { x ~ bernoulli(0.3); condition x and not x; return x }"
    for program in (SMALL, nowhere):
        verdict = check((draw, lambda m, x: -math.inf), program, SameDensity())
        assert verdict.outcome == "FAIL" and verdict.distance == pytest.approx(0.5, abs=1e-15)
    right = (draw, lambda m, x: math.log((0.2, 0.5, 0.3)[x]))
    assert check(right, nowhere, SameDensity()).ok


def test_reports_say_what_is_not_covered():
    results = check(lambda m, o: (e := m.run(o)) and (e.result, e.log_weight), SMALL, Measure())
    assert results.ok and results.report.compared == 5
    assert "traces: the subject gives results alone" in results.report.not_covered
    still = check(Kernel(lambda m, s, o: s), SMALL, Reversible())
    assert still.ok and any("never moves" in x for x in still.report.not_covered)
    functions = "model m() { x ~ categorical([0.2, 0.5, 0.3]); return fn (y: nat) => x + y }"
    assert any("functions" in x for x in check(forward, functions, Measure()).report.not_covered)
    one = check(forward, "model m() { factor log(0.3); return 1 }", Measure())
    assert one.ok and any("single outcome" in x for x in one.report.not_covered)


def test_an_approximation_is_measured():
    z = sum(masses().values())
    far = 0.5 * sum(abs(w / z - v / 1) for w, v in zip(masses().values(), _prior(), strict=True))
    unbounded = check(weightless, SMALL, Approximates("the prior"))
    assert unbounded.outcome == "INCONCLUSIVE"
    assert unbounded.distance == pytest.approx(far, abs=1e-12)
    assert check(weightless, SMALL, Approximates("the prior", within=far + 1e-6)).ok
    assert check(weightless, SMALL, Approximates("the prior", within=far - 1e-6)).outcome == "FAIL"


def _prior():
    return [0.2, 0.5 * 0.7, 0.5 * 0.3, 0.3 * 0.4, 0.3 * 0.6]


def test_the_law_that_is_compared_with_is_that_by_hand():
    assert check(lambda m: masses(), SMALL, Enumerates()).ok
    moved = masses() | {(2, True): masses()[2, True] + 1e-8}
    assert check(lambda m: moved, SMALL, Enumerates()).outcome == "FAIL"


def test_measures_and_posteriors_differ_by_the_evidence():
    def doubled(model, omega):
        execution = model.run(omega)
        return execution, execution.log_weight + math.log(2)

    assert check(doubled, SMALL, Posterior()).ok
    verdict = check(doubled, SMALL, Measure())
    assert verdict.outcome == "FAIL" and "every mass is 2 times" in verdict.why


def test_steps_and_the_whole_have_one_law():
    settings = Smc(particles=2, threshold=1.0)

    def step(particles, omega, t):
        moved = advance(particles, omega, t)
        return resample(moved, settings.policy, omega, t) if moved.waiting else moved

    program = """
    model m() {
      a ~ categorical([0.2, 0.5, 0.3])
      factor log([0.9, 0.25, 0.6][a])
      b ~ bernoulli([0.7, 0.15, 0.4][a])
      factor log(if b { 0.3 } else { 0.8 })
      return (a, b)
    }"""
    whole = check(lambda m, o: run_smc(m.start(), settings, o), program, ProperlyWeighted())
    steps = check(Sequential(lambda m: spawn(m.start(), 2), step), program, ProperlyWeighted())
    assert whole.ok and steps.ok

    def levelled(particles, omega, t):
        after = step(particles, omega, t)
        return replace(after, population=particles.population.levelled()) if t == 1 else after

    def at_once(model, omega):
        particles, t = spawn(model.start(), 2), 0
        while particles.waiting:
            particles, t = levelled(particles, omega, t), t + 1
        return particles

    wrong = Sequential(lambda m: spawn(m.start(), 2), levelled)
    whole, steps = (check(f, program, ProperlyWeighted()) for f in (at_once, wrong))
    assert whole.outcome == steps.outcome == "FAIL"
    a, b = whole.counterexample, steps.counterexample
    assert (a.at, a.expected) == (b.at, b.expected)
    assert a.found == pytest.approx(b.found, abs=1e-13)
    # the tape of a history of merged populations runs through all of its steps
    again = b.replay()
    assert [len(again.runs), again.waiting] == [2, False]
    assert b.at in [str(trace_of(run)) for run in again.runs]


# ------------------------------------------------------------------------------------------- choices


def test_choices_run_from_a_key_and_have_their_law_on_tapes():
    """Frequencies of 4,000 draws within 0.035: 4.4 standard errors, for a fixed seed."""
    draws = [categorical(MachineKey(3, 0, i), "x", (0.2, 0.5, 0.3)) for i in range(4_000)]
    assert np.bincount(draws) / 4_000 == pytest.approx([0.2, 0.5, 0.3], abs=0.035)
    coins = [bernoulli(MachineKey(4, 0, i), ("x", i), 0.3) for i in range(4_000)]
    assert np.mean(coins) == pytest.approx(0.3, abs=0.035)
    assert len({index(MachineKey(5, 0, i), "x", 3) for i in range(100)}) == 3
    us = [uniform(MachineKey(6, 0, i), "x") for i in range(4_000)]
    assert np.mean(us) == pytest.approx(0.5, abs=0.02) and 0 < min(us) < max(us) < 1
    law = {0: 0.06, 1: 0.14, 10: 0.24, 11: 0.56}

    def sample(model, omega):
        tens = uniform(omega, "u", [0.2, 1.5, -1]) > 0.2
        return 10 * tens + bernoulli(omega, ("x", 1), 0.7)

    assert check((sample, lambda m, x: math.log(law.get(x, 1e-300))), SMALL, SameDensity()).ok


def test_names_are_random_numbers():
    """One name is one number; another name, step or slot is another."""
    key = MachineKey(7)
    assert uniform(key, "u") == uniform(key, "u") == uniform(key.at(0, 0), ("u",))
    others = [
        uniform(key, "v"),
        uniform(key, ("u", 1)),
        uniform(key, ("u", "1")),
        uniform(key.at(1, 0), "u"),
    ]
    assert len({uniform(key, "u"), *others}) == 5

    def twice(model, omega):
        return model.run(omega), math.log(1 + bernoulli(omega, "c", 0.5)) + math.log(
            1 + bernoulli(omega, "c", 0.5)
        )

    verdict = check(twice, SMALL, ProperlyWeighted())
    assert verdict.outcome == "FAIL" and "`c`" in verdict.why and verdict.counterexample.found == 2


# -------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: check(lambda m, o: None, SMALL, Measure()), "E742"),
        (lambda: check(lambda m, o: (1, math.nan), SMALL, Measure()), "E742"),
        (lambda: check(lambda m, o: (m.start(), 0.0), SMALL, Measure()), "E742"),
        (lambda: check(lambda m, o: [(m.run(o), 0.0), (1, 0.0)], SMALL, Measure()), "E742"),
        (lambda: check(Kernel(lambda m, s, o: 3), SMALL, Invariant()), "E742"),
        (lambda: check(Kernel(lambda m, s, o: s, lambda m, o: _only(m)), SMALL, Invariant()), "E742"),
        (lambda: check(Resampler(lambda w, o: [0, 1]), SMALL, Measure()), "E742"),
        (lambda: check(lambda m, o: (m.run(o), 1000.0), SMALL, Measure()), "E742"),
        (lambda: check(lambda m, o: ({1, 2}, 0.0), SMALL, Measure()), "E742"),
        (lambda: check(lambda m: masses() | {(3, True): -0.1}, SMALL, Enumerates()), "E742"),
        (lambda: check(lambda m: masses() | {(3, True): math.nan}, SMALL, Enumerates()), "E742"),
        (lambda: check((_first, lambda m, x: [0.0, math.nan, math.nan][x]), "model m() { x ~ "
                       "categorical([0.2, 0.5, 0.3]); return x }", SameDensity()), "E742"),
        (lambda: check((_first, lambda m, x: None), SMALL, SameDensity()), "E742"),
        (lambda: check(Sequential(lambda m: 3, lambda p, o, t: p), SMALL, Measure()), "E742"),
        (lambda: check(Sequential(lambda m: spawn(m.start(), 3), lambda p, o, t: None), SMALL,
                       Measure()), "E742"),
        (lambda: check(Rewrite(lambda p: None), SMALL, Measure()), "E742"),
        (lambda: check(lambda m, o: (bernoulli(o, "x", 1.2), 0.0), SMALL, Measure()), "E743"),
        (lambda: check(lambda m, o: (o.draw(ACCEPT, COIN, (1.2,)), 0.0), SMALL, Measure()), "E743"),
        (lambda: check(lambda m, o: (index(o, "x", 0), 0.0), SMALL, Measure()), "E743"),
        (lambda: categorical(MachineKey(1), "x", (0.5, 0.6)), "E743"),
        (lambda: check(Resampler(lambda w, o: w), SMALL, Invariant()), "E744"),
        (lambda: check(3, SMALL, Measure()), "E744"),
        (lambda: check(forward, SMALL, Measure), "E744"),
        (lambda: check(forward, ppl.compile(SMALL).small, Measure()), "E745"),
        (lambda: check(forward, 3, Measure()), "E745"),
        (lambda: check(forward, "fn f(x) { x }", Measure()), "E745"),
        (lambda: check(forward, SMALL, Measure(), limit=0), "E746"),
        (lambda: Invariant(temperature=0), "E746"),
        (lambda: Reversible(temperature=math.inf), "E746"),
        (lambda: Approximates("the prior", within=-0.1), "E746"),
        (lambda: Resampler(lambda w, o: w, particles=0), "E746"),
        (lambda: check(lambda m: [(1, 0.0), (1, 0.0)], SMALL, Enumerates()), "E747"),
    ],
)  # fmt: skip
def test_mistakes_are_one_error(call, code):
    assert code_of(call) == code


def _first(model, omega):
    return 0


def _only(model):
    return model.replay({("a",): 0})


def test_targets_with_data_are_programs():
    models = ppl.compile("model m(y: [bool]) { x ~ categorical([0.2, 0.5, 0.3]); "
                         "observe y ~ bernoulli([0.9, 0.25, 0.6][x]); return x }")  # fmt: skip
    y, q = [True, False, True], np.array([0.9, 0.25, 0.6])
    by_hand = dict(enumerate(np.array([0.2, 0.5, 0.3]) * q**2 * (1 - q)))
    verdict = check(Enumeration(lambda m: by_hand), models.m(y=y), Enumerates())
    assert verdict.ok, verdict


def test_the_public_names_can_be_had_and_are_light():
    for name in ppl.verify.__all__:
        assert getattr(ppl.verify, name) is not None
    assert set(ppl.verify.__all__) <= set(dir(ppl.verify))
    assert callable(ppl.verify.programs)
    with pytest.raises(AttributeError, match="did you mean `Reversible`"):
        _ = ppl.verify.Reversable
    code = "import ppl.verify as v; [getattr(v, n) for n in v.__all__]; import sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------------------------- generated programs


@preserves(ProperlyWeighted(), paths=60, examples=15)
def test_runs_forward_are_properly_weighted(program):
    return Sampler(forward)


@preserves(Reversible(), paths=24, examples=12)
def test_single_site_moves_are_reversible(program):
    return Kernel(lambda m, s, o: revise(m.run, s, o), lambda m, o: first_trace(m.run, o))


@preserves(ProperlyWeighted(), paths=8, size=1, examples=6, limit=4_000)
def test_two_particles_are_properly_weighted(program):
    return lambda m, o: run_smc(m.start(), Smc(particles=2, threshold=0.9), o)


@preserves(Measure(), paths=40, examples=12)
def test_simplification_keeps_the_measure(program):
    return PASSES["simplify"]


def test_a_broken_law_fails_as_a_test_does():
    @preserves(ProperlyWeighted(), paths=12, size=0, examples=20, shrink=False)
    def forgets_the_scores(program):
        """Runs of weight one."""
        return weightless

    assert forgets_the_scores.__name__ == "forgets_the_scores" and forgets_the_scores.__doc__
    with pytest.raises(LawBroken) as error:
        forgets_the_scores()
    assert error.value.verdict.counterexample.program.count("\n") >= 3


def test_a_test_that_decides_nothing_fails():
    @preserves(ProperlyWeighted(), limit=1, examples=5, paths=3, size=0)
    def undecided(program):
        return forward

    with pytest.raises(FailedHealthCheck, match="filtering out a lot"):
        undecided()

"""The sequential level: false alarms, power, and the errors it finds where paths are too many.

Every statistical test here is about simulations from a fixed seed.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify import (
    Approximates,
    Compiled,
    Enumeration,
    Invariant,
    Kernel,
    Measure,
    Pair,
    Plan,
    Posterior,
    ProperlyWeighted,
    Resampler,
    Reversible,
    SameDensity,
    Sampler,
    bernoulli,
    categorical,
    check,
    evalues,
    preserves,
    same_law,
    uniform,
)
from ppl.verify.sequential import DEVIATIONS, decide, seed_of
from ppl.verify.statistics import Known

P = np.array([0.37, 0.29, 0.23, 0.11])
LEVEL = 0.01


def crossings(logs, alpha=LEVEL):
    return (logs.max(-1) >= -np.log(alpha)).sum()


def allowed(n, rate=LEVEL):
    """So many alarms of n are exceeded with a probability below 1e-6 if `rate` holds."""
    return stats.binom.isf(1e-6, n, rate)


# ------------------------------------------------------------------------------------ false alarms


def test_100_000_checks_of_laws_that_are_kept_raise_no_more_alarms_than_allowed():
    """At α = 0.01, looking after each of 64 trials; at the default, confirmed on a fresh stream,
    none. Rule: at most the binomial quantile of 1 - 1e-6, which is 1,153."""
    rng, alarms, tops = np.random.default_rng(20), 0, []
    for _ in range(20):
        cells = rng.choice(4, p=P, size=(2, 5_000, 64)).astype(np.int8)
        logs = [evalues.against(cells[0], P), evalues.against(cells[1] // 2, [0.66, 0.34])]
        together = evalues.average(np.stack(logs))
        alarms += crossings(together)
        tops.append(together.max(-1))
    assert 0 < alarms <= allowed(100_000) < 1_160
    first, second = np.concatenate(tops).reshape(2, -1) >= -np.log(Plan().alpha)
    assert not (first & second).any()


@pytest.mark.parametrize("kind", ["alike", "fair", "mean", "mean of what is mostly zero"])
def test_no_kind_of_bet_has_more_false_alarms_than_allowed(kind):
    """6,000 checks a kind at α = 0.01: at most 101 (1 - 1e-6 of the binomial)."""
    rng, n = np.random.default_rng(21), (6_000, 40)
    match kind:
        case "alike":
            logs = evalues.alike(*rng.choice(4, p=P, size=(2, *n)), 4)
        case "fair":  # detailed balance: pairs of any symmetric law
            logs = evalues.fair(*rng.choice(4, p=P, size=(2, *n)), 4)
        case "mean":
            logs = evalues.mean_is(rng.beta(0.3, 0.9, size=n), 0.25, 0, 1)
        case _:
            logs = evalues.mean_is(3 * (rng.random(n) < 0.02), 0.06, 0, 3)
    assert crossings(logs) <= allowed(n[0]) <= 101


def test_an_e_value_has_mean_one_under_the_law():
    """Exactly, over all 4^4 outcomes of four trials, and of two trials of two streams."""
    cells = np.indices((4,) * 4).reshape(4, -1).T
    weight = np.prod(P[cells], -1)
    assert weight @ np.exp(evalues.against(cells, P)) == pytest.approx(np.ones(4), abs=1e-12)
    two = weight @ np.exp(evalues.alike(cells[:, :2], cells[:, 2:], 4))
    assert (two <= 1 + 1e-12).all() and two[0] == pytest.approx(1)
    fair = weight @ np.exp(evalues.fair(cells[:, :2], cells[:, 2:], 4))
    assert fair == pytest.approx(np.ones(2), abs=1e-12)
    numbers = np.array([0.0, 0.5, 1.2, 3.0])
    one = weight @ np.exp(evalues.mean_is(numbers[cells], float(P @ numbers), 0.0, 3.0))
    assert one == pytest.approx(np.ones(4), abs=1e-12)


def test_what_cannot_happen_is_enough_once():
    assert evalues.against(np.array([0, 2]), [0.4, 0.6, 0.0])[-1] == np.inf
    assert evalues.mean_is(np.array([0.0, 0.1]), 0.0, 0.0, 1.0)[-1] == np.inf
    assert evalues.average(np.array([[np.inf], [0.0]]))[0] == np.inf


def test_shares_of_a_suite_sum_to_its_level():
    assert sum(evalues.share(0.01, k) for k in range(10_000)) == pytest.approx(0.01, rel=1e-3)


# ------------------------------------------------------------------------------------------- power


def test_the_smallest_effect_is_seen_as_often_as_stated():
    """Of 400 simulated checks at least 340: fewer has probability 1e-3 at a power of 0.9."""
    rng, n, evidence = np.random.default_rng(22), 600, -np.log(1e-4)
    shift = evalues.visible_shift(tuple(P), n, evidence, DEVIATIONS)
    assert 0.02 < shift < 0.2
    for k, sign in [(0, 1), (1, -1), (3, 1)]:
        q = P * (1 - P[k] - sign * shift) / (1 - P[k])
        q[k] = P[k] + sign * shift
        cells = rng.choice(4, p=q, size=(400, n))
        assert crossings(evalues.against(cells, P), 1e-4) >= 340
        small = P + (q - P) / 4
        assert crossings(evalues.against(rng.choice(4, p=small, size=(400, n)), P), 1e-4) < 100
    mean = 0.2 + 0.5 * 3 / 8
    shift = evalues.visible_mean(0.2 + 0.5 * rng.beta(3, 5, n), mean, 0, 1, evidence, DEVIATIONS)
    for by in (-shift, shift):
        others = 0.2 + by + 0.5 * rng.beta(3, 5, size=(400, n))
        assert crossings(evalues.mean_is(others, mean, 0, 1), 1e-4) >= 340


# -------------------------------------------------------------------------------------- the decision


def test_a_failure_is_confirmed_on_a_fresh_stream():
    """A trial that is wrong in one stream alone decides nothing."""
    statistic = Known("", tuple("abcd"), tuple(P), lambda x: x)
    made = []

    def trial(seed):
        made.append(seed)
        return 3 if len(made) <= 64 else int(np.random.default_rng(seed).choice(4, p=P))

    found = decide(trial, [statistic], Plan(trials=500), 1)
    assert found.kept is None and "fresh ones did not" in found.why
    assert len(set(made)) == len(made) > 500
    always = decide(lambda seed: 3, [statistic], Plan(trials=500), 1)
    assert always.kept is False and always.trials < 64 and always.worst.found == 1
    assert always.worst.at == "d" and always.worst.expected == pytest.approx(0.11)


def test_seeds_are_hashes_of_what_is_checked():
    assert seed_of("a", {"y": 1, "z": 2}) == seed_of("a", {"z": 2, "y": 1})
    assert seed_of("a", {"y": np.arange(3)}) != seed_of("a", {"y": np.arange(1, 4)})
    assert seed_of("ab", "c") != seed_of("a", "bc")
    plans = Plan(trials=100), Plan(trials=100), Plan(trials=100, epoch=1)
    first, again, other = (
        check(many(3), COINS, Measure(), level="sequential", plan=p) for p in plans
    )
    assert str(first) == str(again)
    assert other.ok and other.smallest_effect != first.smallest_effect


# -------------------------------------------------------------------------------------- on programs

COINS = """
model coins() {
  a ~ categorical([0.2, 0.5, 0.3])
  observe true ~ bernoulli([0.9, 0.25, 0.6][a])
  b ~ bernoulli([0.7, 0.15, 0.4][a])
  factor log(if b { 2 } else { 0.3 + 0.2 * a })
  return (a, b)
}
"""


def many(n=10, *, factor=1.0, one_key=False):
    """Importance sampling with n particles, which has 6^n paths."""

    def run(model, omega):
        runs = [model.run(omega.at(0, 0 if one_key else i)) for i in range(n)]
        return [(e, e.log_weight - math.log(n) + math.log(factor)) for e in runs]

    return Sampler(run)


def test_many_particles_are_checked_by_trials_and_the_report_says_why():
    verdict = check(many(), COINS, ProperlyWeighted(), limit=500, plan=Plan(trials=500))
    assert verdict.ok and verdict.report.level == "sequential"
    assert verdict.report.trials == 500 and verdict.report.alpha == pytest.approx(1e-8)
    assert "paths" in verdict.report.because and verdict.power == 0.9
    assert 0.01 < verdict.smallest_effect < 0.2
    assert "with probability 0.9" in str(verdict) and "500 trials" in str(verdict)
    assert check(many(), COINS, ProperlyWeighted(), limit=500, level="exact").outcome == (
        "INCONCLUSIVE"
    )


def test_a_lost_factor_is_seen_by_the_measure_and_not_by_the_posterior():
    wrong = many(5, factor=1.3)
    verdict = check(wrong, COINS, ProperlyWeighted(), level="sequential")
    assert verdict.outcome == "FAIL" and verdict.counterexample.trials
    with pytest.raises(ValueError, match="together"):
        verdict.counterexample.replay()
    assert "fresh trials" in verdict.why and "trials" in str(verdict.counterexample)
    assert check(wrong, COINS, Posterior(), level="sequential", plan=Plan(trials=300)).ok


def test_forgotten_scores_are_seen_by_the_posterior():
    blind = Sampler(lambda m, o: [(m.run(o.at(0, i)), 0.0) for i in range(5)])
    verdict = check(blind, COINS, Posterior(), level="sequential")
    assert verdict.outcome == "FAIL" and "a = " in verdict.counterexample.at


def metropolis(scale=0.8, power=1.0, backwards=False):
    """A random walk on `x` in steps of up to `scale`, accepted by the ratio to a power."""

    def step(model, state, omega):
        here = state.trace["x",]
        there = here + scale * (2 * uniform(omega, "step") - 1 + (0.4 if backwards else 0))
        after = model.replay({**state.trace, ("x",): there})
        ratio = math.exp(min(0.0, power * (after.log_weight - state.log_weight)))
        return after if bernoulli(omega, "accept", ratio) else state

    return Kernel(step)


CONTINUOUS = """
model m() {
  x ~ normal(0.3, 1)
  k ~ poisson(2)
  factor -0.5 * (x - 0.4 * k)^2
  return x
}
"""


def test_kernels_of_continuous_programs_are_checked_from_exact_draws():
    verdict = check(metropolis(), CONTINUOUS, Reversible(), plan=Plan(trials=200))
    assert verdict.ok, verdict
    assert "normal" in verdict.report.because and verdict.report.compared > 20


@pytest.mark.parametrize(
    ("wrong", "contract"), [({"power": 0.2}, Invariant()), ({"backwards": True}, Reversible())]
)
def test_a_wrong_kernel_of_a_continuous_program_is_found(wrong, contract):
    verdict = check(metropolis(scale=1.5, **wrong), CONTINUOUS, contract)
    assert verdict.outcome == "FAIL" and verdict.report.level == "sequential"


def test_samplers_of_continuous_programs_are_compared_with_runs_forward():
    plan = Plan(trials=150)
    for contract in (ProperlyWeighted(), Posterior()):
        assert check(many(2), CONTINUOUS, contract, plan=plan).ok
    assert check(many(2, factor=1.6), CONTINUOUS, Measure()).outcome == "FAIL"
    blind = Sampler(lambda m, o: (m.run(o), 0.0))
    assert check(blind, CONTINUOUS, Posterior()).outcome == "FAIL"


def test_kernels_of_finite_programs_by_trials():
    def independent(power):
        def step(model, state, omega):
            new = model.run(omega.at(0, 1))
            score = model.replay(new.trace).log_weight
            prior = new.log_weight - (state.log_weight - priors(model, state))
            ok = bernoulli(omega, "accept", math.exp(min(0.0, power * prior)))
            return model.replay(new.trace) if ok and score else state

        return Kernel(step)

    def priors(model, state):
        p = [0.2, 0.5, 0.3][state.result[0]]
        q = [0.7, 0.15, 0.4][state.result[0]]
        return math.log(p * (q if state.result[1] else 1 - q))

    assert check(independent(1), COINS, Reversible(), level="sequential", plan=Plan(trials=300)).ok
    plan = Plan(trials=1_500)
    verdict = check(independent(0), COINS, Invariant(), level="sequential", plan=plan)
    assert verdict.outcome == "FAIL"
    several = check(independent(0.5), COINS, Invariant(), level="sequential", plan=plan, steps=3)
    assert several.outcome == "FAIL"


def test_resamplers_and_pairs_by_trials():
    def multinomial(log_weights, omega, *, mean=True):
        w = np.exp(log_weights)
        p = tuple(w / w.sum())
        ancestors = [categorical(omega, ("ancestor", i), p) for i in range(len(w))]
        return ancestors, [math.log(w.mean() if mean else 1 / len(w))] * len(w)

    right = Resampler(multinomial)
    wrong = Resampler(lambda w, o: multinomial(w, o, mean=False))
    assert check(right, COINS, ProperlyWeighted(), level="sequential", plan=Plan(trials=400)).ok
    assert check(wrong, COINS, ProperlyWeighted(), level="sequential").outcome == "FAIL"
    p = (0.2, 0.5, 0.3)
    for q, outcome in ((p, "PASS"), ((0.2, 0.35, 0.45), "FAIL")):
        pair = Pair(lambda m, o, q=q: (categorical(o, "x", q), 0), lambda m, x: math.log(p[x[0]]))
        verdict = check(pair, "model m() { a ~ categorical([0.2, 0.5, 0.3]); return (a, 0) }",
                        SameDensity(), level="sequential")  # fmt: skip
        assert verdict.outcome == outcome


@preserves(ProperlyWeighted(), level="sequential", examples=2, trials=100, paths=12, size=1)
def test_generated_programs_by_trials(program):
    return many(5)


# ------------------------------------------------------------------------------ what trials cannot say


@pytest.mark.parametrize(
    ("subject", "program", "contract", "options", "why"),
    [
        (many(), COINS, Approximates("chance", within=0.1), {}, "by enumeration"),
        (Enumeration(lambda m: {}), COINS, Posterior(), {}, "no random choices"),
        (many(2), "model m() { x ~ normal(0, 1); factor 1; return x }", Measure(), {}, "above the bound"),
        (metropolis(), "model m() { x ~ normal(0, 1); factor 1; return x }", Invariant(), {},
         "above the bound 1"),
        (metropolis(), "model m() { x ~ normal(0, 1); condition x > 9; return x }", Invariant(), {},
         "none of 10,000"),
        (many(2), "model m() { x ~ bernoulli(0.3); condition x and not x; return x }", Measure(), {},
         "weight zero"),
    ],
)  # fmt: skip
def test_what_trials_cannot_tell_is_inconclusive(subject, program, contract, options, why):
    verdict = check(subject, program, contract, level="sequential", **options)
    assert verdict.outcome == "INCONCLUSIVE" and why in verdict.why


def test_a_stated_bound_is_used():
    program = "model m() { x ~ normal(0, 1); factor 1 - 0.5 * x ^ 2; return x }"
    plan = Plan(trials=100)
    assert check(many(2), program, Measure(), bound=math.e, plan=plan).ok
    assert check(metropolis(), program, Invariant(), bound=math.e, plan=plan).ok


@pytest.mark.parametrize(
    "call",
    [
        lambda: Plan(alpha=0),
        lambda: Plan(trials=0),
        lambda: check(many(), COINS, Measure(), level="sequental"),
        lambda: check(many(), COINS, Measure(), bound=0),
        lambda: check(many(), COINS, Measure(), steps=0),
        lambda: same_law(lambda rng: 1, {0: 0.4, 1: 0.4}),
    ],
)
def test_settings_that_make_no_sense_are_refused(call):
    with pytest.raises(DiagnosticError, match="E746"):
        call()


# ------------------------------------------------------------------------------------ plain functions


def pair_of(rng):
    return rng.gamma(2.5, size=2)


def one_key_for_two(rng):
    return np.repeat(rng.gamma(2.5), 2)


@pytest.mark.parametrize(
    ("sample", "reference", "right"),
    [
        (lambda rng: rng.choice(3, p=[0.2, 0.5, 0.3]), {0: 0.2, 1: 0.5, 2: 0.3}, True),
        (lambda rng: rng.choice(3, p=[0.2, 0.35, 0.45]), {0: 0.2, 1: 0.5, 2: 0.3}, False),
        (lambda rng: rng.choice(4, p=[0.2, 0.5, 0.28, 0.02]), {0: 0.2, 1: 0.5, 2: 0.3}, False),
        (pair_of, stats.gamma(2.5), True),
        (one_key_for_two, stats.gamma(2.5), False),
        (lambda rng: rng.gamma(2.5, scale=3.0), stats.gamma(2.5, scale=1 / 3), False),
        (pair_of, pair_of, True),
        (pair_of, one_key_for_two, False),
    ],
    ids=["kept", "another mass", "a value too many", "independent", "one key for two",
         "rate for scale", "alike", "not alike"],
)  # fmt: skip
def test_functions_against_laws_and_each_other(sample, reference, right):
    verdict = same_law(sample, reference, plan=Plan(trials=700))
    assert verdict.outcome == ("PASS" if right else "FAIL")


@pytest.mark.parametrize(
    ("sample", "reference"), [(3, pair_of), (pair_of, 3), (lambda r: "a", lambda r: "b")]
)
def test_what_is_no_law_is_refused(sample, reference):
    with pytest.raises(DiagnosticError, match="E744"):
        same_law(sample, reference)


# ------------------------------------------------------------------------------------- compiled code


def test_compiled_code_by_trials():
    def particles(model, omega, off=0.0):
        runs = model.forward(omega, 12)
        return replace(runs, log_weights=runs.log_weights + off)

    wrong = Compiled(lambda model, omega: particles(model, omega, off=0.3))
    plan = Plan(trials=150)
    right = check(Compiled(particles), COINS, Measure(), level="sequential", plan=plan)
    assert right.ok and right.report.trials == 150, right
    assert check(wrong, COINS, Measure(), level="sequential", plan=plan).outcome == "FAIL"
    continuous = check(wrong, CONTINUOUS, Measure(), level="sequential", plan=plan)
    assert continuous.outcome == "INCONCLUSIVE" and "enumerated" in continuous.why

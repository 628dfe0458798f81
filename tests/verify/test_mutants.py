"""The kit finds planted bugs, each of which was one of a released system, and passes the right code.

All at the exact level: no test here has a false-alarm rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ppl.inference.choices import ACCEPT, COIN, INDEX, SITE
from ppl.inference.kernels.machine.single_site import revise
from ppl.inference.kernels.machine.traces import Revision, first_trace
from ppl.inference.population import Population
from ppl.inference.resample import Resample
from ppl.inference.smc import Particles, advance, resample, spawn
from ppl.semantics import ir
from ppl.semantics.ir_map import map_children
from ppl.semantics.machine import Execution
from ppl.semantics.machine.paths import hash_of
from ppl.semantics.passes import PASSES
from ppl.verify import (
    Enumerates,
    Enumeration,
    Invariant,
    Kernel,
    Measure,
    Pair,
    Posterior,
    ProperlyWeighted,
    Resampler,
    Reversible,
    Rewrite,
    SameDensity,
    Sequential,
    bernoulli,
    categorical,
    check,
    index,
    uniform,
)

#: three scores; choices depend on those before; 6 traces
STEPS = """
model steps() {
  a ~ categorical([0.2, 0.5, 0.3])
  observe true ~ bernoulli([0.9, 0.25, 0.6][a])
  b ~ bernoulli([0.7, 0.15, 0.4][a])
  factor log(if b { 2 } else { 0.3 + 0.2 * a })
  factor log([0.8, 0.35, 0.1][a] + (if b { 0.1 } else { 0.4 }))
  return (a, b)
}
"""

#: the same with fewer traces, 4
SHORT = """
model short() {
  a ~ bernoulli(0.35)
  observe true ~ bernoulli(if a { 0.9 } else { 0.25 })
  b ~ bernoulli(if a { 0.15 } else { 0.6 })
  factor log(if b { 2 } else { 0.3 + 0.2 * indicator(a) })
  factor log(if a { 0.8 } else { if b { 0.1 } else { 0.4 } })
  return (a, b)
}
"""

#: traces of one, two or three sites; some values of a site that is kept become impossible
LENGTHS = """
model lengths() {
  n ~ categorical([0.5, 0.3, 0.2])
  a ~ if n == 0 { return 0 } else { a ~ categorical([[0.2, 0.3, 0.5], [0.6, 0.4, 0]][n - 1]); return a }
  b ~ if n == 2 { b ~ bernoulli([0.9, 0.25, 0.4][a]); return b } else { return false }
  observe true ~ bernoulli(if b { 0.8 } else { [0.3, 0.55, 0.9][a] })
  condition not (n == 1 and a == 1)
  return (n, a, b)
}
"""

ALWAYS = Resample("systematic", 1.0)
SOMETIMES = Resample("systematic", 0.7)


# -------------------------------------------------------------------------- sequential Monte Carlo


def smc(step: Callable) -> Sequential:
    return Sequential(lambda model: spawn(model.start(), 3), step)


def right(particles, omega, t, policy=ALWAYS):
    moved = advance(particles, omega, t)
    return resample(moved, policy, omega, t) if moved.waiting else moved


def weights_not_reset(particles, omega, t):
    moved = advance(particles, omega, t)
    if not moved.waiting:
        return moved
    after = resample(moved, ALWAYS, omega, t)
    return Particles(after.runs, moved.population, after.lineages)


def mean_lost(particles, omega, t):
    after = right(particles, omega, t)
    return replace(after, population=Population.fresh(3)) if after.waiting else after


def cumulative_scores_as_increments(particles, omega, t):
    moved = advance(particles, omega, t)
    totals = np.array([run.log_weight for run in moved.runs])
    moved = replace(moved, population=particles.population.scored(totals))
    return resample(moved, SOMETIMES, omega, t) if moved.waiting else moved


def carried_weights_overwritten(particles, omega, t):
    """Right if every step resamples, wrong if some do not."""
    moved = advance(particles, omega, t)
    level = particles.population.levelled().log_weights
    steps = moved.population.log_weights - particles.population.log_weights
    moved = replace(moved, population=Population(level + steps))
    return resample(moved, SOMETIMES, omega, t) if moved.waiting else moved


def ancestors_off_by_one(particles, omega, t):
    moved = advance(particles, omega, t)
    if not moved.waiting:
        return moved
    after = resample(replace(moved, runs=range(3)), ALWAYS, omega, t)
    return replace(after, runs=[moved.runs[(i + 1) % 3] for i in after.runs])


def one_key_for_all_particles(particles, omega, t):
    class Source:
        def at(self, step, slot):
            return omega.at(step, 0)

    return right(particles, Source(), t)


@pytest.mark.parametrize(
    ("program", "policy", "traces"),
    [(STEPS, ALWAYS, 6), (SHORT, ALWAYS, 4), (SHORT, SOMETIMES, 4)],
    ids=["always", "always, in short", "sometimes"],
)
def test_smc_is_properly_weighted(program, policy, traces):
    step = lambda particles, omega, t: right(particles, omega, t, policy)  # noqa: E731
    verdict = check(smc(step), program, ProperlyWeighted())
    assert verdict.ok, verdict
    assert verdict.report.compared == traces and verdict.report.paths > 100


@pytest.mark.parametrize(
    "step",
    [
        weights_not_reset,
        mean_lost,
        cumulative_scores_as_increments,
        carried_weights_overwritten,
        ancestors_off_by_one,
        one_key_for_all_particles,
    ],
)
def test_a_wrong_smc_is_found(step):
    verdict = check(smc(step), SHORT, ProperlyWeighted())
    assert verdict.outcome == "FAIL"
    assert verdict.counterexample.tape


def test_steps_that_use_the_step_before_s_key_are_found():
    verdict = check(smc(lambda p, omega, t: right(p, omega, t // 2)), SHORT, ProperlyWeighted())
    assert verdict.outcome == "FAIL" and "one place" in verdict.why


#: some particles end while others have a score to come
UNEVEN = """
model uneven() {
  a ~ bernoulli(0.35)
  factor log(if a { 0.9 } else { 0.4 })
  r ~ rest(a)
  return (a, r)
}
fn rest(a: bool) -> measure[nat] {
  if a { return 0 } else {
    b ~ bernoulli(0.6)
    factor log(if b { 2 } else { 0.3 })
    checkpoint
    c ~ bernoulli(if b { 0.2 } else { 0.9 })
    return 1 + indicator(b) + 2 * indicator(c)
  }
}
"""


def ended_particles_dropped(particles, omega, t):
    moved = advance(particles, omega, t)
    if not moved.waiting:
        return moved
    ended = np.array([isinstance(run, Execution) for run in moved.runs])
    population = Population(np.where(ended, -math.inf, moved.population.log_weights))
    return resample(replace(moved, population=population), SOMETIMES, omega, t)


def test_particles_that_end_early_keep_their_weights():
    verdict = check(smc(right), UNEVEN, ProperlyWeighted())
    assert verdict.ok, verdict
    assert verdict.report.compared == 5
    assert check(smc(ended_particles_dropped), UNEVEN, ProperlyWeighted()).outcome == "FAIL"


# -------------------------------------------------------------------------------------- resampling


def systematic(log_weights, omega, *, points, mean=True):
    w = np.exp(np.array(log_weights))
    n, c = len(w), np.cumsum(w / w.sum())
    u = uniform(omega, "u", n * c % 1)
    ancestors = np.searchsorted(c, points(n, u)).clip(max=n - 1)
    return ancestors, np.full(n, math.log(w.sum() / n) if mean else -math.log(n))


def residual(log_weights, omega, *, remainders):
    """Whole copies, and the rest drawn from the remainders (or, wrongly, from the weights)."""
    w = np.exp(np.array(log_weights))
    n, share = len(w), len(w) * w / w.sum()
    out = list(np.repeat(np.arange(n), np.floor(share).astype(int)))
    rest = share % 1 if remainders else w
    while len(out) < n:
        out.append(categorical(omega, ("rest", len(out)), tuple(rest / rest.sum())))
    return out, np.full(n, math.log(w.sum() / n))


def test_right_resamplers_pass():
    for run in (
        lambda w, o: systematic(w, o, points=lambda n, u: (np.arange(n) + u) / n),
        lambda w, o: residual(w, o, remainders=True),
    ):
        verdict = check(Resampler(run), STEPS, ProperlyWeighted())
        assert verdict.ok, verdict


@pytest.mark.parametrize(
    "run",
    [
        lambda w, o: systematic(w, o, points=lambda n, u: (np.arange(n) + 0.5) / n),
        lambda w, o: systematic(w, o, points=lambda n, u: (np.arange(n) + u / 2) / n),
        lambda w, o: residual(w, o, remainders=False),
    ],
    ids=["midpoints", "half of the stratum", "residual from the weights"],
)
def test_a_wrong_resampler_is_found_though_the_evidence_is_right(run):
    verdict = check(Resampler(run), STEPS, ProperlyWeighted())
    assert verdict.outcome == "FAIL"
    assert "the total is right" in verdict.why


def test_a_lost_mean_breaks_the_measure_and_not_the_posterior():
    run = lambda w, o: systematic(w, o, points=lambda n, u: (np.arange(n) + u) / n, mean=False)  # noqa: E731
    assert check(Resampler(run), STEPS, Posterior()).ok
    verdict = check(Resampler(run), STEPS, ProperlyWeighted())
    assert verdict.outcome == "FAIL" and "times what it should be" in verdict.why


# ----------------------------------------------------------------------------- Metropolis-Hastings


def begin(model, omega):
    return first_trace(model.run, omega)


def single_site(*, length=1.0, scores=1.0, kept=1.0):
    """`revise`, its log acceptance ratio made of the corrections in these proportions."""

    def step(model, trace, omega):
        n = len(trace.sites)
        chosen = list(trace.sites)[omega.draw(SITE, INDEX, (n,))]
        revision = Revision(trace.sites, (chosen,), omega)
        proposed = revision.trace(model.run)
        if not proposed.execution.alive:
            return trace
        ratio = (
            scores * (proposed.log_weight - trace.log_weight)
            + kept * revision.log_ratio
            + length * math.log(n / len(proposed.sites))
        )
        return proposed if omega.draw(ACCEPT, COIN, (math.exp(min(0.0, ratio)),)) else trace

    return Kernel(step, begin)


@pytest.mark.parametrize("contract", [Invariant(), Reversible()])
def test_single_site_moves_pass(contract):
    ours = Kernel(lambda model, trace, omega: revise(model.run, trace, omega), begin)
    for kernel in (ours, single_site()):
        verdict = check(kernel, LENGTHS, contract)
        assert verdict.ok, verdict
        assert verdict.report.paths > 40


@pytest.mark.parametrize("contract", [Invariant(), Reversible()])
@pytest.mark.parametrize(
    "wrong",
    [{"length": 0}, {"length": -1}, {"kept": 0}, {"kept": -1}, {"scores": 0}, {"scores": 2}],
    ids=str,
)
def test_a_wrong_correction_is_found(wrong, contract):
    verdict = check(single_site(**wrong), LENGTHS, contract)
    assert verdict.outcome == "FAIL"
    assert verdict.counterexample.choices


def walk(*, redrawn):
    """A random walk on `a`, from 0 to 2; what leaves the range is rejected, or drawn again."""

    def step(model, state, omega):
        path = ("a",)
        here = state.trace[path]
        moves = [x for x in (here - 1, here + 1) if 0 <= x <= 2 or not redrawn]
        there = moves[index(omega, "direction", len(moves))]
        if not 0 <= there <= 2:
            return state
        after = model.replay({**state.trace, path: there})
        ratio = math.exp(after.log_weight - state.log_weight)
        return after if bernoulli(omega, "accept", min(1.0, ratio)) else state

    return Kernel(step)


def test_proposals_outside_the_support_are_rejected_and_not_drawn_again():
    assert check(walk(redrawn=False), STEPS, Reversible()).ok
    assert check(walk(redrawn=True), STEPS, Reversible()).outcome == "FAIL"
    assert check(walk(redrawn=True), STEPS, Invariant()).outcome == "FAIL"


def test_a_move_must_keep_the_current_target_and_not_the_final_one():
    """Scores to the power 0.4: moves of the posterior are wrong there, and those at 0.4 are right."""

    def independent(power):
        def step(model, trace, omega):
            proposed = first_trace(model.run, omega)
            ratio = math.exp(min(0.0, power * (proposed.log_weight - trace.log_weight)))
            return proposed if bernoulli(omega, "accept", ratio) else trace

        return Kernel(step, begin)

    for power, temperature in [(0.4, 0.4), (1.0, 1.0)]:
        assert check(independent(power), STEPS, Reversible(temperature=temperature)).ok
    for power, temperature in [(1.0, 0.4), (0.4, 1.0)]:
        verdict = check(independent(power), STEPS, Invariant(temperature=temperature))
        assert verdict.outcome == "FAIL"


#: the same number of sites in every trace
CHAIN = """
model chain() {
  a ~ bernoulli(0.35)
  observe true ~ bernoulli(if a { 0.9 } else { 0.2 })
  b ~ bernoulli(if a { 0.3 } else { 0.85 })
  factor log([0.4, 1.7, 0.9, 0.6][2 * indicator(a) + indicator(b)])
  return (a, b)
}
"""


class Given:
    """A source that gives a trace's values, whatever their probability."""

    def __init__(self, trace):
        self.values = {hash_of(path): value for path, value in trace.items()}

    def begin(self, state):
        return lambda path, family, args: self.values[path]

    def mark(self):
        return None


def particle_gibbs(*, competes=False, replays=False):
    """Conditional sequential Monte Carlo with three particles, the first of which is retained, that
    resamples after the first score."""

    def step(model, state, omega):
        runs, given, weights = [model.start()] * 3, Given(state.trace), np.zeros(3)
        retained = [True, False, False]
        for t in range(3):
            before = [run.log_weight for run in runs]
            runs = [
                run.resume(given if keep else omega.at(t, i))
                for i, (run, keep) in enumerate(zip(runs, retained, strict=True))
            ]
            weights = weights + [r.log_weight - b for r, b in zip(runs, before, strict=True)]
            if competes and t == 0:
                weights[0] = model.run(given).log_weight
            p = tuple(np.exp(weights) / np.sum(np.exp(weights)))
            if t == 0:
                at = omega.at(t, 0)
                chosen = [categorical(at, ("ancestor", i), p) for i in range(1, 3)]
                ancestors = [0, *chosen]
                runs, weights = [runs[a] for a in ancestors], np.zeros(3)
                retained = [a == 0 for a in ancestors] if replays else [True, False, False]
        return runs[categorical(omega, "result", p)]

    return Kernel(step)


def test_conditional_smc_keeps_the_posterior():
    verdict = check(particle_gibbs(), CHAIN, Invariant())
    assert verdict.ok, verdict
    assert verdict.report.compared == 4


@pytest.mark.parametrize("wrong", [{"competes": True}, {"replays": True}], ids=str)
def test_a_retained_particle_that_goes_wrong_is_found(wrong):
    verdict = check(particle_gibbs(**wrong), CHAIN, Invariant())
    assert verdict.outcome == "FAIL"


# ---------------------------------------------------------------- densities, enumerations, passes


def truncated(p, *, renormalised):
    """`categorical(p)` above 0: a sampler, and its density."""
    total = sum(p[1:]) if renormalised else 1
    return Pair(
        lambda model, omega: 1 + categorical(omega, "x", tuple(q / sum(p[1:]) for q in p[1:])),
        lambda model, x: math.log(p[x] / total) if 0 < x < len(p) else -math.inf,
    )


def test_a_truncation_must_be_renormalised():
    p = (0.2, 0.5, 0.1, 0.2)
    program = "model m() { x ~ categorical([0.4, 0.3, 0.2, 0.1]); return x }"
    assert check(truncated(p, renormalised=True), program, SameDensity()).ok
    verdict = check(truncated(p, renormalised=False), program, SameDensity())
    assert verdict.outcome == "FAIL"


def brute_force(*, upto=3, score=True):
    """STEPS by hand."""

    def run(model):
        out = {}
        for a in range(upto):
            for b in (False, True):
                q = [0.7, 0.15, 0.4][a]
                mass = [0.2, 0.5, 0.3][a] * [0.9, 0.25, 0.6][a] * (q if b else 1 - q)
                mass *= 2 if b else 0.3 + 0.2 * a
                mass *= [0.8, 0.35, 0.1][a] + (0.1 if b else 0.4) if score else 1
                out[a, b] = mass
        return out

    return Enumeration(run)


def test_an_enumeration_has_every_atom_with_its_mass():
    assert check(brute_force(), STEPS, Enumerates()).ok
    assert check(brute_force(upto=2), STEPS, Enumerates()).outcome == "FAIL"
    assert check(brute_force(score=False), STEPS, Enumerates()).outcome == "FAIL"


def without_scores(program):
    """A pass that takes a score for dead code, since nothing reads its value."""

    def comp(n):
        if isinstance(n, ir.Block):
            binds = tuple(b for b in n.binds if not isinstance(b.comp, ir.Score))
            n = replace(n, binds=binds)
        return map_children(n, comp)

    functions = tuple(replace(f, body=comp(f.body)) for f in program.functions)
    return replace(program, functions=functions)


@pytest.mark.parametrize("name", PASSES)
def test_passes_keep_the_measure(name):
    verdict = check(PASSES[name], STEPS, Measure())
    assert verdict.ok, verdict


def test_a_pass_that_drops_scores_is_found():
    verdict = check(Rewrite(without_scores), STEPS, Measure())
    assert verdict.outcome == "FAIL"

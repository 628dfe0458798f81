"""Sequential Monte Carlo, its evidence, and its resampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.inference.population import Population
from ppl.inference.resample import Resample
from ppl.inference.smc import Particles, advance, resample, spawn
from ppl.semantics.machine import Execution
from ppl.verify import Resampler, Sampler, Sequential, categorical, uniform

ALWAYS = Resample("systematic", 1.0)
SOMETIMES = Resample("systematic", 0.7)


def smc(step: Callable[..., Any], n: int = 3) -> Sequential:
    return Sequential(lambda model: spawn(model.start(), n), step)


def planted(step: Callable[..., Any], **settings: Any) -> Callable[..., Sequential]:
    """A mutant, of so many particles."""
    return lambda n=3: smc(lambda p, omega, t: step(p, omega, t, **settings), n)


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
    n = len(particles.runs)
    return replace(after, population=Population.fresh(n)) if after.waiting else after


def cumulative_as_increments(particles, omega, t, policy=SOMETIMES):
    moved = advance(particles, omega, t)
    totals = np.array([run.log_weight for run in moved.runs])
    moved = replace(moved, population=particles.population.scored(totals))
    return resample(moved, policy, omega, t) if moved.waiting else moved


def carried_overwritten(particles, omega, t, policy=SOMETIMES):
    """Right if every step resamples, wrong if some do not."""
    moved = advance(particles, omega, t)
    level = particles.population.levelled().log_weights
    steps = moved.population.log_weights - particles.population.log_weights
    moved = replace(moved, population=Population(level + steps))
    return resample(moved, policy, omega, t) if moved.waiting else moved


def ancestors_off_by_one(particles, omega, t):
    moved, n = advance(particles, omega, t), len(particles.runs)
    if not moved.waiting:
        return moved
    after = resample(replace(moved, runs=range(n)), ALWAYS, omega, t)
    return replace(after, runs=[moved.runs[(i + 1) % n] for i in after.runs])


def first_counted_twice(particles, omega, t):
    moved = advance(particles, omega, t)
    if t == 0:
        increments = moved.population.log_weights - particles.population.log_weights
        moved = replace(moved, population=moved.population.scored(increments))
    return resample(moved, ALWAYS, omega, t) if moved.waiting else moved


def ended_dropped(particles, omega, t):
    """Those that have ended weigh nothing among those that wait."""
    moved = advance(particles, omega, t)
    if not moved.waiting:
        return moved
    ended = np.array([isinstance(run, Execution) for run in moved.runs])
    population = Population(np.where(ended, -math.inf, moved.population.log_weights))
    return resample(replace(moved, population=population), SOMETIMES, omega, t)


def one_key_for_all_particles(particles, omega, t):
    class Source:
        def at(self, step, slot):
            return omega.at(step, 0)

    return right(particles, Source(), t)


def the_step_before_s_key(particles, omega, t):
    return right(particles, omega, t // 2)


def optimal_proposal(*, own_weight: bool) -> Sampler:
    """The first choice drawn from its law given the first score of STEPS; its weight is then the
    mean score, and not the score of what was drawn."""
    prior, score, then = (0.2, 0.5, 0.3), (0.9, 0.25, 0.6), (0.7, 0.15, 0.4)
    joint = [p * s for p, s in zip(prior, score, strict=True)]
    mean = sum(joint)

    def run(model, omega):
        a = categorical(omega, "a", [x / mean for x in joint])
        b = categorical(omega, "b", [1 - then[a], then[a]])
        execution = model.replay({("a",): a, ("b",): bool(b)})
        known = math.log(joint[a]) + math.log((1 - then[a], then[a])[b])
        rest = execution.log_weight - known  # the later scores
        return execution, rest + math.log(mean if own_weight else score[a])

    return Sampler(run)


def tempered(*, sign: int) -> Callable[..., Sampler]:
    """Two temperatures: weights by the scores to the power 0.4, resampled, and by the rest."""

    def run(model, omega, n):
        runs = [model.run(omega.at(0, i)) for i in range(n)]
        log_weights = [r.log_weight for r in runs]
        w = np.exp(0.4 * np.array(log_weights))
        if not w.sum() > 0:
            return []
        out = []
        for i in range(n):
            k = categorical(omega, ("ancestor", i), tuple(w / w.sum()))
            out.append((runs[k], math.log(w.mean() / n) + sign * 0.6 * log_weights[k]))
        return out

    return lambda n=2: Sampler(lambda model, omega: run(model, omega, n))


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


def scheme(run: Callable[..., Any]) -> Callable[[], Resampler]:
    return lambda: Resampler(run)

"""Metropolis-Hastings on traces, and other kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ppl.inference.choices import ACCEPT, COIN, INDEX, SITE
from ppl.inference.kernels.machine.traces import Revision, first_trace
from ppl.verify import Kernel, Sampler, bernoulli, categorical, index, uniform


def begin(model, omega):
    return first_trace(model.run, omega)


def density(trace: Any, paths: Any) -> float:
    """The log density of some of a trace's sites."""
    return sum(trace.sites[p].log_prob(trace.sites[p].value) for p in paths)


def single_site(
    *, length=1.0, kept=1.0, scores=1.0, old=1.0, new=1.0, reused=0.0, sites=1.0
) -> Callable[[], Kernel]:
    """One site drawn again from its law, new ones too. The log acceptance ratio is that of the
    joint densities, over that of the proposals: old and new are those of what is drawn either way.
    `reused` counts what is not drawn as proposed, too."""

    def step(model, trace, omega):
        n = len(trace.sites)
        chosen = list(trace.sites)[omega.draw(SITE, INDEX, (n,))]
        revision = Revision(trace.sites, (chosen,), omega)
        proposed = revision.trace(model.run)
        if not proposed.execution.alive:
            return trace
        both = (trace.sites.keys() & proposed.sites.keys()) - {chosen}
        ratio = (
            scores * (proposed.log_weight - trace.log_weight)
            + (kept - reused) * (density(proposed, both) - density(trace, both))
            + (sites - new) * density(proposed, proposed.sites.keys() - both)
            - (sites - old) * density(trace, trace.sites.keys() - both)
            + length * math.log(n / len(proposed.sites))
        )
        return proposed if omega.draw(ACCEPT, COIN, (math.exp(min(0.0, ratio)),)) else trace

    return lambda: Kernel(step, begin)


def independent(*, power: float = 1.0, corrected: bool = True) -> Callable[[], Kernel]:
    """A trace from the prior, accepted for the scores to a power; uncorrected, for the density."""

    def step(model, trace, omega):
        proposed = first_trace(model.run, omega)
        log_ratio = power * (proposed.log_weight - trace.log_weight)
        if not corrected:
            log_ratio += density(proposed, proposed.sites) - density(trace, trace.sites)
        return proposed if bernoulli(omega, "accept", math.exp(min(0.0, log_ratio))) else trace

    return lambda: Kernel(step, begin)


def moved(model, state, value):
    """The state with another value of `a`."""
    return model.replay({**state.trace, ("a",): value})


def walk(*, redrawn: bool) -> Callable[[], Kernel]:
    """A random walk on `a`, from 0 to 2; what leaves the range is rejected, or drawn again."""

    def step(model, state, omega):
        here = state.trace[("a",)]
        moves = [x for x in (here - 1, here + 1) if 0 <= x <= 2 or not redrawn]
        there = moves[index(omega, "direction", len(moves))]
        if not 0 <= there <= 2:
            return state
        after = moved(model, state, there)
        ratio = math.exp(after.log_weight - state.log_weight)
        return after if bernoulli(omega, "accept", min(1.0, ratio)) else state

    return lambda: Kernel(step)


def gibbs(*, accept: bool = False, options: int = 3) -> Callable[[], Kernel]:
    """`a` from its law given the rest; then, wrongly, accepted; or among too few options."""

    def step(model, state, omega):
        states = [moved(model, state, a) for a in range(options)]
        w = [math.exp(s.log_weight) for s in states]
        after = states[categorical(omega, "a", [x / sum(w) for x in w])]
        ratio = min(1.0, math.exp(after.log_weight - state.log_weight))
        return state if accept and not bernoulli(omega, "accept", ratio) else after

    return lambda: Kernel(step)


def slice_move(*, placed: bool) -> Callable[[], Kernel]:
    """A slice of `a` within a bracket of two values, placed at random around the present one, or,
    wrongly, always beginning there."""

    def step(model, state, omega):
        p = [math.exp(moved(model, state, a).log_weight) for a in range(3)]
        here = state.trace[("a",)]
        level = p[here] * uniform(omega, "level", [x / p[here] for x in p])
        low = here - (index(omega, "bracket", 2) if placed else 0)
        inside = [a for a in (low, low + 1) if 0 <= a <= 2 and p[a] > level]
        return moved(model, state, inside[index(omega, "point", len(inside))])

    return lambda: Kernel(step)


def reflected(*, from_old: bool) -> Callable[[], Kernel]:
    """Each walker is reflected at the other one; the second, wrongly, at where the first was."""

    def step(model, state, omega):
        old = state.trace[("a",)]
        for name, other in ((("a",), ("b",)), (("b",), ("a",))):
            at = old if from_old and other == ("a",) else state.trace[other]
            there = (2 * at - state.trace[name]) % 3
            after = model.replay({**state.trace, name: there})
            ratio = min(1.0, math.exp(after.log_weight - state.log_weight))
            state = after if bernoulli(omega, ("accept", *name), ratio) else state
        return state

    return lambda: Kernel(step)


def stretched(*, anchored: bool) -> Callable[[], Kernel]:
    """`a` reflected at the other walker, or, wrongly, stretched from itself, and so always away."""

    def step(model, state, omega):
        here, other = state.trace[("a",)], state.trace[("b",)]
        after = moved(model, state, (2 * other - here if anchored else here + 1) % 3)
        ratio = min(1.0, math.exp(after.log_weight - state.log_weight))
        return after if bernoulli(omega, "accept", ratio) else state

    return lambda: Kernel(step)


def rejuvenated(*, discarded: bool) -> Callable[[], Sampler]:
    """A run, moved by an exact draw of `a` given the rest; if it changed it is, wrongly, dropped."""

    def run(model, omega):
        first = model.run(omega)
        w = [math.exp(moved(model, first, a).log_weight) for a in range(3)]
        if not sum(w) > 0:
            return []
        after = moved(model, first, categorical(omega, "moved", [x / sum(w) for x in w]))
        changed = after.trace[("a",)] != first.trace[("a",)]
        return [] if changed and discarded else [(after, first.log_weight)]

    return lambda: Sampler(run)

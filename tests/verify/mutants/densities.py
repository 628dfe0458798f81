"""Distributions, enumerations, passes; draws that share a key; compiled code."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ppl.semantics import ir
from ppl.semantics.ir_map import map_children
from ppl.verify import Compiled, Enumeration, Pair, Rewrite, Sampler, categorical

P = (0.2, 0.5, 0.1, 0.2)


def truncated(*, renormalised: bool) -> Callable[[], Pair]:
    """`categorical(P)` above 0: a sampler, and its density."""
    total = sum(P[1:]) if renormalised else 1
    return lambda: Pair(
        lambda model, omega: 1 + categorical(omega, "x", tuple(q / sum(P[1:]) for q in P[1:])),
        lambda model, x: math.log(P[x] / total) if 0 < x < len(P) else -math.inf,
    )


MOVE = ((0.6, 0.3, 0.1), (0.2, 0.7, 0.1), (0.25, 0.35, 0.4))
START = (0.2, 0.5, 0.3)


def hidden_states(*, moved_first: bool) -> Callable[[], Pair]:
    """Three states of a Markov chain; the density, wrongly, has a transition before the first."""

    def sample(model, omega):
        xs = [categorical(omega, ("x", 0), START)]
        for t in (1, 2):
            xs.append(categorical(omega, ("x", t), MOVE[xs[-1]]))
        return tuple(xs)

    def log_density(model, xs):
        first = START[xs[0]]
        if moved_first:
            first = sum(START[x] * MOVE[x][xs[0]] for x in range(3))
        return math.log(first) + sum(math.log(MOVE[a][b]) for a, b in zip(xs, xs[1:], strict=False))

    return lambda: Pair(sample, log_density)


def rows(*, swapped: bool) -> Callable[[], Pair]:
    """Two draws from each of two laws, as a 2 by 2 array: samples first, or, wrongly, the batch."""
    laws = ((0.2, 0.8), (0.65, 0.35))

    def sample(model, omega):
        drawn = [[categorical(omega, ("x", i, j), laws[j]) for j in (0, 1)] for i in (0, 1)]
        return [list(column) for column in zip(*drawn, strict=True)] if swapped else drawn

    def log_density(model, xs):
        return sum(math.log(laws[j][xs[i][j]]) for i in (0, 1) for j in (0, 1))

    return lambda: Pair(sample, log_density)


def brute_force(*, upto: int = 3, score: bool = True) -> Callable[[], Enumeration]:
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

    return lambda: Enumeration(run)


def without_scores(program: ir.Program) -> ir.Program:
    """A pass that takes a score for dead code, since nothing reads its value."""

    def comp(n):
        if isinstance(n, ir.Block):
            binds = tuple(b for b in n.binds if not isinstance(b.comp, ir.Score))
            n = replace(n, binds=binds)
        return map_children(n, comp)

    functions = tuple(replace(f, body=comp(f.body)) for f in program.functions)
    return replace(program, functions=functions)


def drops_scores() -> Rewrite:
    return Rewrite(without_scores)


def pair_of_draws(*, one_key: bool) -> Callable[[], Sampler]:
    """Two independent runs, of which one is drawn; they share their key."""

    def run(model, omega):
        runs = [model.run(omega.at(0, 0 if one_key else i)) for i in range(2)]
        return [(r, r.log_weight - math.log(2)) for r in runs]

    return lambda: Sampler(run)


def compiled(plant: Callable[[Any, Any, Any], Any]) -> Callable[..., Compiled]:
    """Sequential Monte Carlo in compiled code, whose policy resamples at every point:
    plant(log_weights, ancestors, levelled) -> what it makes of them."""

    def make(n: int = 2) -> Compiled:
        from ppl.inference.particles import compiled_policy
        from ppl.inference.resample import Resample

        right = compiled_policy(Resample("systematic", 1.0))

        def policy(log_weights, *more):
            omega, decision = right(log_weights, *more)
            changed = plant(log_weights, *decision.choose())
            return omega, replace(decision, choose=lambda: changed)

        return Compiled(lambda model, omega: model.sequential(omega, n, policy))

    return make

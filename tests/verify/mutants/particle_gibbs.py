"""Conditional sequential Monte Carlo, with what can go wrong with the retained particle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ppl.semantics.machine.paths import hash_of
from ppl.verify import Kernel, categorical


class Given:
    """A source that gives a trace's values, whatever their probability."""

    def __init__(self, trace):
        self.values = {hash_of(path): value for path, value in trace.items()}

    def begin(self, state):
        return lambda path, family, args: self.values[path]

    def mark(self):
        return None


def conditional(
    *, competes=False, replays=False, fresh=False, reseeded=False, other=False, ordered=False
) -> Callable[..., Kernel]:
    """n particles, the first of which is retained, resampled after the first score of CHAIN.

    competes: with its final weight, at once. replays: its offspring go on along it. fresh: it is
    drawn like the others. reseeded: it is, after the first step. other: after the first step it is
    a copy of any particle. ordered: the ancestors of the others are sorted.
    """

    def step(model, state, omega, n):
        runs, given, weights = [model.start()] * n, Given(state.trace), np.zeros(n)
        retained = [not fresh] + [False] * (n - 1)
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
                chosen = [categorical(at, ("ancestor", i), p) for i in range(1, n)]
                first = categorical(at, ("ancestor", 0), p) if other else 0
                ancestors = [first, *(sorted(chosen) if ordered else chosen)]
                runs, weights = [runs[a] for a in ancestors], np.zeros(n)
                if replays:
                    retained = [a == 0 for a in ancestors]
                if reseeded:
                    retained = [False] * n
        return runs[categorical(omega, "result", p)]

    return lambda n=3: Kernel(lambda model, state, omega: step(model, state, omega, n))

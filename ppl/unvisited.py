"""Values of choices that no chain came to, though the posterior has a share of them.

Runs forward, weighted by their scores, estimate the posterior without moving from anywhere. A value
that many of them have, with weight, and that none of the draws has, is one which the kernel does
not reach. Nothing is said where the runs tell too little: few have the value, or the weight; or
none scores as well as half of the draws do, so that the posterior may be somewhere else. Nor is it
of draws that went to a file, which are not read for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ppl.machine import Named, columns
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Note
from ppl.semantics.machine import Limits, MachineKey
from ppl.semantics.machine.forward import Forward
from ppl.simulate import givens_of
from ppl.storage import OnDisk

#: runs forward, and how long they may take
RUNS, LIMITS = 400, Limits(fuel=100_000, seconds=1.0)
#: the step of the key that they draw with, which nothing else uses
STEP = 2**32 + 2
#: the least share of a value, effective runs with it, and draws that should have it
SHARE, WORTH, DRAWS = 0.05, 20, 50
#: values of a choice that are looked at
VALUES = 50
#: draws that are run again to know their scores, and numbers that each may have
SCORED, NUMBERS = 50, 2_000


def unvisited(posterior: Posterior) -> Iterator[Diagnostic]:
    """A warning of values that chains never came to. All runs are the machine's."""
    target = posterior.target
    if target is None or any(isinstance(v, OnDisk) for v in posterior.draws.values()):
        return
    whole = {k: v for k, v in posterior.named.items() if v.dtype.kind in "biu"}
    if not whole:
        return
    executions = []
    scores = np.zeros(0)
    try:
        machine, data = target.sampler.machine.within(LIMITS), target.sampler.plain
        run = machine.runner(machine.bind(data))
        for i in range(RUNS):
            executions.append(run(MachineKey(posterior.seed or 0, STEP, i)))
        scores = _scores(posterior, run)
    except DiagnosticError:  # those that there are by then
        scores = _scores(posterior, None)
    log_weights = np.array([e.log_weight for e in executions])
    if not len(scores) or not len(executions) or not log_weights.max() >= np.median(scores):
        return
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    found = columns([e for e in executions if e.alive], target.holes)
    alive = weights[[e.alive for e in executions]]
    for name, seen in whole.items():
        made = found.get(name)
        if made is None or made.dtype.kind not in "biu" or made.shape[2:] != seen.shape[2:]:
            continue
        rows = made.reshape(made.shape[1], -1)
        for value in np.unique(rows)[:VALUES]:
            has = (rows == value).T
            share = has @ alive
            worth = share**2 / np.maximum(has @ alive**2, 1e-300)
            due = np.prod(posterior.shape) * share >= DRAWS
            never = ~np.any(seen == value, axis=(0, 1)).ravel()
            missed = np.flatnonzero(never & due & (share >= SHARE) & (worth >= WORTH))
            if len(missed):
                yield _missed(name, seen.shape[2:], int(missed[0]), value, float(share[missed[0]]))
                return


def _scores(posterior: Posterior, run: Any) -> np.ndarray:
    """The sums of the scores of draws: of all where they are known; else of some, which are `run`
    again, if they can be."""
    if isinstance(posterior.draws, Named):
        return posterior.draws.scores
    sizes = [np.prod(v.shape[2:]) for v in posterior.draws.values()]
    if run is None or sum(sizes) > NUMBERS:
        return np.zeros(0)
    at = np.unravel_index(
        np.linspace(0, np.prod(posterior.shape) - 1, SCORED).astype(int), posterior.shape
    )
    source, givens = MachineKey(posterior.seed or 0, STEP, RUNS), givens_of(posterior, *at)
    return np.array([run(Forward(source, given)).log_weight for given in givens])


def _missed(name: str, shape: tuple[int, ...], at: int, value: object, share: float) -> Diagnostic:
    index = ", ".join(map(str, np.unravel_index(at, shape))) if shape else ""
    shown = f"{name}[{index}]" if index else name
    return Diagnostic(
        "W888",
        f"no chain came to `{shown}` = {value}, which has about {share:.0%} of the posterior",
        notes=(Note("that is the share of runs forward, weighted by their scores"),),
        hint="move choices together that only change together: kernels.prior(block=True).on(…)",
    )

"""Particles of measures between a program's prior and its own, for algorithms of one's own.

γ_t is the measure of the program's whole traces whose scores count to the power of t: the prior, of
what is possible, at t = 0, and the program's own measure at 1. `forward` gives particles of γ_0,
`temper` makes particles of γ_t ones of γ_s, and a kernel of the program `tempered` by t leaves γ_t
alone. Laws: `ProperlyWeighted`, for whole traces, if temperatures do not depend on the particles;
`tempered_smc` is such a composition, in the free coordinates of a density (`annealing`).

Del Moral, Doucet and Jasra, "Sequential Monte Carlo samplers" (2006).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ppl.inference.kernels.machine.program import Program
from ppl.inference.moving import Moving, advance, spawn
from ppl.inference.population import Population
from ppl.semantics.machine import Execution
from ppl.semantics.machine.omega import Source


class Tempered(NamedTuple):
    """A whole run, whose scores count to the power of t, as kernels look at it."""

    run: Execution
    t: float

    @property
    def log_weight(self) -> Any:
        score = self.run.log_weight
        return self.t * score if score > -math.inf else score

    @property
    def alive(self) -> bool:
        return self.run.alive and self.run.log_weight > -math.inf


def tempered(program: Program, t: float) -> tuple[Program, Callable[[Any], Tempered]]:
    """The program of γ_t, for kernels, and how its particles look to them (`moving.move`)."""
    run = program.run
    return replace(program, run=lambda omega: Tempered(run(omega), t)), partial(Tempered, t=t)


def forward(program: Program, n: int, source: Source) -> Moving:
    """n particles of γ_0: runs to their ends."""
    at, t = spawn(program, n), 0
    while at.waiting:
        at, t = advance(at, source, t), t + 1
    possible = np.array([run.log_weight > -math.inf for run in at.runs])
    return replace(at, population=Population.fresh(n).scored(np.where(possible, 0.0, -math.inf)))


def temper(at: Moving, t: float, s: float) -> Moving:
    """Particles of γ_t, which have ended, as ones of γ_s."""
    scores = np.array([run.log_weight for run in at.runs], float)
    return replace(at, population=between(at.population, scores, t, s))


def between(population: Population, scores: Any, t: Any, s: Any) -> Population:
    """The same of weights alone, in arrays of any library: each times its particle's likelihood,
    exp(score), to the power of s - t. What is impossible stays so."""
    xp = population.log_weights.__array_namespace__()
    possible = scores > -xp.inf
    increments = (s - t) * xp.where(possible, scores, xp.zeros_like(scores))
    return population.scored(xp.where(possible, increments, -xp.inf))

"""The discrete particle filter: every finite choice is tried with each of its values, and of all
that come of it n particles are left by optimal resampling.

Composition: spawn one particle; then let each go to its next suspension point (or its end) once for
every way to make its finite choices, weighted by the probability of these and by what is scored;
`optimal.Optimal` leaves n of them, the heavy ones as they are. No two particles have made the same
choices, and while there are no more than n the measure is enumerated. What has infinitely many
values is drawn, once for all that a particle is continued by; where something is, particles are
multiplied first while they are few. Law: `ProperlyWeighted`, for whole traces.

Fearnhead and Clifford, "On-line inference for hidden Markov models via particle filters" (2003).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.inference import ancestry
from ppl.inference.optimal import Optimal
from ppl.inference.population import Population
from ppl.inference.smc import Particles, uniforms_of
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import Execution, Suspended
from ppl.semantics.machine.omega import Source
from ppl.semantics.machine.state import Draw, Omega, State
from ppl.semantics.machine.tape import MachineTape, explore

if TYPE_CHECKING:
    from ppl.inference.journal import Journal

#: ways to go on from one particle to its next point, at most
WAYS = 10_000


class Expanding(MachineTape):
    """A tape of the finite choices; others are drawn, which it notes."""

    def __init__(self, choices: tuple[int, ...], fresh: Omega):
        super().__init__(choices)
        self.fresh, self.drew = fresh, False

    def begin(self, state: State) -> Draw:
        new = self.fresh.begin(state)

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            try:
                return self.draw(path, family, args)
            except DiagnosticError as error:
                if error.diagnostics[0].code != "E807":
                    raise
            self.drew = True
            return new(path, family, args)

        return draw

    def mark(self) -> Any:
        return super().mark(), self.fresh.mark()

    def restore(self, mark: Any) -> None:
        own, fresh = mark
        super().restore(own)
        self.fresh.restore(fresh)


def begin(start: Suspended) -> Particles:
    """One particle where the program begins. What stands for its lineage, here and later, is
    whether anything was drawn on its way."""
    return Particles([start], Population(np.zeros(1)), [False])


def enumerates(particles: Particles) -> bool:
    """Whether they are all that there is: nothing was drawn or left out, and some have weight."""
    told = particles.told
    while told is not None and not told[1][1]:
        told = told[0]
    return told is None and not any(particles.lineages) and particles.log_evidence > -math.inf


def expand(particles: Particles, n: int, source: Source, step: int) -> tuple[Particles, list[int]]:
    """Each particle in all ways to its next point, and whom each comes from; those of weight zero
    are left out, if any others are there."""
    copies = max(1, n // len(particles.runs))
    found: list[tuple[Suspended | Execution, float, int, bool]] = []
    logs = particles.population.log_weights.tolist()
    for i, (run, log) in enumerate(zip(particles.runs, logs, strict=True)):
        if not isinstance(run, Suspended):
            found.append((run, log, i, particles.lineages[i]))
            continue
        first, drew = _ways(run, source.at(step, i * copies))
        every = [first]
        if drew:
            every += [_ways(run, source.at(step, i * copies + c))[0] for c in range(1, copies)]
        for ways in every:
            drawn = drew or particles.lineages[i]
            found += [(r, log + more - math.log(len(every)), i, drawn) for r, more in ways]
    alive = [one for one in found if one[1] > -math.inf] or found[:1]
    runs, logs, parents, drawn = (list(column) for column in zip(*alive, strict=True))
    population = Population(np.array(logs))
    return Particles(runs, population, drawn, step + 1, particles.told), parents


def _ways(run: Suspended, omega: Omega) -> tuple[list[tuple[Any, float]], bool]:
    """Where a run gets, with the log of the probability and the score of each way; and whether
    anything was drawn.

    Raises:
        DiagnosticError: E807, there are too many ways.
    """
    drew = False

    def once(tape: Any) -> tuple[Any, float]:
        nonlocal drew
        after = run.resume(tape)
        drew |= tape.drew
        p = tape.probability
        more = math.log(p) + after.log_weight - run.log_weight if p > 0 else -math.inf
        return after, more

    found = explore(once, limit=WAYS, tape=lambda choices: Expanding(choices, omega))
    return found, drew


def choose(
    particles: Particles, parents: list[int], n: int, source: Source, step: int
) -> Particles:
    """At most n of them."""
    seen, policy = particles.population, Optimal(n)
    ancestors, population = policy(seen, uniforms_of(source, step))
    chosen = ancestors.tolist()
    whence = np.array([parents[a] for a in chosen])
    row = float(seen.effective_size), policy.due(seen), float(seen.log_mass), whence
    runs, drawn = ([column[a] for a in chosen] for column in (particles.runs, particles.lineages))
    return Particles(runs, population, drawn, step + 1, (particles.told, row))  # type: ignore[arg-type]


def run_expanding(
    start: Suspended,
    n: int,
    source: Source,
    *,
    journal: Journal | None = None,
    progress: ancestry.Progress | None = None,
) -> Particles:
    """At most n particles to their ends; from where a `journal` says they were, if anywhere."""
    at = begin(start) if journal is None or journal.place is None else journal.place
    while at.waiting:
        step = at.steps
        at = choose(*expand(at, n, source, step), n, source, step)
        if progress is not None:
            progress(len(at.runs), n, step, at.told)
        if journal is not None and journal.due():
            journal.write(at)
    return at

"""Transformers that go in steps: one step is enumerated at a time, equal populations merged.

Two populations are equal if their weights are (to thirteen digits), and their runs have the same
traces, in the same slots. So paths multiply within a step, and add up from step to step.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from ppl.semantics.machine import Execution
from ppl.semantics.machine.paths import path_of
from ppl.verify.runnable import Runnable
from ppl.verify.subjects import Sequential, particles_of
from ppl.verify.tapes import Budget, Outcome, Place, Reused, Watched, outcomes


@dataclass(frozen=True)
class Merged:
    """Populations that are equal: their probability, the most likely history's tape and its
    probability, and every place that a choice was made at on the way to any of them."""

    particles: Any
    probability: float
    tape: tuple[int, ...]
    likeliest: float
    places: frozenset[Place]


def waits(particles: Any) -> bool:
    """Whether some run has not ended."""
    return any(not isinstance(run, Execution) for run in particles.runs)


def key_of(particles: Any) -> Hashable:
    """What tells populations apart."""
    weights = tuple(round(float(w), 13) for w in particles.population.log_weights)
    return weights, tuple(map(_so_far, particles.runs))


def _so_far(run: Any) -> Hashable:
    """A run's trace, and whether it has ended."""
    ended = isinstance(run, Execution)
    newest = run.state.sites if ended else run.trace[0] if run.trace else None
    sites, cell = [], newest
    while cell is not None:
        cell, path, value = cell
        sites.append((path_of(path), value))
    weight = run.log_weight
    return ended, round(float(weight), 12) if weight > -float("inf") else weight, tuple(sites)


@dataclass(frozen=True)
class Steps:
    """The enumeration of one subject."""

    subject: Sequential
    model: Runnable
    names: Mapping[int, str]
    budget: Budget

    def begin(self) -> Any:
        return particles_of(self.subject.begin(self.model))

    def step(self, particles: Any, omega: Watched, t: int) -> Any:
        return particles_of(self.subject.step(particles, omega, t))

    def whole(self, omega: Watched) -> Any:
        """All steps on one tape."""
        particles = self.begin()
        for t in count():
            if not waits(particles):
                return particles
            particles = self.step(particles, omega, t)
        raise AssertionError("unreachable")

    def ends(self) -> Iterator[Outcome]:
        """Every population without waiting runs. Raises TooMany, Reused."""
        first = self.begin()
        level = {key_of(first): Merged(first, 1.0, (), 1.0, frozenset())}
        for t in count():
            later: dict[Hashable, Merged] = {}
            for state in level.values():
                if waits(state.particles):
                    self.advance(state, t, later)
                else:
                    yield Outcome(state.particles, state.probability, state.tape)
            if not later:
                return
            level = later

    def advance(self, state: Merged, t: int, later: dict[Hashable, Merged]) -> None:
        """One step from one population."""
        used: dict[tuple[int, ...], frozenset[Place]] = {}

        def run(omega: Watched) -> Any:
            after = self.step(state.particles, omega, t)
            for place, choice in omega.choices.items():
                if place in state.places:
                    raise omega.reused(choice)
            used[tuple(omega.tape.choices[: len(omega.tape.sizes)])] = frozenset(omega.choices)
            return after

        try:
            paths = list(outcomes(run, self.names, self.budget))
        except Reused as again:
            again.tape = state.tape + again.tape
            raise
        for path in paths:
            places = state.places | used[path.tape]
            p, likeliest = state.probability * path.probability, state.likeliest * path.probability
            new = Merged(path.value, p, state.tape + path.tape, likeliest, places)
            key = key_of(path.value)
            if (old := later.get(key)) is not None:
                best = new if new.likeliest > old.likeliest else old
                new = replace(best, probability=old.probability + p, places=old.places | places)
            later[key] = new

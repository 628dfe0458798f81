"""Executions of the machine with weights, as every method there makes them, and what its methods
share: how they tell of themselves, and how they are written down.

Executions are first run without recording names, which costs as much as the rest of a run. What is
drawn depends on keys and paths alone, so an execution is run again, recording, when its names are
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.semantics.machine import Execution, MachineKey
from ppl.target import Target

if TYPE_CHECKING:
    from ppl.inference.folder import Folder
    from ppl.inference.journal import Journal
    from ppl.semantics.machine.pickles import Pickles


@dataclass(frozen=True, eq=False)
class Runs:
    """Executions (chain after chain), and the log of each one's mass: together a measure, of this
    evidence if that is known. again(i): execution i once more, with its names recorded. waiting:
    where they can go on with more data."""

    executions: Sequence[Execution]
    log_weights: np.ndarray
    again: Callable[[int], Execution]
    evidence: float | None = None
    evidence_se: float | None = None
    exact: bool = False
    chains: int = 1
    stats: Mapping[str, np.ndarray] = field(default_factory=dict)
    waiting: Any = None
    #: what particles did at their points (see `Posterior.points`)
    points: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def named(self) -> Sequence[Execution]:
        """The executions, with names."""
        return [self.again(i) for i in range(len(self.executions))]


class Stopped(KeyboardInterrupt):
    """The user stopped a method. runs: what there is; made: how much of what was asked for."""

    def __init__(self, runs: Runs, made: str):
        self.runs, self.made = runs, made
        super().__init__("stopped by the user")


@dataclass(frozen=True, eq=False)
class Resumed:
    """Where runs are written down, and whether what is written is held in memory, too."""

    folder: Folder
    pickles: Pickles
    holds: bool = True

    def journal(self, name: str) -> Journal:
        from ppl.inference.journal import Journal

        return Journal.of(self.folder, self.pickles, name, holds=self.holds)


def watched(report: Any) -> Any:
    """What tells a bar, if there is one, how particles are."""
    if report is None:
        return None
    from ppl.inference.ancestry import shown

    def at(done: int, n: int, step: int, told: Any) -> None:
        if done % 100 == 0 or done == n:
            report(done, n, {"step": step, **shown(told, n)})

    return at


def data_of(target: Target, held: Resumed | None) -> Any:
    """A target's data; those that are in what is written down are the same objects."""
    return target.plain if held is None else held.pickles.data


def ended(program: Any, traces: Sequence[Any], population: Any, key: MachineKey, told: Any) -> Runs:
    """Particles that have ended, and what was told of their points."""
    from ppl.inference.ancestry import history

    return Runs(
        [t.execution for t in traces],
        np.asarray(population.log_weights) + np.log(len(traces)),
        lambda i: program.again(traces[i], key),
        float(population.log_mass),
        points=history(told),
    )

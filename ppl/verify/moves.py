"""Trials of kernels: an exact draw from the posterior, some steps from there, and where they lead.

If the posterior is invariant, as many moves lead into a set of states as out of it: for each set,
which way a move across its boundary goes is a fair coin. So nothing need be known of the posterior
but how to draw from it, and steps that stay where they are cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ppl.semantics.machine import MachineKey
from ppl.verify.contracts import Contract, Invariant, Reversible
from ppl.verify.evalues import CELLS
from ppl.verify.runnable import Law, Runnable
from ppl.verify.sequential import Undecided, seed_of
from ppl.verify.statistics import JOINT, Fair, Statistic, by_value, learned, numbers_of, readers_of
from ppl.verify.subjects import Kernel, execution_of, state_of

#: draws that are made beforehand, to choose sets of states
PILOT = 128
#: runs forward until one is accepted as a draw from the posterior
ATTEMPTS = 10_000

Numbers = Mapping[str, float]


def moves(
    subject: Kernel,
    model: Runnable,
    contract: Contract,
    law: Law | None,
    bound: float,
    steps: int,
    pilot: int,
) -> tuple[tuple[Statistic, ...], Callable[[int], Any]]:
    """Statistics of kernels, and the trial from a seed that they are of.

    bound: on the weight of the program's executions, where its law is not known.

    Raises:
        Undecided: by the trial, if the bound does not hold or no draws can be made.
    """
    assert isinstance(contract, (Invariant, Reversible))
    power = contract.temperature
    both_ways = isinstance(contract, Reversible)
    top = math.log(bound)
    if law is not None:
        top = max(e.log_weight for e in law.executions.values())

    def exact(seed: int) -> Any:
        return _draw(subject, model, top, power, seed)

    def run(seed: int) -> tuple[Any, Any]:
        before = after = exact(seed_of(seed, "start"))
        for i in range(steps):
            after = subject.run(model, after, MachineKey(seed_of(seed, "step", i)))
        return before, after

    if law is not None:
        masses = law.tempered(power)
        return _of_atoms(masses, both_ways), lambda seed: tuple(map(state_of, run(seed)))

    def numbers(state: Any) -> Numbers:
        """Sites, and the joint log density."""
        execution = execution_of(state)
        log = model.replay(execution.trace).log_weight
        return numbers_of(dict(execution.sites)) | {JOINT: log}

    first = [numbers(exact(seed_of(pilot, i))) for i in range(PILOT)]
    return _of_numbers(first, both_ways, pilot), lambda seed: tuple(map(numbers, run(seed)))


def _of_atoms(masses: Any, both_ways: bool) -> tuple[Statistic, ...]:
    cells, _ = by_value(masses)
    found: list[Statistic] = []
    for k, label in enumerate(cells.labels):

        def inside(t: Any, k: int = k) -> tuple[int, int]:
            return int(cells.of(t[0]) == k), int(cells.of(t[1]) == k)

        found.append(Fair("", ("elsewhere", label), inside))
    if both_ways:
        found.append(Fair("", cells.labels, lambda t: (cells.of(t[0]), cells.of(t[1]))))
    return tuple(found)


def _of_numbers(pilot: Sequence[Numbers], both_ways: bool, seed: int) -> tuple[Statistic, ...]:
    found: list[Statistic] = []
    readers = readers_of(pilot, seed)
    for name, read in readers.items():
        seen = [v for x in pilot if not math.isnan(v := read(x))]
        values = np.unique(seen)
        inner = np.quantile(seen, np.arange(1, CELLS) / CELLS) if len(values) >= CELLS else values
        for edge in np.unique(inner):

            def above(t: Any, read: Any = read, edge: float = edge) -> tuple[int, int]:
                return int(read(t[0]) > edge), int(read(t[1]) > edge)

            sides = (f"{name} <= {edge:.4g}, or not made", f"{name} > {edge:.4g}")
            found.append(Fair(name, sides, above))
        if both_ways:
            cells = learned(seen, name)

            def cell(t: Any, read: Any = read, cells: Any = cells) -> tuple[int, int]:
                return cells.of(read(t[0])), cells.of(read(t[1]))

            found.append(Fair(name, cells.labels, cell))
    return tuple(found)


def _draw(subject: Kernel, model: Runnable, top: float, power: float, seed: int) -> Any:
    """A state from the posterior, by rejection: a run forward, accepted by its weight."""
    for i in range(ATTEMPTS):
        key = MachineKey(seed_of(seed, i))
        state = model.run(key) if subject.begin is None else subject.begin(model, key)
        execution = execution_of(state)
        log = execution.log_weight
        if log > top + 1e-9:
            raise unbounded(math.exp(log), math.exp(top))
        if not execution.alive:
            continue
        chance = np.random.default_rng(seed_of(seed, i, "accept")).random()
        if math.log1p(-chance) < power * (log - top):
            return model.replay(execution.trace) if subject.begin is None else state
    raise Undecided(f"none of {ATTEMPTS:,} runs was accepted as a draw from the posterior")


def unbounded(weight: float, bound: float) -> Undecided:
    """The bound does not hold."""
    return Undecided(
        f"an execution of the program has weight {weight:.4g}, above the bound {bound:.4g}: "
        "state one that holds with `bound=`"
    )

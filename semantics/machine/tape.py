"""Finite tapes: every path of a finite program, run exactly once.

A tape is a sequence of choices among the options of each draw. A run beyond the end of its tape
takes the first option and records how many there were, each of which is a tape to run later;
nothing about the program is guessed. A draw with a single value is no choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.machine.state import Draw, State

if TYPE_CHECKING:
    from ppl.semantics.machine.machine import Machine
    from ppl.semantics.machine.result import Execution


class MachineTape:
    """A source of randomness that reads choices; `probability` is that of the choices read."""

    def __init__(self, choices: tuple[int, ...] = (), *, one: Any = 1.0):
        self.choices = list(choices)
        self.sizes: list[int] = []
        self.probability: Any = one

    def at(self, step: int, slot: int) -> MachineTape:
        """The same tape: its choices are read in the order in which they are made."""
        return self

    def begin(self, state: State) -> Draw:
        return self.draw

    def draw(self, path: int, family: Any, args: tuple[Any, ...]) -> Any:
        """The next choice, of the program's or of inference's."""
        options = family.support(*args)
        if len(options) == 1:
            return options[0][0]
        used = len(self.sizes)
        self.sizes.append(len(options))
        if used == len(self.choices):
            self.choices.append(0)
        value, p = options[self.choices[used]]
        self.probability = self.probability * p
        return value

    def mark(self) -> Any:
        return len(self.sizes), self.probability

    def restore(self, mark: Any) -> None:
        used, self.probability = mark
        del self.sizes[used:]


def explore(
    run: Callable[[Any], Any],
    *,
    limit: int,
    one: Any = 1.0,
    tape: Callable[[tuple[int, ...]], MachineTape] | None = None,
) -> list[Any]:
    """`run` on every tape, depth first; `tape` makes one of choices. Raises E807 if there are more
    than `limit`."""
    make = tape or (lambda choices: MachineTape(choices, one=one))
    out = []
    todo: list[tuple[int, ...]] = [()]
    while todo:
        prefix = todo.pop()
        read = make(prefix)
        out.append(run(read))
        for place in range(len(prefix), len(read.sizes)):
            before = tuple(read.choices[:place])
            todo += [(*before, k) for k in range(1, read.sizes[place])]
        if len(out) + len(todo) > limit:
            raise too_many_paths(limit)
    return out


def too_many_paths(limit: int) -> DiagnosticError:
    return fail(
        "E807",
        f"the program has more than {limit:,} paths, too many to run one by one",
        hint="use importance or smc, or let finite sites be summed out",
    )


@dataclass(frozen=True)
class Path:
    """One path: its execution, and the probability of its draws (a Fraction if rational)."""

    execution: Execution
    probability: Any

    @property
    def weight(self) -> Any:
        """The mass of the path: probability times the exponential of its log weight."""
        w = self.execution.log_weight
        if isinstance(self.probability, Fraction):
            return self.probability * w.of
        import math

        return self.probability * math.exp(w)


def enumerate_paths(
    machine: Machine,
    data: Any,
    *,
    limit: int = 1_000_000,
    rational: bool = False,
    fuel: int | None = 1_000_000,
    record: bool = True,
) -> list[Path]:
    """All paths of positive mass. Law: `Enumerates`.

    `fuel` bounds the steps of one path, if the machine has no limits of its own. With `rational`,
    weights are exact `Fraction`s, and results hold fractions for reals.

    Raises:
        DiagnosticError: E807, a site has infinitely many values or there are more than `limit`
            paths; E840, rational arithmetic does not suffice; E843, a path does not end.
    """
    bound = machine.bind(data, rational=rational)
    fuel = fuel if machine.budget is None else None

    def once(tape: MachineTape) -> Path:
        execution = machine.run(bound, tape, fuel=fuel, record=record, rational=rational)
        return Path(execution, tape.probability)

    paths = explore(once, limit=limit, one=Fraction(1) if rational else 1.0)
    return [p for p in paths if p.execution.alive]

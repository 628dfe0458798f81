"""Every outcome of the random choices of a program and of inference code, taken together.

Laws come from the machine's finite tapes (`explore`). A tape gives two choices at one place two
independent values, where a key would give both the same random number: so here each choice is
written down by its place, which is (step, slot, path), and none may be made twice.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.machine.paths import ROOT
from ppl.semantics.machine.state import Dead, Draw, State
from ppl.semantics.machine.tape import MachineTape, explore

Place = tuple[int, int, int]

#: runs by which the number of paths is estimated, and by how much the estimate may be too high
PROBES, SLACK = 16, 20


@dataclass(frozen=True)
class Choice:
    """One random choice of a path: where it was made, what it was, and how likely."""

    step: int
    slot: int
    name: str
    value: Any
    probability: float

    def __str__(self) -> str:
        where = f" (step {self.step}, slot {self.slot})" if self.step or self.slot else ""
        return f"{self.name}{where} = {shown(self.value)}, probability {self.probability:.6g}"


def shown(value: Any) -> str:
    """A value in a report."""
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


class Reused(Exception):
    """Two choices were made at one place: `choice` after `choices`, on a tape."""

    def __init__(self, choice: Choice, choices: tuple[Choice, ...], tape: tuple[int, ...]):
        self.choice, self.choices, self.tape = choice, choices, tape


class Watched:
    """A source of randomness that reads a tape and writes down what it read, in `choices`."""

    def __init__(
        self,
        tape: MachineTape,
        names: Mapping[int, str],
        choices: dict[Place, Choice] | None = None,
        step: int = 0,
        slot: int = 0,
    ):
        self.tape, self.names, self.step, self.slot = tape, names, step, slot
        self.choices: dict[Place, Choice] = {} if choices is None else choices

    def at(self, step: int, slot: int) -> Watched:
        """The source of particle or chain `slot` in step `step`."""
        return Watched(self.tape, self.names, self.choices, step, slot)

    def begin(self, state: State) -> Draw:
        return self._draw

    def draw(self, path: int, family: Any, args: tuple[Any, ...]) -> Any:
        """The next choice, of inference's own.

        Raises:
            Reused: there has been one at this place.
            DiagnosticError: E743, the arguments are not legal.
        """
        try:
            return self._draw(path, family, args)
        except Dead:
            raise fail(
                "E743",
                f"a choice from `{family.name}` has the arguments {args}",
                hint="a probability is a number between 0 and 1",
            ) from None

    def _draw(self, path: int, family: Any, args: tuple[Any, ...]) -> Any:
        tape = self.tape
        used, before = len(tape.sizes), tape.probability
        value = tape.draw(path, family, args)
        if len(tape.sizes) > used:  # with a single option nothing is random
            name = getattr(path, "name", None) or self.names.get(path, f"a draw of {family.name}")
            p = tape.probability / before if before else 0.0
            choice = Choice(self.step, self.slot, name, value, float(p))
            place = (self.step, self.slot, int(path))
            if place in self.choices:
                raise self.reused(choice)
            self.choices[place] = choice
        return value

    def reused(self, choice: Choice) -> Reused:
        """That there has been a choice at the place of this one."""
        read = tuple(self.tape.choices[: len(self.tape.sizes)])
        return Reused(choice, tuple(self.choices.values()), read)

    def mark(self) -> Any:
        return len(self.choices), self.tape.mark()

    def restore(self, mark: Any) -> None:
        size, tape = mark
        while len(self.choices) > size:
            self.choices.popitem()
        self.tape.restore(tape)


@dataclass(frozen=True)
class Outcome:
    """What one path gave, its probability, and its tape."""

    value: Any
    probability: float
    tape: tuple[int, ...]


@dataclass
class Budget:
    """Paths that may still be run, of all enumerations of a check together."""

    left: int
    used: int = 0

    def spend(self, paths: int) -> None:
        self.left, self.used = self.left - paths, self.used + paths


class TooMany(Exception):
    """More paths than the budget: `why` says so."""

    def __init__(self, why: str):
        self.why = why


def outcomes(
    run: Callable[[Watched], Any], names: Mapping[int, str], budget: Budget
) -> Iterator[Outcome]:
    """`run` on every tape.

    Raises:
        TooMany: there are, or by an estimate from a few paths must be, more paths than the budget.
        Reused: two choices were made at one place.
    """

    def once(tape: MachineTape) -> Outcome:
        first = not tape.choices
        value = run(Watched(tape, names))
        # as it would be if all paths were as long as the first
        if first and math.prod(tape.sizes) > budget.left:
            expected = estimate(run, names)
            if expected > SLACK * budget.left:
                raise TooMany(f"about {expected:.1g} paths, and {budget.left:,} may be run")
        return Outcome(value, float(tape.probability), tuple(tape.choices[: len(tape.sizes)]))

    try:
        found = explore(once, limit=budget.left)
    except DiagnosticError as error:
        if error.diagnostics[0].code != "E807" or "paths" not in error.diagnostics[0].message:
            raise
        raise TooMany(f"more than the {budget.left:,} paths that may be run") from None
    budget.spend(len(found))
    yield from found


def estimate(run: Callable[[Watched], Any], names: Mapping[int, str]) -> float:
    """The number of paths: the mean, over a few paths taken at random, of the product of the
    numbers of options on the way, which is unbiased.

    Knuth, "Estimating the efficiency of backtrack programs" (1975). Seeded: every call agrees.
    """
    chance, total = random.Random(ROOT), 0.0
    for _ in range(PROBES):
        tape, count = _Wandering(chance), 1.0
        run(Watched(tape, names))
        for size in tape.sizes:
            count *= size
        total += count
    return total / PROBES


class _Wandering(MachineTape):
    """A tape whose choices are made up, each option as likely, when they are read."""

    def __init__(self, chance: random.Random):
        super().__init__()
        self.chance = chance

    def draw(self, path: int, family: Any, args: tuple[Any, ...]) -> Any:
        options = family.support(*args)
        if len(options) > 1 and len(self.sizes) == len(self.choices):
            self.choices.append(self.chance.randrange(len(options)))
        return super().draw(path, family, args)


def replayed(run: Callable[[Watched], Any], names: Mapping[int, str], tape: tuple[int, ...]):
    """What a tape gives, and the choices on the way."""
    omega = Watched(MachineTape(tape), names)
    try:
        return run(omega), tuple(omega.choices.values())
    except Reused as again:
        return None, (*again.choices, again.choice)

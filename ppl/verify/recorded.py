"""A tape that writes down what is drawn where, for compiled code run operation by operation.

Once per check: the path, and the steps of the loops that were entered, make up the key that a draw
is made with, so that two draws of one place would be one and the same random number, which no tape
shows. And to replay: names and values of the choices that a tape stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics.omega import Path, Tape, TapeTooNarrow
from ppl.verify.tapes import Choice, Reused

#: (path, steps of loops)
Place = tuple[Path, tuple[int, ...]]


@dataclass(eq=False)
class Record:
    """What was drawn. `twice`: the first choice that was made where there had been one."""

    choices: list[Choice] = field(default_factory=list)
    places: set[Place] = field(default_factory=set)
    twice: tuple[Choice, int] | None = None


@partial(jax.tree_util.register_dataclass, data_fields=["tape"], meta_fields=["record", "steps"])
@dataclass(frozen=True)
class Recorded:
    """A tape, and what is read from it."""

    tape: Tape
    record: Record
    steps: tuple[int, ...] = ()

    def draw(
        self, path: Path, dist: Any, shape: tuple[int, ...], *, where: Any = None
    ) -> tuple[Recorded, Any]:
        before = self.tape
        tape, value = before.draw(path, dist, shape, where=where)
        self._write(path, before, tape, value)
        return replace(self, tape=tape), value

    def _write(self, path: Path, before: Tape, tape: Tape, value: Any) -> None:
        record, place = self.record, (path, self.steps)
        first, end = int(before.used), int(tape.used)
        if end > tape.choices.shape[-1]:
            raise _TooShort(end)
        values = np.asarray(value).reshape(end - first, -1) if end > first else ()
        name = "/".join(x for x in path if x)
        for k, (at, x) in enumerate(zip(range(first, end), values, strict=True)):
            row = np.asarray(tape.options[at])
            if np.sum(row > -np.inf) < 2:
                continue  # no choice
            p = float(np.exp(row[int(tape.choices[at])]))
            shown = x.item() if x.size == 1 else x.tolist()
            record.choices.append(Choice(self.steps[-1] if self.steps else 0, k, name, shown, p))
            if place in record.places and record.twice is None:
                record.twice = record.choices[-1], end
        record.places.add(place)

    def enter(self, t: Any) -> Recorded:
        return replace(self, steps=(*self.steps, int(t)))

    def leave(self, inner: Recorded) -> Recorded:
        return replace(self, tape=inner.tape)

    def foreign_key(self, path: Path) -> Any:
        return self.tape.foreign_key(path)

    @property
    def has_room(self) -> Any:
        return self.tape.has_room


def watched(run: Callable[[Any], Any]) -> None:
    """Run once. Raises Reused if two choices are made at one place."""
    _, record, tape = _eagerly(run, ())
    if record.twice is not None:
        choice, end = record.twice
        before = record.choices[: record.choices.index(choice)]
        raise Reused(choice, tuple(before), tape[:end])


def replayed(run: Callable[[Any], Any], tape: tuple[int, ...]) -> tuple[Any, tuple[Choice, ...]]:
    """What comes out on a tape, and the choices on the way."""
    out, record, _ = _eagerly(run, tape)
    return out, tuple(record.choices)


def _eagerly(
    run: Callable[[Any], Any], tape: tuple[int, ...], length: int = 64, width: int = 8
) -> tuple[Any, Record, tuple[int, ...]]:
    length = max(length, len(tape))
    while True:
        choices = np.zeros(length, np.int32)
        choices[: len(tape)] = tape
        record = Record()
        omega = Recorded(Tape.of(jnp.asarray(choices), width), record)
        try:
            with jax.disable_jit():
                out = run(omega)
        except TapeTooNarrow as wider:
            width = 1 << (wider.options - 1).bit_length()
            continue
        except _TooShort as longer:
            length = 2 * longer.args[0]
            continue
        return out, record, tuple(map(int, choices))


class _TooShort(Exception):
    """More choices than the tape has room for."""

"""Tapes for compiled code that know where choices are made.

The path of a draw, and the steps of the loops that were entered, make up the key that it is made
with: two draws of one place would be one and the same random number, which no tape shows.
`Guarded` tells while the code is traced, at no cost. `Recorded` runs it operation by operation, and
writes down names and values of the choices that a tape stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions.distribution import validation_enabled

from ppl.semantics.omega import Lane, Path, Tape, TapeTooNarrow, path_hash
from ppl.verify.tapes import Choice, Reused

#: (path, steps of loops)
Place = tuple[Path, tuple[int, ...]]


class Twice(Exception):
    """Two draws at one place, found while tracing: at this path."""

    def __init__(self, path: Path):
        self.path = path


@dataclass(eq=False)
class _Scope:
    """The body of a loop, or what is outside of all: the paths drawn at, and the trace it is of."""

    trace: Any
    paths: set[Path] = field(default_factory=set)

    @staticmethod
    def of(tape: Tape) -> _Scope:
        return _Scope(_trace_of(tape))


def _trace_of(tape: Tape) -> Any:
    """What is being traced: another one in the body of a loop. Choices vary from path to path."""
    return getattr(tape.choices, "_trace", None)


@partial(jax.tree_util.register_dataclass, data_fields=["tape"], meta_fields=["scope"])
@dataclass(frozen=True)
class Guarded:
    """A tape that raises Twice for a second draw at a place, while it is traced: at a path that
    there has been a draw at in this body, or in the body of a loop that was not entered."""

    tape: Tape
    scope: _Scope

    @staticmethod
    def of(tape: Tape) -> Guarded:
        return Guarded(tape, _Scope.of(tape))

    def draw(
        self, path: Path, dist: Any, shape: tuple[int, ...], *, where: Any = None
    ) -> tuple[Guarded, Any]:
        self._once(path)
        tape, value = self.tape.draw(path, dist, shape, where=where)
        return replace(self, tape=tape), value

    def _once(self, path: Path) -> None:
        if path in self.scope.paths or _trace_of(self.tape) is not self.scope.trace:
            raise Twice(path)
        self.scope.paths.add(path)

    def lanes(
        self, path: Path, f: Lane, xs: Any, *, at_once: int | None = None
    ) -> tuple[Guarded, Any, Any]:
        self._once(path)

        def lane(tape: Tape, x: Any) -> tuple[Tape, Any]:
            inner, out = f(Guarded.of(tape), x)
            return inner.tape, (tape.used[None], out)

        tape, (seeds, out) = jax.lax.scan(lane, self.tape, xs)
        return replace(self, tape=tape), seeds, out

    def again(self, seed: Any) -> Tape:
        return self.tape.again(seed)

    def enter(self, t: Any) -> Guarded:
        return Guarded.of(self.tape)

    def leave(self, inner: Guarded) -> Guarded:
        return replace(self, tape=inner.tape)

    def foreign_key(self, path: Path) -> Any:
        return self.tape.foreign_key(path)

    @property
    def has_room(self) -> Any:
        return self.tape.has_room


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

    def lanes(
        self, path: Path, f: Lane, xs: Any, *, at_once: int | None = None
    ) -> tuple[Recorded, Any, Any]:
        steps = (*self.steps, path_hash(path))

        def lane(tape: Tape, pair: Any) -> tuple[Tape, Any]:
            i, x = pair
            inner, out = f(replace(self, tape=tape, steps=(*steps, int(i))), x)
            return inner.tape, (tape.used[None], out)

        numbers = jnp.arange(jax.tree.leaves(xs)[0].shape[0])
        tape, (seeds, out) = jax.lax.scan(lane, self.tape, (numbers, xs))
        return replace(self, tape=tape), seeds, out

    def again(self, seed: Any) -> Tape:
        return self.tape.again(seed)

    def enter(self, t: Any) -> Recorded:
        return replace(self, steps=(*self.steps, int(t)))

    def leave(self, inner: Recorded) -> Recorded:
        return replace(self, tape=inner.tape)

    def foreign_key(self, path: Path) -> Any:
        return self.tape.foreign_key(path)

    @property
    def has_room(self) -> Any:
        return self.tape.has_room


def reused(run: Callable[[Any], Any], path: Path) -> Reused:
    """What there is to say of two draws at one place, one of which is at the path."""
    _, record, tape = _eagerly(run, ())
    if record.twice is None:
        return Reused(Choice(0, 0, "/".join(x for x in path if x), None, 1.0), (), ())
    choice, end = record.twice
    before = record.choices[: record.choices.index(choice)]
    return Reused(choice, tuple(before), tape[:end])


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
            # what is refused of concrete values is none of compiled code's
            with jax.disable_jit(), validation_enabled(is_validate=False):
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

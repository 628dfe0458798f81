"""Enumerate every path of a stochastic computation over a finite Ω, through its compiled code.

A path is a finite sequence of choices. Running a prefix records the options met beyond it, each of
which is a prefix to run next, so that every path of positive probability runs exactly once and no
support is guessed. The same compiled function is `vmap`ped over batches of tapes.

Law: `Enumerates`. The rows are all paths, each with its exact log-probability.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics.diagnostics import fail
from ppl.semantics.omega import Tape, TapeTooNarrow

#: random choices that one path may make: a program with more has more paths than can be run
CHOICES = 4096
#: batches are padded to one of these, so that few programs are compiled
BATCHES = (64, 4096)
#: bytes that a batch may give and record, beyond which smaller batches are run
MEMORY = 256 * 2**20
#: paths taken at random by which the number of all paths is estimated
PROBES = 64


#: for programs that are run a few times
_UNOPTIMISED = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@dataclass(frozen=True)
class Paths:
    """`outputs`: a tree of arrays led by the path; `log_probability` (paths,) of each path."""

    outputs: Any
    log_probability: np.ndarray


@dataclass(frozen=True)
class Batch:
    """Some of the paths: `outputs` and `log_probability` as of `Paths`, and the choices that each
    path takes, `tapes` (paths, length), of which `used` (paths,) are read."""

    outputs: Any
    log_probability: np.ndarray
    tapes: np.ndarray
    used: np.ndarray


class Enumerator:
    """`run(data, tape) -> (tree of arrays, tape)`, compiled once for each batch size.

    length, width: choices, and options of each, that there is room for at first; more make it
    compile again. memory: bytes that a batch may hold. quick: compile without optimising, for
    programs that are run once.
    """

    def __init__(
        self,
        run: Callable[[Any, Tape], tuple[Any, Tape]],
        *,
        length: int = 32,
        width: int = 4,
        batches: tuple[int, ...] = BATCHES,
        memory: int = MEMORY,
        quick: bool = False,
    ):
        self._run = run
        self._batches, self._memory = batches, memory
        self._options = _UNOPTIMISED if quick else None
        self._programs: dict[tuple[int, int], Callable[..., Any]] = {}
        self._length, self._width, self._bytes = length, width, 0

    def __call__(self, data: Any, *, limit: int = 1_000_000) -> Paths:
        """All paths. Raises E807 if there are more than `limit`."""
        found = list(self.batches(data, limit=limit))
        outputs = jax.tree.map(lambda *xs: np.concatenate(xs), *(b.outputs for b in found))
        return Paths(outputs, np.concatenate([b.log_probability for b in found]))

    def batches(self, data: Any, *, limit: int = 1_000_000) -> Iterator[Batch]:
        """All paths, each once, as many at a time as the memory allows.

        Raises:
            DiagnosticError: E807, there are more than `limit`.
        """
        todo = _Todo(np.zeros((1, 0), np.int32), np.zeros(1, np.int64))
        done = 0
        while len(todo.tapes):
            batch, rest = todo.split(self._most())
            try:
                found, more = self._advance(data, batch, limit)
            except TapeTooNarrow as wider:
                self._width = 1 << (wider.options - 1).bit_length()
                continue
            except _TapeTooShort as longer:
                self._length = 1 << (longer.needed - 1).bit_length()
                continue
            todo = rest.and_also(more)
            done += len(found.log_probability)
            if done + len(todo.tapes) > limit:
                raise fail(
                    "E807",
                    f"the program has more than {limit:,} paths, too many to run one by one",
                    hint="use importance or smc, or let finite sites be summed out",
                )
            yield found

    def expected(self, data: Any) -> float:
        """An estimate of the number of paths, from a few paths taken at random: the mean of the
        product of the numbers of options on the way, which is unbiased.

        Knuth, "Estimating the efficiency of backtrack programs" (1975). Seeded: every call agrees.
        """
        chance = np.random.default_rng(PROBES)
        tapes, ways = np.zeros((PROBES, 0), np.int32), np.ones(PROBES)
        place = 0
        while True:
            try:
                _, options, used, _ = self._call(data, tapes)
            except TapeTooNarrow as wider:
                self._width = 1 << (wider.options - 1).bit_length()
                continue
            except _TapeTooShort as longer:
                self._length = 1 << (longer.needed - 1).bit_length()
                continue
            if place >= used.max(initial=0) or place >= CHOICES:
                return float(ways.mean())
            possible = (options[:, place] > -np.inf) & (place < used)[:, None]
            count = possible.sum(axis=1)
            ways *= np.maximum(count, 1)
            which = (chance.random(PROBES) * count).astype(int)
            chosen = (np.cumsum(possible, axis=1) > which[:, None]).argmax(axis=1)
            tapes = np.concatenate([tapes, chosen[:, None].astype(np.int32)], axis=1)
            place += 1

    def _most(self) -> int:
        """How many paths may be run together."""
        each = self._length * self._width * 8 + self._bytes
        return max(1, min(self._batches[-1], self._memory // each))

    def _program(self) -> Callable[..., Any]:
        key = (self._length, self._width)
        if key not in self._programs:
            width = self._width

            def one(data: Any, choices: Any) -> Any:
                outputs, tape = self._run(data, Tape.of(choices, width))
                return outputs, tape.log_weight, tape.options, tape.used

            run = jax.vmap(one, in_axes=(None, 0))
            self._programs[key] = jax.jit(run, compiler_options=self._options)
        return self._programs[key]

    def _call(self, data: Any, tapes: np.ndarray) -> tuple[Any, ...]:
        """Outputs, options and numbers of choices used of every tape, and log-probabilities; tapes
        are padded to the length that there is room for. Raises _TapeTooShort, TapeTooNarrow."""
        n, length = tapes.shape
        size = next((b for b in self._batches if b >= n), n)
        padded = np.zeros((size, self._length), np.int32)
        padded[:n, :length], padded[n:, :length] = tapes, tapes[:1]
        outputs, log_p, options, used = self._program()(data, jnp.asarray(padded))
        log_p, options, used = (np.asarray(x)[:n] for x in (log_p, options, used))
        outputs = jax.tree.map(lambda x: np.asarray(x)[:n], outputs)
        self._bytes = sum(x.nbytes for x in jax.tree.leaves(outputs)) // n
        if used.max(initial=0) > self._length:
            raise _TapeTooShort(int(used.max()), options)
        return outputs, options, used, log_p

    def _advance(self, data: Any, batch: _Todo, limit: int) -> tuple[Batch, _Todo]:
        """The paths of the batch, and those that part from them beyond their prefixes."""
        try:
            outputs, options, used, log_p = self._call(data, batch.tapes)
        except _TapeTooShort as short:
            _refuse_endless(short.options, limit)
            raise
        tapes = np.zeros((len(batch.tapes), self._length), np.int32)
        tapes[:, : batch.tapes.shape[1]] = batch.tapes
        alive = log_p > -np.inf
        outputs = jax.tree.map(lambda x: x[alive], outputs)
        found = Batch(outputs, log_p[alive], tapes[alive], used[alive])
        return found, _Todo(*_extensions(tapes, batch.prefixes, options, used))


@dataclass(frozen=True)
class _Todo:
    """Tapes to run, and how much of each is prefix: (n, length) and (n,)."""

    tapes: np.ndarray
    prefixes: np.ndarray

    def split(self, n: int) -> tuple[_Todo, _Todo]:
        """The last n, and the rest."""
        return _Todo(self.tapes[-n:], self.prefixes[-n:]), _Todo(
            self.tapes[:-n], self.prefixes[:-n]
        )

    def and_also(self, other: _Todo) -> _Todo:
        length = max(self.tapes.shape[1], other.tapes.shape[1])
        tapes = np.zeros((len(self.tapes) + len(other.tapes), length), np.int32)
        tapes[: len(self.tapes), : self.tapes.shape[1]] = self.tapes
        tapes[len(self.tapes) :, : other.tapes.shape[1]] = other.tapes
        return _Todo(tapes, np.concatenate([self.prefixes, other.prefixes]))


def _refuse_endless(options: np.ndarray, limit: int) -> None:
    """Raise E807 if a path goes on and on: each choice on the way could have been another one."""
    choices = int(((options > -np.inf).sum(axis=2) > 1).sum(axis=1).max())
    if choices > min(limit, CHOICES):
        raise fail(
            "E807",
            f"a path of the program makes more than {min(limit, CHOICES):,} random choices, and "
            "there are more paths than choices on one, too many to run one by one",
            hint="does a loop or recursion have no bound? Give it one, or use importance",
        )


class _TapeTooShort(Exception):
    def __init__(self, needed: int, options: np.ndarray):
        self.needed, self.options = needed, options


def _extensions(
    tapes: np.ndarray, prefix: np.ndarray, options: np.ndarray, used: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The tapes that differ from a run at one place beyond its prefix, and agree before it.

    Beyond the first impossible choice nothing is met that can happen.
    """
    count, length = tapes.shape
    place = np.arange(length)
    chosen = np.take_along_axis(options, tapes[:, :, None], axis=2)[:, :, 0]
    possible = chosen > -np.inf
    reached = np.concatenate(
        [np.ones((count, 1), bool), np.cumprod(possible, axis=1)[:, :-1] > 0], 1
    )
    open_ = (place >= prefix[:, None]) & (place < used[:, None]) & reached
    other = (options > -np.inf) & open_[:, :, None]
    np.put_along_axis(other, tapes[:, :, None], False, axis=2)
    row, at, choice = np.nonzero(other)
    new = np.where(place[None, :] < at[:, None], tapes[row], 0).astype(tapes.dtype)
    new[np.arange(len(row)), at] = choice
    return new, at + 1

"""Enumerate every path of a stochastic computation over a finite Ω, through its compiled code.

A path is a finite sequence of choices. Running a prefix records the options met beyond it, each of
which is a prefix to run next, so that every path of positive probability runs exactly once and no
support is guessed. The same compiled function is `vmap`ped over batches of tapes.

Law: `Enumerates`. The rows are all paths, each with its exact log-probability.
"""

from __future__ import annotations

from collections.abc import Callable
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
BATCHES = (1, 64, 4096)


@dataclass(frozen=True)
class Paths:
    """`outputs`: a tree of arrays led by the path; `log_probability` (paths,) of each path."""

    outputs: Any
    log_probability: np.ndarray


class Enumerator:
    """`run(data, tape) -> (tree of arrays, tape)`, compiled once for each batch size.

    length: choices that there is room for at first; more make it compile again.
    """

    def __init__(
        self,
        run: Callable[[Any, Tape], tuple[Any, Tape]],
        *,
        length: int = 16,
        batches: tuple[int, ...] = BATCHES,
    ):
        self._run = run
        self._batches = batches
        self._programs: dict[tuple[int, int], Callable[..., Any]] = {}
        self._length, self._width = length, 4

    def __call__(self, data: Any, *, limit: int = 1_000_000) -> Paths:
        """All paths. Raises E807 if there are more than `limit`."""
        while True:
            try:
                return self._explore(data, limit)
            except TapeTooNarrow as more:
                self._width = 1 << (more.options - 1).bit_length()
            except _TapeTooShort as more:
                self._length = 1 << (more.needed - 1).bit_length()

    def _program(self, size: int) -> Callable[..., Any]:
        key = (self._length, self._width)
        if key not in self._programs:
            width = self._width

            def one(data: Any, choices: Any) -> Any:
                outputs, tape = self._run(data, Tape.of(choices, width))
                return outputs, tape.log_weight, tape.options, tape.used

            self._programs[key] = jax.jit(jax.vmap(one, in_axes=(None, 0)))
        return self._programs[key]

    def _explore(self, data: Any, limit: int) -> Paths:
        pending = [np.zeros((1, self._length), np.int32)]
        fixed = [np.zeros(1, np.int64)]  # how much of each tape is prefix
        waiting, done, rows, weights = 1, 0, [], []
        while waiting:
            tapes, lengths = np.concatenate(pending), np.concatenate(fixed)
            size = next((b for b in self._batches if b >= len(tapes)), self._batches[-1])
            batch, prefix = tapes[-size:], lengths[-size:]
            pending, fixed = [tapes[:-size]], [lengths[:-size]]
            padded = np.concatenate([batch, np.repeat(batch[:1], size - len(batch), 0)])
            outputs, log_p, options, used = self._program(size)(data, jnp.asarray(padded))
            count = len(batch)
            log_p, options, used = (np.asarray(x)[:count] for x in (log_p, options, used))
            if used.max(initial=0) > self._length:
                _refuse_endless(options, limit)
                raise _TapeTooShort(int(used.max()))
            alive = log_p > -np.inf
            done += int(alive.sum())
            rows.append(jax.tree.map(lambda x, k=alive, n=count: np.asarray(x)[:n][k], outputs))
            weights.append(log_p[alive])
            more, lengths_more = _extensions(batch, prefix, options, used)
            pending.append(more)
            fixed.append(lengths_more)
            waiting = len(pending[0]) + len(more)
            if done + waiting > limit:
                raise fail(
                    "E807",
                    f"the program has more than {limit:,} paths, too many to run one by one",
                    hint="use importance or smc, or let finite sites be summed out",
                )
        outputs = jax.tree.map(lambda *xs: np.concatenate(xs), *rows)
        return Paths(outputs, np.concatenate(weights))


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
    def __init__(self, needed: int):
        self.needed = needed


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

"""The sequential level: independent trials, watched by e-processes until they decide.

A trial draws all its randomness from its own seed, a hash of what is checked, the epoch, and the
trial's number: the same check gives the same verdict. The mean of the statistics' e-processes is an
e-process, so that under the law it ever reaches 1 / α with probability at most α. If it does, fresh
trials have to say so once more: a law that is kept is said to be broken with probability α².
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.semantics.diagnostics import fail
from ppl.verify import evalues
from ppl.verify.statistics import Statistic, Worst

#: the probability with which the smallest effect that a report names would have been seen, and how
#: many standard deviations that is
POWER, DEVIATIONS = 0.9, 1.2816
#: trials before the e-processes are looked at for the first time
FIRST = 64


@dataclass(frozen=True, kw_only=True)
class Plan:
    """alpha: of one stream of trials. trials: at most so many a stream. epoch: another one gives
    other seeds, as does every other check."""

    alpha: float = 1e-4
    trials: int = 2_000
    epoch: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise fail("E746", f"alpha = {self.alpha}: it is a probability, between 0 and 1")
        if self.trials < 1:
            raise fail("E746", f"trials = {self.trials}: there must be at least 1")


class Undecided(Exception):
    """Trials cannot tell: `args[0]` says why."""


@dataclass(frozen=True)
class Decision:
    """kept: whether the law is, None if that is not known. visible: the smallest difference that
    would have been seen with probability POWER."""

    kept: bool | None
    why: str
    trials: int
    log_evalue: float
    visible: float | None = None
    worst: Worst | None = None


def seed_of(*parts: Any) -> int:
    """64 bits of what a check is about; the same on every machine."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(_bytes(part) + b"\x1f")
    return int.from_bytes(digest.digest(), "big")


def _bytes(part: Any) -> bytes:
    if isinstance(part, Mapping):
        return b"{" + b",".join(_bytes(k) + _bytes(part[k]) for k in sorted(part, key=str)) + b"}"
    if isinstance(part, (list, tuple)):
        return b"[" + b",".join(map(_bytes, part)) + b"]"
    if hasattr(part, "tobytes") and hasattr(part, "shape"):
        array = np.ma.filled(np.ma.asarray(part).astype(object), None)
        return repr((array.shape, array.tolist())).encode()
    if callable(part):
        return f"{getattr(part, '__module__', '')}.{getattr(part, '__qualname__', '')}".encode()
    return repr(part).encode()


def decide(
    trial: Callable[[int], Any],
    statistics: Sequence[Statistic],
    plan: Plan,
    seed: int,
    *,
    first: int = FIRST,
) -> Decision:
    """Whether trials have the laws of all statistics; trial(seed) makes one. first: trials before
    the e-processes are looked at for the first time.

    Raises:
        Undecided: by a trial.
    """
    found = _stream(trial, statistics, plan, seed_of(seed, plan.epoch, "first"), first)
    if found.kept:
        return found
    again = _stream(trial, statistics, plan, seed_of(seed, plan.epoch, "again"), first)
    if again.kept:
        why = f"{found.trials:,} trials spoke against it, and {again.trials:,} fresh ones did not"
        return Decision(None, why, found.trials + again.trials, again.log_evalue)
    return again


def _stream(
    trial: Callable[[int], Any],
    statistics: Sequence[Statistic],
    plan: Plan,
    seed: int,
    first: int,
) -> Decision:
    rows: list[list[Any]] = [[] for _ in statistics]
    goal = min(first, plan.trials)
    while True:
        for i in range(len(rows[0]), goal):
            made = trial(seed_of(seed, i))
            for row, statistic in zip(rows, statistics, strict=True):
                row.append(statistic.read(made))
        arrays = [np.asarray(row) for row in rows]
        logs = np.stack([s.evidence(x) for s, x in zip(statistics, arrays, strict=True)])
        together = evalues.average(logs)
        at = evalues.crossing(together, plan.alpha)
        if at is not None:
            k = int(np.argmax(logs[:, at]))
            worst = statistics[k].worst(arrays[k][: at + 1])
            return Decision(False, "", at + 1, float(together[at]), worst=worst)
        if goal == plan.trials:
            break
        goal = min(2 * goal, plan.trials)
    needed = np.log(len(statistics) / plan.alpha)
    seen = [s.visible(x, needed, DEVIATIONS) for s, x in zip(statistics, arrays, strict=True)]
    return Decision(True, "", goal, float(together[-1]), visible=max(seen))

"""The cost of a filter is linear in its particles, up to a million, and in its steps.

Processor seconds for a particle and a step, of the larger filter over the smaller. A million
particles do not fit into the caches that a hundred thousand nearly do, and a binary search among
them takes 20 steps instead of 17, which the target allows for: a quadratic cost would be 10.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import process_time

from benchmarks.figures import Figure
from benchmarks.filter import data, ours
from benchmarks.timing import interleaved


@dataclass(frozen=True)
class Sizes:
    """(particles, steps) of two filters."""

    large: tuple[int, int]
    small: tuple[int, int]
    target: float
    rounds: int


SIZES = {
    "scaling/particles": Sizes((1_000_000, 40), (100_000, 40), 1.25, 3),
    "scaling/steps": Sizes((2_000, 8_000), (2_000, 1_000), 1.1, 5),
}
NAMES = tuple(SIZES)


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    for name, sizes in SIZES.items():
        if name in wanted:
            pairs = {"ours": sizes.large, "theirs": sizes.small}
            calls = {k: ours(data(steps), n) for k, (n, steps) in pairs.items()}
            seconds = interleaved(calls, rounds=sizes.rounds, clock=process_time)
            cost = {k: seconds[k] / (n * steps) * 1e9 for k, (n, steps) in pairs.items()}
            yield Figure(name, cost["ours"], cost["theirs"], sizes.target, "cpu ns")

"""Timing that survives a busy machine: contestants take turns, and the median round counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter


def interleaved(
    contestants: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warm_up: int = 1,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, float]:
    """Median seconds a call of each contestant, by the `clock`.

    Every round calls each once, in alternating order, so that whatever else the machine does falls
    on all of them alike. A contestant must wait for its own result (`jax.block_until_ready`).
    """
    for _ in range(warm_up):
        for call in contestants.values():
            call()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for i in range(rounds):
        order = list(contestants.items())
        for name, call in order if i % 2 == 0 else reversed(order):
            start = clock()
            call()
            seconds[name].append(clock() - start)
    return {name: median(times) for name, times in seconds.items()}

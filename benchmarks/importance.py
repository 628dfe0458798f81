"""Importance sampling with 1, 10 and 100 thousand samples of a random walk of 100 steps.

The cost of one sample must fall to a constant and memory be linear. So `ours` is the cost (or
memory) of one of 100 thousand samples, `theirs` of one of 10 thousand: their ratio may not grow.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.figures import Figure

NAMES = ("importance/cost-10k", "importance/cost-100k", "importance/memory")
TARGET = 1.1
MODEL = Path(__file__).parent / "models" / "walk.ppl"


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    counts = (1_000, 10_000, 100_000)
    run = _sampler()
    for n in counts:
        run(n)  # compile
    cost = {n: _cost(run, n) for n in counts}
    for name, larger, smaller in (
        ("importance/cost-10k", 10_000, 1_000),
        ("importance/cost-100k", 100_000, 10_000),
    ):
        if name in wanted:
            yield Figure(name, cost[larger] * 1e6, cost[smaller] * 1e6, TARGET, "us/sample")
    if "importance/memory" in wanted:
        large, small = (peak_memory(lambda n=n: run(n)) / n for n in (100_000, 10_000))
        yield Figure("importance/memory", large, small, TARGET, "B/sample")


def _sampler() -> Callable[[int], object]:
    import ppl

    rng = np.random.default_rng(20_250_827)
    y = np.cumsum(rng.normal(size=100) * 0.3) + rng.normal(size=100)
    target = ppl.load(str(MODEL)).walk(y=y)
    return lambda n: np.asarray(ppl.infer(target, ppl.importance(particles=n), seed=1).log_evidence)


def _cost(run: Callable[[int], object], n: int) -> float:
    """Median seconds a sample."""
    times = []
    for _ in range(3):
        start = perf_counter()
        run(n)
        times.append(perf_counter() - start)
    return median(times) / n


def peak_memory(call: Callable[[], object]) -> float:
    """Bytes that a call needs at its peak beyond what the process held before (Linux only).

    The allocator first returns what it hoards, and the kernel's high-water mark is set back.
    """
    if not sys.platform.startswith("linux"):
        raise RuntimeError("peak memory is read from /proc: run this figure on Linux")
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024

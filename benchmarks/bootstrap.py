"""The bootstrap filter of stochastic volatility, 1,000 steps, its parameters set, against the
package `particles`: at least five times as fast, at the same precision.

`particles` needs an older NumPy, and so gets an environment of its own in .cache when it is first
needed. Both filters resample systematically when the effective sample size is below half, in double
precision. Figures are processor seconds of one filter (`cpu s`), taken in turns, and both have one
core: `particles` uses no more, and where XLA divides loops between cores, that they then wait for
each other is no work done. The two must estimate the same evidence with the same variance.

Nanoseconds a particle and step at 10,000 (100,000: the same, up to a tenth), on one core of an EPYC
of 2017: random bits 7.6 and the normals made of them 15.5 in all; the score 5.5, of which its
exponential 5; weights relative to the largest 5; maximum, sum and sum of squares 1.8; resampling
and gathers, due at 13 % of the steps, 2.5 (19 where due). Together 30; in a scan by hand of the
same functions 32.6, as compiled from the model 35; `particles` takes 125 to 140. So a fifth of that
is out of reach while normals in double precision take a block of Threefry each.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
from scipy.stats import f, t

from benchmarks.figures import Figure
from benchmarks.filter import MODEL, STEPS, data

COUNTS = {"10k": 10_000, "100k": 100_000}
NAMES = tuple(f"bootstrap/{name}" for name in COUNTS)
TARGET = 1 / 5
PARTICLES = "0.4"
PARAMETERS = {"mu": -1.0, "phi": 0.95, "sigma": 0.3}
#: filters of each side, by which precision is compared, in so many turns
FILTERS, TURNS = {"10k": 16, "100k": 6}, 2
#: of finding two filters different that are not
FALSE_ALARM = 1e-6
CACHE = Path(__file__).parent.parent / ".cache" / "particles"

Run = tuple[float, float]  # processor seconds, log evidence


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    # XLA counts the cores when it starts
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, initializer=on_one_core) as process:
        for name in COUNTS:
            if f"bootstrap/{name}" in wanted:
                yield process.submit(figure, name).result()


def on_one_core() -> None:
    """Of those that this process, and those it starts, may use; where that can be asked for."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def figure(name: str) -> Figure:
    ys, n = data(STEPS), COUNTS[name]
    call, mine, other = ours(ys, n), [], []
    for turn in np.array_split(np.arange(1, 1 + FILTERS[name]), TURNS):
        mine += [call(int(seed)) for seed in turn]
        other += theirs(ys, n, turn.tolist())
    same_law(np.array([z for _, z in mine]), np.array([z for _, z in other]))
    seconds, their_seconds = (median(s for s, _ in side) for side in (mine, other))
    return Figure(f"bootstrap/{name}", seconds, their_seconds, TARGET, "cpu s")


def ours(ys: np.ndarray, n: int) -> Callable[[int], Run]:
    """A seed to one filter by `ppl.smc`, compiled already."""
    import ppl
    from ppl.inference.particles import run_particles
    from ppl.semantics.precision import precision

    target = ppl.load(str(MODEL)).volatility(ys=ys).do(PARAMETERS).sampler
    settings = ppl.smc(particles=n)

    def call(seed: int) -> Run:
        start = process_time()
        with precision("double"):
            found = run_particles(target.bound, target.data, settings, seed=seed, observe=_nothing)
        return process_time() - start, found.log_evidence

    call(0)
    return call


def _nothing(result: object, state: object) -> tuple[()]:
    return ()


def theirs(ys: np.ndarray, n: int, seeds: Sequence[int]) -> list[Run]:
    """A filter for each seed by `particles`, in a process of its own."""
    script = Path(__file__).parent / "their_filter.py"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(ys.tolist(), file)
        file.flush()
        command = [str(_python()), str(script), file.name, str(n), *map(str, seeds)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"the filter of `particles` failed:\n{done.stderr}")
    return [tuple(run) for run in json.loads(done.stdout.splitlines()[-1])]


def same_law(a: np.ndarray, b: np.ndarray) -> None:
    """Raise if two sets of estimates differ in mean or variance, as far as so few can tell."""
    va, vb = a.var(ddof=1), b.var(ddof=1)
    ratio = max(va, vb) / min(va, vb)
    apart = abs(a.mean() - b.mean()) / np.sqrt(va / len(a) + vb / len(b))
    free = min(len(a), len(b)) - 1
    if ratio > f.isf(FALSE_ALARM / 2, free, free) or apart > t.isf(FALSE_ALARM / 2, free):
        told = " and ".join(f"{x.mean():.3f} ± {x.std(ddof=1):.3f}" for x in (a, b))
        raise RuntimeError(f"the filters estimate {told}, which is not the same thing")


def _python() -> Path:
    """The interpreter that has `particles`; installed on first use."""
    python = CACHE / "bin" / "python"
    if not (CACHE / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(CACHE)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", f"particles=={PARTICLES}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"pip could not install particles {PARTICLES}:\n{done.stderr}")
        (CACHE / "installed").touch()
    return python

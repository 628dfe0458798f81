"""A bootstrap filter of stochastic volatility, 1,000 steps, against one written by hand.

By hand it is what an expert would write: one `lax.scan` whose carry is the particles and their log
weights, systematic resampling under a condition when the effective sample size is below half of
them. Both give the log evidence and keep no history. Memory is what compiled code takes, temporary
arrays and outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.figures import Figure
from benchmarks.timing import interleaved

COUNTS = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
NAMES = (*(f"filter/{name}" for name in COUNTS), "filter/memory")
TARGET = 1.05
STEPS = 1_000
MODEL = Path(__file__).parent / "models" / "volatility.ppl"


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    ys = data(STEPS)
    for name, n in COUNTS.items():
        if f"filter/{name}" in wanted:
            calls = {"ours": ours(ys, n), "theirs": by_hand(ys, n)}
            seconds = interleaved(calls, rounds=7 if n <= 10_000 else 3)
            yield Figure(f"filter/{name}", seconds["ours"], seconds["theirs"], TARGET, "s")
    if "filter/memory" in wanted:
        n = COUNTS["100k"]
        yield Figure("filter/memory", our_memory(ys, n), their_memory(ys, n), TARGET, "MB")


def data(steps: int) -> np.ndarray:
    rng = np.random.default_rng(20_250_828)
    h, out = -1.0, []
    for _ in range(steps):
        h = -1 + 0.95 * (h + 1) + 0.3 * rng.normal()
        out.append(np.exp(h / 2) * rng.normal())
    return np.array(out)


def ours(ys: np.ndarray, n: int) -> Callable[[], float]:
    """The log evidence by `ppl.smc`, without the draws."""
    import ppl
    from ppl.inference.particles import run_particles
    from ppl.semantics.precision import precision

    target = ppl.load(str(MODEL)).volatility(ys=ys).sampler

    def call() -> float:
        with precision("double"):
            settings = ppl.smc(particles=n)
            return run_particles(
                target.bound, target.data, settings, seed=1, observe=_nothing
            ).log_evidence

    return call


def our_memory(ys: np.ndarray, n: int) -> float:
    import ppl
    from ppl.inference.particles import program
    from ppl.semantics.precision import precision

    target = ppl.load(str(MODEL)).volatility(ys=ys).sampler
    with precision("double"):
        run = jax.jit(program(target.bound, ppl.smc(particles=n), _nothing))
        return megabytes(run.lower(target.data, 1))


def their_memory(ys: np.ndarray, n: int) -> float:
    with jax.enable_x64(True):
        return megabytes(hand_written(n).lower(jnp.asarray(ys), jax.random.key(1)))


def megabytes(lowered: Any) -> float:
    found = lowered.compile().memory_analysis()
    return (found.temp_size_in_bytes + found.output_size_in_bytes) / 1e6


def _nothing(result: object, state: object) -> tuple[()]:
    return ()


def by_hand(ys: np.ndarray, n: int) -> Callable[[], float]:
    run = hand_written(n)

    def call() -> float:
        with jax.enable_x64(True):
            return float(run(jnp.asarray(ys), jax.random.key(1)))

    return call


def hand_written(n: int) -> Any:
    """(ys, key) to the log evidence, compiled."""

    def systematic(key, w):
        points = (jnp.arange(n) + jax.random.uniform(key)) / n
        cumulative = jnp.cumsum(w)
        return jnp.searchsorted(cumulative / cumulative[-1], points, side="right")

    def step(carry, x):
        (mu, phi, sigma, h), log_w, key = carry
        y, t = x
        draw, choose = jax.random.split(jax.random.fold_in(key, t))
        h = mu + phi * (h - mu) + sigma * jax.random.normal(draw, (n,))
        log_w = log_w - 0.5 * (y * jnp.exp(-h / 2)) ** 2 - h / 2 - 0.5 * np.log(2 * np.pi)
        total = jax.nn.logsumexp(log_w)
        w = jnp.exp(log_w - total)
        particles = mu, phi, sigma, h

        def resample():
            a = jnp.minimum(systematic(choose, w), n - 1)
            return tuple(p[a] for p in particles), jnp.full(n, total - np.log(n))

        due = 1 / jnp.sum(w**2) < 0.5 * n
        particles, log_w = jax.lax.cond(due, resample, lambda: (particles, log_w))
        return (particles, log_w, key), None

    @jax.jit
    def run(ys, key):
        first, second, third, last = jax.random.split(key, 4)
        mu = -1 + jax.random.normal(first, (n,))
        phi = jax.random.uniform(second, (n,), minval=-1)
        sigma = 0.5 * jnp.abs(jax.random.normal(third, (n,)))
        h = mu + sigma * jax.random.normal(last, (n,))
        log_w = jnp.full(n, -np.log(n))
        steps = ys, jnp.arange(len(ys))
        (_, log_w, _), _ = jax.lax.scan(step, ((mu, phi, sigma, h), log_w, key), steps)
        return jax.nn.logsumexp(log_w)

    return run

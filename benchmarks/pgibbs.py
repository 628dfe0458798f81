"""Particle Gibbs with ancestor sampling of stochastic volatility, on the S&P 500's returns, against
one written by hand in JAX.

Both sweep the volatilities with 50 particles, and then take a random-walk step of the three
parameters given them. By hand: one `lax.scan` of conditional SMC that keeps states and ancestors,
one back, inside one over the draws; the ancestor of the retained particle by the density of its
next state. Figures are processor seconds of a sweep (`cpu ms`), in turns; the means of the
parameters over the later half must agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from benchmarks.figures import Figure
from benchmarks.filter import MODEL
from benchmarks.timing import interleaved

NAMES = ("pgibbs/sp500",)
TARGET = 1.1
PARTICLES, DRAWS, ROUNDS = 50, 2_000, 3
#: of the parameters' random walk, in free coordinates
SCALE = 0.15
#: standard errors by which the two may differ
APART = 6
DATA = Path(__file__).parent.parent / "examples" / "sp500" / "data.json"


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    ys = returns()
    calls = {"ours": ours(ys), "theirs": by_hand(ys)}
    same_means(*(call()[DRAWS // 2 :] for call in calls.values()))
    seconds = interleaved(calls, rounds=ROUNDS, warm_up=0, clock=process_time)
    mine, other = (seconds[k] / DRAWS * 1e3 for k in calls)
    yield Figure(NAMES[0], mine, other, TARGET, "cpu ms")


def returns() -> np.ndarray:
    """Daily, in per cent."""
    prices = json.loads(DATA.read_text())["closing_prices"]
    return 100 * np.diff(np.log(prices))


def same_means(a: np.ndarray, b: np.ndarray) -> None:
    """Raise if the means of two chains (draws, parameters) differ beyond their standard errors."""
    from ppl.convergence import convergence

    sizes = (convergence(x[None]).ess_bulk for x in (a, b))
    error = np.sqrt(sum(x.var(axis=0) / n for x, n in zip((a, b), sizes, strict=True)))
    if np.any(np.abs(a.mean(axis=0) - b.mean(axis=0)) > APART * error):
        raise RuntimeError(f"the chains find {a.mean(axis=0)} and {b.mean(axis=0)}, ± {error}")


def ours(ys: np.ndarray) -> Callable[[], np.ndarray]:
    """Draws of mu, phi and sigma by `ppl.pgibbs`, in free coordinates."""
    import ppl
    from ppl import kernels
    from ppl.inference.chains import run_chains
    from ppl.inference.kernels.xla.blocks import held_by
    from ppl.inference.kernels.xla.chain import chain_kernel
    from ppl.inference.schedule import Schedule
    from ppl.semantics.precision import precision
    from ppl.semantics.xla.mixed import mixed_density

    walk = kernels.random_walk(scale=SCALE, adapt=False).on("mu", "phi", "sigma")
    method = ppl.pgibbs(particles=PARTICLES, sites=("h0", "hs"), then=walk)
    target = ppl.load(str(MODEL)).volatility(ys=ys).sampler
    with precision("double"):
        density = mixed_density(target.bound, target.data, held_by(method.kernel))
        kernel = chain_kernel(density, method.kernel, 0, 1)
    plan = Schedule(0, DRAWS, 1, 1)

    def call() -> np.ndarray:
        with precision("double"):
            found = run_chains(density, kernel, target.data, plan, seed=1).position
        return np.stack([found[k][0] for k in ("mu", "phi", "sigma")], axis=1)

    return call


def by_hand(ys: np.ndarray) -> Callable[[], np.ndarray]:
    run = hand_written(ys)

    def call() -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(run(jnp.asarray(ys), jax.random.key(1)))

    return call


def hand_written(ys: np.ndarray) -> Any:
    """(ys, key) to the draws of the free parameters, compiled."""
    n, steps = PARTICLES, len(ys)

    def parameters(u: Any) -> Any:
        return u[0], 2 * jax.nn.sigmoid(u[1]) - 1, jnp.exp(u[2])

    def log_density(u: Any, path: Any, ys: Any) -> Any:
        """Of free parameters and (h0, h1, …), with the log Jacobian."""
        mu, phi, sigma = parameters(u)
        prior = norm.logpdf(mu, -1, 1) + jax.nn.log_sigmoid(u[1]) + jax.nn.log_sigmoid(-u[1])
        prior += np.log(2) + norm.logpdf(sigma, 0, 0.5) + u[2]
        first = norm.logpdf(path[0], mu, sigma)
        moves = norm.logpdf(path[1:], mu + phi * (path[:-1] - mu), sigma)
        seen = norm.logpdf(ys, 0, jnp.exp(path[1:] / 2))
        return prior + first + jnp.sum(moves) + jnp.sum(seen)

    def sweep(u: Any, path: Any, ys: Any, key: Any) -> Any:
        mu, phi, sigma = parameters(u)
        begin, key, end = jax.random.split(key, 3)
        h = (mu + sigma * jax.random.normal(begin, (n,))).at[0].set(path[0])

        def step(carry: Any, x: Any) -> Any:
            h, log_w = carry
            y, now, later, t = x
            draw, choose = jax.random.split(jax.random.fold_in(key, t))
            h = (mu + phi * (h - mu) + sigma * jax.random.normal(draw, (n,))).at[0].set(now)
            log_w = log_w + norm.logpdf(y, 0, jnp.exp(h / 2))
            total = jax.nn.logsumexp(log_w)
            w = jnp.exp(log_w - total)

            def resample() -> Any:
                ahead = norm.logpdf(later, mu + phi * (h - mu), sigma)
                ahead = jnp.where(t < steps - 1, ahead, 0.0)
                weights = jnp.stack([jax.nn.softmax(log_w + ahead), w])
                cumulative = jnp.cumsum(weights, axis=1)
                uniform = jax.random.uniform(choose, (n,))
                find = lambda c, u: jnp.searchsorted(c / c[-1], u, side="right")  # noqa: E731
                first = find(cumulative[0], uniform[:1])
                a = jnp.concatenate([first, find(cumulative[1], uniform[1:])])
                a = jnp.minimum(a, n - 1).astype(jnp.int32)
                return h[a], jnp.full(n, total - np.log(n)), a

            due = 1 / jnp.sum(w**2) < (1 - 1e-6) * n
            kept, log_w, a = jax.lax.cond(
                due, resample, lambda: (h, log_w, jnp.arange(n, dtype=jnp.int32))
            )
            return (kept, log_w), (h, a)

        later = jnp.append(path[2:], mu)
        xs = ys, path[1:], later, jnp.arange(steps)
        start = h
        (_, log_w), (hs, ancestors) = jax.lax.scan(step, (h, jnp.full(n, -np.log(n))), xs)
        k = jax.random.categorical(end, log_w).astype(jnp.int32)

        def back(k: Any, x: Any) -> Any:
            h, a = x
            return a[k], h[a[k]]

        k, found = jax.lax.scan(back, k, (hs, ancestors), reverse=True)
        return jnp.concatenate([start[k][None], found])

    @jax.jit
    def run(ys: Any, key: Any) -> Any:
        def one(carry: Any, i: Any) -> Any:
            u, path = carry
            first, second, third = jax.random.split(jax.random.fold_in(key, i), 3)
            path = sweep(u, path, ys, first)
            proposed = u + SCALE * jax.random.normal(second, (3,))
            ratio = log_density(proposed, path, ys) - log_density(u, path, ys)
            u = jnp.where(jnp.log(jax.random.uniform(third)) < ratio, proposed, u)
            return (u, path), u

        start = jnp.array([-0.5, 2.0, -1.0]), jnp.full(steps + 1, -0.5)
        return jax.lax.scan(one, start, jnp.arange(DRAWS))[1]

    return run

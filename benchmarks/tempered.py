"""Tempered SMC on eight schools and on a logistic regression, against BlackJAX's adaptive one.

Both choose temperatures by an effective sample size of half of the particles, resample
systematically, and move particles by HMC trajectories of a quarter turn whose mass comes from the
particles. BlackJAX is given densities written by hand, and a step size that suits a Gaussian of so
many coordinates; ours finds its own, with a pilot population that is part of its time.

A figure is the time in which the log evidence has a standard error of 0.1: seconds an estimate
times the variance of estimates over 0.01, which 64 of them tell to a fifth, 24 to a third.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import cauchy, norm

from benchmarks.figures import Figure
from benchmarks.problems import PROBLEMS
from benchmarks.timing import interleaved

TARGET = 1.0
MOVES = 2
ERROR = 0.1


@dataclass(frozen=True)
class Split:
    """A problem's density by hand, on flat coordinates: prior, likelihood, draws of the prior; and
    how many particles an estimate takes, and how many estimates are made."""

    size: int
    particles: int
    estimates: int
    log_prior: Callable[[Any], Any]
    log_likelihood: Callable[[Any, Any], Any]
    start: Callable[[Any, int], Any]


def _schools_start(key: Any, n: int) -> Any:
    mu, tau, z = jax.random.split(key, 3)
    tau = jnp.log(jnp.abs(jax.random.cauchy(tau, (n, 1))) * 5)
    return jnp.concatenate(
        [5 * jax.random.normal(mu, (n, 1)), tau, jax.random.normal(z, (n, 8))], axis=1
    )


def _schools_prior(u: Any) -> Any:
    tau = jnp.exp(u[1])
    scale = math.log(2) + cauchy.logpdf(tau, 0, 5) + u[1]
    return norm.logpdf(u[0], 0, 5) + scale + jnp.sum(norm.logpdf(u[2:]))


def _schools_likelihood(data: Any, u: Any) -> Any:
    return jnp.sum(norm.logpdf(data["y"], u[0] + jnp.exp(u[1]) * u[2:], data["sigma"]))


def _logistic_start(key: Any, n: int) -> Any:
    return jax.random.normal(key, (n, 26)) * jnp.asarray([5.0] + [1.0] * 25)


def _logistic_prior(u: Any) -> Any:
    return norm.logpdf(u[0], 0, 5) + jnp.sum(norm.logpdf(u[1:]))


def _logistic_likelihood(data: Any, u: Any) -> Any:
    logits = u[0] + data["x"] @ u[1:]
    return jnp.sum(jnp.where(data["y"], logits, 0.0) - jax.nn.softplus(logits))


SPLITS = {
    "eight_schools": Split(10, 1_000, 64, _schools_prior, _schools_likelihood, _schools_start),
    "logistic": Split(26, 100, 24, _logistic_prior, _logistic_likelihood, _logistic_start),
}
NAMES = tuple(f"tempered/{name}" for name in SPLITS)


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    for name in SPLITS:
        if f"tempered/{name}" in wanted:
            calls = {"ours": ours(name), "theirs": theirs(name)}
            variance = {k: float(np.var(call(), ddof=1)) for k, call in calls.items()}
            seconds = interleaved(calls, rounds=1, warm_up=0, clock=process_time)
            cost = {k: seconds[k] / SPLITS[name].estimates * variance[k] / ERROR**2 for k in calls}
            yield Figure(f"tempered/{name}", cost["ours"], cost["theirs"], TARGET, "cpu s")


def ours(name: str) -> Callable[[], np.ndarray]:
    """Independent estimates of the log evidence by `ppl.tempered_smc`."""
    import ppl
    from ppl.inference.populations import run_tempered
    from ppl.semantics.precision import precision

    problem = PROBLEMS[name]
    target = getattr(ppl.load(str(problem.source)), problem.name)(**problem.data)
    split = SPLITS[name]
    settings = ppl.tempered_smc(
        particles=split.particles, replicas=split.estimates, kernel="hmc", moves=MOVES
    )

    def call() -> np.ndarray:
        with precision("double"):
            return run_tempered(target.density, target.data, settings, seed=1).masses

    return call


def theirs(name: str) -> Callable[[], np.ndarray]:
    """Independent estimates of the log evidence by BlackJAX."""
    try:
        import blackjax
        from blackjax.smc import resampling
    except ImportError:
        raise SystemExit("the figure `tempered` needs BlackJAX: pip install blackjax") from None
    from ppl.semantics.precision import precision

    split, data = SPLITS[name], PROBLEMS[name].data
    step = 1.2 * split.size ** (-1 / 4)
    kernel = blackjax.hmc.build_kernel()
    leapfrogs = round(0.5 * math.pi / step)

    def move(key: Any, state: Any, log_density: Any, inverse_mass_matrix: Any) -> Any:
        return kernel(key, state, log_density, step, inverse_mass_matrix, leapfrogs)

    def variances(key: Any, state: Any, info: Any) -> dict[str, Any]:
        return {"inverse_mass_matrix": jnp.var(state.particles, axis=0)[None]}

    def estimate(key: Any, data: Any) -> Any:
        key, begin = jax.random.split(key)
        x = split.start(begin, split.particles)
        method = blackjax.inner_kernel_tuning(
            smc_algorithm=blackjax.adaptive_tempered_smc,
            logprior_fn=split.log_prior,
            loglikelihood_fn=lambda u: split.log_likelihood(data, u),
            mcmc_step_fn=move,
            mcmc_init_fn=blackjax.hmc.init,
            resampling_fn=resampling.systematic,
            mcmc_parameter_update_fn=variances,
            initial_parameter_value={"inverse_mass_matrix": jnp.var(x, axis=0)[None]},
            num_mcmc_steps=MOVES,
            target_ess=0.5,
        )

        def advance(carry: Any) -> Any:
            state, key, total = carry
            key, now = jax.random.split(key)
            state, info = method.step(now, state)
            return state, key, total + info.log_likelihood_increment

        start = (method.init(x), key, jnp.zeros(()))
        return jax.lax.while_loop(lambda c: c[0].sampler_state.tempering_param < 1, advance, start)[
            2
        ]

    run = jax.jit(lambda keys, data: jax.lax.map(lambda k: estimate(k, data), keys))

    def call() -> np.ndarray:
        with precision("double"):
            keys = jax.random.split(jax.random.key(1), split.estimates)
            return np.asarray(run(keys, dict(data)))

    return call

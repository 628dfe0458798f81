"""Three problems, each written three times: in the language, by hand in JAX, and in NumPyro.

The hand-written densities are what an expert would write for speed: on unconstrained coordinates,
fused, one matrix product, a forward recursion that keeps the largest term out of the exponential
and multiplies by the transition matrix. They include every constant and log-Jacobian, so that they
can be compared with the compiled ones exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from jax.scipy.special import gammaln, logsumexp

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Problem:
    """`by_hand(data, position)` is a log density; `numpyro_model` takes the data by name."""

    name: str
    data: Mapping[str, np.ndarray]
    by_hand: Callable[[Any, Any], jax.Array]
    numpyro_model: Callable[..., None]
    shapes: Mapping[str, tuple[int, ...]]
    """Of the unconstrained coordinates."""

    @property
    def source(self) -> Path:
        return MODELS / f"{self.name}.ppl"


def mode(problem: Problem, steps: int = 2_000) -> dict[str, jax.Array]:
    """A point near the mode on unconstrained coordinates, by Adam from near zero."""
    rng = np.random.default_rng(1)
    start = {k: 0.1 * rng.normal(size=s) for k, s in problem.shapes.items()}
    optimiser = optax.adam(0.02)

    def step(_: Any, carry: Any) -> Any:
        p, state = carry
        gradient = jax.grad(lambda p: -problem.by_hand(problem.data, p))(p)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(p, updates), state

    run = jax.jit(lambda p: jax.lax.fori_loop(0, steps, step, (p, optimiser.init(p)))[0])
    return run(jax.tree.map(jnp.asarray, start))


HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))


def _normal(z):
    return -0.5 * z * z - HALF_LOG_2PI


# --------------------------------------------------------------------------------- eight schools


def _eight_schools_by_hand(data, p):
    tau = jnp.exp(p["tau"])
    residual = (data["y"] - p["mu"] - tau * p["z"]) / data["sigma"]
    prior = _normal(p["mu"] / 5) - jnp.log(5.0)
    prior += jnp.log(2 / (5 * jnp.pi)) - jnp.log1p((tau / 5) ** 2) + p["tau"]
    return prior + jnp.sum(_normal(p["z"]) + _normal(residual) - jnp.log(data["sigma"]))


def _eight_schools_numpyro(y, sigma):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("school", len(y)):
        z = numpyro.sample("z", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(mu + tau * z, sigma), obs=y)


# ------------------------------------------------------------------------- logistic regression


def _logistic_by_hand(data, p):
    logits = p["intercept"] + data["x"] @ p["beta"]
    likelihood = jnp.sum(jnp.where(data["y"], logits, 0.0) - jax.nn.softplus(logits))
    prior = _normal(p["intercept"] / 5) - jnp.log(5.0) + jnp.sum(_normal(p["beta"]))
    return likelihood + prior


def _logistic_numpyro(x, y):
    intercept = numpyro.sample("intercept", dist.Normal(0, 5))
    beta = numpyro.sample("beta", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    with numpyro.plate("row", len(y)):
        numpyro.sample("y", dist.Bernoulli(logits=intercept + x @ beta), obs=y)


def _logistic_data(rows=1000, columns=25):
    rng = np.random.default_rng(20_250_825)
    x = rng.normal(size=(rows, columns))
    beta = rng.normal(size=columns) * 0.5
    y = rng.uniform(size=rows) < 1 / (1 + np.exp(-(0.3 + x @ beta)))
    return {"x": x, "y": y}


# --------------------------------------------------------------------------- hidden Markov model

_START = np.array([0.2, 0.3, 0.5])


def _stick_breaking(u):
    """Rows of k - 1 reals to rows on the simplex, and the log-Jacobian."""
    offset = jnp.log(jnp.arange(u.shape[-1], 0, -1.0))
    log_z, log_rest = -jax.nn.softplus(offset - u), -jax.nn.softplus(u - offset)
    left = jnp.cumsum(log_rest, axis=-1)
    before = jnp.concatenate([jnp.zeros_like(left[..., :1]), left[..., :-1]], axis=-1)
    log_theta = jnp.concatenate([before + log_z, left[..., -1:]], axis=-1)
    return log_theta, jnp.sum(before + log_z + log_rest)


def _hmm_by_hand(data, p):
    log_theta, jacobian = _stick_breaking(p["theta"])
    mu = p["mu"][0] + jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.exp(p["mu"][1:]))])
    jacobian += jnp.sum(p["mu"][1:]) + p["sigma"]
    sigma = jnp.exp(p["sigma"])
    prior = jnp.sum(log_theta) + 3 * gammaln(6.0)  # Dirichlet(2, 2, 2) in each row
    prior += jnp.sum(_normal(mu / 5)) - 3 * jnp.log(5.0)
    prior += _normal(sigma / 2) - jnp.log(2.0) + jnp.log(2.0)
    emission = _normal((data["y"][:, None] - mu) / sigma) - p["sigma"]
    theta = jnp.exp(log_theta)

    def step(forward, e):
        top = jax.lax.stop_gradient(jnp.max(forward))
        return jnp.log(jnp.exp(forward - top) @ theta) + top + e, None

    last, _ = jax.lax.scan(step, jnp.log(_START) + emission[0], emission[1:])
    return prior + jacobian + logsumexp(last)


def _hmm_numpyro(y):
    theta = numpyro.sample("theta", dist.Dirichlet(jnp.full(3, 2.0)).expand([3]).to_event(1))
    ordered = dist.ImproperUniform(dist.constraints.ordered_vector, (), (3,))
    mu = numpyro.sample("mu", ordered)
    numpyro.factor("mu_prior", dist.Normal(0, 5).log_prob(mu).sum())
    sigma = numpyro.sample("sigma", dist.HalfNormal(2))
    emission = dist.Normal(mu, sigma).log_prob(jnp.asarray(y)[:, None])
    log_theta = jnp.log(theta)

    def step(forward, e):
        return logsumexp(forward[:, None] + log_theta, axis=0) + e, None

    last, _ = jax.lax.scan(step, jnp.log(_START) + emission[0], emission[1:])
    numpyro.factor("y", logsumexp(last))


def _hmm_data(steps=500):
    rng = np.random.default_rng(20_250_826)
    theta = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]])
    z = [rng.choice(3, p=_START)]
    for _ in range(steps - 1):
        z.append(rng.choice(3, p=theta[z[-1]]))
    return {"y": rng.normal(np.array([-2.0, 0.5, 3.0])[z], 0.9)}


PROBLEMS = {
    "eight_schools": Problem(
        "eight_schools",
        {
            "y": np.array([28.0, 8, -3, 7, -1, 1, 18, 12]),
            "sigma": np.array([15.0, 10, 16, 11, 9, 11, 10, 18]),
        },
        _eight_schools_by_hand,
        _eight_schools_numpyro,
        {"mu": (), "tau": (), "z": (8,)},
    ),
    "logistic": Problem(
        "logistic",
        _logistic_data(),
        _logistic_by_hand,
        _logistic_numpyro,
        {"intercept": (), "beta": (25,)},
    ),
    "hmm": Problem(
        "hmm",
        _hmm_data(),
        _hmm_by_hand,
        _hmm_numpyro,
        {"theta": (3, 2), "mu": (3,), "sigma": ()},
    ),
}

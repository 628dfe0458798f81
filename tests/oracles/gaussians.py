"""Densities written by hand, whose moments and evidence are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from ppl.semantics.density import Density, SiteInfo

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[4.0, 1.8, -0.3], [1.8, 1.5, 0.2], [-0.3, 0.2, 0.25]])
LOG_MASS = -0.75


@dataclass
class Gaussian:
    """A correlated normal of mass exp(LOG_MASS) on a scalar `a` and a vector `b` of two.

    `traces` counts how often JAX traced its log density, that is, compiled something new.
    """

    density: Density
    data: dict[str, Any]
    traces: list[int]


def gaussian(key: str) -> Gaussian:
    traces = [0]

    def log_density(data: Any, position: Any) -> Any:
        traces[0] += 1
        x = jnp.concatenate([position["a"][None], position["b"]]) - data["mean"]
        return data["log_peak"] - 0.5 * x @ data["precision"] @ x

    sites = (SiteInfo("a", (), ()), SiteInfo("b", (2,), (2,)))
    density = Density(
        key,
        sites,
        log_density,
        lambda data, p, key: {"a": p["a"], "s": jnp.exp(p["b"])},
        log_density_no_jacobian=log_density,
    )
    log_peak = LOG_MASS - 0.5 * np.linalg.slogdet(2 * np.pi * COVARIANCE)[1]
    data = {"mean": MEAN, "precision": np.linalg.inv(COVARIANCE), "log_peak": log_peak}
    return Gaussian(density, data, traces)


NORMAL = gaussian("normal")


def vectors(position: Any) -> np.ndarray:
    """Positions of a `Gaussian` with leading axes as vectors (…, 3)."""
    return np.concatenate([np.asarray(position["a"])[..., None], position["b"]], -1)


def second_moments(x: np.ndarray) -> np.ndarray:
    """Centred first and second moments' terms (…, 9), whose expectations are 0 and COVARIANCE."""
    d = x - MEAN
    i, j = np.triu_indices(3)
    return np.concatenate([d, d[..., i] * d[..., j]], -1)


EXPECTED = np.concatenate([np.zeros(3), COVARIANCE[np.triu_indices(3)]])


def _funnel(data: Any, p: Any) -> Any:
    x, v = p["x"], p["v"]
    return -0.5 * (v / 3) ** 2 - 0.5 * jnp.sum(x**2) * jnp.exp(-v) - 9 * v / 2


FUNNEL = Density(
    "funnel",
    (SiteInfo("v", (), ()), SiteInfo("x", (9,), (9,))),
    _funnel,
    lambda data, p, key: dict(p),
)
"""Neal's funnel in ten dimensions, which no step size suits."""

"""Adaptation in warm-up: a scale towards an acceptance rate, and the spread of each coordinate.

Robbins-Monro recursions with steps that vanish (Andrieu and Thoms, "A tutorial on adaptive MCMC",
2008, algorithm 4; with the whole covariance or its diagonal).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

#: what is added to variances, which may be of one point
FLOOR = 1e-10


class Tuning(NamedTuple):
    """log_scale: of a step. mean (n,), variance (n,) or covariance (n, n): of the coordinates so
    far. steps: adapted."""

    log_scale: Any
    mean: Any
    variance: Any
    steps: Any

    @property
    def spread(self) -> Any:
        """The standard deviation of each coordinate of a step."""
        return jnp.exp(self.log_scale) * jnp.sqrt(self.variance)

    def spread_out(self, noise: Any) -> Any:
        """A step made of standard normal noise (n,)."""
        if self.variance.ndim == 1:
            return self.spread * noise
        return jnp.exp(self.log_scale) * (jnp.linalg.cholesky(self.variance) @ noise)


def begin_tuning(scale: float, x: Any, *, dense: bool = False) -> Tuning:
    log_scale = jnp.log(jnp.asarray(scale, jnp.result_type(float)))
    variance = jnp.eye(len(x), dtype=x.dtype) if dense else jnp.ones_like(x)
    return Tuning(log_scale, x, variance, jnp.zeros((), int))


def tune(tuning: Tuning, x: Any, accepted: Any, target: Any, adapting: Any) -> Tuning:
    """After a step that came to `x`, and would be accepted with probability `accepted`: the log
    scale moves by how far that is above its `target`."""
    rate = gain(tuning.steps)
    centred = x - tuning.mean
    if tuning.variance.ndim == 1:
        square = centred**2 + FLOOR
    else:
        square = jnp.outer(centred, centred) + FLOOR * jnp.eye(len(x))
    new = Tuning(
        tuning.log_scale + rate * (accepted - target),
        tuning.mean + rate * centred,
        tuning.variance + rate * (square - tuning.variance),
        tuning.steps + 1,
    )
    return Tuning(*(jnp.where(adapting, a, b) for a, b in zip(new, tuning, strict=True)))


def gain(steps: Any) -> Any:
    return (10.0 + steps) ** -0.6

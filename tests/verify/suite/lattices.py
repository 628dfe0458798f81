"""Slices on XLA, where the states of a finite program are the points of a line or of an ellipse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.kernels.xla import elliptical
from ppl.inference.kernels.xla.move import Target
from ppl.inference.kernels.xla.slice import slice_on_line
from ppl.semantics import distributions as D
from ppl.semantics.xla.mixed import mixed_density
from ppl.verify import Compiled
from ppl.verify.compiled import Lanes, Runs
from tests.oracles.lattice import WIDTH, OnLattice

#: widths that an interval is stepped out to at most
STEPS = 2
#: two points, and with them an ellipse
U, V = np.array([1.2, 0.3]), np.array([-0.4, 0.9])

#: (log masses (n,), state, source) -> (source, state, whether it is one)
Step = Callable[[Any, Any, Any], tuple[Any, Any, Any]]


def on_line(logs: Any, state: Any, source: Any) -> tuple[Any, Any, Any]:
    """Stepping out and shrinkage, between the first state and the last."""
    n = len(logs)

    def log_density(t: Any) -> Any:
        i = jnp.floor(state + t + 0.5).astype(int)
        return jnp.where((i >= 0) & (i < n), logs[jnp.clip(i, 0, n - 1)], -jnp.inf)

    points = jnp.arange(-n, n + 1.0)
    source = source(points, jnp.zeros(()))
    source, t, value = slice_on_line(
        log_density, logs[state], float(WIDTH), STEPS, source, ("", "slice")
    )
    after = jnp.clip(jnp.round(state + t).astype(int), 0, n - 1)
    return source, after, value == logs[after]


def on_ellipse(logs: Any, state: Any, source: Any) -> tuple[Any, Any, Any]:
    """Turns along an ellipse, round which the states stand."""
    n = len(logs)
    angles = 2 * np.pi * np.arange(n) / n
    circle = jnp.asarray(np.cos(angles)[:, None] * U + np.sin(angles)[:, None] * V)
    quarters = jnp.asarray(-np.sin(angles)[:, None] * U + np.cos(angles)[:, None] * V)

    def at(f: Any) -> tuple[Any, Any]:
        off = jnp.abs(circle - f).max(axis=1)
        return off.argmin(), off.min() < 1e-9

    turns = jnp.asarray(2 * np.pi * np.arange(-n, n + 1) / n)
    source = source(turns, quarters[state])
    source, f, _ = elliptical.turn(lambda f: logs[at(f)[0]], circle[state], source, ("", "ellipse"))
    after, found = at(f)
    return source, after, found


def kernel(step: Step) -> Callable[[Any], Compiled]:
    """One step from a draw of the posterior, over every state of the discrete choices."""

    def run(model: Lanes, omega: Any) -> Runs:
        density = mixed_density(model.bound, model.data, None)
        sizes = [range(s.options or 0) for s in density.discrete for _ in range(math.prod(s.shape))]
        states = jnp.asarray(list(itertools.product(*sizes)))
        target = Target(density, model.data)
        logs = jax.vmap(lambda k: target.log_density(jnp.zeros(0), k))(states)
        law = D.make("categorical", (jax.nn.softmax(logs),))
        omega, start = omega.draw(("", "start"), law, ())
        levels = logs - logs[start]
        source, after, found = step(
            logs, start, lambda lattice, noise: OnLattice(omega, levels, lattice, noise)
        )
        values = {k: v[None] for k, v in density.unflatten_discrete(states[after]).items()}
        return Runs(source.tape, values, jnp.where(found, jnp.zeros(1), -jnp.inf))

    return lambda program: Compiled(run)

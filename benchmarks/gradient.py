"""A log density and its gradient, ours against hand-written JAX, in double precision.

Both are evaluated many times inside one compiled loop, each time at a point that depends on the
last gradient, as a sampler does: dispatch from Python, which is the same for both, is no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.figures import Figure
from benchmarks.ours import density_of
from benchmarks.problems import PROBLEMS
from benchmarks.timing import interleaved

TARGET = 1.1
NAMES = tuple(f"gradient/{name}" for name in PROBLEMS)
EVALUATIONS = {"eight_schools": 20_000, "logistic": 500, "hmm": 500}


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    for name in wanted:
        problem = PROBLEMS[name.partition("/")[2]]
        n = EVALUATIONS[problem.name]
        with jax.enable_x64(True):
            density, data = density_of(problem)
            rng = np.random.default_rng(1)
            start = {s.path: 0.1 * rng.normal(size=s.unconstrained_shape) for s in density.sites}
            by_hand_data = jax.device_put({k: jnp.asarray(v) for k, v in problem.data.items()})
            ours = _loop(density.log_density, data, start, n)
            theirs = _loop(problem.by_hand, by_hand_data, start, n)
            _check(ours(), theirs(), name)
            seconds = interleaved({"ours": ours, "theirs": theirs}, rounds=21)
        yield Figure(name, seconds["ours"] / n * 1e6, seconds["theirs"] / n * 1e6, TARGET, "us")


def _loop(
    log_density: Callable[[Any, Any], Any], data: Any, start: Any, n: int
) -> Callable[[], Any]:
    """n gradient steps so small that the point hardly moves; the last value and point."""

    def program(data: Any, position: Any) -> Any:
        def step(_: Any, carry: Any) -> Any:
            total, position = carry
            value, gradient = jax.value_and_grad(log_density, argnums=1)(data, position)
            moved = jax.tree.map(lambda x, g: x + 1e-9 * g, position, gradient)
            return total + value, moved

        return jax.lax.fori_loop(0, n, step, (jnp.zeros(()), position))

    compiled = jax.jit(program).lower(data, start).compile()
    return lambda: jax.block_until_ready(compiled(data, start))


def _check(ours: Any, theirs: Any, name: str) -> None:
    """Both must have climbed the same way: the same density up to a constant."""
    for k in ours[1]:
        np.testing.assert_allclose(ours[1][k], theirs[1][k], rtol=1e-8, atol=1e-8, err_msg=name)

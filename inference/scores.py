"""Where draws of a program are in free coordinates, and the gradient of the log density there.

The values of choices are mapped back through the supports they had. A choice that a draw did not
make has a coordinate too, which the density gives a standard normal reference: it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import keys
from ppl.semantics.density import Density
from ppl.semantics.omega import Key
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.program import Bound, Data, particles

Array = Any


def scores(
    bound: Bound, density: Density, data: Data, sites: Mapping[str, Any], n: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Flat coordinates (n, size) of n draws, and the gradients of the log density there (n, size).

    `sites` are the values of choices by path, each led by the draw; `density` is that of `bound`.
    """
    position, gradient = _compiled(bound, density, n)(data, dict(sites), seed)
    return np.asarray(position), np.asarray(gradient)


@lru_cache(maxsize=64)
def _compiled(bound: Bound, density: Density, n: int) -> Callable[..., Any]:
    axis = particles(n)

    @jax.jit
    def run(data: Any, sites: Any, seed: Any) -> tuple[Array, Array]:
        given = {k: Arr(v, (axis,)) for k, v in sites.items()}
        position = bound.located(data, Key(keys.key(seed)), axis, given)

        def log_density(z: Array) -> Array:
            return density.log_density(data, density.unflatten(z))

        z = density.flatten(position)
        return z, jax.vmap(jax.grad(log_density))(jnp.asarray(z))

    return run

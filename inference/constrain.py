"""From positions to what the program names: constrained sites, kept values, the result.

Discrete sites that were summed out are drawn here, exactly, given the continuous ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from ppl.inference.chains import seed_words
from ppl.semantics.density import Density, Position
from ppl.semantics.precision import Precision, precision

BLOCK = 256
"""Draws a call; fixed, so that other numbers of draws run the same compiled program."""


@lru_cache(maxsize=64)
def _program(density: Density) -> Callable[..., Any]:
    def run(data: Any, vectors: Any, seed: Any, first: Any) -> Any:
        def one(vector: Any, i: Any) -> Any:
            key = jax.random.fold_in(seed, first + i)
            return density.constrain(data, density.unflatten(vector), key)

        return jax.vmap(one)(vectors, jax.numpy.arange(vectors.shape[0]))

    return jax.jit(run)


def constrain_draws(
    density: Density, data: Any, position: Position, *, seed: int, numbers: Precision | None = None
) -> dict[str, Any]:
    """The program's named values at positions with any leading axes, which the values get too.

    Arrays come back as NumPy arrays, closures and distributions as the pytrees they are. Draw i, in
    row-major order, uses the key fold_in(seed, i), whatever the number of draws.
    """
    with precision(numbers):
        site = density.sites[0]
        lead = np.shape(position[site.path])
        lead = lead[: len(lead) - len(site.unconstrained_shape)]
        vectors = np.concatenate(
            [np.reshape(position[s.path], (int(np.prod(lead)), -1)) for s in density.sites], -1
        )
        program, words, data = _program(density), seed_words(seed), jax.device_put(data)
        blocks = []
        for first in range(0, len(vectors), BLOCK):
            part = vectors[first : first + BLOCK]
            padding = np.repeat(part[-1:], BLOCK - len(part), axis=0)
            blocks.append(program(data, np.concatenate([part, padding]), words, first))
        blocks = jax.device_get(blocks)
        return jax.tree.map(
            lambda *parts: np.concatenate(parts)[: len(vectors)].reshape(
                (*lead, *parts[0].shape[1:])
            ),
            *blocks,
        )

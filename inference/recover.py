"""From draws of unconstrained coordinates to executions of the program.

At every draw the program is run again: constrained sites, kept values, the result. Discrete sites
that were summed out are drawn from their exact conditional law given the coordinates, so the law of
the executions is the posterior if that of the coordinates is its marginal. Contract: `Posterior`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax

from ppl.inference.blocks import joined, padded
from ppl.semantics import keys
from ppl.semantics.xla.program import CENTRED, Bound, Data, particles
from ppl.semantics.xla.state import SiteRule
from ppl.semantics.xla.values import RValue, spread_value

#: draws run together
BLOCK = 500

Observe = Callable[[RValue, Any], RValue]


def recover(
    bound: Bound,
    data: Data,
    position: Mapping[str, Any],
    n: int,
    *,
    seed: int,
    observe: Observe,
    free: SiteRule = CENTRED,
) -> RValue:
    """`observe(result, state)` of the execution at each of the n rows of `position`, whose
    coordinates are those of `free`, a rule for the sites that are not summed out."""
    run = recovering(bound, data, n, seed=seed, observe=observe, free=free)
    parts = [
        run(k, padded(dict(position), start, min(BLOCK, n)))
        for k, start in enumerate(range(0, n, BLOCK))
    ]
    return joined(parts, n)


def recovering(
    bound: Bound, data: Data, n: int, *, seed: int, observe: Observe, free: SiteRule = CENTRED
) -> Callable[[int, Mapping[str, Any]], RValue]:
    """The number of a block of `BLOCK` rows (of n, if they are fewer) and its positions to what is
    observed there."""
    run = compiled(bound, min(BLOCK, n), observe, free)
    return lambda k, position: run(data, position, seed, k)


@lru_cache(maxsize=64)
def compiled(bound: Bound, block: int, observe: Observe, free: SiteRule) -> Callable[..., Any]:
    """The program: data, positions of a block, the seed, and the block's number to what is
    observed."""
    axes = (particles(block),)

    @jax.jit
    def run(data: Any, position: Any, seed: Any, k: Any) -> Any:
        key = jax.random.fold_in(jax.random.fold_in(keys.key(seed), 0x5EED), k)
        result, state = bound.recover(data, position, key, axes, free=free)
        return spread_value(observe(result, state), axes)

    return run

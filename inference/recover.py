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
    block = min(BLOCK, n)
    run = _compiled(bound, block, observe, free)
    parts = [
        run(data, padded(dict(position), start, block), seed, start // block)
        for start in range(0, n, block)
    ]
    return joined(parts, n)


@lru_cache(maxsize=64)
def _compiled(bound: Bound, block: int, observe: Observe, free: SiteRule) -> Callable[..., Any]:
    axes = (particles(block),)

    @jax.jit
    def run(data: Any, position: Any, seed: Any, k: Any) -> Any:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 0x5EED), k)
        result, state = bound.recover(data, position, key, axes, free=free)
        return spread_value(observe(result, state), axes)

    return run

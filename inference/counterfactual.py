"""From executions to what they would have been under interventions.

Each execution runs again with the noise of its choices and some names set. Law: if the executions
have the law of the posterior, these have the counterfactual law given the same evidence, for the
noise maps of the families (Pearl, Causality, 2009, theorem 7.1.7: abduction, action, prediction).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax

from ppl.inference.blocks import joined, padded
from ppl.inference.recover import BLOCK, Observe
from ppl.semantics import keys
from ppl.semantics.omega import Key
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.fixed import Fixed
from ppl.semantics.xla.program import Bound, Data, particles
from ppl.semantics.xla.twin import for_imagined, imagine
from ppl.semantics.xla.values import RValue, spread_value


def imagined(
    bound: Bound,
    data: Data,
    sites: Mapping[str, Any],
    n: int,
    fixed: tuple[Fixed, ...],
    values: Data,
    *,
    seed: int,
    observe: Observe,
) -> RValue:
    """`observe(result, state)` of the n executions with these choices (n rows each), had the names
    in `fixed` been set to `values`."""
    block = min(BLOCK, n)
    run = _compiled(bound, block, fixed, observe)
    everything = {**data, **for_imagined(values)}
    parts = [
        run(everything, padded(dict(sites), start, block), seed, start // block)
        for start in range(0, n, block)
    ]
    return joined(parts, n)


@lru_cache(maxsize=64)
def _compiled(bound: Bound, block: int, fixed: tuple[Fixed, ...], observe: Observe) -> Any:
    axes = (particles(block),)

    @jax.jit
    def run(data: Any, sites: Any, seed: Any, k: Any) -> Any:
        key = jax.random.fold_in(jax.random.fold_in(keys.key(seed), 0xCF), k)
        given = {name: Arr(v, axes) for name, v in sites.items()}
        result, state = imagine(bound, data, given, Key(key), axes, fixed)
        return spread_value(observe(result, state), axes)

    return run

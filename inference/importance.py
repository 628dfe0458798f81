"""Importance sampling from the prior: run forward, weight by the scores.

Law: `ProperlyWeighted`. E[(1/N) Σ w_i f(x_i)] is the integral of f under the program's measure, so
the mean weight is an unbiased estimate of the evidence. Blocks of samples are shared by the
devices; a seed gives the same samples on one or many.

Owen, Monte Carlo theory, methods and examples, 2013, chapter 9.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from ppl.inference.blocks import joined
from ppl.inference.checkpoint import Checkpoint, Place
from ppl.inference.weighted import Importance
from ppl.semantics import keys
from ppl.semantics.omega import Key
from ppl.semantics.processes import fetched
from ppl.semantics.weighted import Weighted
from ppl.semantics.xla.program import Bound, Data, particles
from ppl.semantics.xla.steps import check_room, with_room
from ppl.semantics.xla.values import RValue, spread_value

#: most lanes that are drawn together: results depend on N and the seed alone
BLOCK = 4096
#: blocks run by one call of compiled code, between reports of progress
BLOCKS_A_CALL = 32

Progress = Callable[[int, int, dict[str, Any]], None]


def run_importance(
    bound: Bound,
    data: Data,
    settings: Importance,
    *,
    seed: int,
    observe: Callable[[RValue, Any], RValue],
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Weighted:
    """N weighted draws. `observe(result, state)` picks what of each run to return. With a
    `checkpoint` the blocks that an earlier process made are not made again.

    Raises E801 if a site has no sampler, E898 if the checkpoint is of another run.
    """
    n = settings.particles
    return with_room(bound, lambda b: _run(b, data, n, seed, observe, checkpoint, progress))


def _run(
    bound: Bound,
    data: Data,
    n: int,
    seed: int,
    observe: Callable[[RValue, Any], RValue],
    checkpoint: Checkpoint | None,
    progress: Progress | None,
) -> Weighted:
    blocks = -(-n // BLOCK)
    block = -(-n // blocks)  # equal blocks: the last one is hardly padded
    devices = min(jax.device_count(), blocks)
    if jax.process_count() > 1 and devices < jax.device_count():
        devices = 1  # every process makes all of them
    call = _compiled(bound, block, devices, observe)
    turn = -(-BLOCKS_A_CALL // devices) * devices
    saved = checkpoint and checkpoint.begin(precision=str(jnp.result_type(float)), devices=devices)
    saved = saved and saved.part(bound.rooms)
    place = saved and saved.load(0, ())
    made: list[Any] = list(place.blocks) if place else []
    parts = []
    for k, start in enumerate(range(0, blocks, turn)):
        count = -(-min(turn, blocks - start) // devices) * devices  # as many for every device
        numbers = np.arange(start, start + count)
        if k < len(made):
            form = jax.tree.structure(jax.eval_shape(call, data, seed, numbers))
            parts.append(jax.tree.unflatten(form, [made[k][str(i)] for i in range(len(made[k]))]))
        else:
            parts.append(fetched(call(data, seed, numbers)))
        check_room(parts[-1], bound)
        if saved is not None and k >= len(made):
            leaves = enumerate(jax.tree.leaves(parts[-1]))
            made.append({str(i): np.asarray(x) for i, x in leaves})
            last = start + turn >= blocks
            saved.save(0, Place(0, k + 1, (), made), full=True, now=last)
        if progress is not None:
            progress(min(n, (start + count) * block), n, {})
    values = joined([v for v, _ in parts], n, nested=True)
    weights = np.concatenate([np.asarray(w).reshape(-1) for _, w in parts])[:n]
    return Weighted(values, weights)


@lru_cache(maxsize=64)
def _compiled(
    bound: Bound, block: int, devices: int, observe: Callable[[RValue, Any], RValue]
) -> Callable[..., Any]:
    """Blocks by their numbers, an equal share of them on each of the devices."""
    axes = (particles(block),)

    def one_block(data: Data, seed: Any, k: Any) -> tuple[RValue, Any]:
        omega = Key(jax.random.fold_in(keys.key(seed), k))
        result, log_weight, state = bound.forward(data, omega, axes)
        return spread_value(observe(result, state), axes), log_weight.data

    def run(data: Data, seed: Any, numbers: Any) -> tuple[RValue, Any]:
        return jax.lax.map(lambda k: one_block(data, seed, k), numbers)

    if devices == 1:
        return jax.jit(run)
    mesh = Mesh(np.array(jax.devices()[:devices]), ("block",))
    whole, shares = PartitionSpec(), PartitionSpec("block")
    shared = jax.shard_map(
        run, mesh=mesh, in_specs=(whole, whole, shares), out_specs=shares, check_vma=False
    )
    return jax.jit(shared)

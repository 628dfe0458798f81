"""Markov kernels on flat positions, and the compiled programs that start and step their chains."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.initialise import (
    find_point,
    find_point_from_prior,
    is_usable,
    point_at,
)
from ppl.semantics import keys
from ppl.semantics.density import Density


@dataclass(frozen=True)
class Kernel:
    """A Markov kernel on flat positions, with whatever it carries and adapts as its state.

    Pure functions that JAX can trace; equal when `key` is, so that compiled programs are found
    again.
    """

    key: Hashable
    begin: Callable[[Any, Any, Any], Any] = field(compare=False)
    """(data, point, key) to a state; the point is a `Point`, or what `find` found."""
    step: Callable[[Any, Any], Any] = field(compare=False)
    """(data, state) to the next state."""
    read: Callable[[Any], tuple[Any, dict[str, Any]]] = field(compare=False)
    """A state's flat position, and scalars to keep with each draw."""
    find: Callable[[Any, Any], Any] | None = field(default=None, compare=False)
    """(data, key) to what `begin` takes for a point, and whether it is usable; by default a point
    of finite density and gradient."""


class StepPrograms(NamedTuple):
    start: Callable[..., Any]
    start_from_prior: Callable[..., Any]
    start_at: Callable[..., Any]
    advance: Callable[..., Any]


@lru_cache(maxsize=64)
def step_programs(density: Density, kernel: Kernel, mode: str) -> StepPrograms:
    """Compiled by `jax.jit` when first called; per chain in `loop` mode, for all otherwise."""

    def begin(data: Any, found: Any, key: Any) -> Any:
        """The state, what a record of it holds, and whether it is a state to start from."""
        point, ok = found
        state = kernel.begin(data, point, jax.random.fold_in(key, 1))
        return _strong((state, record_of(state), ok))

    def record_of(state: Any) -> dict[str, Any]:
        z, stats = kernel.read(state)
        return {"z": z, **stats}

    def start(data: Any, seed: Any, chain: Any) -> Any:
        key = jax.random.fold_in(keys.rolled(seed), chain)
        first = jax.random.fold_in(key, 0)
        found = kernel.find(data, first) if kernel.find else find_point(density, data, first)
        return begin(data, found, key)

    def start_from_prior(data: Any, seed: Any, chain: Any) -> Any:
        key = jax.random.fold_in(keys.rolled(seed), chain)
        return begin(data, find_point_from_prior(density, data, jax.random.fold_in(key, 2)), key)

    def start_at(data: Any, seed: Any, chain: Any, z: Any) -> Any:
        point = point_at(density, data, z)
        return begin(data, (point, is_usable(point)), jax.random.fold_in(keys.rolled(seed), chain))

    def advance(data: Any, state: Any, record: Any, slot: Any, steps: Any, thin: Any) -> Any:
        """`steps` times `thin` steps; each thin-th state goes into `record` from `slot` on."""

        def one(i: Any, carry: Any) -> Any:
            state, record = carry
            state = jax.lax.fori_loop(0, thin, lambda _, s: _strong(kernel.step(data, s)), state)
            write = jax.lax.dynamic_update_index_in_dim
            return state, jax.tree.map(
                lambda buffer, value: write(buffer, value, slot + i, 0), record, record_of(state)
            )

        return jax.lax.fori_loop(0, steps, one, (state, record))

    programs: list[Callable[..., Any]] = [start, start_from_prior, start_at, advance]
    begun = (None, None, 0)
    by_chain = [begun, begun, (*begun, 0), (None, 0, 0, None, None, None)]
    if mode != "loop":
        programs = [jax.vmap(f, axes) for f, axes in zip(programs, by_chain, strict=True)]
    if mode == "devices":
        from jax.sharding import Mesh, PartitionSpec

        whole, shared = PartitionSpec(), PartitionSpec("chain")
        programs = [
            jax.shard_map(
                f,
                mesh=Mesh(np.array(jax.devices()), ("chain",)),
                in_specs=tuple(whole if axis is None else shared for axis in axes),
                out_specs=shared,
                check_vma=False,
            )
            for f, axes in zip(programs, by_chain, strict=True)
        ]
    return StepPrograms(*map(jax.jit, programs))


def _strong(tree: Any) -> Any:
    """Without weak types, which would make the second call compile again."""
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, jnp.asarray(x).dtype), tree)

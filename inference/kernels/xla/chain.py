"""A kernel of the algebra as a chain that the compiled loop runs: where it starts, and its steps.

Law: `Invariant` of every step once warm-up is over. Step t of a chain draws from the source
fold_in(key, t).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ppl.inference.initialise import ATTEMPTS, RADIUS
from ppl.inference.kernels.algebra import Kernel, basic_kernels
from ppl.inference.kernels.basic import HmcMove, Mala, NutsMove
from ppl.inference.kernels.flat import Kernel as FlatKernel
from ppl.inference.kernels.xla.blocks import names_of, share_moved
from ppl.inference.kernels.xla.compose import compose
from ppl.inference.kernels.xla.move import Point, Target, rate_of, real
from ppl.semantics import keys
from ppl.semantics.mixed import MixedDensity
from ppl.semantics.omega import Key

#: sites whose moves are told one by one, at most
NAMED = 50


class ChainState(NamedTuple):
    """stats: sums since the last draw that was kept, each with how often it was told. key: its
    words."""

    point: Point
    tuned: Any
    stats: dict[str, tuple[Any, Any]]
    t: Any
    key: Any


def chain_kernel(density: MixedDensity, kernel: Kernel, warmup: int, thin: int = 1) -> FlatKernel:
    """The kernel's chain, every `thin`-th of whose points is kept after `warmup`; raises what
    `compose` raises."""
    move = compose(kernel, density, warmup)
    rated = [name for name in move.stats if name.startswith(rate_of(""))]
    names = [rate_of(path) for path in names_of(density)]
    sites = [name for name in names if name not in rated][:NAMED] if len(names) > 1 else []
    follows = any(isinstance(k, Mala | HmcMove | NutsMove) for k in basic_kernels(kernel))

    def begin(data: Any, point: Point, key: Any) -> ChainState:
        tuned = move.begin(Target(density, data), point)
        nothing = {name: (jnp.zeros(()), jnp.zeros((), int)) for name in (*move.stats, *sites)}
        return ChainState(point, tuned, nothing, jnp.zeros((), int), keys.words(key))

    def step(data: Any, state: ChainState) -> ChainState:
        omega = Key(jax.random.fold_in(keys.wrap(state.key), state.t))
        target, adapting = Target(density, data), state.t < warmup
        point, tuned, _, stats = move.step(target, state.point, state.tuned, omega, adapting)
        moved = share_moved(density, state.point, point)
        stats = {**stats, **{rate_of(k): v for k, v in moved.items() if rate_of(k) in sites}}
        anew = adapting | ((state.t - warmup) % thin == 0)
        told = {
            name: _told(past, stats[name], anew | (name not in (*rated, *sites, "diverging")))
            for name, past in state.stats.items()
        }
        return ChainState(point, tuned, told, state.t + 1, state.key)

    def read(state: ChainState) -> tuple[Any, dict[str, Any]]:
        mean = {k: total / times for k, (total, times) in state.stats.items()}
        if "diverging" in mean:
            mean["diverging"] = mean["diverging"] > 0
        rate = jnp.nanmean(jnp.stack([mean[name] for name in rated]))
        told = {k: v for k, v in mean.items() if k not in rated or len(rated) > 1}
        point = state.point
        return point.z, {"k": point.k, "lp": point.log_density, "acceptance_rate": rate, **told}

    def find(data: Any, key: Any) -> tuple[Point, Any]:
        return find_point(Target(density, data), key, differentiable=follows)

    return FlatKernel((density.key, kernel, warmup, thin), begin, step, read, find)


def _told(past: tuple[Any, Any], value: Any, anew: Any) -> tuple[Any, Any]:
    """The sum of a statistic, and how often it was told: it is NaN where its kernel was not run."""
    value = real(value)
    missing = jnp.isnan(value)
    total, times = (jnp.where(anew, 0, x) for x in past)
    return total + jnp.where(missing, 0.0, value), times + ~missing


def find_point(target: Target, key: Any, *, differentiable: bool) -> tuple[Point, Any]:
    """The first candidate of finite log density (and gradient), and whether there was one.

    Free coordinates are uniform on (-r, r), r shrinking as in `initialise`; discrete sites are
    drawn from their laws given these.
    """
    density = target.density

    def candidate(i: Any) -> tuple[Point, Any]:
        own = jax.random.fold_in(key, i)
        late = jnp.maximum(i - ATTEMPTS // 4, 0) / (ATTEMPTS - 1 - ATTEMPTS // 4)
        z = jax.random.uniform(own, (density.size,), minval=-1, maxval=1) * (RADIUS * 1e-3**late)
        point = target.point(z, first_choices(target, z, Key(own)))
        usable = jnp.isfinite(point.log_density)
        if differentiable:
            gradient = jax.grad(target.log_density)(z, point.k)
            usable &= jnp.all(jnp.isfinite(gradient))
        return point, usable

    def body(carry: Any) -> Any:
        i, _, _ = carry
        point, usable = candidate(i)
        return i + 1, point, usable

    blank = Point(jnp.zeros(density.size), jnp.zeros(density.count, int), jnp.full((), -jnp.inf))
    begin = (jnp.zeros((), int), blank, jnp.zeros((), bool))
    _, point, usable = jax.lax.while_loop(lambda c: ~c[2] & (c[0] < ATTEMPTS), body, begin)
    return point, usable


def first_choices(target: Target, z: Any, omega: Any) -> Any:
    """Discrete coordinates drawn from their laws given the free ones."""
    density = target.density
    if not density.discrete:
        return jnp.zeros(0, int)
    _, found = density.begin(target.data, density.unflatten(z), omega)
    return density.flatten_discrete(found)

"""The algebra of kernels on XLA: a description becomes a `Move`.

`then` runs one after the other, `repeat` in a loop, `mixture` draws which; `on` restricts the
block. Invariant measures are kept by all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.kernels.algebra import Kernel, Mixture, On, Repeat, Then, basic_kernels
from ppl.inference.kernels.basic import (
    ON_XLA,
    EllipticalSlice,
    Gibbs,
    HmcMove,
    Mala,
    NutsMove,
    RandomWalk,
    Slice,
)
from ppl.inference.kernels.particle import ParticleGibbs, ParticleMarginal
from ppl.inference.kernels.programmed import Involution, Proposal
from ppl.inference.kernels.xla import blocks
from ppl.inference.kernels.xla.elliptical import elliptical_slice
from ppl.inference.kernels.xla.gibbs import gibbs
from ppl.inference.kernels.xla.involution import Jump, involution
from ppl.inference.kernels.xla.mala import mala
from ppl.inference.kernels.xla.move import Block, Move, Path, Point, Step, Target, nothing_tuned
from ppl.inference.kernels.xla.particle_gibbs import particle_gibbs
from ppl.inference.kernels.xla.particle_marginal import particle_marginal
from ppl.inference.kernels.xla.prior import prior
from ppl.inference.kernels.xla.proposing import Helper, check_sites, proposal
from ppl.inference.kernels.xla.random_walk import random_walk
from ppl.inference.kernels.xla.slice import slice_move
from ppl.inference.kernels.xla.trajectories import trajectories
from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import fail
from ppl.semantics.mixed import MixedDensity

#: kernels that move free coordinates only
CONTINUOUS = (Slice, EllipticalSlice, Mala, HmcMove, NutsMove)


@dataclass(frozen=True)
class _Place:
    """Where in a composition a kernel stands: what it may move, whether because it was named; and
    how often it will be run in warm-up."""

    density: MixedDensity
    labels: Iterator[str]
    block: Block
    named: bool
    warmup: float
    moved: list[Block]
    composed: bool
    prefix: bool


def compose(
    kernel: Kernel,
    density: MixedDensity,
    warmup: int,
    *,
    part: bool = False,
    prefix: bool = False,
) -> Move:
    """The kernel on this density, which `blocks.held_by` of it says what to hold for. On the
    `prefix` of a program what moves sites that are still to come does nothing.

    Raises:
        DiagnosticError: E855, it names a site that there is not; E819, E862, it cannot move a site;
            E863, it leaves a site where it is (unless it moves only a `part` of what a chain does).
    """
    moved: list[Block] = []
    names = iter(blocks.labels(kernel))
    everything = blocks.everything(density)
    composed = len(list(basic_kernels(kernel))) > 1
    place = _Place(density, names, everything, False, float(warmup), moved, composed, prefix)
    move, none = _build(kernel, place), np.zeros(0, int)
    union = Block(
        np.unique(np.concatenate([none, *(b.z for b in moved)])),
        np.unique(np.concatenate([none, *(b.k for b in moved)])),
    )
    left = blocks.unmoved(density, union)
    if left and not (part or prefix):
        shown = " and ".join(f"`{name}`" for name in left[:3]) + (" and others" if left[3:] else "")
        raise fail(
            "E863",
            f"the kernel never moves {shown}: the chain would keep the first value",
            hint=f"add a kernel for it: ….then(kernels.{_suited(density, left[0])})",
        )
    return move


def _suited(density: MixedDensity, path: str) -> str:
    """A kernel that moves a site."""
    site = next((s for s in density.discrete if s.path == path), None)
    name = "random_walk"
    if site is not None and (site.joint or site.options):
        name = "prior" if site.joint else "gibbs"
    return f'{name}().on("{path}")'


def _build(kernel: Kernel, place: _Place) -> Move:
    match kernel:
        case On(kernel=inner, sites=sites):
            if place.prefix:
                sites = tuple(name for name in sites if blocks.knows(place.density, name))
            block = blocks.named_block(place.density, sites, place.block)
            return _build(inner, replace(place, block=block, named=True))
        case Then(first=first, second=second):
            return then(_build(first, place), _build(second, place))
        case Repeat(kernel=inner, times=times):
            return repeat(_build(inner, replace(place, warmup=place.warmup * times)), times)
        case Mixture(parts=parts, weights=weights):
            shares = np.array(weights) / sum(weights)
            path = ("", "kernel", f"mixture before {len(place.moved)}")
            built = [
                _build(part, replace(place, warmup=place.warmup * share))
                for part, share in zip(parts, shares, strict=True)
            ]
            return mixture(built, shares, path)
    return _basic(kernel, place)


def _basic(kernel: Kernel, place: _Place) -> Move:
    if not isinstance(kernel, ON_XLA):
        raise fail("E819", f"`{kernel}` runs on the machine only", hint="use engine='machine'")
    path: Path = ("", "kernel", next(place.labels))
    if isinstance(kernel, Proposal | Involution):
        return _programmed(kernel, path, place)
    block = _movable(kernel, place)
    if not len(block.z) and not len(block.k):
        return Move(
            nothing_tuned,
            lambda _, point, tuned, omega, adapting: Step(point, tuned, omega, {}),
            {},
        )
    place.moved.append(block)
    match kernel:
        case RandomWalk():
            return random_walk(kernel, block, path)
        case Slice():
            return slice_move(kernel, block, path)
        case EllipticalSlice():
            return _elliptical(kernel, block, path, place.density)
        case Mala():
            return mala(kernel, block, path)
        case HmcMove() | NutsMove():
            return trajectories(kernel, block, path, int(place.warmup))
        case ParticleGibbs():
            return _particles(kernel, block, path, place.density)
        case ParticleMarginal():
            return _marginal(kernel, block, path, place)
        case Gibbs():
            together = _together(place.density, block)
            return gibbs(kernel, block, path, _options(place.density), together)
        case _:
            return prior(kernel, path, blocks.draws_in(place.density, block))


def _programmed(kernel: Proposal | Involution, path: Path, place: _Place) -> Move:
    density = place.density
    if place.named:
        raise fail(
            "E811",
            f"`{kernel}` says itself which sites it moves, and `on` was asked of it",
            hint="leave `on` out",
        )
    if density.in_values is None:
        raise fail("E819", f"`{kernel}` moves values, and there is no program to run")
    if isinstance(kernel, Involution):
        model, data = kernel.auxiliary, kernel.data
        helper = None if model is None else Helper(model, data, density.in_values)
        place.moved.append(blocks.everything(density))
        return involution(path, Jump(kernel, density, helper))
    helper = Helper(kernel.model, kernel.data, density.in_values)
    check_sites(helper, density)
    everything = blocks.everything(density)
    place.moved.append(blocks.named_block(density, tuple(helper.sites), everything))
    return proposal(kernel, path, helper)


def _movable(kernel: Kernel, place: _Place) -> Block:
    """What of its block a kernel moves. Raises E819 for what it was told to and cannot."""
    density, block = place.density, place.block
    if isinstance(kernel, CONTINUOUS):
        left, block = Block(np.zeros(0, int), block.k), Block(block.z, np.zeros(0, int))
        what, hint = "is discrete", "use gibbs, random_walk or prior on it"
    elif isinstance(kernel, Gibbs):
        finite = np.isin(block.k, np.flatnonzero(_options(density)))
        left = Block(block.z, block.k[~finite])
        block = Block(np.zeros(0, int), block.k[finite])
        what, hint = "has no list of finitely many values", "use random_walk, slice or hmc on it"
    elif isinstance(kernel, RandomWalk):
        joint = np.isin(block.k, np.flatnonzero(_joint(density)))
        left, block = Block(np.zeros(0, int), block.k[joint]), Block(block.z, block.k[~joint])
        what, hint = "draws numbers that do not move alone", "use prior on it"
    else:
        left, what, hint = Block(np.zeros(0, int), np.zeros(0, int)), "", ""
    names = [name for part in blocks.sites_in(density, left) for name in part]
    if place.named and names:
        raise fail("E819", f"`{kernel.name}` cannot move `{names[0]}`, which {what}", hint=hint)
    if not len(block.z) and not len(block.k) and not place.prefix:
        raise fail(
            "E819",
            f"there is nothing that `{kernel.name}` could move",
            hint=f"the choices are {', '.join(f'`{n}`' for n in blocks.names_of(density))}",
        )
    return block


def _joint(density: MixedDensity) -> np.ndarray:
    """Whether each discrete coordinate is of a site whose numbers depend on one another."""
    parts = [np.full(s.shape, s.joint).ravel() for s in density.discrete]
    return np.concatenate([np.zeros(0, bool), *parts])


def _options(density: MixedDensity) -> np.ndarray:
    """How many values each discrete coordinate has, 0 where they are not numbered."""
    parts = [np.full(s.shape, s.options or 0).ravel() for s in density.discrete]
    return np.concatenate([np.zeros(0, int), *parts])


def _together(density: MixedDensity, block: Block) -> dict[str, Any]:
    """The sites of several elements that are drawn from their joint law given the rest: the numbers
    of their coordinates, and how."""
    found = {}
    for site, numbers in blocks.discrete_sites(density):
        own = numbers.ravel()
        if len(own) > 1 and np.isin(own, block.k).all():
            draw = density.given_rest(site)
            if draw is not None:
                found[site] = own, draw
    return found


def _elliptical(kernel: EllipticalSlice, block: Block, path: Path, density: MixedDensity) -> Move:
    names, _ = blocks.sites_in(density, block)
    if not blocks.whole_sites(density, block):
        raise fail(
            "E819",
            "`elliptical_slice` moves all elements of a site together",
            hint=f'name the site without an index: elliptical_slice().on("{names[0]}")',
        )
    return elliptical_slice(kernel, block, path, frozenset(names))


def _particles(kernel: ParticleGibbs, block: Block, path: Path, density: MixedDensity) -> Move:
    continuous, discrete = blocks.sites_in(density, block)
    if not blocks.whole_sites(density, block):
        name = (continuous + discrete)[0]
        raise fail(
            "E819",
            "`pgibbs` moves all elements of a site together",
            hint=f'name the site without an index: pgibbs().on("{name}")',
        )
    return particle_gibbs(kernel, path, frozenset(continuous + discrete))


def _marginal(kernel: ParticleMarginal, block: Block, path: Path, place: _Place) -> Move:
    density, everything = place.density, blocks.everything(place.density)
    continuous, discrete = blocks.sites_in(density, block)
    if discrete or not blocks.whole_sites(density, block):
        raise fail(
            "E882",
            f"compiled, `pmmh` walks through whole continuous sites, and not "
            f"`{(discrete + continuous)[0]}`",
            hint="leave it to the particles, which draw all sites that `pmmh` is not told to move; "
            "or take engine='machine'",
        )
    if place.composed:
        raise fail(
            "E819",
            "`pmmh` moves all sites, and cannot be a part of another kernel",
            hint="take `pgibbs` for the states, then any kernel for the parameters",
        )
    place.moved.append(everything)
    drawn = frozenset(blocks.names_of(density)) - frozenset(continuous)
    return particle_marginal(kernel, block, path, drawn)


# ------------------------------------------------------------------------------------ combinators


def then(first: Move, second: Move) -> Move:
    """One after the other."""

    def begin(target: Target, point: Point) -> Any:
        return first.begin(target, point), second.begin(target, point)

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        a = first.step(target, point, tuned[0], omega, adapting)
        b = second.step(target, a.point, tuned[1], a.omega, adapting)
        return Step(b.point, (a.tuned, b.tuned), b.omega, _merged(a.stats, b.stats))

    return Move(begin, step, {**first.stats, **second.stats})


def _merged(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    both = {name: a[name] | b[name] for name in a.keys() & b.keys()}  # whether one diverged
    return {**a, **b, **both}


def repeat(move: Move, times: int) -> Move:
    """Several times; what it tells is the mean over them, or whether it held once."""

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        def one(carry: Any, i: Any) -> Any:
            point, tuned, omega = carry
            done = move.step(target, point, tuned, omega.enter(i), adapting)
            return (done.point, done.tuned, omega.leave(done.omega)), done.stats

        init = (point, tuned, omega)
        (point, tuned, omega), stats = jax.lax.scan(one, init, jnp.arange(times))
        told = {k: jnp.any(v) if v.dtype == bool else jnp.nanmean(v) for k, v in stats.items()}
        return Step(point, tuned, omega, told)

    return Move(move.begin, step, move.stats)


def mixture(moves: list[Move], shares: np.ndarray, path: Path) -> Move:
    """One of them, drawn with these probabilities."""
    stats = reduce(lambda a, b: {**a, **b}, (dict(m.stats) for m in moves))

    def begin(target: Target, point: Point) -> Any:
        return tuple(m.begin(target, point) for m in moves)

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        law = D.make("categorical", (jnp.asarray(shares),))
        omega, which = omega.draw((*path, "which"), law, ())

        def run(j: int) -> Any:
            def branch(point: Point, tuned: Any, omega: Any) -> Any:
                done = moves[j].step(target, point, tuned[j], omega, adapting)
                told = {k: jnp.asarray(v) for k, v in {**stats, **done.stats}.items()}
                told = {k: v if v.dtype == bool else jnp.asarray(v, float) for k, v in told.items()}
                tuned = (*tuned[:j], done.tuned, *tuned[j + 1 :])
                return _strong((done.point, tuned, done.omega, told))

            return branch

        branches = [run(j) for j in range(len(moves))]
        return Step(*jax.lax.switch(which, branches, *_strong((point, tuned, omega))))

    return Move(begin, step, stats)


def _strong(tree: Any) -> Any:
    """Without weak types, in which branches might differ."""

    def one(x: Any) -> Any:
        x = jnp.asarray(x)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return x
        return jax.lax.convert_element_type(x, x.dtype)

    return jax.tree.map(one, tree)

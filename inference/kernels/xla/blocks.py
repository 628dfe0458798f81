"""Which coordinates a kernel moves: the names of a program's sites as indices.

A name means the sites at its path and below it (`zs` for `zs/z`), or elements of the loops around
them (`theta[3]`, `theta[1:]`).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np

from ppl.inference.kernels.algebra import Kernel, On, basic_kernels, parts_of
from ppl.inference.kernels.basic import Gibbs, Prior
from ppl.inference.kernels.machine.names import Index, read_address
from ppl.inference.kernels.particle import ParticleGibbs, ParticleMarginal
from ppl.inference.kernels.programmed import Involution, Proposal
from ppl.inference.kernels.xla.move import Block, Point
from ppl.semantics.diagnostics import fail, suggest
from ppl.semantics.mixed import MixedDensity
from ppl.semantics.xla.held import is_at


def held_by(kernel: Kernel) -> tuple[str, ...] | None:
    """The names whose discrete sites have to be held for a kernel: those that it names. None, for
    all, if one of its parts moves whatever is discrete (`gibbs` or `prior` without names), or runs
    the program forward (`pgibbs`, `pmmh`), or values (`proposal`, `involution`)."""
    whole = (ParticleGibbs, ParticleMarginal, Proposal, Involution)
    every = _free(kernel) or any(isinstance(k, whole) for k in basic_kernels(kernel))
    return None if every else tuple(dict.fromkeys(_named(kernel)))


def _free(kernel: Kernel) -> bool:
    if isinstance(kernel, On):
        return False
    parts = parts_of(kernel)
    return any(map(_free, parts)) if parts else isinstance(kernel, Gibbs | Prior)


def _named(kernel: Kernel) -> Iterator[str]:
    if isinstance(kernel, On):
        yield from ("/".join(read_address(name).names) for name in kernel.sites)
    for part in parts_of(kernel):
        yield from _named(part)


def everything(density: MixedDensity) -> Block:
    return Block(np.arange(density.size), np.arange(density.count))


def named_block(density: MixedDensity, names: tuple[str, ...], within: Block) -> Block:
    """The coordinates of these names, as far as they are in `within`.

    Raises:
        DiagnosticError: E855, the program has no such site, or the site no such element.
    """
    z, k = [], []
    for name in names:
        address = read_address(name)
        path, index = "/".join(address.names), address.index
        own_z = [i for s, i in _z_sites(density) if is_at(s, path)]
        own_k = [i for s, i in discrete_sites(density) if is_at(s, path)]
        if not own_z and not own_k:
            raise _unknown(density, path)
        z += [_element(i, index, name) for i in own_z]
        k += [_element(i, index, name) for i in own_k]
    return Block(_within(z, within.z), _within(k, within.k))


def knows(density: MixedDensity, name: str) -> bool:
    """Whether there is a site at the path of a name, or below it."""
    path = "/".join(read_address(name).names)
    return any(is_at(site, path) for site in names_of(density))


def _within(parts: list[np.ndarray], whole: np.ndarray) -> np.ndarray:
    found = np.unique(np.concatenate([np.zeros(0, int), *(p.ravel() for p in parts)]))
    return np.intersect1d(found, whole)


def _element(numbers: np.ndarray, index: Index, name: str) -> np.ndarray:
    try:
        found = numbers[index]
    except IndexError:
        found = np.zeros(0, int)
    if not np.size(found):
        raise fail(
            "E855",
            f"there is no element `{name}`: the coordinates are of shape {numbers.shape}",
            hint="indices count from 0",
        )
    return np.asarray(found)


def _z_sites(density: MixedDensity) -> Iterator[tuple[str, np.ndarray]]:
    """Each continuous site, and the numbers of its coordinates in their shape."""
    yield from _numbered((s.path, s.unconstrained_shape) for s in density.sites)


def share_moved(density: MixedDensity, old: Point, new: Point) -> dict[str, Any]:
    """Of each site, by path, the share of its coordinates that differ in two points."""
    off = {"z": old.z != new.z, "k": old.k != new.k}
    both = (("z", _z_sites(density)), ("k", discrete_sites(density)))
    return {
        path: jnp.mean(off[name][numbers.ravel()])
        for name, sites in both
        for path, numbers in sites
        if numbers.size
    }


def discrete_sites(density: MixedDensity) -> Iterator[tuple[str, np.ndarray]]:
    yield from _numbered((s.path, s.shape) for s in density.discrete)


def _numbered(shapes: Iterator[tuple[str, tuple[int, ...]]]) -> Iterator[tuple[str, np.ndarray]]:
    start = 0
    for path, shape in shapes:
        size = prod(shape)
        yield path, np.arange(start, start + size).reshape(shape)
        start += size


def _unknown(density: MixedDensity, path: str):
    known = names_of(density)
    return fail(
        "E855",
        f"no random choice of the program is named `{path}`, so no kernel moves it",
        hint=suggest(path, known) or f"the choices are {', '.join(f'`{n}`' for n in known)}",
    )


def names_of(density: MixedDensity) -> list[str]:
    return [*(s.path for s in density.sites), *(s.path for s in density.discrete)]


def sites_in(density: MixedDensity, block: Block) -> tuple[list[str], list[str]]:
    """The continuous and the discrete sites that a block has coordinates of."""
    z = [s for s, i in _z_sites(density) if np.isin(i, block.z).any()]
    k = [s for s, i in discrete_sites(density) if np.isin(i, block.k).any()]
    return z, k


def whole_sites(density: MixedDensity, block: Block) -> bool:
    """Whether a block has all coordinates of each site that it has any of."""
    found = [np.isin(i, block.z) for _, i in _z_sites(density)]
    found += [np.isin(i, block.k) for _, i in discrete_sites(density)]
    return all(own.all() or not own.any() for own in found)


def draws_in(density: MixedDensity, block: Block) -> dict[str, np.ndarray]:
    """For every site which of its draws (in the shape of its loops) the block has."""
    out = {}
    for sites, own in ((_z_sites(density), block.z), (discrete_sites(density), block.k)):
        for path, numbers in sites:
            loops = density.loops[path]
            rest = tuple(range(len(loops), numbers.ndim))
            out[path] = (
                np.isin(numbers, own).any(axis=rest) if numbers.size else np.zeros(loops, bool)
            )
    return out


def unmoved(density: MixedDensity, moved: Block) -> list[str]:
    """The sites that have coordinates that no kernel moves."""
    z = [s for s, i in _z_sites(density) if not np.isin(i, moved.z).all()]
    return z + [s for s, i in discrete_sites(density) if not np.isin(i, moved.k).all()]


def labels(kernel: Kernel) -> list[str]:
    """A name for each basic kernel, in order: `hmc`, `gibbs`, `hmc_2`."""
    out, seen = [], {}
    for basic in basic_kernels(kernel):
        seen[basic.name] = seen.get(basic.name, 0) + 1
        out.append(basic.name if seen[basic.name] == 1 else f"{basic.name}_{seen[basic.name]}")
    return out

"""A program as a `Density`: continuous sites in free coordinates, the finite ones summed out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax

from ppl.semantics.density import Density, SiteInfo
from ppl.semantics.diagnostics import fail, suggest
from ppl.semantics.xla.sites import Free

Data = Mapping[str, Any]


def as_density(
    bound: Any,
    data: Data,
    noncentred: frozenset[str],
    found: tuple[tuple[SiteInfo, ...], bool],
) -> Density:
    """The Density of a program (a `Bound`) and data of these shapes. found: the continuous sites,
    and whether there are finite ones.

    Raises E808 for a name in `noncentred` that is no continuous site, E809 for one of no
    location-scale family.
    """
    flat, tree = jax.tree.flatten(dict(data))
    shapes = tuple((x.shape, str(x.dtype)) for x in flat)
    sites, summed = found
    for name in noncentred - {s.path for s in sites}:
        raise fail(
            "E808",
            f"there is no continuous site `{name}` to non-centre",
            hint=suggest(name, [s.path for s in sites]),
        )
    free = Free(noncentred=noncentred)
    plain = replace(free, jacobian=False)

    def tempered(data: Data, position: Mapping[str, Any], temperature: Any) -> Any:
        return bound.log_density(data, position, free, temperature)

    def starts(data: Data, omega: Any, n: int) -> tuple[Any, dict[str, Any], Any]:
        return bound.starts(data, omega, n, free)

    def constrain(data: Data, position: Mapping[str, Any], key: Any) -> dict[str, Any]:
        result, state = bound.recover(data, position, key, (), free=free)
        return {**state.sites, **state.kept, "result": result}

    return Density(
        (bound, tree, shapes, noncentred),
        sites,
        lambda data, position: bound.log_density(data, position, free),
        constrain,
        lambda data, position: bound.log_density(data, position, plain),
        lambda data, position: bound.contributions(data, position, free),
        lambda data, position: bound.faults(data, position, free),
        tempered,
        starts,
        summed,
    )

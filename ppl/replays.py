"""A target's program run again on XLA, once for every draw of a posterior.

Choices that the draws have are replayed and the others drawn, so that new groups and new rows are
drawn by a target with other data. Values missing in the data are the posterior's, if it has all of
them; else they are drawn anew, from the distributions that they are observed under.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.holes import Holes
from ppl.semantics import keys
from ppl.semantics.holes import Leaf
from ppl.semantics.omega import Key
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.data import with_leaf
from ppl.semantics.xla.faults import raise_faults
from ppl.semantics.xla.program import Bound, particles
from ppl.semantics.xla.sites import draw, replayed
from ppl.semantics.xla.state import State
from ppl.semantics.xla.steps import check_room, with_room
from ppl.semantics.xla.values import RValue, spread_value
from ppl.target import Target

Observe = Callable[[RValue, State], RValue]


def gathered(draws: Mapping[str, Any]) -> dict[str, Any]:
    """Elements that are columns of their own, as the machine has them (`d/e[0]`, `d/e[1]`), as
    arrays (`d/e`), missing where there is no column."""
    out: dict[str, Any] = {}
    elements: dict[str, dict[tuple[int, ...], np.ndarray]] = {}
    for name, v in draws.items():
        site, bracket, rest = name.partition("[")
        if bracket and rest.rstrip("]").replace(",", "").isdigit():
            at = tuple(map(int, rest.rstrip("]").split(",")))
            elements.setdefault(site, {})[at] = np.asarray(v)
        else:
            out[name] = v
    for site, columns in elements.items():
        first = next(iter(columns.values()))
        ranks, shapes = {len(i) for i in columns}, {v.shape for v in columns.values()}
        if len(ranks) == len(shapes) == 1 and site not in out and first.dtype.kind in "biuf":
            sizes = tuple(1 + max(i) for i in zip(*columns, strict=True))
            whole = np.full((*first.shape[:2], *sizes, *first.shape[2:]), np.nan)
            for i, v in columns.items():
                whole[(slice(None), slice(None), *i)] = v
            out[site] = whole
    return out


def to_replay(target: Target, sites: Mapping[str, Any]) -> tuple[Target, tuple[Holes, ...]]:
    """What runs to replay a target with these choices, and the holes in its data that they fill."""
    holes = target.holes
    if holes and all(h.has_all(sites.get(h.leaf.name)) for h in holes):
        return target.complete, holes
    return target.sampler, ()


def replay(
    target: Target,
    filled: tuple[Holes, ...],
    sites: Mapping[str, Any],
    n: int,
    *,
    seed: int,
    salt: int,
    observe: Observe,
    record: frozenset[str],
    predict: bool = False,
) -> RValue:
    """`observe(result, state)` of n runs: `target` and `filled` are what `to_replay` gives for
    `sites`, each (chain, draw, …) with n draws in all.

    record: what runs keep (`Bound.execute`). predict: observations are drawn, not scored.

    Raises:
        DiagnosticError: what went wrong in some of the runs (E709, E710).
    """
    given = {k: jnp.asarray(v).reshape(n, *np.shape(v)[2:]) for k, v in sites.items()}
    values = {h.leaf.name: h.fill(given[h.leaf.name]) for h in filled}
    leaves = tuple(h.leaf for h in filled)

    def run(bound: Bound) -> Any:
        compiled = _compiled(bound, n, leaves, salt, observe, record | {"faults"}, predict)
        out = compiled(target.data, given, values, seed)
        check_room(out, bound)
        return out

    found, faults = with_room(target.bound, run)
    raise_faults(faults)
    return found


@lru_cache(maxsize=64)
def _compiled(
    bound: Bound,
    n: int,
    leaves: tuple[Leaf, ...],
    salt: int,
    observe: Observe,
    record: frozenset[str],
    predict: bool,
) -> Callable[..., Any]:
    """`leaves` are the parts of the data that are given for every lane."""
    axes = (particles(n),)

    @jax.jit
    def run(data: Any, sites: Any, values: Any, seed: Any) -> Any:
        data = dict(data)
        for leaf in leaves:
            lanes = Arr(values[leaf.name], axes)
            data[leaf.param] = with_leaf(data[leaf.param], leaf.keys, lanes)
        given = {k: Arr(v, axes) for k, v in sites.items()}
        result, state = bound.execute(
            data,
            rule=replayed if given else draw,
            omega=Key(jax.random.fold_in(keys.key(seed), salt)),
            axes=axes,
            given=given,
            record=record,
            predict=predict,
        )
        return spread_value((observe(result, state), state.faults), axes)

    return run

"""Two worlds at once: an execution as it was, and as it would have been under interventions.

The program runs along an axis of two worlds, which share the noise of every random choice (twin
networks: Balke and Pearl, Probabilistic evaluation of counterfactual queries, 1994). What depends
on no intervention does not vary along the axis, and is the same in both worlds by construction.

In the world as it was, choices have the values that are given. In the other,

- a choice whose parameters are the same keeps its value;
- one whose parameters differ has the value that its noise gives there: the noise is found from its
  value and the parameters as they were (abduction; see `semantics.noise`);
- one that was not made as it was is drawn, since its noise says nothing about what was seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.noise import kind_of, noise_of, push
from ppl.semantics.xla.axes import Arr, Axes, Axis, align, elementwise, narrow, spread, union
from ppl.semantics.xla.dists import realise
from ppl.semantics.xla.faults import note, over_axis
from ppl.semantics.xla.fixed import Fixed
from ppl.semantics.xla.program import ALL, Bound, Data
from ppl.semantics.xla.sites import _applier, _recorded, _typed, draw
from ppl.semantics.xla.state import Scope, Site, State
from ppl.semantics.xla.values import Dist, RValue, leaves, to_arr, varies_along

Result = tuple[RValue, State]

WORLDS = Axis(0, "world", 2)
FACTUAL, IMAGINED = 0, 1


def in_world(v: RValue, world: int) -> RValue:
    """A value as it is in one of the worlds."""

    def one(a: RValue) -> RValue:
        if not isinstance(a, Arr) or WORLDS not in a.axes:
            return a
        i = a.axes.index(WORLDS)
        return Arr(jnp.take(a.data, world, axis=i), (*a.axes[:i], *a.axes[i + 1 :]))

    return jax.tree.map(one, v, is_leaf=lambda a: isinstance(a, Arr))


@dataclass(frozen=True)
class Twin:
    """Choices in both worlds, given their values as they were (missing: not made there)."""

    seen: RValue = None  # of an observation: its value, instead of what is given by path

    def observed(self, seen: RValue) -> Twin:
        """The rule for an observation of the value `seen`: made anew in the imagined world."""
        return Twin(seen)

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        was, made = self._as_it_was(site, scope)
        alive = to_arr(True) if scope.mask is None else scope.mask
        here = elementwise(jnp.logical_and, made, in_world(alive, FACTUAL))
        there = in_world(alive, IMAGINED)
        would = was
        if WORLDS in varies_along(site.dist):
            would, state = self._moved(site, was, here, there, scope, state)
        if WORLDS in alive.axes or not self._known(site, scope):
            would, state = self._or_drawn(site, would, here, there, scope, state)
        x = was
        if would is not was:
            world = Arr(np.array([False, True]), (WORLDS,))
            x = elementwise(jnp.where, world, would, was)
        return x, _recorded(state, site, x, scope)

    def _known(self, site: Site, scope: Scope) -> bool:
        return self.seen is not None or site.name in scope.given

    def _as_it_was(self, site: Site, scope: Scope) -> tuple[Arr, Arr]:
        """The value as it was, and where there is one."""
        if not self._known(site, scope):
            return _like_a_draw(site, scope), to_arr(False)
        x = to_arr(scope.given[site.name] if self.seen is None else self.seen)
        made = to_arr(True)
        if self.seen is None and jnp.issubdtype(x.dtype, jnp.floating):
            k = len(x.axes)
            events = tuple(range(k, k + x.event_rank))
            made = Arr(~jnp.any(jnp.isnan(x.data), axis=events), x.axes)
            x = Arr(jnp.nan_to_num(x.data), x.axes)
        # noise of its own in every lane, also where what was seen is the same
        own = tuple(a for a in scope.axes if a != WORLDS)
        return spread(Arr(_typed(x.data, site), x.axes), own), made

    def _moved(
        self, site: Site, was: Arr, here: Arr, there: Arr, scope: Scope, state: State
    ) -> tuple[Arr, State]:
        """What the noise of a value gives under the parameters of the imagined world."""
        first, second = (in_world(site.dist, w) for w in (FACTUAL, IMAGINED))
        same = _equal(first, second)
        axes = union(scope.axes, varies_along(first), varies_along(second), was.axes)
        axes = tuple(a for a in axes if a != WORLDS)
        one, two = (realise(d, axes, _applier(scope), site.span) for d in (first, second))
        try:
            kind_of(one)
        except DiagnosticError as error:
            bad = reduce(
                lambda a, b: elementwise(jnp.logical_and, a, b),
                (elementwise(jnp.logical_not, same), here, there),
            )
            why = error.diagnostics[0].message
            message = f"`{site.name}` differs between the worlds: {why}"
            note(replace(scope, mask=None), bad, "E725", message, site.span)
            return was, state
        key = state.omega.foreign_key((*site.path, "noise"))
        value = align(was, axes)
        moved = push(two, noise_of(one, value, key))
        moved = jnp.broadcast_to(moved, np.broadcast_shapes(jnp.shape(moved), jnp.shape(value)))
        out = narrow(_typed(moved, site), axes)
        return elementwise(jnp.where, same, was, out), state

    def _or_drawn(
        self, site: Site, would: Arr, here: Arr, there: Arr, scope: Scope, state: State
    ) -> tuple[Arr, State]:
        """Drawn where the choice was not made as it was."""
        fresh = in_world(site.dist, IMAGINED)
        axes = tuple(a for a in union(scope.axes, varies_along(fresh)) if a != WORLDS)
        new = elementwise(lambda h, t: t & ~h, here, there)
        if not D.has_sampler(realise(fresh, axes, _applier(scope), site.span)):
            message = (
                f"`{site.name}` is drawn in the imagined world alone, and `{site.dist.name}` has "
                "no sampler"
            )
            note(replace(scope, mask=None), new, "E801", message, site.span)
            return would, state
        quiet = replace(scope, axes=axes, mask=new, record=scope.record - {"sites"})
        drawn, state = draw(replace(site, dist=fresh), quiet, state)
        return elementwise(jnp.where, new, drawn, would), state


def _like_a_draw(site: Site, scope: Scope) -> Arr:
    axes = tuple(a for a in union(scope.axes, varies_along(site.dist)) if a != WORLDS)
    law = realise(in_world(site.dist, IMAGINED), axes, _applier(scope), site.span)
    return Arr(_typed(jnp.zeros((*(a.size for a in axes), *law.event_shape)), site), axes)


def _equal(a: Dist, b: Dist) -> Arr:
    """Where two laws have equal parameters."""
    same = to_arr(True)
    for x, y in zip(leaves(a), leaves(b), strict=True):
        equal = elementwise(jnp.equal, x, y)
        k = len(equal.axes)
        whole = jnp.all(equal.data, axis=tuple(range(k, k + equal.event_rank)))
        same = elementwise(jnp.logical_and, same, Arr(whole, equal.axes))
    return same


def imagine(
    bound: Bound,
    data: Data,
    sites: Mapping[str, Arr],
    omega: Any,
    axes: Axes,
    fixed: tuple[Fixed, ...],
) -> Result:
    """Executions with these choices (along `axes`) as they would have been had the `fixed` names
    been set (to values among the data): the result, the names, and the observations, made anew.

    Scores count for nothing: what was seen is what the executions were inferred from.
    """
    own = tuple(f for f in bound.fixed if not f.scored)
    worlds, values = _in_both_worlds(own, fixed, data)
    rule = Twin()
    result, state = replace(bound, fixed=worlds).execute(
        {**data, **values},
        rule=rule,
        omega=omega,
        axes=union(axes, (WORLDS,)),
        given=sites,
        record=ALL,
        predict=rule.observed,
    )
    tables = (state.sites, state.kept, state.observed)
    known, kept, observed = ({k: in_world(v, IMAGINED) for k, v in t.items()} for t in tables)
    faults = tuple(over_axis(state.faults, WORLDS))
    state = replace(state, sites=known, kept=kept, observed=observed, faults=faults)
    return in_world(result, IMAGINED), state


def _in_both_worlds(
    before: tuple[Fixed, ...], after: tuple[Fixed, ...], data: Data
) -> tuple[tuple[Fixed, ...], dict[str, Arr]]:
    """What is set in both worlds, and what in the imagined one alone, by masks along the worlds.
    The values of `after` are under the keys that `imagined` gives."""
    new = {f.path: f for f in after}
    old = {f.path: f for f in before}
    out = [f for f in before if f.path not in new]
    values: dict[str, Arr] = {}
    for path, f in new.items():
        value, mask = _set_by(f, imagined(data))
        rank = jnp.ndim(mask)
        was, set_before = value, jnp.zeros_like(mask)
        if path in old:
            was, set_before = _set_by(old[path], data)
            rank = max(rank, jnp.ndim(set_before))
        mask, set_before = (_wide(m, rank, value.shape) for m in (mask, set_before))
        chosen = jnp.where(_wide(mask, value.ndim, value.shape), value, was)
        both = Fixed(path, partial=True)
        values[both.value_key] = Arr(jnp.stack([was, chosen]), (WORLDS,))
        values[both.mask_key] = Arr(jnp.stack([set_before, set_before | mask]), (WORLDS,))
        out.append(both)
    return tuple(out), values


_IMAGINED = "imagined "


def for_imagined(data: Data) -> dict[str, RValue]:
    """Values that are set in the imagined world, under keys of their own."""
    return {_IMAGINED + k: v for k, v in data.items()}


def imagined(data: Data) -> dict[str, RValue]:
    """The inverse of `for_imagined`."""
    return {k.removeprefix(_IMAGINED): v for k, v in data.items() if k.startswith(_IMAGINED)}


def _set_by(f: Fixed, data: Mapping[str, Arr]) -> tuple[Any, Any]:
    mask = data[f.mask_key].data if f.partial else jnp.asarray(True)
    return data[f.value_key].data, mask


def _wide(mask: Any, rank: int, shape: tuple[int, ...]) -> Any:
    """A mask over more of the first dimensions of a shape."""
    grown = jnp.reshape(mask, (*jnp.shape(mask), *(1,) * (rank - jnp.ndim(mask))))
    return jnp.broadcast_to(grown, shape[:rank])

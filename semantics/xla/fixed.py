"""Names whose values are set from outside: interventions (`do`) and conditioning (`given`).

- An *intervention* cuts what a binder runs: nothing is drawn or scored, its value is the given
  one (the truncated product of Pearl, Causality, 2009, chapter 3).
- *Conditioning* keeps the site: its value is the given one and is scored by its density.

Values travel with what is given to a run, by path, and are opened along the loops around it. A
mask says which elements are set, if not all are: the others run as they always do, so that loops
run their bodies in the other lanes and join. Masks and values are data; which names are set, and by
how many indices, is part of the code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.signatures import PRIMITIVES
from ppl.semantics.xla.axes import Arr, align, elementwise, union
from ppl.semantics.xla.join import join
from ppl.semantics.xla.state import Scope, Site, State, missing_where_dead, path_name, tempered
from ppl.semantics.xla.values import Dist, RValue, open_array, to_arr

Result = tuple[RValue, State]
Body = Callable[[State, Scope], Result]


@dataclass(frozen=True)
class Fixed:
    """A path whose value is set. `scored`: conditioned on, rather than intervened on. `partial`:
    a mask over its first dimensions (of loops, then of the value) says where."""

    path: str
    scored: bool = False
    partial: bool = False

    @property
    def value_key(self) -> str:
        return f"{self.path}/="

    @property
    def mask_key(self) -> str:
        return f"{self.path}/?"

    @property
    def keys(self) -> tuple[str, ...]:
        """Where the value and the mask are, among data and among what is given to a run."""
        return (self.value_key, self.mask_key) if self.partial else (self.value_key,)


def at_binder(body: Body, state: State, scope: Scope) -> Result:
    """What a binder runs at the scope's path, or an iteration of the loop that it runs, unless an
    intervention sets its value."""
    inner, close = binder(scope)
    out, state = (None, state) if inner is None else body(state, inner)
    return close(out, state)


def binder(scope: Scope) -> tuple[Scope | None, Callable[[RValue, State], Result]]:
    """The scope in which a binder's body runs (None: it does not), and what its result becomes."""
    fixed = scope.fixed.get(path_name(scope.path))
    if fixed is None or fixed.scored:
        return scope, lambda out, state: (out, state)
    if not fixed.partial:
        return None, lambda _, state: (scope.given[fixed.value_key], state)
    value, mask = _opened(fixed, scope)
    if mask.event_rank == 0:
        negated = elementwise(jnp.logical_not, mask)
        rest = without_elements(scope).under(negated)  # nothing in it is set besides
        return rest, lambda out, state: _agreed(mask, value, out, state)
    return scope, lambda out, state: (_overridden(mask, value, to_arr(out)), state)


def at_site(site: Site, scope: Scope, state: State) -> Result:
    """A random choice, unless its value is set."""
    fixed = scope.fixed.get(site.name)
    if fixed is None:
        return scope.site(site, scope, state)
    if not fixed.partial:
        # an intervention on all of a site never gets here
        return _scored(site, scope.given[fixed.value_key], scope, state)
    value, mask = _opened(fixed, scope)
    if mask.event_rank:
        return _element_by_element(site, mask, scope, state)
    if not fixed.scored:  # the binder, or a loop that it runs, has masked these lanes
        return scope.site(site, scope, state)
    negated = elementwise(jnp.logical_not, mask)
    out, state = scope.site(site, scope.under(negated), state)
    quiet = replace(scope, record=scope.record - {"sites"})
    _, state = _scored(site, value, quiet.under(mask), state)
    out, state = _agreed(mask, value, out, state)
    if isinstance(state.sites.get(site.name), Arr):  # not a pair, of value and coordinate
        shown = missing_where_dead(out, scope)
        state = replace(state, sites={**state.sites, site.name: shown})
    return out, state


def without_elements(scope: Scope) -> Scope:
    """The scope of a loop whose value is no array of what its iterations return."""
    fixed = scope.fixed.get(path_name(scope.path))
    if fixed is None:
        return scope
    rest = {k: v for k, v in scope.given.items() if k not in fixed.keys}
    here = path_name(scope.path)
    return replace(scope, given=rest, fixed={k: f for k, f in scope.fixed.items() if k != here})


def _opened(fixed: Fixed, scope: Scope) -> tuple[Arr, Arr]:
    return scope.given[fixed.value_key], scope.given[fixed.mask_key]


def _scored(site: Site, x: RValue, scope: Scope, state: State) -> Result:
    from ppl.semantics.xla.run import density

    score, pending = density(site.dist, x, scope, site.span)
    if "sites" in scope.record:
        state = state.with_site(site.path, missing_where_dead(x, scope), site.span)
    return x, state.scored(tempered(scope, score), pending)


def _agreed(mask: Arr, value: Arr, out: RValue, state: State) -> Result:
    """`value` where the mask holds, else `out`.

    A summed choice stays what it is, so that chains of them stay chains: in the lanes that are set
    it is uniform (it was not made there), which a score turns into certainty.
    """
    if not (isinstance(out, Arr) and out.index is not None and out.index[1] == 0):
        return join(mask, value, out), state
    axis = out.index[0]
    if axis is None or not axis.enumerated:
        return join(mask, value, out), state

    def certain(m: Any, v: Any, k: Any) -> Any:
        return jnp.where(m, jnp.where(k == v, jnp.log(axis.size), -jnp.inf), 0.0)

    plain = replace(out, index=None)
    return out, state.scored(elementwise(certain, mask, value, plain))


def _overridden(mask: Arr, value: Arr, out: Arr) -> Arr:
    """The elements of `value` where the mask, over the first event dimensions, holds."""
    axes = union(mask.axes, value.axes, out.axes)
    wide = align(mask, axes)
    wide = jnp.reshape(wide, (*jnp.shape(wide), *(1,) * (out.event_rank - mask.event_rank)))
    data = jnp.where(wide, align(value, axes), align(out, axes))
    sizes = tuple(a.size for a in axes)
    return Arr(jnp.broadcast_to(data, (*sizes, *out.event_shape)), axes)


def _element_by_element(site: Site, mask: Arr, scope: Scope, state: State) -> Result:
    """A draw of independent elements, as a plate of draws."""
    from ppl.semantics.xla.loops import side_by_side

    n = mask.event_shape[0]
    axis = scope.fresh_plate(site.name, n)
    one = element(site.dist, axis)
    if one is None:
        raise joint(site.name, site.dist.name, site.span)
    return side_by_side(
        axis, lambda s, sc: at_site(Site(site.path, one, site.span), sc, s), state, scope
    )


def element(dist: Dist, axis: Any) -> Dist | None:
    """The law of one element, along `axis`, of a law of independent elements; None of others."""
    item = dist.type.item
    if not isinstance(item, T.Array):
        return None
    if dist.name == "iid":
        each = dist.args[1]
        return each if isinstance(each, Dist) else None
    if PRIMITIVES[dist.name].kind != "elementwise":
        return None

    def open_up(v: RValue) -> RValue:
        return open_array(v, axis) if isinstance(v, Arr) and v.event_rank else v

    return Dist(dist.name, tuple(map(open_up, dist.args)), T.Dist(item.item))


def joint(name: str, law: str, span: Span | None) -> Exception:
    return fail(
        "E858",
        f"elements of `{name}` cannot be set one by one: `{law}` draws them together",
        span=span,
        hint=f"set all of it: `{name}`",
    )


def as_data(
    settings: Mapping[str, tuple[bool, Any, Any]],
) -> tuple[tuple[Fixed, ...], dict[str, Arr]]:
    """What is set by path (whether it is scored, the value, and a mask if that is not all), as part
    of the code and as data."""
    fixed, data = [], {}
    for path, (scored, value, mask) in settings.items():
        f = Fixed(path, scored, mask is not None)
        kind = {"b": bool, "i": jnp.result_type(int)}.get(value.dtype.kind, jnp.result_type(float))
        data[f.value_key] = Arr(jnp.asarray(value, kind))
        if mask is not None:
            data[f.mask_key] = Arr(jnp.asarray(mask))
        fixed.append(f)
    return tuple(fixed), data


def values_of(fixed: tuple[Fixed, ...], env: Mapping[str, Any]) -> dict[str, Any]:
    """The values and masks among the data."""
    return {k: env[k] for f in fixed for k in f.keys}

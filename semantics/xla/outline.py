"""What a program names: every binder and random choice that a run meets, found without computing
anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics import ir, keys
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span
from ppl.semantics.omega import Key
from ppl.semantics.signatures import PRIMITIVES
from ppl.semantics.xla.alternatives import groups, shown
from ppl.semantics.xla.axes import Arr, union
from ppl.semantics.xla.dists import realise
from ppl.semantics.xla.program import Bound, Data
from ppl.semantics.xla.sites import _applier, _typed
from ppl.semantics.xla.state import Scope, Site, State
from ppl.semantics.xla.summing import COUNTED
from ppl.semantics.xla.values import Dist, RValue, varies_along


@dataclass(frozen=True)
class Choice:
    """A random choice. type: of one draw. free: how many of a draw's first dimensions are of
    independent elements. count: how many values it has, if they are 0, 1, …"""

    family: str
    type: T.Type
    free: int
    count: int | None


@dataclass(frozen=True)
class Named:
    """A name. shape: of its value, dimensions of loops first, None if it is no array of numbers.
    choice: what is drawn there, if it is one random choice an element."""

    path: str
    type: T.Type
    shape: tuple[int, ...] | None
    span: Span | None
    choice: Choice | None


def outline(bound: Bound, data: Data) -> dict[str, Named]:
    """Every name of a program whose data have these sizes, by path."""
    choices: dict[str, Choice] = {}
    binders: dict[str, ir.At] = {}
    record = frozenset(("sites", "kept"))

    def look(site: Site, scope: Scope, state: State) -> tuple[RValue, State]:
        axes = union(scope.axes, varies_along(site.dist))
        made = realise(site.dist, axes, _applier(scope), site.span)
        shape = (*(a.size for a in axes), *made.event_shape)
        x = Arr(_typed(jnp.zeros(shape), site), axes)
        count = None
        if site.dist.name in COUNTED and D.is_finite(made):
            count = jnp.shape(D.support_values(made)[0])[0]
        item = site.dist.type.item
        choices[site.name] = Choice(site.dist.name, item, independent(site.dist), count)
        return x, state.with_site(site.path, x, site.span)

    def probe(data: Data) -> Mapping[str, RValue]:
        # nothing is drawn from it, but loops without a bound may draw only where there is a source
        omega = Key(keys.key(0))
        _, state = bound.execute(data, rule=look, omega=omega, record=record, outline=binders)
        return {**state.sites, **state.kept}

    found = jax.eval_shape(probe, dict(data))
    names = {
        path: Named(path, at.type, _shape(found[path]), at.span, _choice(path, choices))
        for path, at in binders.items()
        if path in found
    }
    out: dict[str, Named] = {}
    for name, paths in groups(names).items():
        first, *others = (replace(names[p], path=name) for p in paths)
        if all((n.type, n.shape) == (first.type, first.shape) for n in others):
            alike = all(n.choice == first.choice for n in others)
            out[name] = first if alike else replace(first, choice=None)
    return out


def _choice(path: str, choices: Mapping[str, Choice]) -> Choice | None:
    """What is drawn at a path: one choice, or one of several of the same values."""
    if path in choices:
        return choices[path]
    own = {c for p, c in choices.items() if p.startswith(f"{path}/option ") and shown(p) == path}
    return own.pop() if len(own) == 1 else None


def _shape(v: Any) -> tuple[int, ...] | None:
    return tuple(v.event_shape) if isinstance(v, Arr) and not v.axes else None


def independent(dist: Dist) -> int:
    """How many dimensions of a draw are of independent elements."""
    if dist.name == "iid":
        each = dist.args[1]
        return 1 + (independent(each) if isinstance(each, Dist) else 0)
    return T.rank(dist.type.item) if PRIMITIVES[dist.name].kind == "elementwise" else 0

"""One of several measures is run, and which one is known lane by lane: all are, under masks.

A draw's name says nothing of which measure it was made in, as on the machine: `z/a` for a choice
`a` of any of those that `z` is drawn from. But lanes that run different ones make different draws,
with coordinates of their own, and so a run has them under paths of their own (`z/option 0/a`). What
is given by name is given to each of them (`told`), and results show them as one (`merged`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from ppl.semantics.xla.axes import Arr, elementwise
from ppl.semantics.xla.state import Scope
from ppl.semantics.xla.steps import Steps

_STEP = re.compile(r"(?:^|/)option \d+(?=[/.]|$)")  # no name of a program has a space


def told(scope: Scope, k: int) -> Scope:
    """The scope of measure number k at the scope's path: what is set and given there by name is
    for it, too."""
    inner = scope.at(f"option {k}")
    here, there = "/".join(scope.path), "/".join(inner.path)

    def moved(name: str) -> str:
        return there + name[len(here) :]

    own = [n for n in scope.given if _is_below(n, here)]
    given = {moved(n): scope.given[n] for n in own} | dict(scope.given)
    fixed = {
        moved(n): replace(f, path=moved(n)) for n, f in scope.fixed.items() if _is_below(n, here)
    }
    return replace(inner, given=given, fixed=fixed | dict(scope.fixed))


def _is_below(name: str, here: str) -> bool:
    """Whether a path is here or below, and does not say which measure it means."""
    if not name.startswith(here):
        return False
    rest = name[len(here) :]
    return not rest or (rest[0] == "/" and not rest.startswith("/option "))


def shown(name: str) -> str:
    """A path without the numbers of measures."""
    return _STEP.sub("", name).lstrip("/") or "result"


def groups(names: Iterable[str]) -> dict[str, list[str]]:
    """Paths by what they are shown as."""
    out: dict[str, list[str]] = {}
    for name in names:
        out.setdefault(shown(name), []).append(name)
    return out


def merged(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values (arrays, missing in the lanes that did not run them, or `Steps` of such) by the names
    that are shown; those of different shapes keep their own."""
    out: dict[str, Any] = {}
    for name, paths in groups(values).items():
        if name in paths:  # what a binder got is what the measure drew
            out[name] = values[name]
            continue
        first, *rest = (values[p] for p in paths)
        for other in rest:
            first = None if first is None else _either(first, other)
        out.update({name: first} if first is not None else {p: values[p] for p in paths})
    return out


def _either(a: Any, b: Any) -> Any:
    """a where it is not missing, else b; None if they are not of one form."""
    if isinstance(a, Steps) and isinstance(b, Steps):
        if (a.loop, a.places, a.depth) != (b.loop, b.places, b.depth):
            return None
        items = _either(a.items, b.items)
        return None if items is None else replace(a, items=items)
    if not (isinstance(a, Arr) and isinstance(b, Arr)) or a.event_shape != b.event_shape:
        return None
    return elementwise(lambda x, y: jnp.where(jnp.isnan(x), y, x), a, b)

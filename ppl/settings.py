"""Values that names of a model are set to, together, as the two engines take them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.addresses import Index
from ppl.semantics.diagnostics import fail

if TYPE_CHECKING:
    from ppl.semantics.machine.settings import Set


@dataclass(frozen=True, eq=False)
class Setting:
    """A value for a name, or for elements of it.

    address: as it was written. index: without what selects everything. value: a number, or an array
    of the shape of what is addressed. scored: conditioned on, rather than intervened on. shape: of
    the whole name, None if it is not known before the program runs.
    """

    address: str
    path: str
    index: Index
    value: Any
    scored: bool
    shape: tuple[int, ...] | None


def together(settings: Sequence[Setting]) -> dict[str, tuple[bool, np.ndarray, np.ndarray | None]]:
    """For every path: whether it is scored, its value, and a mask of what is set if that is not
    all. Later settings win. The shapes are known."""
    out: dict[str, tuple[bool, np.ndarray, np.ndarray | None]] = {}
    for path in dict.fromkeys(s.path for s in settings):
        own = [s for s in settings if s.path == path]
        shape = own[0].shape
        assert shape is not None
        value = np.zeros(shape, np.result_type(*(np.asarray(s.value).dtype for s in own)))
        mask = np.zeros(shape[: max(len(s.index) for s in own)], bool)
        for s in own:
            at: Any = s.index  # of places in an array, as the shape is known
            value[at] = s.value
            mask[at] = True
        everything = any(not s.index for s in own)
        out[path] = own[0].scored, value, None if everything else mask
    return out


def for_machine(settings: Sequence[Setting]) -> list[tuple[tuple[str, ...], Set]]:
    """The settings as the machine takes them: the names of paths, and values as nested tuples."""
    from ppl.semantics.machine.settings import Set

    def nested(v: Any) -> Any:
        return tuple(map(nested, v)) if isinstance(v, list) else v

    return [
        (tuple(s.path.split("/")), Set(s.index, nested(np.asarray(s.value).tolist()), s.scored))
        for s in settings
    ]


def check_kinds(settings: Sequence[Setting]) -> None:
    """Raise E858 if a name is both conditioned and intervened on."""
    for path in dict.fromkeys(s.path for s in settings):
        if len({s.scored for s in settings if s.path == path}) > 1:
            raise fail(
                "E858",
                f"`{path}` is both conditioned and intervened on",
                hint="leave the condition out: an intervention replaces the law of the name",
            )


def shown(name: str, settings: Sequence[Setting]) -> str:
    """The name of a target as results show it: `triangle.do(x=1)`."""
    for scored, group in itertools.groupby(settings, lambda s: s.scored):
        name += f".{'given' if scored else 'do'}({listed(list(group))})"
    return name


def listed(settings: Sequence[Setting]) -> str:
    """`x=1, theta[3]=2.`"""
    return ", ".join(f"{s.address}={_short(s.value)}" for s in settings)


def _short(value: Any) -> str:
    array = np.asarray(value)
    if array.size > 4:
        return "…"
    return np.array2string(array, separator=", ", precision=4)

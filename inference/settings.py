"""Settings of methods are checked when they are made, wherever they come from."""

from __future__ import annotations

from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ppl.semantics.diagnostics import fail

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", NoneType: "none"}


def check_types(settings: Any) -> None:
    """Raise E811 if a field of a dataclass has a value of another type than it declares: numbers,
    booleans and literals are looked at."""
    for name, type in get_type_hints(settings.__class__).items():
        value = getattr(settings, name)
        if not _fits(value, type):
            raise fail("E811", f"{name} = {value!r}: it must be {_named(type)}")


def _fits(value: Any, type: Any) -> bool:
    if get_origin(type) is Literal:
        return value in get_args(type)
    if get_origin(type) in (Union, UnionType):
        return any(_fits(value, t) for t in get_args(type))
    if type in (int, float):
        return isinstance(value, Integral if type is int else Real) and not isinstance(value, bool)
    return isinstance(value, type) if type in (bool, NoneType) else True


def _named(type: Any) -> str:
    if get_origin(type) is Literal:
        return "one of " + ", ".join(map(str, get_args(type)))
    parts = get_args(type) if get_origin(type) in (Union, UnionType) else (type,)
    return " or ".join(_NAMES.get(t) or _named(t) for t in parts)

"""What an observation is named: the data that its expression traces to.

An origin is the name of a parameter of the model, or a tuple or a record of origins, or None.
An array has the origin of its elements, so that loops, `zip`, indices and slices keep it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ppl.lang import syntax as s

if TYPE_CHECKING:
    from ppl.lang.elaborate.scope import Local

Origin = None | str | tuple["Origin", ...] | Mapping[str, "Origin"]

#: primitives whose elements are elements of their first argument
_KEEPING = frozenset({"index", "slice", "columns", "columns_slice", "reverse", "flatten"})


def trace(e: s.Expr, names: Mapping[str, Local], primitive: Mapping[s.Node, str]) -> Origin:
    """The origin of an expression."""
    match e:
        case s.Name(name=name):
            return names[name].origin if name in names else None
        case s.Index(value=value) | s.Cast(value=value):
            return trace(value, names, primitive)
        case s.Field(value=value, name=name):
            return part(trace(value, names, primitive), name)
        case s.Tuple(items=items):
            return tuple(trace(i, names, primitive) for i in items)
        case s.Record(fields=fields):
            return {k: trace(v, names, primitive) for k, v in fields}
        case s.Call(args=args):
            row = primitive.get(e)
            if row == "zip":
                return tuple(trace(a, names, primitive) for a in args)
            if row == "enumerate":
                return (None, trace(args[0], names, primitive))
            if row in _KEEPING and args:
                return trace(args[0], names, primitive)
    return None


def part(origin: Origin, field: str | int) -> Origin:
    """The origin of a field or component: that of the whole, if it is one parameter."""
    match origin:
        case str() | None:
            return origin
        case tuple():
            index = int(field)
            return origin[index] if index < len(origin) else None
        case _:
            return origin.get(str(field))


def observation_name(e: s.Expr, origin: Origin) -> str:
    """The parameter that is observed, else the text of the expression."""
    if isinstance(origin, str):
        return origin
    parts = _leaves(origin)
    if parts and all(isinstance(p, str) for p in parts):
        return ",".join(p for p in parts if p is not None)
    return " ".join(e.span.text.split())


def _leaves(origin: Origin) -> Sequence[str | None]:
    match origin:
        case str() | None:
            return (origin,)
        case tuple():
            items: Sequence[Origin] = origin
        case _:
            items = tuple(origin.values())
    return [leaf for item in items for leaf in _leaves(item)]

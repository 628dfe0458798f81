"""Values that are no arrays, as text: maps, lists, options, texts and tuples in results.

JSON in which what JSON does not tell apart is marked: `["tuple", …]`, `["map", [key, value], …]`,
`["list", …]`, `["Cons", …]` under `make`, and numbers that are not finite.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ppl.semantics.machine.values import Con


def encode(value: Any) -> str:
    """The text of a value. Raises TypeError if it holds functions or other objects."""
    return json.dumps(_encode(value))


def decode(text: str) -> Any:
    """The value that `encode` gave this text for."""
    return _decode(json.loads(text))


def _encode(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case float() if not math.isfinite(value):
            return ["number", str(value)]
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return ["map", *([_encode(k), _encode(v)] for k, v in value.items())]
        case tuple():
            return ["tuple", *map(_encode, value)]
        case list():
            return ["list", *map(_encode, value)]
        case Con(name=name, args=args):
            return _constructor(name, args)
    raise TypeError(f"{type(value).__name__} has no text")


def _constructor(name: str, args: tuple[Any, ...]) -> Any:
    """Long lists nest in their last argument: in a row, not in each other."""
    row = []
    while True:
        *first, last = args if args else (None,)
        if not (args and isinstance(last, Con)):
            row.append([name, *map(_encode, args)])
            return ["make", *row]
        row.append([name, *map(_encode, first), ["last"]])
        name, args = last.name, last.args


def _decode(form: Any) -> Any:
    if not isinstance(form, list):
        return form
    kind, *parts = form
    match kind:
        case "number":
            return float(parts[0])
        case "map":
            return {_decode(k): _decode(v) for k, v in parts}
        case "tuple":
            return tuple(map(_decode, parts))
        case "list":
            return list(map(_decode, parts))
        case "make":
            return _made(parts)
    raise ValueError(f"no form of values begins with {kind!r}")


def _made(row: list[Any]) -> Con:
    out: Any = None
    for name, *args in reversed(row):
        values = (out if a == ["last"] else _decode(a) for a in args)
        out = Con(name, tuple(values))
    return out

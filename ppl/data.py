"""Data bound to a model's parameters: found, shaped, and checked against their declared types.

What a parameter's type becomes:

- `nat`, `int`, `real`, `pos`, `prob`, `bool`, `text`: a Python scalar; arrays of them: a NumPy
  array (int64, float64, bool, str) with as many dimensions as the type.
- `A?`: as `A`; a hole is None, and arrays are masked arrays (masked where there is a hole).
- tuples and records: a tuple, a dict. Arrays of them are held by columns: `[{x: real, k: nat}]` is
  `{"x": float array, "k": int array}`. A list of rows and columns are both accepted.
- maps: a tuple of pairs of a key and its value, from a mapping or pairs.
- functions and opaque values are passed through; arrays of them are object arrays.

Whole numbers written as reals (`3.0`) are integers, and 0 and 1 are booleans; no other conversion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from ppl.files import Fields
from ppl.leaves import leaf, map_nest, require_nest
from ppl.places import Parameter, Place, by, describe
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Note, suggest
from ppl.semantics.types import (
    BOOL,
    MAP,
    TEXT,
    UNIT,
    Data,
    Fun,
    Option,
    Record,
    Tuple,
    Type,
    is_number,
    rank,
)
from ppl.semantics.types import Array as ArrayType


class Bound(NamedTuple):
    """Values in the order of the parameters, and warnings about the fields left over."""

    values: dict[str, Any]
    warnings: tuple[Diagnostic, ...]


def bind(parameters: Sequence[Parameter], data: Fields | Mapping[str, Any]) -> Bound:
    """Give each parameter the field of its name, converted to its type, or else its default.

    Raises:
        DiagnosticError: one diagnostic for each parameter that has no field (E601, or E602 if a
            field is close in spelling), or whose field is of the wrong kind (E603), shape (E604)
            or range (E605), or has holes its type does not allow (E606).
    """
    fields = data if isinstance(data, Fields) else Fields(data)
    names = {p.name for p in parameters}
    extra = [n for n in fields.values if n not in names]
    values: dict[str, Any] = {}
    errors: list[Diagnostic] = []
    for parameter in parameters:
        try:
            if parameter.name not in fields.values:
                close = _close(parameter.name, extra)
                if parameter.has_default and close is None:
                    values[parameter.name] = parameter.default
                    continue
                raise DiagnosticError(_missing(parameter, fields, close))
            place = Place(parameter, fields.describe(parameter.name), ((parameter.name, 0),))
            values[parameter.name] = _convert(parameter.type, fields.values[parameter.name], place)
        except DiagnosticError as error:
            errors += error.diagnostics
    if errors:
        raise DiagnosticError(*errors)
    return Bound(
        values, tuple(_unused(n, fields, parameters) for n in extra if n not in fields.spare)
    )


def _close(name: str, extra: Sequence[str]) -> str | None:
    """The field nobody takes that was probably meant."""
    lower = {n.lower(): n for n in extra}
    found = get_close_matches(name.lower(), list(lower), n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def _missing(parameter: Parameter, fields: Fields, close: str | None) -> Diagnostic:
    where = fields.origin or "the call"
    declared = f"`{parameter.name}` is declared `{parameter.type}`"
    if close is not None:
        message = f"{where} has no `{parameter.name}`, but it has `{close}`"
        hint = "rename the field or the parameter: they must have the same name"
        return Diagnostic("E602", message, parameter.span, (Note(declared),), hint)
    message = f"{where} has no field for the model's parameter `{parameter.name}`"
    have = ", ".join(f"`{n}`" for n in list(fields.values)[:8]) or "none"
    notes = (Note(declared), Note(f"the fields are: {have}"))
    return Diagnostic("E601", message, parameter.span, notes, f"add `{parameter.name}` to {where}")


def _unused(name: str, fields: Fields, parameters: Sequence[Parameter]) -> Diagnostic:
    known = ", ".join(f"`{p.name}`" for p in parameters) or "none"
    return Diagnostic(
        "W601",
        f"the {fields.describe(name)} is not used",
        notes=(Note(f"the model's parameters are: {known}"),),
    )


# ---------------------------------------------------------------------------------- conversions


def _convert(type: Type, value: Any, place: Place) -> Any:
    """`value` as `type`; everything below is by cases on the type under its array constructors."""
    dims, item = rank(type), _innermost(type)
    holes = isinstance(item, Option)
    item = item.item if isinstance(item, Option) else item
    if is_number(item) or item in (BOOL, TEXT):
        return leaf(item, dims, holes, value, place.deeper(dims))
    if isinstance(item, ArrayType):  # `[A]?`: all of it or nothing
        if dims == 0:
            return None if value is None else _convert(item, value, place)
        raise place.error("E604", f"has the type `{type}`, which data cannot have")
    if isinstance(item, (Record, Tuple)):
        if dims == 0:
            if holes and value is None:
                return None
            return _product(item, value, place)
        return _columns(item, dims, holes, value, place)
    return _passed(item, dims, value, place)


def _innermost(type: Type) -> Type:
    while isinstance(type, ArrayType):
        type = type.item
    return type


def _wrap(type: Type, dims: int) -> Type:
    for _ in range(dims):
        type = ArrayType(type)
    return type


def _parts(type: Record | Tuple) -> list[tuple[Any, str, Type]]:
    """The key, the suffix to show, and the type of each component."""
    if isinstance(type, Record):
        return [(name, f".{name}", t) for name, t in type.fields]
    return [(i, f".{i}", t) for i, t in enumerate(type.items)]


def _component(
    type: Record | Tuple, key: Any, value: Any, place: Place, index: tuple[int, ...]
) -> Any:
    """Component `key` of one row, which must have exactly the components of `type`."""
    if isinstance(type, Record):
        if not isinstance(value, Mapping):
            message = f"is {describe(value)}, not a record with fields"
            raise place.error("E603", message, index=index)
        known = [name for name, _ in type.fields]
        if key not in value:
            hint = suggest(key, [n for n in value if n not in known])
            have = ", ".join(f"`{n}`" for n in value) or "none"
            message = f"has no field `{key}` (its fields: {have})"
            raise place.error("E602" if hint else "E601", message, index=index, hint=hint)
        return value[key]
    size = len(type.items)
    if isinstance(value, (str, Mapping)) or not hasattr(value, "__len__") or len(value) != size:
        message = f"is {describe(value)}, not a tuple of {size}"
        raise place.error("E604", message, index=index)
    return value[key]


def _product(type: Record | Tuple, value: Any, place: Place) -> Any:
    parts = {
        key: _convert(t, _component(type, key, value, place, ()), place.child(suffix))
        for key, suffix, t in _parts(type)
    }
    return parts if isinstance(type, Record) else tuple(parts.values())


def _columns(type: Record | Tuple, dims: int, holes: bool, value: Any, place: Place) -> Any:
    """An array of products, held as a product of arrays."""
    inner = place.deeper(dims)
    columns: dict[Any, Any] = {}
    given_by_column = isinstance(value, Mapping) and isinstance(type, Record)
    rows = None if given_by_column else require_nest(value, dims, inner)
    for key, suffix, t in _parts(type):
        if given_by_column:
            column = _component(type, key, value, place, ())
        else:
            column = map_nest(
                rows,
                dims,
                lambda row, i, key=key: (
                    None if holes and row is None else _component(type, key, row, inner, i)
                ),
            )
        column_type = Option(t) if holes and not isinstance(t, Option) else t
        columns[key] = _convert(_wrap(column_type, dims), column, inner.child(suffix))
    if given_by_column:
        _same_lengths(columns, dims, place)
    return columns if isinstance(type, Record) else tuple(columns.values())


def _same_lengths(columns: Mapping[Any, Any], dims: int, place: Place) -> None:
    lengths = {k: c.shape[:dims] for k, c in columns.items() if isinstance(c, np.ndarray)}
    for k, shape in lengths.items():
        first, expected = next(iter(lengths.items()))
        if shape != expected:
            raise place.error(
                "E604",
                f"has columns of unequal length: `{first}` has {by(expected)}, `{k}` {by(shape)}",
            )


def _map(type: Data, value: Any, place: Place) -> tuple[tuple[Any, Any], ...]:
    """Keys and values: of a mapping, such as an object of JSON, or of pairs."""
    key, item = type.args
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, (list, tuple)) and all(
        isinstance(p, (list, tuple)) and len(p) == 2 for p in value
    ):
        pairs = [(k, v) for k, v in value]
    else:
        hint = "a map is a mapping, or an array of pairs of a key and its value"
        raise place.error("E603", f"is {describe(value)}, not a map", hint=hint)
    if key != TEXT and isinstance(value, Mapping) and any(isinstance(k, str) for k, _ in pairs):
        hint = f"with keys that are no texts, write pairs: [[key, value], …] for `{type}`"
        raise place.error("E603", f"has texts as keys, and is declared `{type}`", hint=hint)
    out = []
    for k, v in pairs:
        inside = place.child(f"[{str(k)[:40]!r}]" if isinstance(k, str) else f"[{str(k)[:40]}]")
        out.append((_convert(key, k, inside), _convert(item, v, inside)))
    return tuple(out)


def _passed(type: Type, dims: int, value: Any, place: Place) -> Any:
    """Functions, maps, unit and opaque values, and arrays of them."""

    def one(v: Any, index: tuple[int, ...]) -> Any:
        if isinstance(type, Fun) and not callable(v):
            hint = "functions are passed from Python: model(f=lambda x: …)"
            message = f"is {describe(v)}, not a function"
            raise inner.error("E603", message, index=index, hint=hint)
        if isinstance(type, Data) and type.name == MAP:
            return _map(type, v, place if not index else place.child(f"{list(index)}"))
        if type == UNIT and v is not None and v != ():
            raise inner.error("E603", f"is {describe(v)}, not `()`", index=index)
        return None if type == UNIT else v

    inner = place.deeper(dims)
    if dims == 0:
        return one(value, ())
    nest = map_nest(require_nest(value, dims, inner), dims, one)
    shape: tuple[int, ...] = ()
    level: Any = nest
    for _ in range(dims):
        shape, level = (*shape, len(level)), level[0] if level else ()
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        element: Any = nest
        for i in index:
            element = element[i]
        out[index] = element
    return out

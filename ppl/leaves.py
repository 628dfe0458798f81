"""Arrays of numbers, booleans and texts: shape, holes, kind and range checked, then converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ppl.files import MISSING
from ppl.places import Place, by, describe, dimensions
from ppl.semantics.types import BOOL, INT, NAT, POS, PROB, REAL, TEXT, Type


def require_nest(value: Any, dims: int, place: Place) -> Any:
    """A rectangular nest of `dims` lists, or an error that says where it is not one."""

    def walk(v: Any, index: tuple[int, ...]) -> tuple[int, ...]:
        if len(index) == dims:
            return ()
        if isinstance(v, (str, Mapping)) or not hasattr(v, "__len__"):
            raise place.error("E604", f"is {describe(v)}, not an array", index=index)
        shapes = [walk(row, (*index, i)) for i, row in enumerate(v)]
        _rectangular(shapes, place, index)
        return (len(shapes), *(shapes[0] if shapes else (0,) * (dims - len(index) - 1)))

    walk(value, ())
    return value


def map_nest(rows: Any, dims: int, f: Callable[[Any, tuple[int, ...]], Any]) -> list[Any]:
    def walk(v: Any, index: tuple[int, ...]) -> Any:
        if len(index) == dims:
            return f(v, index)
        return [walk(row, (*index, i)) for i, row in enumerate(v)]

    return walk(rows, ())


def _rectangular(shapes: Sequence[tuple[int, ...]], place: Place, index: tuple[int, ...]) -> None:
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            here, first = place.show((*index, i)), place.show((*index, 0))
            raise place.error(
                "E604",
                f"is ragged: `{here}` has {by(shape)} entries, `{first}` {by(shapes[0])}",
                index=index,
                hint="arrays are rectangular: hold ragged data as one flat array and its offsets",
            )


# --------------------------------------------------------------------------------------- leaves


def leaf(type: Type, dims: int, holes: bool, value: Any, place: Place) -> Any:
    array, hole = _as_array(value, dims, place)
    if hole.any() and not holes:
        found = place.show(np.argwhere(hole)[0].tolist())
        raise place.error(
            "E606",
            f"has {int(hole.sum())} missing value(s), the first at `{found}`",
            hint=f"to let the model fill holes, declare the element `{type}?`",
        )
    checked = _of_type(type, array, hole, place)
    if dims == 0:
        return None if hole.any() else checked.item()
    return np.ma.MaskedArray(checked, mask=hole) if holes else checked


def _as_array(value: Any, dims: int, place: Place) -> tuple[np.ndarray, np.ndarray]:
    """`value` as an array of `dims` dimensions, elements as they are, and the mask of its holes."""
    if hasattr(value, "__array__"):
        array = value if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
    else:
        try:
            array = np.array(value, dtype=object)
        except ValueError:  # rows that are arrays of unequal shapes
            array = np.empty(0, dtype=object)
            require_nest(value, dims, place)
    if array.dtype == object and array.ndim < dims and array.size and _is_list(array.flat[0]):
        require_nest(value, dims, place)
    if array.size == 0 and array.ndim < dims:
        array = array.reshape(array.shape + (0,) * (dims - array.ndim))
    if array.ndim != dims or (array.dtype == object and any(map(_is_list, array.flat))):
        raise place.error("E604", f"is {describe(value)}, not {dimensions(dims)}")
    hole = np.ma.getmaskarray(array)
    array = np.ma.getdata(array)
    if array.dtype.kind == "f":
        hole = hole | np.isnan(array)
    elif array.dtype == object:
        hole = hole | np.array([_is_hole(v) for v in array.flat], dtype=bool).reshape(array.shape)
    return array, hole


def _is_list(v: Any) -> bool:
    return isinstance(v, (list, tuple)) or (isinstance(v, np.ndarray) and v.ndim > 0)


def _reads_as_number(v: Any) -> bool:
    """Whether a cell of a file would be a number or a hole by itself."""
    if isinstance(v, str) and v in MISSING:
        return True
    try:
        float(v)
    except (TypeError, ValueError):
        return False
    return True


def _is_hole(v: Any) -> bool:
    return (
        v is None
        or (isinstance(v, (float, np.floating)) and v != v)
        or type(v).__name__ == "NAType"
    )


def _of_type(type: Type, array: np.ndarray, hole: np.ndarray, place: Place) -> np.ndarray:
    """The elements converted (those in holes to zero), each of the right kind and range."""
    wanted, dtype, zero = _WANTED[str(type)]
    bad = _foreign(array, wanted) & ~hole
    filled = np.where(hole, zero, array) if hole.any() else array
    if not bad.any() and type in (NAT, INT, BOOL):
        bad = ~_whole(filled)
    if not bad.any() and type == BOOL:
        bad = (filled != 0) & (filled != 1)
    if bad.any():
        places = np.argwhere(bad).tolist()
        # one cell that is no number makes a column of texts: it is that cell that is wrong
        index = next((i for i in places if not _reads_as_number(_at(array, i))), places[0])
        message = f"is {describe(_at(array, index))}, not {_A[str(type)]}"
        raise place.error("E603", message, index=index, hint=_hint(type, _at(array, index)))
    if type in (NAT, INT) and array.dtype.kind in "fuO":
        _within(filled, -(2**63), 2**63 - 1, "an integer of 64 bits", place, None)
    try:
        out = np.asarray(filled, dtype=dtype)
    except OverflowError:
        raise place.error("E605", "has a number too large for a real") from None
    low, high = _RANGE.get(str(type), (None, None))
    if low is not None:
        _within(out, low, high, _A[str(type)], place, _range_hint(type))
    return np.ascontiguousarray(out) if out.ndim else out


def _within(
    array: np.ndarray, low: Any, high: Any, what: str, place: Place, hint: str | None
) -> None:
    bad = array < low if high is None else (array < low) | (array > high)
    if np.any(bad):
        index = np.argwhere(bad)[0].tolist()
        message = f"is {_at(array, index)}, not {what}"
        more = int(np.sum(bad)) - 1
        message += f" (and {more} more like it)" if more else ""
        raise place.error("E605", message, index=index, hint=hint)


def _foreign(array: np.ndarray, wanted: frozenset[str]) -> np.ndarray:
    """Where an element is of a kind that is not wanted."""
    if array.dtype == object:
        return np.array([_kind(v) not in wanted for v in array.flat], bool).reshape(array.shape)
    letter = {"b": "b", "i": "i", "u": "i", "f": "f", "U": "t", "T": "t"}.get(array.dtype.kind)
    return np.full(array.shape, letter not in wanted)


def _whole(array: np.ndarray) -> np.ndarray:
    if array.dtype == object:
        return np.array([v == v // 1 for v in array.flat], bool).reshape(array.shape)
    return array == np.floor(array) if array.dtype.kind == "f" else np.ones(array.shape, bool)


def _kind(v: Any) -> str:
    if isinstance(v, (bool, np.bool_)):
        return "b"
    if isinstance(v, (int, np.integer)):
        return "i"
    if isinstance(v, (float, np.floating)):
        return "f"
    return "t" if isinstance(v, str) else "?"


def _at(array: np.ndarray, index: Sequence[int]) -> Any:
    value = array[tuple(index)]
    return value.item() if isinstance(value, np.generic) else value


#: the kinds of element a type accepts, what it is held as, and what stands in a hole
_WANTED: dict[str, tuple[frozenset[str], Any, Any]] = {
    **{str(t): (frozenset("if"), np.int64, 0) for t in (NAT, INT)},
    **{str(t): (frozenset("if"), np.float64, 0.0) for t in (REAL, POS, PROB)},
    "bool": (frozenset("bif"), np.bool_, False),
    "text": (frozenset("t"), np.str_, ""),
}
_RANGE: dict[str, tuple[float, float | None]] = {"nat": (0, None), "pos": (0, None), "prob": (0, 1)}
_A = {
    "nat": "a whole number of at least 0",
    "int": "a whole number",
    "real": "a number",
    "pos": "a number of at least 0",
    "prob": "a number between 0 and 1",
    "bool": "true or false",
    "text": "a text",
}


def _hint(type: Type, value: Any) -> str | None:
    if isinstance(value, str) and type != TEXT:
        return "numbers stand without quotation marks; a missing value is null (JSON) or NA (CSV)"
    if isinstance(value, bool):
        return "write 0 and 1, or declare the parameter with `bool`"
    if isinstance(value, float) and type in (NAT, INT):
        return "declare the parameter with `real`, or round the data"
    return None


def _range_hint(type: Type) -> str:
    return f"mend the data, or declare the parameter with `{'int' if type == NAT else 'real'}`"

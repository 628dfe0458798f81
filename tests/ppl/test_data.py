"""Data bound to parameters: what each type becomes, and one clear error for each way to fail."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppl.data import bind
from ppl.files import Fields
from ppl.places import Parameter
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Source, Span
from ppl.semantics.types import (
    BOOL,
    INT,
    NAT,
    POS,
    PROB,
    REAL,
    TEXT,
    UNIT,
    Array,
    Fun,
    Option,
    Record,
    Tuple,
    Type,
)

SOURCE = Source("m.ppl", "model m(y: [real], sigma: [pos]) {")
ROW = Record((("x", REAL), ("k", NAT)))
MATRIX = Array(Array(REAL))


def one(type: Type, value: Any) -> Any:
    return bind([Parameter("y", type)], {"y": value}).values["y"]


def problem(type: Type, value: Any) -> Diagnostic:
    span = Span(SOURCE, 8, 17)
    with pytest.raises(DiagnosticError) as caught:
        bind([Parameter("y", type, span)], Fields({"y": value}, "d.json"))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is span
    assert any("the field `y` of d.json" in note.message for note in diagnostic.notes)
    return diagnostic


@pytest.mark.parametrize(
    ("type", "value", "dtype"),
    [
        (Array(REAL), [1, 2.5, -3], np.float64),
        (Array(POS), np.array([0, 2], np.float32), np.float64),
        (Array(PROB), (0, 0.5, 1), np.float64),
        (Array(NAT), [3.0, 0, 2], np.int64),
        (Array(INT), np.array([-3, 2], np.int8), np.int64),
        (Array(BOOL), [True, 0, 1.0], np.bool_),
        (MATRIX, [[1, 2, 3], [4, 5, 6]], np.float64),
        (MATRIX, [np.arange(3), np.ones(3)], np.float64),
        (Array(TEXT), ["a", "bcd"], np.str_),
    ],
    ids=str,
)
def test_arrays(type, value, dtype):
    array = one(type, value)
    assert np.issubdtype(array.dtype, dtype) and array.flags.c_contiguous
    np.testing.assert_array_equal(array, np.array(value, dtype))


@pytest.mark.parametrize(
    ("type", "value"),
    [(REAL, 2.5), (NAT, 7), (INT, -7), (BOOL, True), (TEXT, "hi"), (PROB, 0.25), (UNIT, None)],
    ids=str,
)
def test_scalars_are_python_scalars(type, value):
    found = one(type, value)
    assert found == value and isinstance(found, value.__class__)
    assert one(Option(type), None) is None or type == UNIT


def test_whole_reals_become_integers_and_integers_reals():
    assert isinstance(one(NAT, 3.0), int)
    assert isinstance(one(REAL, 3), float)


def test_rows_and_columns_are_the_same_table():
    rows = one(Array(ROW), [{"x": 1.5, "k": 2}, {"k": 3, "x": -1}])
    columns = one(Array(ROW), {"x": [1.5, -1], "k": [2, 3]})
    for table in (rows, columns):
        assert list(table) == ["x", "k"]
        np.testing.assert_array_equal(table["x"], [1.5, -1.0])
        np.testing.assert_array_equal(table["k"], [2, 3])
        assert table["k"].dtype == np.int64


def test_arrays_of_tuples_are_tuples_of_arrays():
    xs, ks = one(Array(Tuple((REAL, NAT))), [(0.5, 1), (1.5, 2), (2.5, 3)])
    np.testing.assert_array_equal(xs, [0.5, 1.5, 2.5])
    np.testing.assert_array_equal(ks, [1, 2, 3])
    xs, ks = one(Array(Tuple((REAL, NAT))), np.array([[0.5, 1], [1.5, 2]]))
    np.testing.assert_array_equal(ks, [1, 2])


def test_nested_records():
    type = Record((("group", Array(Record((("ys", Array(REAL)),)))), ("n", NAT)))
    found = one(type, {"group": [{"ys": [1, 2]}, {"ys": [3, 4]}, {"ys": [5, 6]}], "n": 3})
    np.testing.assert_array_equal(found["group"]["ys"], [[1, 2], [3, 4], [5, 6]])
    assert found["n"] == 3


def test_holes():
    array = one(Array(Option(REAL)), [1, None, float("nan"), 4])
    assert array.mask.tolist() == [False, True, True, False]
    assert array.compressed().tolist() == [1.0, 4.0]
    counts = one(Array(Option(NAT)), [1, None, 3])
    assert counts.dtype == np.int64 and counts.mask.tolist() == [False, True, False]
    rows = one(Array(Option(ROW)), [{"x": 1, "k": 2}, None])
    assert rows["x"].mask.tolist() == rows["k"].mask.tolist() == [False, True]
    assert not one(Array(Option(REAL)), [1.0, 2.0]).mask.any()
    masked = np.ma.MaskedArray([1.0, 2.0], [True, False])
    assert one(Array(Option(REAL)), masked).mask.tolist() == [True, False]
    assert one(Option(Array(REAL)), None) is None


def test_functions_pass_through():
    def double(x):
        return 2 * x

    assert one(Fun((REAL,), REAL), double) is double
    both = one(Array(Fun((REAL,), REAL)), [double, abs])
    assert both.dtype == object and list(both) == [double, abs]


def test_empty_arrays_have_the_dimensions_of_their_type():
    assert one(MATRIX, []).shape == (0, 0)
    assert one(Array(ROW), [])["k"].shape == (0,)


@pytest.mark.parametrize(
    ("type", "value", "code", "says"),
    [
        (
            Array(POS),
            [1, -2.5, -3],
            "E605",
            "`y[1]` is -2.5, not a number of at least 0 (and 1 more",
        ),
        (PROB, 1.5, "E605", "`y` is 1.5, not a number between 0 and 1"),
        (Array(NAT), [3, -1], "E605", "`y[1]` is -1"),
        (Array(INT), [2**70], "E605", "not an integer of 64 bits"),
        (Array(NAT), np.array([1e300]), "E605", "not an integer of 64 bits"),
        (Array(REAL), [10**400], "E605", "too large"),
        (Array(NAT), [2, 1.5], "E603", "`y[1]` is 1.5, not a whole number"),
        (Array(NAT), np.array([2, 1.5]), "E603", "`y[1]` is 1.5, not a whole number"),
        (Array(REAL), ["1.5"], "E603", "`y[0]` is the text '1.5', not a number"),
        (Array(REAL), [1, True], "E603", "`y[1]` is true, not a number"),
        (REAL, np.array(1j), "E603", "not a number"),
        (TEXT, 3, "E603", "`y` is 3, not a text"),
        (Array(BOOL), [0, 2], "E603", "`y[1]` is 2, not true or false"),
        (Fun((REAL,), REAL), 3, "E603", "not a function"),
        (ROW, 3, "E603", "not a record"),
        (REAL, [1, 2], "E604", "`y` is an array of 2, not a single value"),
        (Array(REAL), 5, "E604", "`y` is 5, not an array"),
        (Array(REAL), "abc", "E604", "not an array"),
        (Array(REAL), {"a": 1}, "E604", "a record with the fields `a`, not an array"),
        (MATRIX, [[1, 2], [3]], "E604", "ragged: `y[1]` has 1 entries, `y[0]` 2"),
        (MATRIX, [np.ones(2), np.ones(3)], "E604", "ragged: `y[1]` has 3 entries, `y[0]` 2"),
        (MATRIX, [[1, 2], 3], "E604", "`y[1]` is 3, not an array"),
        (MATRIX, np.ones((2, 3, 4)), "E604", "an array of 2 x 3 x 4, not a matrix"),
        (Array(REAL), [[1], [2]], "E604", "an array of 2 x 1, not an array (one dimension)"),
        (
            Array(Tuple((REAL, NAT))),
            [[1, 2], [1, 2, 3]],
            "E604",
            "`y[1]` is an array of 3, not a t",
        ),
        (Array(ROW), {"x": [1, 2], "k": [1, 2, 3]}, "E604", "`x` has 2, `k` 3"),
        (Array(ROW), 5, "E604", "`y` is 5, not an array"),
        (Array(REAL), [1, None, None], "E606", "2 missing value(s), the first at `y[1]`"),
        (REAL, float("nan"), "E606", "missing"),
        (Array(ROW), [{"x": 1, "k": 2}, {"x": None, "k": 2}], "E606", "the first at `y[1].x`"),
        (Array(ROW), [{"x": 1, "k": 2}, {"x": 1, "k": -2}], "E605", "`y[1].k` is -2"),
        (Array(ROW), [{"x": 1, "k": 2}, {"x": 1}], "E601", "`y[1]` has no field `k`"),
        (Array(ROW), [{"x": 1, "kk": 2}], "E602", "no field `k`"),
        (Array(Record((("x", Array(REAL)),))), [{"x": [1]}, {"x": ["b"]}], "E603", "`y[1].x[0]`"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_each_problem_is_named_once(type, value, code, says):
    found = problem(type, value)
    assert found.code == code
    assert says in found.message


def test_missing_and_misspelt_parameters_are_told_together():
    declared = [Parameter("sigma", Array(POS)), Parameter("y", Array(REAL)), Parameter("n", NAT)]
    with pytest.raises(DiagnosticError) as caught:
        bind(declared, Fields({"Sigmas": [1], "n": 2, "elsewhere": 0}, "d.json"))
    misspelt, missing = caught.value.diagnostics
    assert (
        misspelt.code == "E602" and "`sigma`" in misspelt.message and "`Sigmas`" in misspelt.message
    )
    assert missing.code == "E601" and "d.json has no field" in missing.message


def test_defaults_are_for_parameters_nobody_meant():
    declared = [Parameter("nu", POS, None, 4.0, True), Parameter("y", REAL)]
    assert bind(declared, {"y": 1}).values == {"nu": 4.0, "y": 1.0}
    assert bind(declared, {"nu": 7, "y": 1}).values == {"nu": 7.0, "y": 1.0}
    with pytest.raises(DiagnosticError, match="E602"):
        bind(declared, {"NU": 7, "y": 1})


def test_unused_fields_warn_unless_they_are_spare():
    fields = Fields({"y": 1.5, "z": 2, "time": 3}, "d.nc", spare=frozenset({"time"}))
    bound = bind([Parameter("y", REAL)], fields)
    (warning,) = bound.warnings
    assert (
        warning.code == "W601"
        and warning.severity == "warning"
        and "`z` of d.nc" in warning.message
    )


NUMBERS = st.floats(allow_nan=False) | st.integers(-(10**6), 10**6)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xk"), inner),
    max_leaves=12,
)
TYPES = st.recursive(
    st.sampled_from([REAL, POS, PROB, NAT, INT, BOOL, TEXT]),
    lambda inner: (
        inner.map(Array)
        | st.tuples(inner, inner).map(Tuple)
        | st.tuples(inner, inner).map(lambda t: Record((("x", t[0]), ("k", t[1]))))
    ),
    max_leaves=4,
)


@given(TYPES, JSON)
def test_any_json_is_bound_or_refused_with_a_code(type, value):
    try:
        bind([Parameter("y", type)], {"y": value})
    except DiagnosticError as error:
        assert all(
            d.code in {"E601", "E602", "E603", "E604", "E605", "E606"} for d in error.diagnostics
        )


@given(st.data(), st.integers(0, 3), st.integers(0, 3))
def test_a_rectangle_of_numbers_survives_json(data, rows, columns):
    row = st.lists(
        st.floats(allow_nan=False, allow_infinity=False), min_size=columns, max_size=columns
    )
    table = data.draw(st.lists(row, min_size=rows, max_size=rows))
    found = one(MATRIX, json.loads(json.dumps(table)))
    assert found.dtype == np.float64 and found.ndim == 2
    assert found.tolist() == table

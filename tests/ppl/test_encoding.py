"""Values that are no arrays, as text and in files: what is read is what was written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ppl
from ppl.encoding import decode, encode
from ppl.semantics.machine.values import Con
from ppl.storage import ResultNotSaved

ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


def compound(inner):
    args = st.lists(inner, max_size=3).map(tuple)
    return (
        st.lists(inner, max_size=3)
        | args
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.text(), st.booleans()), inner)
        | st.builds(Con, st.sampled_from(["Cons", "lists.Nil", "last"]), args)
    )


def same(a, b) -> bool:
    """Equal, of one type, NaN equal to itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, Con):
        return a.name == b.name and same(a.args, b.args)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@given(st.recursive(ATOMS, compound, max_leaves=12))
def test_round_trip(value):
    assert same(decode(encode(value)), value)


def test_long_lists():
    xs = Con("Nil")
    for i in range(20_000):
        xs = Con("Cons", (i, xs))
    back = decode(encode(xs))
    for i in reversed(range(20_000)):
        head, back = back.args
        assert head == i
    assert back == Con("Nil")


def test_functions_have_no_text():
    with pytest.raises(TypeError):
        encode([{"f": lambda x: x}])


def objects(*values) -> np.ndarray:
    out = np.empty((1, len(values)), object)
    for i, v in enumerate(values):
        out[0, i] = v
    return out


def posterior(result) -> ppl.Posterior:
    return ppl.Posterior(
        draws={"a": np.zeros((1, 3))},
        result=result,
        model="m",
        method="importance",
        log_weights=np.zeros((1, 3)),
    )


def test_files(tmp_path):
    maps = objects({"a": 1.5, "b": math.inf}, {(1, True): [1, 2]}, None)
    result = (
        np.arange(3.0)[None],
        {"maps": maps, "made": objects(Con("None"), Con("Some", (2,)), "t")},
    )
    posterior(result).save(tmp_path / "p.nc")
    after = ppl.load_posterior(tmp_path / "p.nc").result
    assert np.array_equal(after[0], result[0])
    for name in ("maps", "made"):
        assert same(after[1][name].tolist(), result[1][name].tolist())


def test_values_that_hold_functions_are_not_saved(tmp_path):
    with pytest.warns(ResultNotSaved):
        posterior(objects({"f": len}, {}, {})).save(tmp_path / "p.nc")
    assert ppl.load_posterior(tmp_path / "p.nc").result is None

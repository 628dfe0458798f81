"""Values of single executions have the form that compiled code gives: one test a kind of value."""

import numpy as np
import pytest

import ppl
from ppl.semantics import types as T
from ppl.stacking import stacked

#: results with arrays of tuples, records and functions, in loops and out of them; three elements
FORMS = """
model m(y: real) {
  pairs ~ scan (k, x) = (0, y) for i in range(3) {
    k ~ categorical([0.2, 0.3, 0.5])
    return (k, x + k)
  }
  rows ~ for i in range(3) {
    inner ~ for j in range(2) { b ~ bernoulli(0.4); return {b, at: (i, [y, j])} }
    return inner
  }
  let fs = [{f: fn (a) => a + x, k} for (k, x) in pairs]
  return {pairs, rows, fs, none: [(x, k) for (k, x) in pairs if false]}
}"""


def test_both_engines_hold_arrays_of_tuples_records_and_functions_by_their_parts():
    target = ppl.compile(FORMS).m(y=0.5)
    found = {
        e: ppl.infer(target, ppl.importance(particles=20), engine=e, seed=2, progress=False)
        for e in ("xla", "machine")
    }
    names = {e: {k: (v.shape, v.dtype) for k, v in p.draws.items()} for e, p in found.items()}
    assert names["xla"] == names["machine"]
    assert names["machine"]["pairs.1"] == ((1, 20, 3), float)
    assert names["machine"]["rows/inner.at.1"] == ((1, 20, 3, 2, 2), float)
    for p in found.values():
        k, x = p.result["pairs"]
        assert k.shape == x.shape == (1, 20, 3) and k.dtype == int
        np.testing.assert_array_equal(x, 0.5 + np.cumsum(k, axis=2))
        rows = p.result["rows"]
        assert rows["b"].shape == (1, 20, 3, 2) and rows["b"].dtype == bool
        np.testing.assert_array_equal(rows["at"][0][0, 0], [[0, 0], [1, 1], [2, 2]])
        assert rows["at"][1].shape == (1, 20, 3, 2, 2)
        assert [v.shape for v in p.result["none"]] == [(1, 20, 0)] * 2
        assert len(p.result["fs"]) == 3
        np.testing.assert_allclose(p.result["fs"][1]["f"](2.0), x[..., 1] + 2)


def test_what_is_of_different_sizes_stays_as_it_is():
    t = T.Array(T.Tuple((T.NAT, T.REAL)))
    values = [[(1, 0.5)], None, [(2, 0.25), (3, 1.5)]]
    assert stacked(values, t, (1, 3))[0].tolist() == values
    rows = [[[1, 2], [3, 4]], [[1], [2, 3]], None]
    assert stacked(rows, T.Array(T.Array(T.NAT)), (3, 1))[:, 0].tolist() == rows
    assert stacked([None] * 3, T.UNIT, (3, 1)) is None  # as compiled code gives it


def test_executions_without_weight_are_missing():
    k, x = stacked([[(1, 0.5)], None, [(2, 0.25)]], T.Array(T.Tuple((T.NAT, T.REAL))), (1, 3))
    np.testing.assert_array_equal(k, [[[1], [np.nan], [2]]])
    np.testing.assert_array_equal(x, [[[0.5], [np.nan], [0.25]]])


@pytest.mark.parametrize("sizes", [(3, 2), (0, 2), (3, 0)])
def test_matrices(sizes):
    value = np.arange(np.prod(sizes)).reshape(sizes)
    whole = stacked([value.tolist()] * 4, T.Array(T.Array(T.NAT)), (2, 2))
    assert whole.shape[:2] == (2, 2) and whole[1, 0].tolist() == value.tolist()

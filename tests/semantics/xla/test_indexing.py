"""Indexing: positions of loops, slices, gathers, columns; what leaves an array is an error."""

import jax
import numpy as np
import pytest

from ppl.semantics.precision import precision
from tests.semantics.xla.running import agrees, law, refused, result, target, trace

READS = """
model m(xs: [real], grid: [[real]], g: [nat], k: nat, rows: [{v: real, w: [real]}]) {
  return {
    first: xs[0], last: xs[-1], at: xs[k], mid: xs[1:3], head: xs[:2], tail: xs[2:], most: xs[:-1],
      none: xs[2:2],
    cell: grid[1, 2], row: grid[2], col: grid[:, 1], cols: grid[:, 1:3], upper: grid[0:2],
      dyn: grid[k, k],
    dyncol: grid[:, k], many: xs[g], manyrows: grid[g], manycols: grid[:, g], field: rows[k].w[1],
      fields: [r.w for r in rows[g]],
    aligned: [xs[i] for i in range(len(xs))],
      shifted: [xs[i + 1] - xs[i] for i in range(len(xs) - 1)],
    offset: [xs[i] for i in range(1, 4)],
      before: [if i > 0 { xs[i - 1] } else { -1.5 } for i in range(len(xs))],
    gathered: [xs[j] for j in g], twice: [xs[i] * xs[k] for i in range(3)],
      short: [xs[i] for i in range(2)],
    both: [[grid[i, j] for j in range(3)] for i in range(3)], turned: [[grid[j,
      i] for j in range(3)] for i in range(3)],
    sum: [xs[i] + xs[len(xs) - 1 - i] for i in range(len(xs))], column: [grid[:,
      i] for i in range(3)],
    scanned: scan s = 0.0 for i in range(1, 4) { s + xs[i] * xs[i - 1] }, ranges: range(2, 6)[1],
      enumerated: enumerate(xs)[1]
  }
}"""


def test_reads_against_numpy():
    xs, grid, g, k = (
        np.array([1.5, -2.0, 4.0, 0.5]),
        np.arange(1.0, 10.0).reshape(3, 3) ** 2,
        [2, 0],
        1,
    )
    w = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    rows = [{"v": 0.0, "w": list(r)} for r in w]
    got = result(READS, xs=xs, grid=grid, g=g, k=k, rows=rows)
    want = {
        "first": xs[0], "last": xs[-1], "at": xs[1], "mid": xs[1:3], "head": xs[:2], "tail": xs[2:], "most": xs[:-1],
        "none": xs[2:2], "cell": grid[1, 2], "row": grid[2], "col": grid[:, 1], "cols": grid[:, 1:3],
        "upper": grid[0:2], "dyn": grid[1, 1], "dyncol": grid[:, 1], "many": xs[g], "manyrows": grid[g],
        "manycols": grid[:, g], "field": 4.0, "fields": w[g], "aligned": xs, "shifted": np.diff(xs), "offset": xs[1:4],
        "before": [-1.5, *xs[:-1]], "gathered": xs[g], "twice": xs[:3] * xs[1], "short": xs[:2], "both": grid,
        "turned": grid.T, "sum": xs + xs[::-1], "column": grid.T, "scanned": np.cumsum(xs[1:] * xs[:-1]),
        "ranges": 3,
    }  # fmt: skip
    assert got.keys() == {*want, "enumerated"}
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)
    assert got["enumerated"] == (1, -2.0)


DRAWN = """
model m(xs: [nat], grid: [[nat]]) {
  i ~ categorical([0.2, 0.5, 0.3])
  ks ~ for x in xs { categorical([0.1, 0.6, 0.3]) }
  let a = xs[i]
  let b = xs[ks]
  let c = grid[i, ks[0]]
  let d = [grid[k, i] for k in ks]
  let e = [if k > 0 { xs[k - 1] } else { 0 } for k in ks]
  let f = COLUMN
  return (a, b, c, d, e, f)
}"""


def test_drawn_indices():
    data = {"xs": [2, 3, 5], "grid": [[7, 11, 13], [17, 19, 23], [29, 31, 37]]}
    want = agrees(DRAWN.replace("COLUMN", "[row[i] for row in grid]"), **data)
    assert law(DRAWN.replace("COLUMN", "grid[:, i]"), **data) == pytest.approx(want, rel=1e-12)


STATIC = {
    "beyond the end": ("xs[4]", "E703"),
    "before the start": ("xs[-4]", "E703"),
    "by a size": ("xs[k]", "E703"),
    "by a negative size": ("[i for i in range(k)][k - 9]", "E710"),
    "a slice beyond the end": ("xs[1:5]", "E703"),
    "a slice backwards": ("xs[2:1]", "E703"),
    "a column": ("grid[:, 2]", "E703"),
    "columns": ("grid[:, 1:4]", "E703"),
    "a random slice": ("xs[z:]", "E702"),
    "a random size": ("range(z)", "E702"),
}


@pytest.mark.parametrize(("expr", "code"), STATIC.values(), ids=STATIC)
def test_what_is_known_to_leave_an_array_is_refused(expr, code):
    source = f"model m(xs: [real], grid: [[real]], k: nat) {{ z ~ categorical([0.2, 0.8]); let n = range(k); return {expr} }}"
    said = refused(source, xs=[1.0, 2.0, 4.0], grid=np.ones((3, 2)), k=5)
    assert said.code == code and said.span is not None and said.span.text in source
    assert code == "E710" or said.hint


def test_positions_of_loops_need_no_gather():
    """`xs[i]`, `xs[i + 1]` are alignment and slices: the program has no gather at all."""
    source = "model m(xs: [real]) { a ~ for i in range(len(xs) - 1) { normal(xs[i] + xs[i + 1], 1) }; return a }"
    t = target(source, xs=[1.0, 2.0, 4.0])
    with precision():
        text = str(jax.make_jaxpr(t.density.log_density)(t.data, {"a": np.zeros(2)}))
    assert "gather" not in text
    trace(source, xs=[1.0, 2.0, 4.0])

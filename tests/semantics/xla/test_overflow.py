"""Whole numbers that do not fit compiled code are never wrapped: they are errors, or the machine's."""

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from tests.semantics.xla.running import target

BIG = 2**62

#: every operation that can leave 64 bits, at z = 2 only or always; what is in the branch is not run
WRAPPING = """
model m(n: int, k: nat, x: real, ns: [int]) {
  z ~ categorical([0.2, 0.5, 0.3])
  let a = n + n * indicator(z == 2)
  let b = -n - n - z
  let c = [n, n] * z
  let d = z ^ (61 + z)
  let e = sum(ns)
  let f = prod([v * z for v in [k, k, k]])
  let g = floor(x * z)
  let h = (x * z * 2) as int
  let i = square(k * z)
  j ~ fold j = 1 for t in range(5) { return j * k }
  let l = if z > 2 { n * n } else { n + (z - 2) * 3 }
  return dot([n, n], [4, 4])
}"""


def test_every_operation_that_leaves_64_bits_is_found_at_its_place():
    given = {"n": BIG, "k": 2**21, "x": 2.0**62, "ns": [BIG, 5, BIG, 3]}
    with pytest.raises(DiagnosticError) as error:
        ppl.infer(target(WRAPPING, **given), ppl.exact(), progress=False, engine="xla")
    found = {d.span.text: d.message for d in error.value.diagnostics if d.span}
    assert all(d.code == "E728" for d in error.value.diagnostics)
    assert found.keys() == {
        "n + n * indicator(z == 2)",
        "-n - n - z",
        "[n, n] * z",
        "z ^ (61 + z)",
        "sum(ns)",
        "prod([v * z for v in [k, k, k]])",
        "floor(x * z)",
        "(x * z * 2) as int",
        "j * k",
    }
    assert "in 1 of 3 runs" in found["n + n * indicator(z == 2)"]


def test_the_ends_of_64_bits_are_no_fault():
    source = """
model m(n: int, k: int, ns: [int]) {
  z ~ categorical([0.2, 0.5, 0.3])
  return (n - 2 + z, k + 2 - z, sum(ns) - z, z * (n // 2), -(z ^ 61) - 2)
}"""
    n, k, ns = 2**63 - 1, -(2**63), [2**62, 2**62, -(2**62), 5]
    t = target(source, n=n, k=k, ns=ns)
    found = ppl.infer(t, ppl.exact(), progress=False, engine="xla")
    z = found["z"][0]
    assert sorted(z) == [0, 1, 2]
    wanted = [[n - 2 + v for v in z], [k + 2 - v for v in z], [sum(ns) - v for v in z]]
    wanted += [[v * (n // 2) for v in z], [-(v**61) - 2 for v in z]]
    for got, want in zip(found.result, [[int(v) for v in row] for row in wanted], strict=True):
        np.testing.assert_array_equal(got[0], want)


def test_what_does_not_fit_runs_on_the_machine():
    """Three factors, whose product is exact; the table shows it as a real number."""
    source = """
model m(n: nat) {
  k ~ categorical([0.2, 0.5, 0.3])
  p ~ product(n, k)
  return (p, [p + 1, k])
}
fn product(n, k) { b ~ dirac(1); return n * n * n * k + b }"""
    found = ppl.infer(target(source, n=2**40), ppl.exact(), progress=False)
    assert [r.code for r in found.remarks] == ["W717"]
    whole, rows = found.result
    assert sorted(whole[0]) == [1, 2**120 + 1, 2**121 + 1]
    assert sorted(rows[0]) == [[2, 0], [2**120 + 2, 1], [2**121 + 2, 2]]
    assert sorted(found["p"][0]) == [1.0, 2.0**120, 2.0**121]
    assert found.summary()["p", "mean"] == pytest.approx(1.1 * 2.0**120)
    with pytest.raises(DiagnosticError) as error:
        ppl.infer(target(source, n=2**40), ppl.exact(), progress=False, engine="xla")
    assert error.value.diagnostics[0].code == "E728"


def test_whole_numbers_between_the_bits_of_signed_and_unsigned_are_exact(tmp_path):
    """NumPy reads these as unsigned, or as reals beside others."""
    source = "model m(n: int) { z ~ categorical([0.2, 0.5, 0.3]); return {x: n + z, y: [n + z]} }"
    n = 2**63 - 1
    found = ppl.infer(target(source, n=n), ppl.exact(), progress=False, engine="machine")
    found.save(tmp_path / "p.nc")
    for p in (found, ppl.load_posterior(tmp_path / "p.nc")):
        assert sorted(p.result["x"][0]) == [n, n + 1, n + 2]
        assert sorted(p.result["y"][0].tolist()) == [[n], [n + 1], [n + 2]]

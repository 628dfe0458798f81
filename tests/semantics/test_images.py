"""Laws of whole numbers beside laws of real ones: drawn from on both engines, exactly."""

from __future__ import annotations

from collections import defaultdict
from math import log

import pytest

import ppl
from ppl.lang.parser import parse
from ppl.semantics.diagnostics import Source
from ppl.semantics.ir_verify import verify
from tests.oracles import rational
from tests.oracles.compare import plain

pytestmark = pytest.mark.usefixtures("quick_compilation")

PROGRAM = """
fn reals() { mixture([0.25, 0.75], [dirac(0.5), dirac(1.75)]) }
fn law(k: nat) { if k == 1 { reals() } else { categorical([0.2, 0.5, 0.3]) } }
fn maker(k: nat) { if k == 0 { fn (p) => reals() } else { fn (p) => binomial(2, p) } }
fn twice(d) { a ~ d; b ~ d; return a + 2 * b }
model m() {
  k ~ categorical([0.3, 0.6, 0.1])
  x ~ twice([dirac(4), reals(), law(k)][k])
  factor log(1 + x)
  let f = maker(k)
  y ~ f(0.35)
  return [x, y]
}
"""


def test_what_is_drawn_has_the_law_of_its_branch():
    """In arms, arrays, arguments and results of functions, all in one program."""
    expected = defaultdict(float)
    for result, mass in rational.law(parse(Source("m", PROGRAM)), "m", {}).results.items():
        expected[plain(result)] += float(mass)
    total = sum(expected.values())
    target = ppl.compile(PROGRAM).m()
    verify(target.model.program)
    for engine in ("machine", "xla"):
        posterior = ppl.infer(target, ppl.exact(), engine=engine)
        found = defaultdict(float)
        for row, w in zip(posterior.result[0], posterior.weights[0], strict=True):
            found[tuple(map(float, row))] += float(w)
        assert found == pytest.approx({k: w / total for k, w in expected.items()}, abs=1e-12)
        assert posterior.log_evidence == pytest.approx(log(total), abs=1e-12)

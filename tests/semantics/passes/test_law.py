"""The passes keep the measure: the joint law of kept sites and results, and the evidence, exactly.

The programs are finite, and enumerated path by path; no probability may change.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import ppl
from ppl.semantics import ir
from ppl.semantics.passes import PIPELINE, run_passes

PROGRAMS = {
    "calls, closures, branches and loops": (
        """
        fn pick(w: [prob], scale: nat -> nat) {
          let unused = exp(w[0])
          _ ~ bernoulli(0.3)
          k ~ categorical(w)
          return scale(k)
        }
        fn twice(f, x) => f(f(x))
        model m(w: [real], ys: [bool], on: bool) {
          a ~ pick([0.2, 0.5, 0.3], fn (k) => 2 * k + 1)
          b ~ pick([0.6, 0.1, 0.3], fn (k) => k + a)
          let s = sum(w * w) / 10
          let t = if 1 < 2 { s } else { s + 100 }
          zs ~ scan z = true for y in ys {
            z ~ bernoulli(sigmoid(indicator(z) + log(s) - square(t)))
            observe y ~ bernoulli(if z { 0.8 } else { 0.35 })
            return z
          }
          c ~ if on { d ~ bernoulli(0.7); factor indicator(d) * b; return 1 } else { return 2 }
          return (twice(fn (v) => v + c, a), zs[1], {a, b}.b)
        }
        """,
        {"w": [0.5, 1.5, 0.25], "ys": [True, False], "on": True},
    ),
    "measures as values": (
        """
        model m(p: prob) {
          let flip = { x ~ bernoulli(p); y ~ bernoulli(0.25); return (x, y) }
          let pair = (flip, 3)
          u ~ pair.0
          v ~ pair.0
          let once = { e ~ categorical([0.5, 0.2, 0.3]); condition e < 2 or u.0; return e }
          e ~ once
          return [e, indicator(u.1) + pair.1, indicator(v.0)]
        }
        """,
        {"p": 0.35},
    ),
}


def leaves(value: Any) -> list[Any]:
    match value:
        case dict():
            return [x for k in sorted(value) for x in leaves(value[k])]
        case list() | tuple():
            return [x for item in value for x in leaves(item)]
        case _:
            return [np.asarray(value)]


def law(model: Any, data: dict[str, Any]) -> tuple[list[str], dict[Any, float], float]:
    """The kept sites, the joint law of them and the result by value, and the evidence."""
    posterior = ppl.infer(model(**data), ppl.exact(), seed=1, progress=False)
    sites = sorted(s for s in posterior.draws if has_binders(s))
    parts = [np.asarray(posterior.draws[s]) for s in sites] + leaves(posterior.result)
    weights = np.exp(np.asarray(posterior.log_weights).ravel())
    rows = np.concatenate([p.reshape(len(weights), -1).astype(float) for p in parts], axis=1)
    out: defaultdict[tuple[float, ...], float] = defaultdict(float)
    for row, weight in zip(rows, weights / weights.sum(), strict=True):
        out[tuple(row)] += float(weight)
    assert posterior.evidence is not None
    return sites, {k: w for k, w in out.items() if w > 0}, posterior.evidence


def has_binders(site: str) -> bool:
    """Whether no step of the path is a callee's name: such sites are not kept."""
    callees = {"bernoulli", "categorical", "pick"}
    return callees.isdisjoint(step.split("#")[0] for step in site.split("/"))


def with_program(source: str, program: ir.Program) -> Any:
    again = ppl.compile(source)["m"]
    again.__dict__["program"] = program
    return again


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_law_is_kept_exactly(name: str):
    source, data = PROGRAMS[name]
    model = ppl.compile(source)["m"]
    sites, want, evidence = law(model, data)
    assert len(sites) >= 4
    assert len(want) >= 8
    program = run_passes(model.program)
    same, got, mass = law(with_program(source, program), data)
    assert same == sites
    assert mass == pytest.approx(evidence, abs=1e-12)
    assert got.keys() == want.keys()
    assert all(got[k] == pytest.approx(want[k], abs=1e-12) for k in want)


def test_the_programs_give_every_pass_something_to_do():
    idle = set(PIPELINE)
    for source, _ in PROGRAMS.values():
        program = ppl.compile(source)["m"].program
        for name in PIPELINE:
            after = run_passes(program, only=(name,))
            if after != program:
                idle.discard(name)
            program = after
    assert not idle

"""Runs that are advanced together are those that are resumed alone, and jumps are calls."""

from __future__ import annotations

import math
import re
from itertools import accumulate
from typing import Any

import pytest

import ppl
from ppl.semantics import types as T
from ppl.semantics.machine import MachineKey, Suspended
from ppl.semantics.machine.code import DONE
from ppl.semantics.machine.codegen.unit import Options
from ppl.semantics.machine.distributions import family_of
from ppl.semantics.machine.omega import slots_of, steps_of
from ppl.semantics.machine.state import State
from ppl.semantics.machine.suspend import advanced

MODELS = ppl.compile("""
  fn follow(ys: [real], t: nat, x: real, colour: nat -> nat) -> measure[real] {
    if t == len(ys) { return x } else {
      step ~ normal(0, 0.5)
      observe ys[t] ~ normal(x + step, 1)
      condition x + step < 1.5
      k ~ bernoulli(0.2)
      checkpoint
      if k { return x + indicator(colour(t) == 2) } else { follow(ys, t + 1, x + step, colour) }
    }
  }
  ## Remembers draws, dies, and ends early.
  model walk(ys: [real]) {
    colour ~ mem(fn (k: nat) => categorical([0.2, 0.5, 0.3]))
    let first = colour(1)
    follow(ys, 0, indicator(first == 1), colour)
  }

  fn deep(n: nat) -> nat { if n == 0 { 0 } else { 1 + deep(n - 1) } }
  fn down(n: nat, total: real) -> measure[real] {
    x ~ normal(total, 2)
    observe 0.5 ~ normal(x, 1.5)
    let d = deep(if n == 2 { 20000 } else { n })
    if n == 0 { checkpoint; return total } else { down(n - 1, total + x * d) }
  }
  ## Too deep for Python's stack after some turns of one block.
  model turns() { down(5, 0.25) }

  fn pieces(n: nat, from: real) -> measure[real -> real] {
    height ~ normal(from, 1)
    gap ~ exponential(0.5)
    if n == 0 { return fn (x) => height } else {
      rest ~ pieces(n - 1, from + gap)
      return fn (x) => if x < from + gap { height } else { rest(x) }
    }
  }
  ## Closures that call closures of the same code, and of other code, in tail position.
  model curve(xs: [real]) {
    f ~ pieces(6, 0)
    return [f(x) for x in xs]
  }

  model density(x: real, mu: real, nu: nat) {
    observe x ~ normal(mu, 0.7)
    observe nu ~ normal(mu, 1)
    return x
  }
  model draws(mu: real) {
    a ~ normal(mu, 1)
    b ~ normal(mu, 0.3)
    c ~ normal(0, 0.3)
    d ~ exponential(2.5)
    e ~ bernoulli([0.2, 0.7, 0.4])
    f ~ normal([0, mu, 2], 1)
    for (i, (u, v)) in enumerate(zip([1, 2, 3], [mu, 0.5, 0.7])) { g ~ normal(u * v^2, 1); return g - i }
    return {a, b, c, d, e, f}
  }
""")


def test_advancing_together_is_resuming_alone():
    target = MODELS.walk(ys=[0.3, 0.9, 0.4, 1.1])
    start = target.machine.start(target.values, record=False, keyed=True)
    runs: list[Any] = [start] * 40
    seen: set[Any] = set()
    for step in range(6):
        keys = list(slots_of(MachineKey(5), step, len(runs)))
        together: list[Any] = list(advanced(runs, keys))
        for run, key, later in zip(runs, keys, together, strict=True):
            alone: Any = run.resume(key) if isinstance(run, Suspended) else run
            assert type(alone) is type(later)
            assert alone.log_weight == later.log_weight
            if isinstance(later, Suspended):
                assert repr(alone.frame) == repr(later.frame)
                assert dict(alone.memo.items()) == dict(later.memo.items())
                seen.add("on")
            else:
                assert alone.result == later.result
                if later is not run:
                    seen.add(("end", step) if later.alive else "dead")
        runs = together
    assert not any(isinstance(r, Suspended) for r in runs)
    # some go on, some die, and others end at different steps
    assert {"on", "dead"} < seen and len(seen) >= 5


def test_a_run_begins_from_what_it_was_given():
    """Particles resumed from one parent do not see each other's weight or memory."""
    target = MODELS.walk(ys=[0.3, 0.9, 0.4])
    start = target.machine.start(target.values, record=False, keyed=True)
    first = start.resume(MachineKey(1))
    many = list(advanced([first] * 3, [MachineKey(1, 1, 4)] * 3))
    assert len({m.log_weight for m in many}) == 1
    assert first.log_weight != many[0].log_weight


def test_keys_made_together_are_those_made_alone():
    for seed in (0, -3, 2**64 - 1, 12345678901234567890123):
        key = MachineKey(seed)
        for n in (0, 1, 4097):
            assert list(slots_of(key, 5, n)) == [key.at(5, i) for i in range(n)]
            assert list(steps_of(key, 7, n, 3)) == [key.at(7 + i, 3) for i in range(n)]
        assert {k.stream for k in slots_of(key, 2, 3)} == {key.at(2, i).stream for i in range(3)}


def test_a_block_that_turned_is_run_again_from_where_it_was_entered():
    target = MODELS.turns()
    source = target.machine.source(Options(suspends=True))
    assert re.search(r"def b\d+\(s, k, v\):\n q_mark\(s\)(\n .*)+?\n  +continue", source)
    for seed in range(3):
        plain = target.machine.run(target.values, MachineKey(seed))
        stopped = target.machine.start(target.values).finish(MachineKey(seed))
        assert stopped.sites == plain.sites and len(plain.sites) == 6
        assert (stopped.log_weight, stopped.result) == (plain.log_weight, plain.result)


def test_chains_of_closures_and_blocks_that_come_back():
    target = MODELS.curve(xs=[-3.0, 0.5, 2.0, 4.0, 50.0])
    code = target.machine.code(Options())
    assert "[0] is f" in code.generated.source and "[0] is a" in code.generated.source
    for seed in range(5):
        plain = target.machine.run(target.values, MachineKey(seed), record=False)
        s = State(MachineKey(seed), code)
        frame = (code._block, DONE, code.root, *target.machine.bind(target.values).values)
        assert code.drive(s, frame, None) == plain.value
        sites = target.machine.run(target.values, MachineKey(seed)).sites
        heights = [v for k, v in sites.items() if k.endswith("height")]
        ends = list(accumulate(v for k, v in sites.items() if k.endswith("gap")))
        assert len(heights) == len(ends) == 7
        want = [next((h for h, e in zip(heights[:6], ends, strict=False) if x < e), heights[6])
                for x in (-3.0, 0.5, 2.0, 4.0, 50.0)]  # fmt: skip
        assert plain.result == want


@pytest.mark.parametrize("x", [0.3, -1e200, 1e308, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("mu", [0.25, -1e308, math.inf, math.nan])
def test_densities_written_out_are_the_familys(x, mu):
    target = MODELS.density(x=0.0, mu=0.0, nu=3)
    found = target.machine.run({"x": x, "mu": mu, "nu": 3}, MachineKey(1), record=False)
    law = family_of("normal", T.Dist(T.REAL))
    want = law.log_prob(x, mu, 0.7) + law.log_prob(3, mu, 1)
    assert found.log_weight == want


def test_draws_written_out_are_the_familys():
    for mu in (0.5, -2.25, 0.0):
        target = MODELS.draws(mu=mu)
        run = target.machine.runner(target.values, record=False, keyed=True)
        for seed in range(20):
            plain = target.machine.run(target.values, MachineKey(seed), record=False)
            assert run(MachineKey(seed)).result == plain.result
    for mu in (math.inf, math.nan):
        run = target.machine.runner({"mu": mu}, record=False, keyed=True)
        assert not run(MachineKey(1)).alive
        assert not target.machine.run({"mu": mu}, MachineKey(1), record=False).alive

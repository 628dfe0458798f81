"""Limits of steps, time and memory end runs with an error that says where they were."""

from __future__ import annotations

import re

import pytest

import ppl
from ppl.semantics.codes import CODES
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import Limits, MachineKey
from ppl.semantics.machine.codegen.unit import Options
from ppl.semantics.machine.limits import SLICE, Budget, Exhausted, Meter, resident

MODELS = ppl.compile("""
type box = Box(box -> nat)
fn tail(n: nat) -> measure[nat] { x ~ bernoulli(0.5); tail(n + 1) }
fn even(n: nat) -> nat { if n == 0 { 0 } else { odd(n + 1) } }
fn odd(n: nat) -> nat { even(n + 1) }
fn open(b: box) -> nat { match b { Box(f) => f(b) } }
fn heavy(n: nat) -> measure[[nat]] { x ~ bernoulli(0.5); xs ~ heavy(n + 1); return concat(xs, [n]) }
fn down(n: nat) -> measure[nat] {
  x ~ bernoulli(0.5)
  if n == 0 { return 0 } else { m ~ down(n - 1); return m + 1 }
}
fn level(n: nat) -> dist[bool] {
  normalize({ x ~ level(n + 1); y ~ bernoulli(0.3); condition x or y; return y }, exact)
}
model tails() { tail(0) }
model mutual() { x ~ bernoulli(0.5); return even(1) }
model boxed() { x ~ bernoulli(0.5); return open(Box(fn (b) => open(b))) }
model looping() { x ~ iterate c = 1 until c < 0 { s ~ poisson(2); return c + s }; return x }
model ranged(n: nat) { x ~ fold c = 0 for i in range(n) { s ~ bernoulli(0.5); return c + i }; return x }
model summed(n: nat) { x ~ bernoulli(0.5); return sum([i for i in range(n)]) }
model nested() { x ~ normalize({ y ~ tail(0); condition y > 3; return y }, importance(3)); return x }
model inner() { x ~ normalize({ y ~ tail(0); return y }, exact); return x }
model levels() { x ~ level(0); return x }
model counted(n: nat) { down(n) }
model heavies() { heavy(0) }
model returned() { f ~ mem(fn (k: nat) => down(k)); return f }
""")
FOREVER = {
    "tails": "tail",
    "mutual": "`even`|`odd`",
    "boxed": "`open`|a function",  # they call each other
    "looping": "iterate",
    "nested": "tail",
    "inner": "tail",
}


def problem(run):
    with pytest.raises(DiagnosticError) as caught:
        run()
    (found,) = caught.value.diagnostics
    assert found.code in CODES
    return found


@pytest.mark.parametrize(("name", "place"), FOREVER.items(), ids=FOREVER)
@pytest.mark.parametrize("record", [True, False])
def test_whatever_does_not_end_runs_out_of_fuel_and_is_named(name, place, record):
    machine = MODELS[name].machine.within(Limits(fuel=3 * SLICE))
    found = problem(lambda: machine.run({}, MachineKey(1), record=record))
    assert found.code == "E843" and re.search(place, found.message) and found.span is not None


@pytest.mark.parametrize("name", ["ranged", "summed"])
def test_loops_over_ranges_are_counted(name):
    machine = MODELS[name].machine.within(Limits(fuel=2 * SLICE))
    assert machine.run({"n": SLICE}, MachineKey(1)).alive
    assert problem(lambda: machine.run({"n": 10**12}, MachineKey(1))).code == "E843"


def test_fuel_is_counted_to_the_step_and_afresh_for_each_run():
    n = SLICE + 123
    machine = MODELS["ranged"].machine.within(Limits(fuel=n))
    for slot in range(6):
        assert machine.run({"n": n}, MachineKey(1, 0, slot), record=slot < 3).alive
    assert problem(lambda: machine.run({"n": n + 1}, MachineKey(1))).code == "E843"


def test_a_run_under_limits_is_the_same_run():
    plain = MODELS["counted"].machine
    for record in (True, False):
        free = plain.run({"n": 3_000}, MachineKey(4), record=record)
        held = plain.within(Limits()).run({"n": 3_000}, MachineKey(4), record=record)
        assert (free.value, free.log_weight) == (held.value, held.log_weight)
    assert free.state.fuel is None and held.state.fuel is not None


def test_code_that_ends_by_itself_pays_nothing():
    source = """
model main(y: [real]) {
  m ~ normal(0, 1)
  for v in y { observe v ~ normal(m, 1) }
  return m
}
"""
    machine = ppl.compile(source).main.machine
    counted = machine.source(Options(named=True, fueled=True))
    assert counted == machine.source(Options(named=True))


def test_suspended_runs_keep_to_the_limits():
    machine = MODELS["tails"].machine.within(Limits(fuel=SLICE))
    assert problem(lambda: machine.start({}).finish(MachineKey(1))).code == "E843"
    assert problem(
        lambda: MODELS["tails"].machine.start({}, fuel=9).resume(MachineKey(1))
    ).code == ("E843")


def test_time_is_limited_within_a_run_and_between_runs():
    machine = MODELS["tails"].machine.within(Limits(fuel=None, seconds=0.05))
    found = problem(lambda: machine.run({}, MachineKey(1)))
    assert found.code == "E847" and "`tail`" in found.message and found.span is not None
    short = MODELS["counted"].machine.within(Limits(seconds=0.05))

    def runs():
        for slot in range(10**6):
            short.run({"n": 5}, MachineKey(1, 0, slot))

    assert problem(runs).code == "E847"


def test_memory_is_limited():
    machine = MODELS["heavies"].machine.within(Limits(fuel=None, memory=20))
    found = problem(lambda: machine.run({}, MachineKey(1)))
    assert found.code == "E848" and "`heavy`" in found.message


def test_running_out_of_memory_is_an_error_with_a_place(monkeypatch):
    def draw(self, path, family, args):
        raise MemoryError

    monkeypatch.setattr(MachineKey, "begin", lambda self, state: lambda *a: draw(self, *a))
    found = problem(lambda: MODELS["counted"].machine.run({"n": 3}, MachineKey(1)))
    assert found.code == "E848" and found.span.text.startswith("fn down")


def test_inference_that_nests_without_end():
    found = problem(lambda: MODELS["levels"].machine.run({}, MachineKey(1)))
    assert found.code == "E849" and found.span is not None


def test_functions_that_a_run_returns_have_fuel_of_their_own():
    machine = MODELS["returned"].machine.within(Limits(fuel=SLICE, seconds=60))
    f = machine.run({}, MachineKey(1)).result
    for k in range(SLICE // 5, SLICE // 5 + 8):  # together more than there is
        assert f(k) == k
    assert problem(lambda: f(2 * SLICE)).code == "E843"


def test_a_meter_gives_out_all_of_its_fuel_and_no_more():
    limits = Limits(fuel=2 * SLICE + 7)
    meter = Meter(Budget(limits))
    assert [meter.more(None) for _ in range(3)] == [SLICE, SLICE, 7]
    with pytest.raises(Exhausted) as caught:
        meter.more("here")
    assert (caught.value.what, caught.value.place) == ("fuel", "here")


def test_memory_that_is_taken_is_seen():
    before = resident()
    block = bytearray(40_000_000)
    assert resident() - before > 20_000_000
    del block


@pytest.mark.parametrize(
    "wrong", [{"fuel": 0}, {"fuel": 2.5}, {"fuel": True}, {"seconds": -1}, {"memory": "1 GB"}]
)
def test_limits_are_positive_numbers(wrong):
    found = problem(lambda: Limits(**wrong))
    assert found.code == "E811" and next(iter(wrong)) in found.message

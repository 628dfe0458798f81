"""Depth is bounded by memory, not by Python's stack, whose limit nobody touches; fuel ends what
does not end by itself, and names it."""

from __future__ import annotations

import sys

import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import Machine, MachineKey, Suspended

DEEP = 1_000_000
LIMIT = sys.getrecursionlimit()

PROGRAMS = """
fn count(n: nat) -> nat { if n == 0 { 0 } else { 1 + count(n - 1) } }
model pure(n: nat) { x ~ bernoulli(0.5); return count(n) }

fn walk(n: nat) -> measure[nat] {
  if n == 0 { return 0 } else { x ~ walk(n - 1); factor 0.5; return x + 1 }
}
model run(n: nat) { walk(n) }

fn ping(n: nat) -> measure[nat] { if n == 0 { return 7 } else { pong(n - 1) } }
fn pong(n: nat) -> measure[nat] { if n == 0 { return 8 } else { ping(n - 1) } }
model mutual(n: nat) { ping(n) }

fn loop(n: nat, k: nat) -> measure[nat] { if n == 0 { return k } else { loop(n - 1, k + 2) } }
model tail(n: nat) { loop(n, 1) }

type list = Nil | Cons(nat, list)
fn build(n: nat) -> list { if n == 0 { Nil } else { Cons(n, build(n - 1)) } }
fn total(xs: list, k: nat) -> nat { match xs { Nil => k, Cons(x, rest) => total(rest, k + x) } }
model data(n: nat) { x ~ bernoulli(0.5); let xs = build(n); return (total(xs, 0), xs == xs) }

model higher(n: nat) {
  f ~ mem(fn (k: nat) => bernoulli(0.5))
  let g = fn (h: nat -> nat) => h(n)
  return (f(count(n)), g(count))
}
model main_point(n: nat) {
  a ~ bernoulli(0.5)
  factor log(0.25)
  let c = count(n)
  observe true ~ bernoulli(0.5)
  return c
}
"""
MODELS = ppl.compile(PROGRAMS)


def run(name: str, n: int):
    model = MODELS[name]
    out = Machine(model.program).run(model(n=n).values, MachineKey(3), record=False)
    assert sys.getrecursionlimit() == LIMIT
    return out


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pure", DEEP), ("mutual", 7), ("tail", 2 * DEEP + 1)],
)
def test_a_million_nested_calls(name, expected):
    assert run(name, DEEP).result == expected


def test_the_weight_is_restored_before_a_frame_is_run_again():
    n = 100_000
    out = run("run", n)
    assert out.result == n
    assert out.log_weight == 0.5 * n


def test_deep_data_are_built_compared_and_taken_apart():
    n = 200_000
    assert run("data", n).result == (n * (n + 1) // 2, True)


def test_deep_calls_of_function_values():
    assert run("higher", 50_000).result[1] == 50_000


def test_a_suspended_run_falls_back_within_its_own_frame():
    model = MODELS["main_point"]
    at = Machine(model.program).start(model(n=50_000).values, record=False)
    weights = []
    while isinstance(at, Suspended):
        weights.append(at.log_weight)
        at = at.resume(MachineKey(3))
    assert at.result == 50_000
    assert weights == pytest.approx([0.0, -1.3862943611198906, -2.0794415416798357])


def test_fuel_names_the_function_that_did_not_end():
    models = ppl.compile("""
fn forever(n: nat) -> measure[nat] { x ~ bernoulli(0.5); forever(n + 1) }
model main() { forever(0) }
""")
    with pytest.raises(DiagnosticError, match="forever") as caught:
        Machine(models.main.program).run({}, MachineKey(1), fuel=10_000)
    assert caught.value.diagnostics[0].code == "E843"


def test_fuel_names_the_loop_that_did_not_end():
    models = ppl.compile("""
model main() {
  x ~ iterate c = 1 until c < 0 { s ~ poisson(2); return c + s }
  return x
}
""")
    for record in (True, False):
        with pytest.raises(DiagnosticError, match="iterate") as caught:
            Machine(models.main.program).run({}, MachineKey(1), fuel=10_000, record=record)
        assert caught.value.diagnostics[0].span is not None


def test_a_deep_run_without_end_is_stopped_by_fuel_too():
    models = ppl.compile("""
fn deep(n: nat) -> nat { 1 + deep(n + 1) }
model main() { x ~ bernoulli(0.5); return deep(0) }
""")
    with pytest.raises(DiagnosticError, match="deep") as caught:
        Machine(models.main.program).run({}, MachineKey(1), fuel=100_000)
    assert caught.value.diagnostics[0].code == "E843"


def test_traces_of_deep_recursion_are_listed_by_hash_and_named_when_asked():
    """20,000 calls: as tuples of steps their paths would be 400 million."""
    model = ppl.compile("""
fn coins(n: nat) -> measure[nat] {
  b ~ bernoulli(0.25)
  if n == 0 { return 0 } else { r ~ coins(n - 1); return r + indicator(b) }
}
model m(n: nat) { k ~ coins(n); return k }""").m
    machine, n = model.machine, 20_000
    data = {k: machine.bind(model(n=k).values) for k in (3, n)}

    def path(depth: int) -> tuple[str, ...]:
        return ("k", *["else", "r"] * depth, "b")

    e = machine.run(data[n], MachineKey(3))
    assert len(e.trace) == n + 1
    assert sum(e.trace.by_hash.values()) == e.value + e.trace[path(n)]
    assert next(iter(e.trace.items())) == (path(0), e.trace[path(0)])
    assert path(n + 1) not in e.trace
    short = machine.run(data[3], MachineKey(3))
    want = {path(i): short.trace[path(i)] for i in range(4)}
    assert short.trace == want and list(short.trace) == list(want)
    assert short.sites == {"/".join(path): b for path, b in want.items()}

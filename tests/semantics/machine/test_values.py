"""What comes back to Python from runs of the machine: constructors and functions; nested inference that
has nothing to infer; and where runs stop. (Answers: `tests.known_answers`.)"""

from __future__ import annotations

import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import Machine, MachineKey, enumerate_paths
from ppl.semantics.machine.values import Con


def machine_of(source: str, name: str = "main", **data):
    model = ppl.compile(source)[name]
    machine = Machine(model.program)
    return machine, machine.bind(model(**data).values)


def test_constructors_come_back_to_python():
    machine, data = machine_of("""
type tree = Leaf(nat) | Node(tree, tree)
fn grow(depth: nat) -> measure[tree] {
  split ~ bernoulli(0.4)
  if split and depth > 0 { l ~ grow(depth - 1); r ~ grow(depth - 1); return Node(l, r) }
  else { w ~ bernoulli(0.3); return Leaf(indicator(w)) }
}
model main() { t ~ grow(1); return t }
""")
    found = [p.execution.result for p in enumerate_paths(machine, data)]
    leaves = [Con("Leaf", (w,)) for w in (0, 1)]
    for result in [*leaves, *(Con("Node", (a, b)) for a in leaves for b in leaves)]:
        assert result in found


def test_a_random_function_answers_after_the_run():
    machine, data = machine_of("model main() { f ~ mem(fn (k: nat) => normal(0, 1)); return f }")
    f = machine.run(data, MachineKey(5)).result
    assert f(3) == f(3) != f(4)
    again = machine.run(data, MachineKey(5)).result
    assert (again(4), again(3)) == (f(4), f(3))


def test_normalize_of_nothing_and_of_a_random_function_from_outside():
    machine, data = machine_of(
        """
model main() {
  x ~ normalize({ a ~ bernoulli(0.5); condition a and not a; return a }, exact)
  return x
}
"""
    )
    with pytest.raises(DiagnosticError, match="E844"):
        machine.run(data, MachineKey(1))
    machine, data = machine_of("""
model main() {
  f ~ mem(fn (k: nat) => bernoulli(0.5))
  x ~ normalize({ a ~ bernoulli(0.5); return f(0) and a }, exact)
  return x
}
""")
    with pytest.raises(DiagnosticError, match="E841"):
        machine.run(data, MachineKey(1))


def test_runs_stop_at_every_step_of_a_recursion():
    """A walk from 0 to 3 by steps of 1 or 2, suspended at every step."""
    machine, data = machine_of("""
fn walk(at: nat) -> measure[nat] {
  if at >= 3 { return 0 } else {
    two ~ bernoulli(0.25)
    factor log(0.5)
    checkpoint
    n ~ walk(at + (if two { 2 } else { 1 }))
    return n + 1
  }
}
model main() { walk(0) }
""")
    stops = set()
    for slot in range(30):
        at, n = machine.start(data).resume(MachineKey(2, 0, slot)), 1
        while not hasattr(at, "alive"):
            at, n = at.resume(MachineKey(2, n, slot)), n + 1
        stops.add((at.value, n - 1 - at.value))
    assert stops == {(2, 1), (3, 1)}  # one for each step, and one where the main block ends


def test_a_closure_that_ends_in_a_call_of_one_of_another_arity():
    machine, data = machine_of("""
fn f(g: (bool, nat -> dist[bool]) -> dist[nat]) => fn (a) => g(a == 0, fn (b) => bernoulli(3/7))
model main() {
  let h = f(fn (c, d) => if c { categorical([0.2, 0.3, 0.5]) } else { categorical([0.1, 0.9]) })
  k ~ h(0)
  l ~ h(k)
  return (k, l)
}
""")
    law = {p.execution.result: p.weight for p in enumerate_paths(machine, data)}
    after = {0: {0: 0.2, 1: 0.3, 2: 0.5}, 1: {0: 0.1, 1: 0.9}, 2: {0: 0.1, 1: 0.9}}
    wanted = {(k, v): p * after[0][k] for k, row in after.items() for v, p in row.items()}
    assert law == pytest.approx(wanted)

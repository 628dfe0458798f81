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


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        ("let a = 1 + 3 // k", "E727", "3 // k"),
        ("let a = sum([6, 4] % [k, 1])", "E727", "[6, 4] % [k, 1]"),
        ("let f = fn (j) => 3 // j; let a = [7 // 2, f(k)]", "E727", "3 // j"),
        ("let a = max(k, 2) * mean(x[0:k])", "E719", "mean(x[0:k])"),
        ("let a = sum(x * x[0:k])", "E704", "x * x[0:k]"),
        (
            "a ~ fold s = 0 for i in range(3) { b ~ bernoulli(0.5); return s // k }",
            "E727",
            "s // k",
        ),
    ],
)
def test_what_goes_wrong_in_a_primitive_is_told_at_its_place(body, code, place):
    """In direct code, and in blocks."""
    source = f"model m(x: [real]) {{ k ~ categorical([0.2, 0.3, 0.5]); {body}; return a }}"
    model = ppl.compile(source).m
    machine = model.machine
    data = machine.bind(model(x=[1.0, 2.0, 4.0]).values)
    blocks = machine.start(data)
    for run in (lambda key: machine.run(data, key), blocks.finish):
        with pytest.raises(DiagnosticError) as caught:
            for seed in range(40):
                run(MachineKey(seed))
        (problem,) = caught.value.diagnostics
        assert (problem.code, problem.span.text) == (code, place)

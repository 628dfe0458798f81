"""Which recursion is a loop: calls in tail position alone, ending by what is not known."""

from __future__ import annotations

import pytest

import ppl
from ppl.semantics.analysis import tail_recursion, what_is_known

TAIL = {
    "pure": "fn f(n: int, a: int) -> int { if n <= 0 { a } else { f(n - 1, a + n) } }",
    "two places": "fn f(n: int, a: int) -> int { if n <= 0 { a } else if n > 9 { f(n - 3, a) } else { f(n - 1, 2 * a) } }",
    "a measure": "fn f(n: int, a: int) -> measure[int] { b ~ bernoulli(0.5)\n if b { return a } else { f(n - 1, a) } }",
    "after a score": "fn f(n: int, a: int) -> measure[int] { b ~ bernoulli(0.5)\n if b { return a } else { factor -1; f(n - 1, a) } }",
}
OTHER = {
    "added to": "fn f(n: int, a: int) -> int { if n <= 0 { a } else { 1 + f(n - 1, a) } }",
    "twice": "fn f(n: int, a: int) -> int { if n <= 0 { a } else { f(n - 1, f(n - 2, a)) } }",
    "kept": "fn f(n: int, a: int) -> measure[int] { b ~ bernoulli(0.5)\n if b { return a } else { r ~ f(n - 1, a); return r } }",
    "in a plate": "fn f(n: int, a: int) -> measure[int] { b ~ bernoulli(0.5)\n if b { return a } else { r ~ for i in range(2) { f(n - 1, a) }; return r[0] } }",
    "as a value": "fn f(n: int, a: int) -> int { if n <= 0 { a } else { [f(k, a) for k in [n - 1]][0] } }",
    "not at all": "fn f(n: int, a: int) -> int { n + a }",
}  # fmt: skip


def program(source: str):
    run = "f(x, 0)" if "measure" not in source else "z"
    bind = "" if "measure" not in source else "z ~ f(x, 0)\n"
    text = f"{source}\nmodel m() {{ x ~ poisson(3)\n {bind}return {run} }}"
    return ppl.compile(text).m.program


@pytest.mark.parametrize("source", TAIL.values(), ids=TAIL)
def test_calls_in_tail_position_make_a_loop(source):
    p = program(source)
    (f,) = (f for f in p.functions if f.name == "f")
    tail = tail_recursion(f)
    assert tail is not None and tail.measure == ("measure" in source)
    assert [t.function.name for t in what_is_known(p).loops] == ["f"]
    assert what_is_known(p).deep == ()


@pytest.mark.parametrize("source", OTHER.values(), ids=OTHER)
def test_other_calls_do_not(source):
    p = program(source)
    (f,) = (f for f in p.functions if f.name == "f")
    assert tail_recursion(f) is None
    known = what_is_known(p)
    assert known.loops == ()
    assert bool(known.deep) == (source != OTHER["not at all"])


def test_recursion_that_ends_by_what_is_known_is_no_loop():
    source = f"{TAIL['pure']}\nmodel m(k: nat) {{ x ~ normal(0, 1)\n return f(5, 0) + x }}"
    known = what_is_known(ppl.compile(source).m.program)
    assert known.loops == () and known.deep == ()


def test_arguments_of_a_loop_are_not_known_where_they_would_be_if_it_were_unrolled():
    """`n` is 0, 1, 2, … but how far it gets is random, so an array of n cannot be made of it."""
    source = """
fn f(n: nat) -> measure[nat] { xs ~ for i in range(n) { bernoulli(0.5) }
  if any(xs) { return n } else { f(n + 1) } }
model m() { x ~ f(0); return x }"""
    p = ppl.compile(source).m.program
    (loop,) = what_is_known(p).loops
    assert not {q.name for q in loop.function.params} & what_is_known(p).variables


def test_a_measure_runs_itself_at_the_paths_of_its_calls():
    source = """
fn f(n: int) -> measure[int] {
  b ~ bernoulli(0.5)
  if n > 9 { return n } else if b { f(n + 1) } else { c ~ bernoulli(0.25); f(n + 2) }
}
model m(k: int) { x ~ f(k); return x }"""
    (loop,) = what_is_known(ppl.compile(source).m.program).loops
    assert loop.places == (("else", "then", "f"), ("else", "else", "f"))

"""Programs that only the machine runs, against answers computed here by hand or by plain Python.

Statistical checks: fixed seeds; each compares a mean with its exact value at 4.5 standard errors, a
false alarm with probability 7e-6 had the seed been random.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import Machine, MachineKey, enumerate_paths
from ppl.semantics.machine.values import Con


def machine_of(source: str, name: str = "main", **data):
    model = ppl.compile(source)[name]
    machine = Machine(model.program)
    return machine, machine.bind(model(**data).values)


def runs(machine, data, n, *, record=False):
    return [machine.run(data, MachineKey(11, 0, i), record=record) for i in range(n)]


def law_of(machine, data, **options):
    out = defaultdict(Fraction)
    for p in enumerate_paths(machine, data, rational=True, **options):
        out[p.execution.value] += p.weight
    total = sum(out.values())
    return {k: w / total for k, w in out.items()}, total


def assert_mean(xs, expected):
    xs = np.asarray(xs, float)
    assert abs(xs.mean() - expected) < 4.5 * xs.std(ddof=1) / math.sqrt(len(xs))


def test_recursive_geometric():
    machine, data = machine_of("""
fn trials(p: prob) -> measure[nat] {
  x ~ bernoulli(p)
  if x { return 0 } else { n ~ trials(p); return n + 1 }
}
model main() { trials(0.3) }
""")
    draws = [e.value for e in runs(machine, data, 4_000)]
    assert_mean(draws, 0.7 / 0.3)
    counts = np.bincount(np.minimum(draws, 8), minlength=9)
    p = 0.3 * 0.7 ** np.arange(8)
    expected = len(draws) * np.append(p, 1 - p.sum())
    assert stats.chisquare(counts, expected).pvalue > 1e-5


def test_memoised_flips():
    machine, data = machine_of("""
model main() { f ~ mem(fn (k: nat) => bernoulli(0.5)); return (f(3), f(7), f(3)) }
""")
    law, total = law_of(machine, data)
    assert total == 1
    assert all(a == c for a, _, c in law)
    assert Counter({a + b: 0 for a, b, _ in law}).keys() == {0, 1, 2}
    both = defaultdict(Fraction)
    for (a, b, _), p in law.items():
        both[a + b] += p
    assert both == {0: Fraction(1, 4), 1: Fraction(1, 2), 2: Fraction(1, 4)}


def test_branching_fib():
    """r ~ Poisson(4); rate 6 if r > 4, else fib(3 r) plus a Poisson(4) draw; a 6 is observed."""
    source = """
fn fib(n: nat) -> nat { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }
model main(y: nat) {
  r ~ poisson(4)
  l ~ if r > 4 { return 6 } else { k ~ poisson(4); return fib(3 * r) + k }
  observe y ~ poisson(l)
  return r
}
"""
    fibs = [0, 1]
    while len(fibs) < 13:
        fibs.append(fibs[-1] + fibs[-2])
    joint = {}
    for r in range(60):
        if r > 4:
            like = stats.poisson.pmf(6, 6)
        else:
            ks = np.arange(200)
            like = float(np.sum(stats.poisson.pmf(ks, 4) * stats.poisson.pmf(6, fibs[3 * r] + ks)))
        joint[r] = stats.poisson.pmf(r, 4) * like
    evidence = sum(joint.values())
    mean = sum(r * w for r, w in joint.items()) / evidence
    assert math.log(evidence) == pytest.approx(-2.586107, abs=1e-6)
    assert mean == pytest.approx(5.088364, abs=1e-6)
    machine, data = machine_of(source, y=6)
    found = runs(machine, data, 8_000)
    w = np.exp([e.log_weight for e in found])
    assert_mean(w, evidence)
    assert_mean(w * (np.array([e.value if e.alive else 0 for e in found]) - mean), 0)


GRAMMAR = """
type tree = Leaf(nat) | Node(tree, tree)
fn sentence(p: prob, q: prob, depth: nat) -> measure[tree] {
  split ~ bernoulli(p)
  if split and depth > 0 {
    l ~ sentence(p, q, depth - 1)
    r ~ sentence(p, q, depth - 1)
    return Node(l, r)
  } else { w ~ bernoulli(q); return Leaf(indicator(w)) }
}
fn first(t: tree) -> nat { match t { Leaf(w) => w, Node(l, _) => first(l) } }
fn size(t: tree) -> nat { match t { Leaf(_) => 1, Node(l, r) => size(l) + size(r) } }
model main(first_word: nat, words: nat) {
  t ~ sentence(0.4, 0.3, 2)
  condition first(t) == first_word
  condition size(t) <= words
  return t
}
"""


def grammar_sizes(depth):
    """The law of the number of words, by the recursion that defines it."""
    if depth == 0:
        return {1: Fraction(1)}
    inner, out = grammar_sizes(depth - 1), defaultdict(Fraction)
    out[1] += Fraction(3, 5)
    for a, p in inner.items():
        for b, q in inner.items():
            out[a + b] += Fraction(2, 5) * p * q
    return out


def test_probabilistic_grammar_prefix():
    """P(first word is 1, at most 2 words): words are independent of the tree's shape."""
    machine, data = machine_of(GRAMMAR, first_word=1, words=2)
    law, total = law_of(machine, data)
    sizes = grammar_sizes(2)
    assert total == Fraction(3, 10) * (sizes[1] + sizes[2])
    shapes = defaultdict(Fraction)
    for value, p in law.items():
        shapes[len(value)] += p  # a Leaf has one field, a Node two
    assert shapes[2] == sizes[1] / (sizes[1] + sizes[2])


def test_constructors_come_back_to_python():
    machine, data = machine_of(GRAMMAR, first_word=1, words=1)
    (path,) = [p for p in enumerate_paths(machine, data) if p.execution.alive][:1]
    assert path.execution.result == Con("Leaf", (1,))


def test_dirichlet_process_shares_atoms():
    """Two draws of DP(alpha) share their atom with probability 1 / (1 + alpha)."""
    machine, data = machine_of(
        """
fn pick(stick: nat -> prob, k: nat) -> measure[nat] {
  stop ~ bernoulli(stick(k))
  if stop { return k } else { pick(stick, k + 1) }
}
model main(alpha: pos) {
  stick ~ mem(fn (k: nat) => beta(1, alpha))
  a ~ pick(stick, 0)
  b ~ pick(stick, 0)
  return a == b
}
""",
        alpha=2.5,
    )
    assert_mean([e.value for e in runs(machine, data, 6_000)], 1 / 3.5)


def test_expected_tables_of_a_chinese_restaurant():
    """E[tables] = sum over customers i of alpha / (alpha + i)."""
    machine, data = machine_of(
        """
fn seat(counts: [nat], alpha: pos, n: nat) -> measure[[nat]] {
  if n == 0 { return counts } else {
    let total = sum(counts) + alpha
    t ~ categorical(concat([c / total for c in counts], [alpha / total]))
    let next = if t == len(counts) { concat(counts, [1]) }
               else { [if i == t { c + 1 } else { c } for (i, c) in enumerate(counts)] }
    seat(next, alpha, n - 1)
  }
}
model main(alpha: pos, n: nat) { tables ~ seat([1], alpha, n - 1); return len(tables) }
""",
        alpha=1.5,
        n=7,
    )
    assert_mean(
        [e.value for e in runs(machine, data, 4_000)], sum(1.5 / (1.5 + i) for i in range(7))
    )


def test_a_loop_of_random_length_and_sites_that_come_and_go():
    machine, data = machine_of("""
model main() {
  n ~ discrete_uniform(1, 3)
  xs ~ for i in range(n as nat) { bernoulli(0.25) }
  return count(xs)
}
""")
    law, total = law_of(machine, data)
    expected = defaultdict(Fraction)
    for n in (1, 2, 3):
        for k in range(n + 1):
            expected[k] += (
                Fraction(math.comb(n, k), 3) * Fraction(1, 4) ** k * Fraction(3, 4) ** (n - k)
            )
    assert total == 1
    assert law == expected


RSA = """
## Scalar implicature: states 0 to 3 of three objects, utterances none, some, all.
fn meaning(u: nat, s: nat) -> bool {
  match u { 0 => s == 0, 1 => s > 0, _ => s == 3 }
}
fn literal(u: nat) -> dist[nat] {
  normalize({ s ~ categorical([0.25, 0.25, 0.25, 0.25]); condition meaning(u, s); return s }, exact)
}
fn speaker(s: nat) -> dist[nat] {
  normalize({ u ~ categorical([1/3, 1/3, 1/3]); observe s ~ literal(u); return u }, exact)
}
model main(u: nat) {
  s ~ categorical([0.25, 0.25, 0.25, 0.25])
  observe u ~ speaker(s)
  return s
}
"""


def test_scalar_implicature():
    """Goodman and Stuhlmueller (2013): "some" means 0, 4/9, 4/9, 1/9."""
    machine, data = machine_of(RSA, u=1)
    law, _ = law_of(machine, data)
    assert law == {1: Fraction(4, 9), 2: Fraction(4, 9), 3: Fraction(1, 9)}
    floats = defaultdict(float)
    for p in enumerate_paths(machine, machine.bind({"u": 1})):
        floats[p.execution.value] += p.weight
    total = sum(floats.values())
    assert {k: w / total for k, w in floats.items()} == pytest.approx(
        {1: 4 / 9, 2: 4 / 9, 3: 1 / 9}
    )


def test_a_lazy_list_is_as_long_as_is_asked_for():
    machine, data = machine_of("""
type stream = More(nat, stream)
fn coins(k: nat) -> measure[stream] {
  x ~ bernoulli(0.25)
  rest ~ lazy(coins(k + 1))
  return More(indicator(x), rest)
}
fn take(s: stream, n: nat) -> nat {
  match s { More(x, rest) => if n == 0 { 0 } else { x + take(rest, n - 1) } }
}
model main() { s ~ coins(0); return (take(s, 3), take(s, 2)) }
""")
    law, total = law_of(machine, data)
    assert total == 1
    expected = {}
    for bits in np.ndindex(2, 2, 2):
        p = math.prod(Fraction(1, 4) if b else Fraction(3, 4) for b in bits)
        key = (sum(bits), sum(bits[:2]))
        expected[key] = expected.get(key, 0) + p
    assert law == expected


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


def test_particles_reach_their_observations_at_different_depths():
    """A walk from 0 to 3 by steps of 1 or 2, scored 1/2 and suspended at every step."""
    source = """
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
"""
    machine, data = machine_of(source)
    expected = defaultdict(Fraction)

    def go(at, steps, w):
        if at >= 3:
            expected[steps] += w
            return
        for step, p in ((1, Fraction(3, 4)), (2, Fraction(1, 4))):
            go(at + step, steps + 1, w * p / 2)

    go(0, 0, Fraction(1))
    law, total = law_of(machine, data)
    assert total == sum(expected.values())
    assert {k: p * total for k, p in law.items()} == expected
    stops = set()
    for slot in range(30):
        at, n = machine.start(data).resume(MachineKey(2, 0, slot)), 1
        while not hasattr(at, "alive"):
            at, n = at.resume(MachineKey(2, n, slot)), n + 1
        stops.add(n - 1 - at.value)
    assert stops == {1}  # one stop for each step, and one where the main block ends

"""Inference inside programs: what each method of `normalize` means, exactly, in rational arithmetic.

The laws are computed here by brute force over the states of small measures.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from fractions import Fraction as F

import pytest

import ppl
from ppl.semantics.codes import CODES
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_verify import verify
from ppl.semantics.machine import Machine, MachineKey, enumerate_paths
from ppl.semantics.machine.codegen.unit import Options
from ppl.semantics.machine.tape import explore

PRIOR = {0: F(1, 2), 1: F(3, 10), 2: F(1, 5)}
WEIGHT = {0: F(1, 7), 1: F(3), 2: F(0)}
ACCEPT = {0: F(1, 7), 1: F(3, 4), 2: F(0)}
MEASURES = """
fn weighted() -> measure[nat] {
  s ~ categorical([0.5, 0.3, 0.2])
  factor log([1 / 7, 3, 0][s])
  return s
}
fn chancy() -> measure[nat] {
  s ~ categorical([0.5, 0.3, 0.2])
  observe true ~ bernoulli([1 / 7, 0.75, 0][s])
  return s
}
"""


def machine_of(body: str, **data) -> tuple[Machine, object]:
    params = ", ".join(f"{k}: nat" for k in data)
    model = ppl.compile(f"{MEASURES}\nmodel main({params}) {{\n{body}\n}}").main
    verify(model.program)
    machine = model.machine
    return machine, machine.bind(model(**data).values)


def masses(machine, data, key=lambda e: e.value) -> dict:
    """The mass of every result, exactly."""
    out: defaultdict = defaultdict(F)
    for p in enumerate_paths(machine, data, rational=True):
        out[key(p.execution)] += p.weight
    return dict(out)


def code_of(run) -> str:
    with pytest.raises(DiagnosticError) as caught:
        run()
    (problem,) = caught.value.diagnostics
    assert problem.code in CODES
    return problem.code


# ------------------------------------------------------------------------------------ importance


def chosen_of(n: int) -> dict[int, F]:
    """The law of one of n executions chosen by weight; the missing mass has weight zero."""
    out: defaultdict = defaultdict(F)
    for states in itertools.product(PRIOR, repeat=n):
        total = sum(WEIGHT[s] for s in states)
        for s in states:
            if total and WEIGHT[s]:
                out[s] += math.prod(PRIOR[t] for t in states) * WEIGHT[s] / total
    return dict(out)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_importance_chooses_one_of_n_executions_by_weight(n):
    machine, data = machine_of("x ~ normalize(weighted(), importance(n)); return x", n=n)
    expected = chosen_of(n)
    assert sum(expected.values()) == 1 - PRIOR[2] ** n
    assert masses(machine, data) == expected


def test_nested_runs_are_independent_and_outer_draws_condition_them():
    """Two runs under different names, and what they condition on, drawn outside."""
    machine, data = machine_of("""
  k ~ bernoulli(0.25)
  x ~ normalize({ s ~ weighted(); condition not (k and s == 1); return s }, importance(2))
  y ~ normalize(weighted(), importance(2))
  return (k, x, y)
""")
    expected: defaultdict = defaultdict(F)
    free = chosen_of(2)
    held: defaultdict = defaultdict(F)
    for a, b in itertools.product(PRIOR, repeat=2):
        if a == 0 or b == 0:
            held[0] += PRIOR[a] * PRIOR[b]
    for (x, p), (y, q) in itertools.product(free.items(), free.items()):
        expected[False, x, y] += F(3, 4) * p * q
    for y, q in free.items():
        expected[True, 0, y] += F(1, 4) * held[0] * q
    assert masses(machine, data) == dict(expected)


# ------------------------------------------------------------------------------------- rejection


def test_rejection_draws_from_the_normalised_law():
    """Among three tries; the paths on which all three fail end with E846, and have the rest."""
    machine, data = machine_of("x ~ normalize(chancy(), rejection(n)); return x", n=3)
    law: defaultdict = defaultdict(F)
    failed = []

    def once(tape):
        try:
            e = machine.run(data, tape, rational=True)
        except DiagnosticError as error:
            assert error.diagnostics[0].code == "E846"
            assert error.diagnostics[0].span.text == "normalize(chancy(), rejection(n))"
            failed.append(tape.probability)
            return
        assert e.log_weight.of == 1
        law[e.value] += tape.probability

    explore(once, limit=10_000, one=F(1))
    accepted = {s: PRIOR[s] * ACCEPT[s] for s in (0, 1)}
    rate = sum(accepted.values())
    assert sum(failed) == (1 - rate) ** 3
    assert law == {s: p / rate * (1 - (1 - rate) ** 3) for s, p in accepted.items()}


def test_exact_and_rejection_agree_without_a_budget():
    """Means of 2,000 draws within 4.5 standard errors of the law (false alarm 7e-6)."""
    machine, data = machine_of("x ~ normalize(chancy(), rejection); return x")
    n = 2_000
    hits = sum(machine.run(data, MachineKey(3, 0, i), record=False).value for i in range(n))
    p = PRIOR[1] * ACCEPT[1]
    p /= p + PRIOR[0] * ACCEPT[0]
    assert abs(hits / n - p) < 4.5 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize(
    ("score", "text"),
    [
        ("factor log([1 / 7, 3, 0.5][s])", "factor log([1 / 7, 3, 0.5][s])"),
        ("observe 0.5 ~ normal(0.5, 0.1)", "observe 0.5 ~ normal(0.5, 0.1)"),
    ],
)
def test_a_score_above_zero_has_no_acceptance_probability(score, text):
    body = f"x ~ normalize({{ s ~ categorical([0.2, 0.3, 0.5]); {score}; return s }}, rejection)"
    machine, data = machine_of(f"{body}; return x")
    with pytest.raises(DiagnosticError) as caught:
        for i in range(30):
            machine.run(data, MachineKey(1, 0, i))
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.span.text) == ("E845", text)


def test_scores_outside_rejection_may_be_anything():
    machine, data = machine_of("""
  factor log(7)
  x ~ normalize({
    y ~ normalize({ s ~ weighted(); factor log(5); return s }, importance(2))
    z ~ normalize({ s ~ weighted(); factor log(5); return s }, exact)
    condition y == z
    return y
  }, rejection(1_000))
  return x
""")
    for i in range(20):
        e = machine.run(data, MachineKey(2, 0, i))
        assert e.value in (0, 1) and e.log_weight == pytest.approx(math.log(7))


# ----------------------------------------------------------------------- what runs see and leave


def test_nested_draws_are_no_sites_and_depend_on_their_path_alone():
    inner = "x ~ normalize({ a ~ normal(0, 1); observe 1 ~ normal(a, 1); return a }, importance(5))"
    machine, data = machine_of(f"{inner}; return x")
    longer, more = machine_of(f"z ~ normal(0, 1); {inner}; y ~ normal(z, 1); return (x, y)")
    first, second = machine.run(data, MachineKey(4)), longer.run(more, MachineKey(4))
    assert not first.sites and not first.observed and first.kept == {"x": first.value}
    assert sorted(second.sites) == ["y", "z"]
    assert second.value[0] == first.value and first.log_weight == 0
    assert machine.run(data, MachineKey(4), record=False).value == first.value
    assert machine.start(data).finish(MachineKey(4)).value == first.value
    xs = {machine.run(data, MachineKey(4, 0, i)).value for i in range(20)}
    assert len(xs) == 20


def test_runs_of_one_statement_differ_between_the_elements_of_a_plate():
    machine, data = machine_of("""
  xs ~ for i in range(4) { normalize(normal(0, 1), importance(3)) }
  return xs
""")
    assert len(set(machine.run(data, MachineKey(4)).value)) == 4


RANDOM_FUNCTION = "{ f ~ mem(fn (k: nat) => bernoulli(0.25)); condition f(0) or f(1); return f }"


@pytest.mark.parametrize("method", ["importance(1)", "rejection(1)"])
def test_a_random_function_that_is_drawn_inside_keeps_what_it_was_asked(method):
    machine, data = machine_of(
        f"f ~ normalize({RANDOM_FUNCTION}, {method}); return (f(2), f(0), f(1))"
    )
    law: defaultdict = defaultdict(F)

    def once(tape):
        try:
            e = machine.run(data, tape, rational=True)
        except DiagnosticError as error:
            assert error.diagnostics[0].code == "E846"
            return
        if e.alive:
            law[e.value] += tape.probability * e.log_weight.of

    explore(once, limit=1_000, one=F(1))
    p = {True: F(1, 4), False: F(3, 4)}
    bits = itertools.product([False, True], repeat=3)
    assert law == {(c, a, b): p[c] * p[a] * p[b] for c, a, b in bits if a or b}


def test_without_a_method_all_paths_are_run_and_the_answer_has_a_density():
    machine, data = machine_of("""
  let d = normalize(weighted())
  s ~ d
  observe 1 ~ d
  return s""")
    total = sum(PRIOR[s] * WEIGHT[s] for s in PRIOR)
    law = {s: PRIOR[s] * WEIGHT[s] / total for s in PRIOR}
    assert masses(machine, data) == {s: p * law[1] for s, p in law.items() if p}


def test_paths_of_a_random_function_cannot_be_listed():
    machine, data = machine_of(f"f ~ normalize({RANDOM_FUNCTION}, exact); return f(2)")
    assert code_of(lambda: machine.run(data, MachineKey(1))) == "E841"


@pytest.mark.parametrize("method", ["exact", "importance(40)", "rejection(50)"])
def test_random_functions_from_outside_have_only_the_values_they_have(method):
    body = """
  f ~ mem(fn (k: nat) => bernoulli(0.5))
  {ask}
  x ~ normalize({{ a ~ bernoulli(0.25); condition a or not f(0); return a }}, {method})
  return (f(0), x)
"""
    machine, data = machine_of(body.format(ask="let y = f(0)", method=method))
    for i in range(12):
        asked, x = machine.run(data, MachineKey(1, 0, i)).value
        assert x or not asked
    machine, data = machine_of(body.format(ask="", method=method))
    assert code_of(lambda: machine.run(data, MachineKey(1))) == "E841"


def test_exact_laws_follow_values_asked_for_outside():
    machine, data = machine_of("""
  f ~ mem(fn (k: nat) => bernoulli(0.5))
  let y = f(0)
  x ~ normalize({ a ~ bernoulli(0.25); condition a or not f(0); return a }, exact)
  return (y, x)
""")
    assert masses(machine, data) == {
        (True, True): F(1, 2),
        (False, True): F(1, 8),
        (False, False): F(3, 8),
    }


def test_a_lazy_value_from_outside_is_not_drawn_inside():
    machine, data = machine_of("""
  a ~ lazy(bernoulli(0.5))
  x ~ normalize({ b ~ bernoulli(0.25); condition a or b; return b }, exact)
  return x
""")
    assert code_of(lambda: machine.run(data, MachineKey(1))) == "E841"


# ------------------------------------------------------------------------- reasoning about others

TALK = """
## Goodman and Stuhlmueller (2013): 0 to 3 of three apples are red; utterances none, some, all.
fn meaning(u: nat, s: nat) -> bool { match u { 0 => s == 0, 1 => s > 0, _ => s == 3 } }
fn listener(depth: nat, u: nat) -> dist[nat] {
  normalize({
    s ~ categorical([0.25, 0.25, 0.25, 0.25])
    if depth == 0 { condition meaning(u, s) } else { observe u ~ speaker(depth - 1, s) }
    return s
  }, exact)
}
fn speaker(depth: nat, s: nat) -> dist[nat] {
  normalize({
    u ~ categorical([1 / 3, 1 / 3, 1 / 3])
    observe s ~ listener(depth, u)
    return u
  }, exact)
}
model hears(depth: nat, u: nat) { s ~ listener(depth, u); return s }
model says(depth: nat, s: nat) { u ~ speaker(depth, s); return u }
"""


def talk(depth: int) -> tuple[dict, dict]:
    """Listener and speaker of a depth, by the definition: tables of Fractions."""
    true = {0: {0}, 1: {1, 2, 3}, 2: {3}}
    if depth == 0:
        hears = {u: {s: F(1, len(ss)) for s in ss} for u, ss in true.items()}
    else:
        _, says = talk(depth - 1)
        hears = {}
        for u in range(3):
            row = {s: says[s].get(u, F(0)) for s in range(4)}
            hears[u] = {s: p / sum(row.values()) for s, p in row.items() if p}
    says = {}
    for s in range(4):
        row = {u: hears[u].get(s, F(0)) for u in range(3)}
        says[s] = {u: p / sum(row.values()) for u, p in row.items() if p}
    return hears, says


@pytest.mark.parametrize("depth", [1, 2])
def test_scalar_implicature_at_several_depths(depth):
    models = ppl.compile(TALK)
    hears, says = talk(depth)
    if depth == 1:
        assert hears[1] == {1: F(4, 9), 2: F(4, 9), 3: F(1, 9)}
    assert masses(models.hears.machine, {"depth": depth, "u": 1}) == hears[1]
    assert masses(models.says.machine, {"depth": depth, "s": 3}) == says[3]


def test_each_question_is_asked_once():
    """Depth 30 has 3 + 4 questions a level, and not (3 * 4) ^ 30 paths."""
    machine = ppl.compile(TALK).says.machine
    e = machine.run({"depth": 30, "s": 2}, MachineKey(1), record=False)
    assert e.value == 1
    assert len(machine.code(Options()).nested._laws) <= 31 * 7


@pytest.mark.parametrize("size", [-2000.0, -0.5, 2000.0])
def test_only_ratios_of_scores_count(size):
    """Scores beyond what `exp` can hold, of every execution or of some."""
    models = ppl.compile("""
    fn soft(c: real) -> dist[nat] {
      normalize({ k ~ categorical([0.2, 0.3, 0.5]); factor c + log(1 + k) - (if k == 2 { 3000 } else { 0 }); return k }, exact)
    }
    model m(c: real) { x ~ soft(c); return x }
    model never() { x ~ normalize({ a ~ bernoulli(0.5); condition a and not a; return a }, exact); return x }
    """)
    found = ppl.infer(models.m(c=size), "exact", progress=False)
    law = dict(zip(found.result[0].tolist(), found.weights[0].tolist(), strict=True))
    assert law == pytest.approx({0: 0.25, 1: 0.75}, abs=1e-12)
    with pytest.raises(DiagnosticError) as raised:
        ppl.infer(models.never(), "exact", progress=False)
    (problem,) = raised.value.diagnostics
    assert problem.code == "E844" and problem.span is not None and "normalize" in problem.span.text


def test_only_laws_of_finitely_many_values_have_expectations():
    models = ppl.compile("""
    model wide(n: nat) {
      k ~ binomial(3, 0.4)
      let some = truncate(poisson(2), 0, 3)
      return {
        of: expectation(binomial(n, 0.25), fn (x) => x^2 + k),
        sums: expectation(iid(2, binomial(2, 0.5)), fn (xs) => xs[0] * xs[1]),
        some: expectation(some, fn (x) => x),
      }
    }
    model endless() { k ~ binomial(3, 0.4); return expectation(poisson(2), fn (x) => k * x) }
    """)
    found = ppl.infer(models.wide(n=5), "exact", progress=False)
    k = found["k"][0]
    assert found.result["of"][0] == pytest.approx(5 * 0.25 * 0.75 + 1.25**2 + k, abs=1e-12)
    assert found.result["sums"][0] == pytest.approx([1.0] * len(k), abs=1e-12)
    masses = [2**x / math.factorial(x) for x in range(4)]
    wanted = sum(x * m for x, m in enumerate(masses)) / sum(masses)
    assert found.result["some"][0] == pytest.approx([wanted] * len(k), abs=1e-12)
    says = r"E807(.|\n)*`poisson` does not have finitely many"
    with pytest.raises(DiagnosticError, match=says):
        ppl.infer(models.endless(), "exact", progress=False)
    nested = ppl.compile(
        "model m() { x ~ normalize({ k ~ poisson(2); return k }, exact); return x }"
    )
    with pytest.raises(DiagnosticError, match=says + r"(.|\n)*`normalize\(m, importance\(n\)\)`"):
        ppl.prior(nested.m(), draws=1)

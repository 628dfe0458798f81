"""Kinds and ranges: the tables are monotone, casts are inserted where needed, causes are found."""

from __future__ import annotations

import pytest

from ppl.lang import syntax as s
from ppl.lang.check import atoms
from ppl.semantics.signatures import PRIMITIVES
from ppl.semantics.types import NUMBERS, number_below, number_join

ATOMS = [atoms.BIT, atoms.NAT, atoms.INT, atoms.PROB, atoms.POS, atoms.REAL]
ROWS = [r.name for r in PRIMITIVES.values() if r.kind in ("elementwise", "reduction")]


def test_atoms_are_the_lattice_of_numbers():
    for a in NUMBERS.values():
        for b in NUMBERS.values():
            x, y = atoms.atom(a), atoms.atom(b)
            assert atoms.below(x, y) == number_below(a, b)
            assert atoms.number(x | y) == number_join(a, b)


@pytest.mark.parametrize("row", [*ROWS, "1-", "exp-", "even", "matmul"])
def test_tables_are_monotone(row: str):
    """A wider argument never gives a narrower result: else fixed points would not be least."""
    arity = len(atoms.overloads(row)[0].ins)
    points: list[tuple[int, ...]] = [()]
    for _ in range(arity):
        points = [(*p, a) for p in points for a in ATOMS]
    for p in points:
        for i in range(arity):
            for wider in ATOMS:
                if atoms.below(p[i], wider):
                    q = (*p[:i], wider, *p[i + 1 :])
                    narrow, wide = atoms.result(row, p), atoms.result(row, q)
                    assert all(map(atoms.below, narrow, wide)), (row, p, q)


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        ("1 - p", "prob"),
        ("2 - p", "real"),
        ("x^2", "pos"),
        ("x^3", "real"),
        ("n^2", "nat"),
        ("n^3", "int"),
        ("k^n", "pos"),
        ("p^2.5", "prob"),
        ("x * x", "pos"),
        ("x * p", "real"),
        ("exp(-s)", "prob"),
        ("exp(-x)", "pos"),
        ("k / 2", "pos"),
        ("k // 2", "nat"),
        ("n // 2", "int"),
        ("-k", "int"),
        ("k - 1", "int"),
        ("k + 1", "nat"),
        ("p + p", "pos"),
        ("p * s", "pos"),
        ("min(p, s)", "prob"),
        ("max(n, k)", "nat"),
        ("abs(n)", "nat"),
        ("floor(s)", "nat"),
        ("floor(x)", "int"),
        ("sum([p, p])", "pos"),
        ("mean([p, p])", "prob"),
        ("[p, s, n]", "[real]"),
        ("[k, p]", "[pos]"),
        ("if c { k } else { p }", "pos"),
        ("indicator(c) * s", "pos"),
        ("[1, 2] @ [p, s]", "pos"),
        ("count([c, c])", "nat"),
        ("sigmoid(x) * exp(x)", "pos"),
        ("fold a = 0 for i in range(3) { a + i }", "nat"),
        ("fold a = 0 for i in range(3) { a - p }", "real"),
        ("scan a = 1 for i in range(3) { a * p }", "[prob]"),
        ("x as pos", "pos"),
        ("(fn (y) => y * 2)(k)", "nat"),
        ("pi", "pos"),
    ],
)
def test_the_type_of_an_expression(checked, expression: str, type_: str):
    data = "x: real, p: prob, s: pos, n: int, k: nat, c: bool"
    c = checked(f"model m({data}) {{ return ({expression}, 1) }}")
    assert [d.render() for d in c.diagnostics] == []
    assert str(c.entry("m").result) == f"measure[({type_}, bit)]"


@pytest.mark.parametrize(
    ("statement", "cast"),
    [
        ("z ~ binomial(n - 1, p)", ("n - 1", "checked_nat")),
        ("z ~ bernoulli(s / (1 + s))", ("s / (1 + s)", "checked_prob")),
        ("z ~ bernoulli(k / 2)", ("k / 2", "checked_prob")),
        ("z ~ categorical([s, s])", ("[s, s]", "checked_prob")),
        ("let z = [1, 2][n]", ("n", "checked_nat")),
        ("let z: prob = s", ("s", "checked_prob")),
        ("let z = x as nat", ("x as nat", "checked_nat")),
        ("let z = x as int", ("x as int", "checked_int")),
        ("observe k ~ bernoulli(p)\n let z = 1", ("k", "checked_bool")),
        ("let z = g(n)", ("n", "checked_nat")),
    ],
)
def test_checked_casts(checked, statement: str, cast: tuple[str, str]):
    data = "x: real, p: prob, s: pos, n: int, k: nat"
    c = checked(f"fn g(k: nat) {{ k }}\nmodel m({data}) {{\n {statement}\n return z\n}}")
    assert [d.render() for d in c.diagnostics] == []
    found = [(node.span.text, name) for node, name in c.instances[c.entry("m")].casts.items()]
    assert found == [cast]


@pytest.mark.parametrize(
    "statement",
    ["z ~ normal(0, 1 as pos)", "z ~ bernoulli(1 - p)", "let z = k as int", "z ~ poisson(k)"],
)
def test_no_cast_where_none_is_needed(checked, statement: str):
    c = checked(f"model m(p: prob, k: nat) {{\n {statement}\n return z\n}}")
    assert c.diagnostics == ()
    assert c.instances[c.entry("m")].casts == {}


def test_a_number_within_a_function_type_is_not_cast(checked):
    c = checked("fn g(f: real -> prob) { f(1) }\nmodel m(s: pos) { return g(fn (x) => s) }")
    assert [d.code for d in c.diagnostics] == ["E401"]


def test_calls_of_one_function_do_not_widen_each_other(checked):
    """Each tuple of argument types has its own instance."""
    c = checked(
        "fn half(x) { x * 0.5 }\n"
        "model m(x: real) { observe x ~ normal(half(x), half(2))\n return half([1, 2]) }"
    )
    assert c.diagnostics == ()
    keys = {str(key.type) for key in c.instances if key.function == "half"}
    assert {"real -> real", "nat -> pos", "[nat] -> [pos]"} <= keys


def test_a_lambda_takes_the_join_of_its_uses(checked):
    c = checked("model m(x: real) { let f = fn (y) => y + 1\n return (f(2), f(0.5)) }")
    (lam,) = [n for n in c.instances[c.entry("m")].types if isinstance(n, s.Lambda)]
    assert str(c.instances[c.entry("m")].types[lam]) == "pos -> pos"


def test_what_a_function_argument_is_given_flows_back(checked):
    """The callee calls its argument with a real: so the lambda's parameter is real."""
    c = checked("fn at(f, x) { f(x) }\nmodel m(x: real) { return at(fn (y) => y + 1, x) }")
    assert str(c.entry("m").result) == "measure[real]"


def test_a_function_that_nothing_here_calls_takes_all_that_its_body_accepts(checked):
    c = checked("model m() { return fn (p, k, x) => { z ~ bernoulli(p); binomial(k, x) } }")
    assert c.diagnostics[0].code == "W501" and c.ok
    assert str(c.entry("m").result) == "measure[(prob, nat, prob) -> measure[nat]]"


def test_what_a_function_that_nothing_calls_observes_bounds_what_it_takes(checked):
    """Also where the function is one of several, in a list."""
    c = checked(
        "model m(b: bool) { let fs = [if b { fn (a) => { observe a ~ categorical([0.2, 0.8]); "
        "return a } } else { fn (a) => categorical([0.5, 0.5]) }]\n return 1 }"
    )
    assert c.ok and not any(d.code == "E403" for d in c.diagnostics)


def test_recursion_reaches_a_fixed_point_across_functions(checked):
    c = checked(
        "fn down(x, n: nat) { if n == 0 { x } else { up(x - 1, n) } }\n"
        "fn up(x, n: nat) { down(x + 1, n) }\n"
        "model m() { return down(1, 3) }"
    )
    assert c.diagnostics == ()
    assert str(c.entry("m").result) == "measure[int]"

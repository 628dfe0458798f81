"""What depends on what: results on variables, shapes on data, functions on each other."""

from __future__ import annotations

import time
from textwrap import dedent

import pytest

from ppl.lang.compile import compile_source
from ppl.semantics import ir
from ppl.semantics.analysis import (
    components,
    dependencies,
    flatten,
    recursive_functions,
    static_params,
)
from ppl.semantics.diagnostics import Source
from ppl.semantics.ir_parse import read


def static(text: str) -> set[str]:
    return set(static_params(compile_source(Source("<test>", dedent(text))).program("m")))


STATIC = [
    ("(n: nat, x: real) { for i in range(n) { normal(x, 1) } }", {"n"}),
    ("(n: nat, k: nat) { for i in range(n) { poisson(k) } }", {"n"}),
    ("(xs: [real]) { for i in range(len(xs)) { normal(xs[i], 1) } }", set()),
    ("(xs: [real], k: nat) { return xs[k] }", set()),
    ("(xs: [real], k: nat, l: nat) { return xs[k:l + 1] }", {"k", "l"}),
    ("(xs: [[real]], k: nat) { return xs[:, 0:k] }", {"k"}),
    ("(n: nat) { x ~ iid(n, normal(0, 1)); return x }", {"n"}),
    ("(n: nat, k: nat) { let d = n + 1; return linspace(0, k, d) }", {"n"}),
    ("(n: nat, c: bool) { return zeros(if c { n } else { 2 }) }", {"n", "c"}),
    ("(xs: [nat]) { return [zeros(3) for x in xs] }", set()),
    ("(n: nat, p: prob) { k ~ binomial(n, p); return k }", {"n"}),
    ("(n: nat, p: prob, y: nat) { observe y ~ binomial(n, p) }", set()),
    (
        "(lo: int, hi: nat, x: real) { k ~ discrete_uniform(lo, hi + 1); return x + k }",
        {"lo", "hi"},
    ),
    ("(n: nat, r: pos) { k ~ truncate(poisson(r), 0, n); return k }", {"n"}),
    ("(b: real) { x ~ truncate(normal(0, 1), b); return x }", set()),
    ("(xs: [nat]) { return zeros(sum(xs)) }", {"xs"}),
    ("(xs: [nat], k: nat) { return [x for x in xs if x > k] }", {"xs", "k"}),
    ("(n: nat) { iterate s = 0.0 until s > 1 max n { normal(s, 1) } }", {"n"}),
    ("(n: nat, x: real) { return f(n, x) }\nfn f(k: nat, x: real) => repeat(x, k)", {"n"}),
    (
        "(n: nat, x: real) { return f(fn (j) => zeros(j), n) }"
        "\nfn f(g: nat -> [nat], k: nat) => g(k)",
        {"n"},
    ),
    (
        "(n: nat, x: real) { let k = fold s = n for i in [1, 2] { s * i }; return zeros(k) }",
        {"n"},
    ),
    (
        "(n: nat, x: real) { return r(n, x) }"
        "\nfn r(k: nat, x: real) -> [nat] { if k == 0 { zeros(k) } else { r(k - 1, x) } }",
        {"n"},
    ),
]


@pytest.mark.parametrize(("text", "names"), STATIC)
def test_parameters_that_decide_shapes(text: str, names: set[str]):
    assert static("model m" + text) == names


def dependence(result: str, body: str, params: str = "mu: real, k: nat, xs: [real]"):
    program = read(f"main m def m({params}): measure[{result}] = return thunk {{ {dedent(body)} }}")
    thunk = program.entry.body.value  # type: ignore[attr-defined]
    found = flatten(dependencies(thunk.body))
    return {".".join(p): (set(d.variables), d.random) for p, d in found.items()}


def test_each_part_of_a_result_has_its_own_dependence():
    assert dependence(
        "{a: real, b: (real, nat)}",
        """
        z: real <- keep "z" run normal(mu, 1);
        p: (real, nat) <- return (z, k);
        return {a = index(xs, k), b = (p.(0), p.(1))}
        """,
    ) == {"a": ({"xs", "k"}, False), "b.0": ({"mu"}, True), "b.1": ({"k"}, False)}


def test_a_branch_depends_on_its_condition():
    assert dependence(
        "(real, nat)",
        """
        c: bool <- run bernoulli(0.25);
        p: (real, nat) <- if c then return (mu, 1) else return (mu, k);
        return p
        """,
    ) == {"0": ({"mu"}, True), "1": ({"k"}, True)}


def test_parts_of_a_state_reach_each_other_over_steps():
    # a feeds b one step later, b feeds c: c depends on what a started from
    assert dependence(
        "(real, real, real, nat)",
        """
        fold s: (real, real, real, nat) = (mu, (0.5 : real), (0.25 : real), 1)
          for x: real in xs do return (s.(0), s.(0), s.(1), (s.(3) + k))
        """,
    ) == {
        "0": ({"mu"}, False),
        "1": ({"mu"}, False),
        "2": ({"mu"}, False),
        "3": ({"k"}, False),
    }


def test_a_state_that_is_drawn_is_random_and_one_beside_it_is_not():
    assert dependence(
        "[(real, real)]",
        """
        scan s: (real, real) = ((0.5 : real), mu) for x: real in xs do {
          d: real <- keep "d" run normal(s.(0), 1);
          return (d, (s.(1) + x))
        }
        """,
    ) == {"0": (set(), True), "1": ({"mu", "xs"}, False)}


def test_the_end_of_a_loop_depends_on_its_test():
    assert dependence(
        "nat", "iterate n: nat = 0 until return (index(xs, n) > mu) do return (n + 1)"
    ) == {"": ({"xs", "mu"}, False)}


def test_a_measure_is_random_once_it_is_run():
    assert dependence(
        "(measure[real], real)",
        """
        t: measure[real] <- return thunk run normal(mu, 1);
        x: real <- run t;
        return (t, x)
        """,
    ) == {"0": ({"mu"}, False), "1": ({"mu"}, True)}


def test_nested_loops_are_analysed_once():
    """Twelve loops deep: re-analysis at each level would take 2^12 visits or more."""
    body = "return (s12.(1), s12.(0))"
    for i in range(12, 0, -1):
        body = (
            f"fold s{i}: (real, real) = {f's{i - 1}' if i > 1 else '(mu, mu)'}"
            f" for x{i}: real in xs do {body}"
        )
    began = time.perf_counter()
    assert dependence("(real, real)", body) == {"0": ({"mu"}, False), "1": ({"mu"}, False)}
    assert time.perf_counter() - began < 1.0


def calls(**edges: str) -> ir.Program:
    """A program of functions that call each other as `edges` say."""
    text = "main a"
    for name, callees in edges.items():
        binds = (f"{name}_{i}: unit <- call @{c}();" for i, c in enumerate(callees.split()))
        text += f" def {name}(): unit = {{ {' '.join(binds)} return () }}"
    return read(text)


def test_components_come_callees_first():
    program = calls(a="b d", b="c", c="b e", d="d", e="", f="a")
    found = [set(c) for c in components(program)]
    assert found == [{"e"}, {"b", "c"}, {"d"}, {"a"}, {"f"}]
    assert recursive_functions(program) == {"b", "c", "d"}


def test_long_chains_of_calls_do_not_recurse():
    chain = {f"f{i}": f"f{i + 1}" for i in range(3_000)} | {"f3000": ""}
    program = calls(a="f0", **chain)
    assert len(components(program)) == 3_002
    assert not recursive_functions(program)

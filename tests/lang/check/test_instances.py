"""What the elaborator is told about each node of a program."""

from __future__ import annotations

import pytest

from ppl.lang import syntax as s
from ppl.lang.elaborate import elaborate
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_verify import verify
from ppl.semantics.types import Dist, Measure


def nodes(instance, kind):
    return [n for n in instance.types if isinstance(n, kind)]


def of(checked, text: str, name: str = "m"):
    c = checked(text)
    assert [d.render() for d in c.diagnostics] == []
    return c, c.instances[c.entry(name)]


def test_every_expression_and_pattern_has_a_type(checked):
    c, inst = of(
        checked,
        "model m(xs: [real?], k: nat = 3) {\n"
        "  (a, b) ~ { return (1, xs[0]) }\n"
        "  let {u, v} = {u: a, v: [x + b for x in xs if x > 0]}\n"
        "  return if u > 0 { v[1:] } else { [0.5] }\n}",
    )
    seen = {n.span.text for n in inst.types}
    expected = ["xs", "xs[0]", "(1, xs[0])", "(a, b)", "a", "u", "v[1:]", "[0.5]", "x > 0", "x + b"]
    assert set(expected) <= seen
    (xs, k) = nodes(inst, s.ParamDecl)
    assert str(inst.types[xs]) == "[real?]" and str(inst.types[xs.pattern]) == "[real]"
    assert str(inst.params) == str(c.entry("m").params)


def test_the_spread_of_a_literal_constructor(checked):
    """`observe ys ~ normal(0, 1)` has the type of the array that is observed."""
    _, inst = of(checked, "model m(Y: [[real]]) { observe Y ~ normal(0, 1) }")
    (call,) = nodes(inst, s.Call)
    assert str(inst.types[call]) == "dist[[[real]]]"


def test_primitives_after_aliases_and_arity(checked):
    _, inst = of(
        checked,
        "model m(x: real, xs: [real]) {\n"
        "  return (max(x, 1), max(xs), range(2, 4), -x, xs[1:], xs[0], inv_logit(x), "
        "[f(x) for f in [expit]])\n}",
    )
    found = {n.span.text: row for n, row in inst.primitive.items()}
    assert found["max(x, 1)"] == "max" and found["max(xs)"] == "maximum"
    assert found["range(2, 4)"] == "range_from" and found["-x"] == "neg"
    assert found["xs[1:]"] == "slice" and found["xs[0]"] == "index"
    assert found["inv_logit(x)"] == found["inv_logit"] == found["expit"] == "sigmoid"


def test_references_and_calls_name_their_instance(checked):
    c, inst = of(
        checked,
        "fn twice(f, x) { f(f(x)) }\nfn inc(x) { x + 1 }\n"
        "model m(x: real) { return (twice(inc, x), inc(2)) }",
    )
    found = {n.span.text: str(k) for n, k in inst.calls.items() if isinstance(n, s.Call)}
    assert found == {
        "twice(inc, x)": "twice : (real -> real, real) -> real",
        "inc(2)": "inc : nat -> nat",
    }
    names = {str(k) for n, k in inst.calls.items() if isinstance(n, s.Name)}
    assert names == {*found.values(), "inc : real -> real"}
    assert all(key in c.instances for key in inst.calls.values())


def test_every_reachable_instance_is_there(checked):
    c, _ = of(
        checked,
        "fn a(n) { if n == 0 { 1 } else { b(n - 1) } }\nfn b(n) { a(n) * 0.5 }\n"
        "model m(n: nat) { return a(n) }",
    )
    todo, seen = [c.entry("m")], set()
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            todo += c.instances[key].calls.values()
    assert {key.function for key in seen} == {"m", "a", "b"}


def test_arguments_in_order_with_defaults(checked):
    _, inst = of(
        checked,
        "fn f(a, b, c = 2) { a + b + c }\n"
        "model m(x: real) { u ~ truncate(upper = 3, d = normal(x, 1))\n return f(b = 1, a = u) }",
    )
    found = {
        n.span.text: [None if a is None else a.span.text for a in args]
        for n, args in inst.arguments.items()
    }
    assert found["f(b = 1, a = u)"] == ["u", "1", None]
    assert found["truncate(upper = 3, d = normal(x, 1))"] == ["normal(x, 1)", None, "3"]


def test_measure_blocks(checked):
    _, inst = of(
        checked,
        "model m(c: bool) {\n"
        "  let pure = { let a = 1\n normal(a, 1) }\n"
        "  x ~ if c { pure } else { return 2 }\n"
        "  if c { condition x > 0 } else { }\n"
        "  return x\n}",
    )
    texts = {" ".join(b.span.text.split()) for b in inst.measure_blocks}
    assert "{ return 2 }" in texts and "{ condition x > 0 }" in texts and "{ }" in texts
    assert "{ pure }" not in texts and not any(t.startswith("{ let a") for t in texts)
    (pure,) = [b for b in nodes(inst, s.Block) if b.span.text.startswith("{ let a")]
    assert isinstance(inst.types[pure], Dist)


@pytest.mark.parametrize(
    ("loop", "type_"),
    [
        ("scan h = 0 for y in ys { h + y }", "[real]"),
        ("scan h = 0 for y in ys { return h + y }", "measure[[real]]"),
        ("scan h = 0 for y in ys { normal(h, 1) }", "measure[[real]]"),
        ("fold h = 0 for y in ys { observe y ~ normal(h, 1)\n return h }", "measure[bit]"),
        ("iterate n = 1 until n > 10 max 5 { n * 2 }", "nat"),
        ("for y in ys { observe y ~ normal(0, 1) }", "measure[[unit]]"),
        ("for y in ys { normal(y, 1) }", "measure[[real]]"),
    ],
)
def test_a_loop_is_a_measure_exactly_when_its_body_is(checked, loop: str, type_: str):
    _, inst = of(checked, f"model m(ys: [real]) {{ let z = {loop}\n let _ = z\n return 1 }}")
    (node,) = nodes(inst, (s.Scan, s.Iterate, s.For))
    assert str(inst.types[node]) == type_


def test_a_carry_grows_to_hold_its_next_value(checked):
    _, inst = of(checked, "model m(ys: [real]) { return fold h = 0 for y in ys { h + y } }")
    (loop,) = nodes(inst, s.Scan)
    assert str(inst.types[loop.init]) == "bit" and str(inst.types[loop.carry]) == "real"


def test_functions_may_be_used_before_they_are_defined_in_any_order(checked):
    parts = ["fn f(x) { g(x) + 1 }", "fn g(x) { h(x) * 2 }", "fn h(x) { x - 0.5 }"]
    model = "model m(x: pos) { return f([x]) }"
    for text in ("\n".join([*parts, model]), "\n".join([model, *parts[::-1]])):
        _, inst = of(checked, text)
        assert str(inst.result) == "measure[[real]]"


def test_guides_are_entries(checked):
    c = checked(
        "model m(z: real) { x ~ normal(0, 1)\n observe z ~ normal(x, 1)\n return x }\n"
        "guide g(z) for m { param s: pos = 1.0\n x ~ normal(z, s) by reparam\n return x }"
    )
    assert [d.render() for d in c.diagnostics] == []
    assert c.guides == ("g",) and isinstance(c.entry("g").result, Measure)
    assert str(c.entry("g")) == "g : real -> measure[real]"


def test_a_function_that_is_never_called_is_of_the_type_that_its_text_asks_for(checked):
    """Nothing says what it takes, scalars or arrays; but truth values, not numbers."""
    c, _ = of(
        checked,
        "fn f(a) => dirac(indicator(a))\n"
        "fn g(xs, b) { if any(xs) { f(b) } else { dirac(1) } }\n"
        "model m() {\n  x ~ bernoulli(1/3)\n  _h ~ fold s = f for i in range(3) { return f }\n"
        "  let k = g\n  return x\n}",
    )
    found = {key.function: [str(p) for p in i.params] for key, i in c.instances.items()}
    assert found["f"] == ["bool"] and found["g"] == ["[bool]", "bool"]


def test_a_function_that_recursion_only_passes_on_is_of_its_own_type(checked):
    c = checked(
        "model m() { let p = fn (k: nat) => 0.5; z ~ pick(p, 0); return z }\n"
        "fn pick(p, k) { stop ~ bernoulli(0.5); if stop { return k } else { pick(p, k + 1) } }"
    )
    verify(elaborate(c, "m"))
    assert {str(key.params[0]) for key in c.instances if key.function == "pick"} == {"nat -> prob"}


def test_where_a_type_is_wrongly_declared_nothing_is_asked_of_numbers(checked):
    c = checked(
        "type tree[a] = Leaf | Node(tree[a], x, tree[a])\n"
        "fn total(t) { match t { Leaf => 0, Node(l, x, r) => total(l) + x + total(r) } }\n"
        "model m(y: real) { observe y ~ normal(total(Node(Leaf, 1, Leaf)), 1) }"
    )
    assert [d.code for d in c.diagnostics] == ["E203"]


def test_an_empty_branch_as_a_value_is_a_measure(checked):
    c = checked("model m(n: nat) { let x = if n > 1 { }; return x }")
    verify(elaborate(c, "m"))


def test_a_language_model_is_typed_and_not_run(checked):
    c = checked("model m(lm: lm, prompt: text) { t ~ lm.next(lm.context(prompt)); return t }")
    with pytest.raises(DiagnosticError, match=r"E732.*of a lm is typed, and cannot be run"):
        elaborate(c, "m")

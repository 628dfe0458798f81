"""The functions of `prelude.ppl`: solved where they are used, hidden by the program's own."""

from __future__ import annotations

import pytest

from ppl.lang import stdlib


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        ("map(exp, xs)", "[pos]"),
        ("map(fn (x) => x > 0, xs)", "[bool]"),
        ("filter(fn (x) => x > 0, xs)", "[real]"),
        ("map(fn (p) => p.0, zip(ks, xs))", "[nat]"),
        ("map(len, [xs, center(xs)])", "[nat]"),
        ('map(len, ["ab"])', "[nat]"),
        ("map(len, [map_of([(1, xs)])])", "[nat]"),
        ("map(text, ks)", "[text]"),
        ("reduce(fn (a, x) => a + x, 0, ks)", "nat"),
        ("reduce(fn (a, x) => normal(a, 1), 0, xs)", "measure[real]"),
        ("compose(exp, fn (x) => x - 1)(2)", "pos"),
        ("center(xs)", "[real]"),
        ("standardize(ks)", "[real]"),
        ("gram(fn (a, b) => exp(-(a - b)^2), xs, ks)", "[[prob]]"),
        ("Some(xs)", "option[[real]]"),
        ("or_else(Some(2), 0)", "nat"),
        ("lookup(map_of([(1, xs)]), 2)", "option[[real]]"),
        ('find("ab", "b")', "option[nat]"),
        ('or_else(parse_int("1"), 0)', "int"),
        ('or_else(parse_real("1"), 0)', "real"),
    ],
)
def test_types(checked, expression: str, type_: str):
    c = checked(f"model m(xs: [real], ks: [nat]) {{ return ({expression}, 1) }}")
    assert [d.render() for d in c.diagnostics] == []
    assert str(c.entry("m").result) == f"measure[({type_}, bit)]"


def test_each_function_is_tested():
    assert {i.name for i in stdlib.tree(stdlib.PRELUDE).items} == {
        "map", "filter", "reduce", "compose", "center", "standardize", "gram", "option", "or_else",
        "lookup", "find", "parse_int", "parse_real",
    }  # fmt: skip


def test_a_program_may_have_its_own(checked):
    c = checked("fn map(x) { x + 1 }\nmodel m(x: pos) { return map(x) }")
    assert c.diagnostics == () and str(c.entry("m").result) == "measure[pos]"


def test_a_program_may_have_its_own_types(checked):
    """Its constructors hide the prelude's, whose functions go on meaning their own."""
    c = checked("""
type option[a] = Nothing | Some(a, a)
fn compose(x) { x }
model m(x: real) { return (Some(x, 1), or_else(compose(None), x), center([x])) }
""")
    assert c.diagnostics == ()
    assert str(c.entry("m").result) == "measure[(option[real], real, [real])]"


def test_errors_inside_are_shown_where_they_are_caused(checked):
    c = checked("model m(xs: [real]) { return map(fn (x) => x + 1, [true]) }")
    (d,) = c.diagnostics
    assert d.code in ("E301", "E303") and d.span.source.name == "program.ppl"
    c = checked("model m(xs: [real]) { return center(true) }")
    (d,) = c.diagnostics
    assert d.span is not None and d.span.text == "center"

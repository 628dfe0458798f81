"""Distributions and measures: what keeps its density, and what is only the image of what had one."""

from __future__ import annotations

import pytest

from ppl.lang import syntax as s

HEAD = """
fn pick(b: bool) { if b { fn (m) => normal(m, 1) } else { fn (m) => poisson(m as pos) } }
fn same(d) { d }
fn at(x) { dirac(x) }
fn down(d, e, n: nat) { if n == 0 { d } else { up(e, d, n) } }
fn up(d, e, n: nat) { down(d, e, n - 1) }
"""


def type_of(checked, expression: str) -> str:
    """Of the variable `z`, in a model in which other variables need both rounds."""
    c = checked(
        f"{HEAD}\nmodel m(b: bool, x: real, k: nat) {{\n"
        f"let other = if b {{ normal(0, 1) }} else {{ poisson(3) }}\n"
        f"let z = {expression}\n return (1, 2) }}"
    )
    assert [d.render() for d in c.diagnostics if d.code.startswith("E")] == []
    instance = c.instances[c.entry("m")]
    (found,) = (
        instance.types[p] for p in instance.types if isinstance(p, s.PName) and p.name == "z"
    )
    return str(found)


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        # one kind: a distribution, whatever the ranges
        ("if b { normal(0, 1) } else { beta(1, 2) }", "dist[real]"),
        ("[poisson(3), dirac(-1), binomial(2, 0.3)]", "[dist[int]]"),
        ("if b { other } else { other }", "measure[real]"),
        # whole numbers become real
        ("if b { normal(0, 1) } else { poisson(3) }", "measure[real]"),
        ("[beta(1, 2), poisson(3), exponential(1)]", "[measure[pos]]"),
        ("same(if b { beta(1, 2) } else { poisson(3) })", "measure[pos]"),
        ("same(poisson(3))", "dist[nat]"),
        ("pick(b)", "real -> measure[real]"),
        ("iid(3, pick(b)(1))", "measure[[real]]"),
        ("match k { 0 => dirac((1, 0.5)), 1 => dirac((0.5, 2)), _ => dirac((1, 1)) }",
         "measure[(prob, pos)]"),
        ("fold a = {d: poisson(3)} for i in range(3) { {d: if b { a.d } else { beta(1, 2) }} }",
         "{d: measure[pos]}"),
        # a number of which it is known only later that it is real
        ("fold a = {n: 0, d: beta(1, 2)} for i in range(3) { {n: a.n + 0.5, d: at(a.n)} }",
         "{n: pos, d: dist[pos]}"),
        # a loop whose state is a measure, and whose body is one of such
        ("iterate d = poisson(3) until b { return if b { normal(0, 1) } else { d } }",
         "measure[measure[real]]"),
        # through both of two functions that call each other
        ("down(beta(1, 2), normal(0, 1), k)", "dist[real]"),
        ("down(beta(1, 2), poisson(3), k)", "measure[pos]"),
    ],
)  # fmt: skip
def test_a_density_is_lost_where_whole_numbers_become_real(checked, expression, type_):
    assert type_of(checked, expression) == type_

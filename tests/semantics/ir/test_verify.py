"""The verifier accepts the programs that mean something and names the fault of the others."""

from __future__ import annotations

import pytest

from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_parse import read
from ppl.semantics.ir_verify import verify
from ppl.semantics.types import BOOL, NAT, REAL, UNIT, Fun, Measure


def entry(body: str, params: str = "", result: str = "real") -> str:
    return f"main m\ndef m({params}): measure[{result}] = return thunk {body}"


GOOD = {
    "widening a range": entry("return (0.5 : real)"),
    "mixed kinds under arithmetic": entry("return (x + 1)", "x: real"),
    "holes are filled inside": entry("return x", "x: real?"),
    "one minus a probability": entry("return ((1 - p) : prob)", "p: prob", "prob"),
    "an even power": entry("return ((x ^ 2) : pos)", "x: real", "pos"),
    "a scalar distribution spread over data": entry(
        'observe ys ~ (normal(0, 1) : dist[[real]]) as "ys"', "ys: [real]", "unit"
    ),
    "an array distribution": entry("run normal(xs, 1)", "xs: [real]", "[real]"),
    "a column": entry("return columns(x, 0)", "x: [[real]]", "[real]"),
    "a matrix product": entry("return (x @ b)", "x: [[real]], b: [nat]", "[real]"),
    "an observation out of range": entry('observe y ~ half_normal(1) as "y"', "y: real", "unit"),
    "a comprehension": entry(
        "for x: real in xs when return (x > 0) do return (2 * x)", "xs: [real]", "[real]"
    ),
    "a distribution is a measure": "main m def m(): measure[real] = return normal(0, 1)",
    "functions are contravariant": entry(
        "return fn (x: real) => return (1.0 : pos)", "", "pos -> real"
    ),
    "a loop": entry("iterate n: nat = 0 max 5 until return (n > 3) do return (n + 1)", "", "nat"),
    "an ordinary differential equation": entry(
        "return ode(fn (t: real, y: [real]) => return y, y0, 0, ts, 1e-6, 1e-6)",
        "y0: [real], ts: [real]",
        "[[real]]",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_accepts(name: str):
    verify(read(GOOD[name]))


BAD = {
    "x bound twice": (
        entry("{ x: nat <- return 2; x: nat <- return 3; return x }", "", "nat"),
        "`x` is bound twice",
    ),
    "bound twice in two functions": (
        "main m def m(x: real): measure[real] = return thunk return x"
        " def g(x: real): real = return x",
        "`x` is bound twice",
    ),
    "out of scope": (
        entry(
            "{ a: [real] <- for i: real in xs do return i; return (i : real) }", "xs: [real]"
        ),
        "no variable `i` in scope",
    ),
    "narrowing": (entry("return (x : pos)", "x: real", "pos"), "whose parts give real"),
    "a change of kind": (entry("return (n : real)", "n: int"), "whose parts give int"),
    "kinds in an array": (
        entry("return ([n, x] : [real])", "n: int, x: real", "[real]"),
        "the elements of an array have types int, real",
    ),
    "effect in a function": (
        entry("return fn (x: real) => run normal(x, 1)", "", "real -> real"),
        "the body of a function has an effect",
    ),
    "effect in a body": (
        "main m def m(): measure[real] = run normal(0, 1)",
        "the body of `m` has an effect",
    ),
    "effect in an end test": (
        entry("iterate n: nat = 0 until run bernoulli(0.5) do return n", "", "nat"),
        "the end test of a loop has an effect",
    ),
    "effect under a guard": (
        entry("for x: real in xs when return true do run normal(x, 1)", "xs: [real]", "[real]"),
        "the body of a guarded `for` has an effect",
    ),
    "a growing state": (
        entry("scan s: nat = 0 for x: int in xs do return x", "xs: [int]", "[nat]"),
        "the next state has type int, where nat is needed",
    ),
    "an entry that is a value": ("main m def m(): real = return (1.5 : real)", "the entry"),
    "no entry": ("main n def m(): real = return (1.5 : real)", "no function `n`"),
    "argument": (
        entry("{ y: real <- call @g(x); return y }", "x: real")
        + " def g(p: pos): real = return log(p)",
        "argument 1 has type real, where pos is needed",
    ),
    "number of arguments": (
        entry("{ y: real <- call @g(); return y }") + " def g(p: pos): real = return log(p)",
        "a call with 0 arguments instead of 1",
    ),
    "a condition": (entry("if 2 then return x else return x", "x: real"), "a condition has type"),
    "an observation of a measure": (
        entry('observe x ~ flat(0, 1) as "x"', "x: real", "unit"),
        "an observation of measure[prob]",
    ),
    "an observation of another kind": (
        entry('observe true ~ normal(0, 1) as "x"', "", "unit"),
        "bool observed from dist[real]",
    ),
    "a score": (entry("score true", "", "unit"), "a score of type bool"),
    "overlapping arms": (
        entry("match e with { | Num(x: real) => return x | Num(y: real) => return y }", "e: expr"),
        "the arms of a match overlap",
    ),
    "ranks": (
        entry("return ((x + y) : [real])", "x: [real], y: [[real]]", "[real]"),
        "arrays of different rank",
    ),
    "support": (
        entry("run (normal(0, x) : dist[real])", "x: real"),
        "`normal` does not take (bit, real)",
    ),
    "a wrong rank claimed": (
        entry("return (exp(x) : [pos])", "x: real", "[pos]"),
        "whose parts give pos",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refuses(name: str):
    text, message = BAD[name]
    with pytest.raises(DiagnosticError) as caught:
        verify(read(text))
    (problem,) = caught.value.diagnostics
    assert problem.code == "E081"
    assert message in problem.message


def test_two_functions_of_one_name():
    body = ir.Return(Measure(UNIT), ir.Thunk(Measure(UNIT), ir.Score(UNIT, ir.Lit(REAL, -1.5))))
    f = ir.Function("f", (), body, Fun((), Measure(UNIT)))
    verify(ir.Program((f,), "f"))
    with pytest.raises(DiagnosticError, match="two functions of one name"):
        verify(ir.Program((f, f), "f"))


def test_a_function_has_the_type_of_its_parameters():
    body = ir.Return(Measure(BOOL), ir.Op(Measure(BOOL), "bernoulli", (ir.Lit(REAL, 0.25),)))
    f = ir.Function("f", (ir.Param("n", NAT),), body, Fun((REAL,), Measure(BOOL)))
    with pytest.raises(DiagnosticError, match="not that of its parameters"):
        verify(ir.Program((f,), "f"))

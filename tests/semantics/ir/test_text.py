"""The IR's text: reading what is shown gives the same program, whatever the program."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_parse import read
from ppl.semantics.ir_print import show
from ppl.semantics.ir_tokens import KEYWORDS, read_type
from ppl.semantics.signatures import PRIMITIVES
from ppl.semantics.types import (
    BOOL,
    NAMED,
    NUMBERS,
    REAL,
    UNIT,
    Array,
    Data,
    Dist,
    Fun,
    Measure,
    Record,
    Tuple,
    Type,
)

T = TypeVar("T")

# Names as passes make them, words of the IR, and names that are no words at all.
NAMES = sorted(KEYWORDS) + (
    ["x", "x.1", "x.2", "f#2", "theta", "inf", "nan", "_", "été", "two words", "a-b", "1st"] * 3
)
FIELDS = ("mu", "tau", "max", "result", "at")

TYPES: st.SearchStrategy[Type] = st.recursive(
    st.sampled_from([*NAMED.values(), *NUMBERS.values(), Data("expr")]),
    lambda t: st.one_of(
        t.map(Array),
        t.map(Dist),
        t.map(Measure),
        st.lists(t, min_size=2, max_size=3).map(lambda ts: Tuple(tuple(ts))),
        st.lists(st.tuples(st.sampled_from(FIELDS), t), max_size=3, unique_by=lambda f: f[0]).map(
            lambda fs: Record(tuple(fs))
        ),
        st.builds(lambda ps, r: Fun(tuple(ps), r), st.lists(t, max_size=3), t),
        t.map(lambda a: Data("list", (a,))),
    ),
    max_leaves=6,
)


@given(TYPES)
def test_types_are_read_as_they_print(t: Type):
    assert read_type(str(t)) == t


def test_every_scheme_of_the_table_is_a_type():
    for row in PRIMITIVES.values():
        if row.kind == "plain":
            assert all(isinstance(read_type(text), Fun) for text in row.signatures), row.name


class Nonsense:
    """Random programs, most of them ill typed: the text needs no sense."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)

    def some(self, make: Callable[[], T], most: int = 3) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.rng.randint(0, most)))

    def type(self, depth: int = 2) -> Type:
        pick = self.rng.randrange(12 if depth else 5)
        if pick < 5:
            return self.rng.choice([*NAMED.values(), *NUMBERS.values(), Data("expr")])
        inner = self.type(depth - 1)
        match pick:
            case 5 | 6 | 7 | 8:
                return (Array, Dist, Measure, Array)[pick - 5](inner)
            case 9:
                return Tuple((inner, self.type(depth - 1)))
            case 10:
                return Record(tuple((name, self.type(depth - 1)) for name in self.fields()))
            case _:
                return Fun(self.some(lambda: self.type(depth - 1)), inner)

    def fields(self) -> tuple[str, ...]:
        return tuple(self.rng.sample(FIELDS, self.rng.randint(0, 2)))

    def name(self) -> str:
        return self.rng.choice(NAMES)

    def param(self) -> ir.Param:
        return ir.Param(self.name(), self.type())

    def value(self, depth: int) -> ir.Value:
        t, rng = self.type(), self.rng

        def parts() -> tuple[ir.Value, ...]:
            return self.some(lambda: self.value(depth - 1))

        match rng.randrange(13 if depth else 4):
            case 0 | 1:
                number = rng.choice([0, 1, 7, -3, 0.5, -2.25, 1e-9, math.inf, math.nan])
                text = rng.choice(["", "a", '"', "\\", "\n\u2028", "é"])
                return ir.Lit(t, rng.choice([None, True, False, number, text]))
            case 2:
                return ir.Var(t, self.name())
            case 3:
                return ir.Global(t, rng.choice(["f", "g#2"]))
            case 4:
                return ir.Lam(t, self.some(self.param), self.comp(depth - 1))
            case 5:
                return ir.Thunk(t, self.comp(depth - 1))
            case 6 | 7:
                return ir.Op(t, rng.choice(["add", "and", "neg", "normal", "nope"]), parts())
            case 8:
                return ir.MakeTuple(t, parts())
            case 9:
                names = self.fields()
                return ir.MakeRecord(t, names, tuple(self.value(depth - 1) for _ in names))
            case 10:
                return ir.MakeArray(t, parts())
            case 11:
                if rng.random() < 0.5:
                    return ir.Proj(t, self.value(depth - 1), rng.randrange(4))
                return ir.Get(t, self.value(depth - 1), rng.choice(FIELDS))
            case _:
                return ir.Make(t, rng.choice(["Num", "Add"]), parts())

    def comp(self, depth: int) -> ir.Comp:
        t, rng = self.type(), self.rng
        if not depth:
            return ir.Return(t, self.value(0))

        def value() -> ir.Value:
            return self.value(depth - 1)

        def comp() -> ir.Comp:
            return self.comp(depth - 1)

        def arm() -> ir.Arm:
            return ir.Arm(rng.choice(["Num", "Add", None]), self.some(self.param), comp())

        match rng.randrange(12):
            case 0:
                return ir.Return(t, value())
            case 1:
                binds = self.some(lambda: ir.Bind(self.name(), comp()))
                return ir.Block(t, binds, comp())
            case 2:
                return ir.Call(t, value(), self.some(value))
            case 3:
                return ir.Run(t, value())
            case 4:
                return ir.Observe(rng.choice([UNIT, BOOL]), value(), value(), self.name())
            case 5:
                return ir.Score(rng.choice([UNIT, BOOL]), value())
            case 6:
                return ir.At(t, self.name(), comp(), rng.random() < 0.5)
            case 7:
                return ir.If(t, value(), comp(), comp())
            case 8:
                return ir.Match(t, value(), self.some(arm))
            case 9:
                guard = comp() if rng.random() < 0.5 else None
                return ir.For(t, self.param(), value(), comp(), guard)
            case 10:
                keep = rng.choice(("all", "last"))
                return ir.Scan(t, self.param(), value(), self.param(), value(), comp(), keep)
            case _:
                limit = value() if rng.random() < 0.5 else None
                return ir.Iterate(t, self.param(), value(), comp(), comp(), limit)

    def function(self, name: str) -> ir.Function:
        params = self.some(self.param)
        return ir.Function(
            name, params, self.comp(3), Fun(tuple(p.type for p in params), self.type())
        )


def test_reading_what_is_shown_gives_the_same_program():
    for seed in range(400):
        nonsense = Nonsense(seed)
        program = ir.Program((nonsense.function("f"), nonsense.function("g#2")), "f")
        assert read(show(program)) == program, f"seed {seed}"


def test_deep_nesting_is_read():
    body: ir.Value = ir.Lit(REAL, 1.5)
    for _ in range(60):
        body = ir.Op(REAL, "neg", (body,))
    comp: ir.Comp = ir.Return(REAL, body)
    for _ in range(60):
        comp = ir.If(REAL, ir.Lit(BOOL, True), comp, ir.Return(REAL, ir.Lit(REAL, -2.5)))
    program = ir.Program((ir.Function("f", (), comp, Fun((), REAL)),), "f")
    assert read(show(program)) == program


def test_numbers_keep_their_bits():
    for value in (0.1, 1e-300, 1e16, math.inf, -math.inf, 5e-324, -0.0, 3, -3, 10**30):
        body = ir.Return(REAL, ir.Lit(REAL, value))
        program = ir.Program((ir.Function("f", (), body, Fun((), REAL)),), "f")
        (f,) = read(show(program)).functions
        (returned,) = ir.children(f.body)
        assert isinstance(returned, ir.Lit)
        got = returned.value
        assert isinstance(got, (int, float)) and type(got) is type(value) and got == value
        assert math.copysign(1, got) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("main f def f(): real = return x", "no variable `x` in scope", "the end of the text"),
        ("main f def f(): real = retrun 1", "expected", "retrun"),
        ("main f def f(): real = return normal(0)", "`normal` takes 2 arguments, not 1", None),
        ("main f def f(): real = return (1, 2).(5)", "component 5 of (bit, nat)", None),
        ("main f def f(): real = return []", "a type is needed here", None),
        ("main f def f(: real = return 1", "expected a name", ":"),
        ("main f def f(): real = { x: int <- return 1; return x }", "`x` is declared int", None),
        ("main f def f(): real = return $", "unexpected character '$'", "$"),
        ('main f def f(): text = return "\\q"', "malformed string", '"\\q"'),
    ],
)
def test_bad_text_is_reported_where_it_is_bad(text: str, message: str, at: str | None):
    with pytest.raises(DiagnosticError) as caught:
        read(text)
    (problem,) = caught.value.diagnostics
    assert problem.code == "E080"
    assert message in problem.message
    assert problem.span is not None
    if at is not None:
        assert (problem.span.text or "the end of the text") == at

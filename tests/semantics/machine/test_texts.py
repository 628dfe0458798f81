"""Texts: the primitives against Python's, by the machine and folded by XLA."""

from __future__ import annotations

import math

import pytest

import ppl
from ppl.semantics import ir_parse
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_print import show
from ppl.semantics.ir_verify import verify
from ppl.semantics.machine import Machine, MachineKey
from ppl.semantics.machine.texts import TEXTS

S = "Über uns, über alles"

#: an expression of s, and its value
SCALARS = {
    's + "!"': S + "!",
    '"a" + s[0]': "aÜ",
    "s[3:7]": "r un",
    "s[:4]": "Über",
    "s[-1]": "s",
    "s[2:]": S[2:],
    "len(s)": 20,
    's < "V"': False,
    's >= "Ü"': True,
    's == "Über uns" + ", über alles"': True,
    's != upper(s)': True,
    'contains(s, "über")': True,
    'contains(s, "unter")': False,
    'starts_with(s, "Über")': True,
    'ends_with(s, "Über")': False,
    'position(s, "ber")': 1,
    'position(s, "z")': 20,
    "upper(s)": "ÜBER UNS, ÜBER ALLES",
    "lower(s)": "über uns, über alles",
    'strip("\\t " + s + "\\n")': S,
    'replace(s, "ber", "BER")': "ÜBER uns, üBER alles",
    'replace(s, "", "-")': S,
    "text(3)": "3",
    "text(-3)": "-3",
    "text(2.0)": "2.0",
    "text(0.1)": "0.1",
    "text(1 / 4)": "0.25",
    "text(3 < 2)": "false",
    "text(s)": S,
    'is_int("-012")': True,
    'is_int("1.5")': False,
    'int_of("-012")': -12,
    'int_of("x")': 0,
    'is_int("1234567890123456789")': False,
    'is_real("-.5e-3")': True,
    'is_real("1e999")': False,
    'is_real("nan")': False,
    'real_of("-.5e-3")': -0.0005,
    'real_of("")': 0.0,
}  # fmt: skip
#: of texts in arrays and options: the machine's
COMPOUND = {
    'split(s, ", ")': ["Über uns", "über alles"],
    'split("a,,b", ",")': ["a", "", "b"],
    'split("abc", "")': ["a", "b", "c"],
    'join(split(s, " "), "+")': "Über+uns,+über+alles",
    'join([], "+")': "",
    "chars(s[0:4])": ["Ü", "b", "e", "r"],
    '["a", "b"] + s[0]': ["aÜ", "bÜ"],
    '["b", "a"] < "b"': [False, True],
    "reverse(chars(s[0:3]))": ["e", "b", "Ü"],
    'or_else(parse_int("x"), -1)': -1,
    'or_else(parse_int("+7"), -1)': 7,
    'or_else(parse_real("2.50"), 0)': 2.5,
    'or_else(find(s, "uns"), 0)': 5,
    'match find(s, "z") { Some(_) => true, None => false }': False,
    "[text(x) for x in [1, 2]]": ["1", "2"],
}  # fmt: skip


def model(table):
    body = ", ".join(f"({e})" for e in table)
    return ppl.compile(f"model m(s: text) {{ x ~ normal(0, 1); return (x, ({body})) }}").m


def agrees(found, wanted):
    assert type(found) is type(wanted) and found == wanted


@pytest.mark.parametrize("rational", [False, True])
@pytest.mark.parametrize("table", [SCALARS, COMPOUND], ids=["scalars", "compound"])
def test_on_the_machine(table, rational):
    m = model(table)
    verify(m.program)
    assert show(ir_parse.read(show(m.program))) == show(m.program)
    found = None
    for options in ({}, {"fuel": 10_000}, {"record": False}):
        # (the draw is not of rational arithmetic, so that only expressions are compared there)
        run = Machine(m.program).run({"s": S}, MachineKey(1), **options)
        found = run.result[1]
        for e, v in zip(table, found, strict=True):
            assert e and v == dict(table)[e], e
            agrees(v, table[e])
    if rational:
        free = ppl.compile(
            "model m(s: text) { return (" + ", ".join(f"({e})" for e in table) + ") }"
        ).m
        run = Machine(free.program).run({"s": S}, MachineKey(1), rational=True)
        for e, v in zip(table, run.result, strict=True):
            assert v == table[e], e


def test_xla_folds_texts_that_are_known():
    m = model(SCALARS)
    assert m.engine.name == "xla", m.engine.reasons
    _, found = ppl.infer(m(s=S), ppl.importance(particles=2), seed=1).result
    for (e, wanted), v in zip(SCALARS.items(), found, strict=True):
        if isinstance(wanted, str):
            assert v == wanted, e
        else:
            assert math.isclose(v.ravel()[0], wanted), e


def test_texts_that_depend_on_draws_are_the_machines():
    m = ppl.compile(
        'model m() { a ~ bernoulli(0.25); let s = if a { "x" } else { "yy" }; return len(s + "!") }'
    ).m
    assert m.engine.name == "machine" and m.engine.reasons[0].span.text.startswith("if a")
    posterior = ppl.infer(m(), ppl.exact())
    weights = dict(
        zip(posterior.result[0].tolist(), posterior.log_weights[0].tolist(), strict=True)
    )
    assert weights == {2: math.log(0.25), 3: math.log(0.75)}


@pytest.mark.parametrize(
    ("body", "code"),
    [("s[20]", "E709"), ("s[3:2]", "E703"), ("s[k:]", "E703"), ("chars(s)[25]", "E709")],
)
def test_places_outside(body, code):
    m = ppl.compile(f"model m(s: text, k: nat) {{ return {body} }}").m
    with pytest.raises(DiagnosticError) as error:
        Machine(m.program).run({"s": S, "k": 21}, MachineKey(1))
    (d,) = error.value.diagnostics
    assert d.code == code and d.span is not None


def test_functions_of_either_numbers_or_texts():
    m = ppl.compile("""
fn twice(x) { x + x }
fn least(a, b) { if a < b { a } else { b } }
model m(s: text) { return (twice(s), twice(2), least(s, "aa"), least(3, 2), map(upper, [s])) }
""").m
    wanted = ("abab", 4, "aa", 2, ["AB"])
    assert Machine(m.program).run({"s": "ab"}, MachineKey(1)).result == wanted


def test_every_row_is_tested():
    assert all(any(f"{name}(" in e for e in SCALARS | COMPOUND) for name in TEXTS)

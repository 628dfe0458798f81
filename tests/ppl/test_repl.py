"""The prompt, as a function of lines; once through a process."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from ppl.cli.repl import Conversation, _interact, answers
from ppl.repl import begin, complete, step


def said(text: str, **options) -> list[str]:
    return list(map(click.unstyle, answers(text.strip("\n").split("\n"), **options)))


def number(answer: str) -> float:
    return float(answer.split(" : ")[0].split(" = ")[-1])


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("1 + 2", "3 : nat"),
        ("1", "1 : nat"),
        ("0.5 - 0.75", "-0.25 : real"),
        ('(true, "a", (), [0.25])', '(true, "a", (), [0.25]) : (bool, text, unit, [prob])'),
        ("{a: 1, b: [1, 2]}", "{a: 1, b: [1, 2]} : {a: nat, b: [nat]}"),
        ("fn (x) => x + 1.5", "a function : real -> real"),
        ("bernoulli(0.25)", "{false: 0.75, true: 0.25} : dist[bool]"),
        ("normal(0, 1)", "normal(…) : dist[real]"),
        (":type gamma(2, 3)", "dist[pos]"),
        ("# a comment", None),
        ("   ", None),
    ],
)
def test_expressions_show_value_and_type(line, answer):
    assert said(line) == ([] if answer is None else [answer])


def test_a_normalised_measure_shows_its_law():
    (answer,) = said(
        "normalize({ a ~ bernoulli(0.25); b ~ bernoulli(0.5); condition a or b; return {a, b} }, exact)"
    )
    assert answer == (
        "{{a: false, b: true}: 0.6, {a: true, b: false}: 0.2, {a: true, b: true}: 0.2}"
        " : dist[{a: bool, b: bool}]"
    )


def test_draws_are_made_once_and_depend_on_the_seed():
    lines = "x ~ normal(0, 1)\nx\nz ~ normal(0, 1)\nx"
    first, again, _, still = map(number, said(lines))
    assert first == again == still
    assert said(lines) == said(lines) != said(lines, seed=1)


def test_names_bound_again_keep_what_others_made_of_them():
    x, y, new, old, three = said(
        """
x ~ normal(0, 1)
let y = 2 * x
x ~ normal(x + 100, 0.001)
y
let x = 3
"""
    )
    assert number(y) == pytest.approx(2 * number(x), rel=1e-5)
    assert number(new) == pytest.approx(100 + number(x), abs=0.01)
    assert y.split(" = ")[1] == old and three == "x = 3 : nat"


def test_several_statements_and_patterns_in_one_input():
    assert said("let a = 2; let (b, {c, d}) = (a, {c: 3, d: 4})\na * b * c * d") == [
        "a = 2 : nat\nb = 2 : nat\nc = 3 : nat\nd = 4 : nat",
        "48 : nat",
    ]


def test_declarations_go_over_lines_and_can_be_made_anew():
    assert said("""
type tree = Leaf(nat) | Node(tree, tree)
fn size(t) {
  match t {
    Leaf(_) => 1,
    Node(l, r) => size(l) + size(r)
  }
}
let t = Node(Leaf(5), Node(Leaf(6), Leaf(7)))
size(t)
fn size(t) { match t { Leaf(n) => n, Node(l, r) => size(l) + size(r) } }
size(t)
""") == [
        "declared tree",
        "declared size",
        "t = Node(Leaf(5), Node(Leaf(6), Leaf(7))) : tree",
        "3 : nat",
        "declared size",
        "18 : nat",
    ]


def test_problems_are_diagnostics_at_the_input_and_change_nothing():
    out = said(
        """
let y = 2
let y = y + "a"
fn f(})
normal(0, y - 5)
x
[1, 2][y + 1]
x ~ flat()
@@
x +
exp(y }
y
"""
    )
    codes = [o.split("]")[0].removeprefix("error[") for o in out[1:-1]]
    assert out[0] == "y = 2 : nat" and out[-1] == "2 : nat"
    assert codes == ["E303", "E102", "E401", "E201", "E709", "E801", "E101", "E101", "E102"]
    assert "--> <2>:1:9\n" in out[1] and "--> <4>:1:11\n" in out[3]
    assert "     1 | normal(0, y - 5)\n" in out[3]
    assert "found the end" in out[-3] and "     1 | exp(y }\n            ^" in out[-2]
    assert not any("session" in o or "stage" in o or "Traceback" in o for o in out)


def test_commands(tmp_path):
    path = tmp_path / "coins.ppl"
    path.write_text(
        "## Coins.\nmodel coin(heads: nat) {\n"
        "  p ~ categorical([0.5, 0.3, 0.2])\n"
        "  observe heads ~ binomial(3, [0.1, 0.5, 0.9][p])\n  return p\n}\n"
    )
    loaded, ir, fit, missing, unknown, gone = said(f"""
:load {path}
:ir coin
:infer coin(heads=1 + 1) exact
:infer com(heads=2)
:nonsense
:load {tmp_path / "nothing.ppl"}
""")
    assert loaded == "declared coin"
    assert ir.startswith("main coin") and "observe heads" in ir
    joint = [0.5 * 3 * 0.1**2 * 0.9, 0.3 * 3 * 0.5**3, 0.2 * 3 * 0.9**2 * 0.1]
    assert f"{(joint[1] + 2 * joint[2]) / sum(joint):.3f}" in fit
    assert "E818" in missing and "no command `:nonsense`" in unknown and "E007" in gone
    assert "`observe` belongs in a model" in said("observe 1 ~ normal(0, 1)")[0]
    assert ":infer" in said(":help")[0]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("fn f(x) {", False),
        ("fn f(x) { x }", True),
        ("f(1,", False),
        ('"("', True),
        ("# (", True),
        ("[1", False),
        (")", True),
        ("'", True),
    ],
)
def test_inputs_go_on_while_brackets_are_open(text, whole):
    assert complete(text) == whole


def test_what_follows_quit_is_not_read():
    assert said("1\n:quit\n2") == ["1 : nat"]


def test_a_program_without_end_is_stopped(monkeypatch):
    from functools import partial

    from ppl.semantics.machine import Limits

    monkeypatch.setattr("ppl.repl.Limits", partial(Limits, fuel=20_000))
    _, answer, after = said("fn f(n) { f(n + 1) + 1 }\nf(0)\n2")
    assert "E843" in answer and after == "2 : nat"


def test_interrupts_drop_the_input_and_the_end_leaves(monkeypatch, capsys):
    script = iter(["fn f(", KeyboardInterrupt, "1 + 1", EOFError])

    def read(prompt):
        said = next(script)
        if isinstance(said, str):
            return said
        raise said

    _interact(0, read)
    assert capsys.readouterr().out.split() == ["2", ":", "nat"]
    monkeypatch.setattr("ppl.repl.step", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert Conversation().line("1") == "interrupted"


def test_sessions_are_values():
    empty = begin()
    one, _ = step(empty, "let x = 1")
    two, _ = step(one, "let x = 2")
    assert [step(s, "x")[1] for s in (one, two, one)] == ["1 : nat", "2 : nat", "1 : nat"]
    assert empty.names == ()


def test_a_process_with_lines_from_a_pipe():
    lines = "x ~ normal(0,\n 1)\nx - x\nx +\n"
    out = subprocess.run(
        [sys.executable, "-m", "ppl.cli", "repl"],
        input=lines,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert out.returncode == 0 and out.stderr == ""
    assert out.stdout.splitlines()[1] == "0 : real" and "error[E101]" in out.stdout

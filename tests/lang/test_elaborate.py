"""Elaboration: golden programs, and one test a convention."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppl.lang.compile import compile_source
from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, Source
from ppl.semantics.ir_map import nodes
from ppl.semantics.ir_parse import read
from ppl.semantics.ir_print import show
from ppl.semantics.ir_verify import verify

HERE = Path(__file__).parent
GOLDEN = sorted((HERE / "elaborated").glob("*.ppl"))
MODELS = sorted(
    path
    for folder in ("examples", "benchmarks")
    for path in (HERE.parent.parent / folder).rglob("*.ppl")
)


def program(text: str, model: str = "m") -> ir.Program:
    out = compile_source(Source("<test>", text)).program(model)
    verify(out)
    return out


def sites(p: ir.Program) -> list[str]:
    """The steps and kept names, in order of appearance."""
    steps = (n for f in p.functions for n in nodes(f.body) if isinstance(n, ir.At))
    return [("keep " if n.keep else "") + n.step for n in steps]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_golden(path: Path):
    """Read by people when it was made; UPDATE_GOLDEN=1 makes it anew."""
    compiled = compile_source(Source(path.name, path.read_text()))
    for model in compiled.models:
        got = show(compiled.program(model))
        golden = path.with_name(f"{path.stem}.{model}.ir")
        if os.environ.get("UPDATE_GOLDEN"):
            golden.write_text(got)
        assert got == golden.read_text(), f"{golden.name} differs"
        verify(compiled.program(model))


@pytest.mark.parametrize("path", MODELS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_model_of_the_repository_elaborates(path: Path):
    compiled = compile_source(Source(path.name, path.read_text()))
    assert compiled.models
    for model in compiled.models:
        p = compiled.program(model)
        verify(p)
        assert read(show(p)) == p


# ----------------------------------------------------------------------------------------- steps


def test_a_run_without_a_binder_adds_its_callee():
    p = program(
        """
        fn noise(s: pos) { x ~ normal(0, s); return x }
        model m() {
          noise(2)
          y ~ noise(3)
          normal(0, 1)
          normal(0, 2)
          noise(y ^ 2)
        }
        """
    )
    assert sites(ir.Program((p.entry,), "m")) == [
        "noise",
        "keep y",
        "normal",
        "normal#2",
        "noise#2",
    ]


def test_the_last_distribution_of_a_frame_adds_no_step():
    p = program(
        "model m() { x ~ { normal(0, 1) }; y ~ { normal(0, 1); normal(0, 2) }; return x * y }"
    )
    assert sites(p) == ["keep x", "keep y", "normal"]


def test_a_loop_that_is_all_its_frame_runs_adds_no_step():
    p = program("model m(a: [real], b: [real]) { t ~ for i in a { for j in b { normal(i, 1) } } }")
    assert sites(p) == ["keep t"]


def test_another_effect_before_it_gives_a_loop_a_step():
    p = program("model m(a: [real]) { t ~ for i in a { factor i; for j in a { normal(j, 1) } } }")
    assert sites(p) == ["keep t", "for"]


def test_loops_without_a_binder_are_told_apart():
    p = program(
        """
        model m(a: [real]) {
          for x in a { normal(x, 1) }
          scan s = 0.0 for x in a { normal(s, 1) }
          for x in a { normal(x, 2) }
          fold s = 0.0 for x in a { normal(s, 1) }
          iterate s = 0.0 until s > 1 max 3 { normal(s, 1) }
        }
        """
    )
    assert sites(p) == ["for", "scan", "for#2", "fold", "iterate"]


def test_arms_have_steps_only_if_something_runs():
    p = program(
        """
        model m(c: bool) {
          x ~ if c { normal(0, 1) } else { return 2 }
          y ~ if c { return 1 } else { return 2 }
          if c { factor x }
          return (x, y)
        }
        """
    )
    assert sites(p) == ["keep x", "then", "else", "keep y", "then", "else"]


def test_the_names_of_a_pattern_are_kept_each():
    p = program(
        "model m() { (a, (_, b)) ~ { u ~ normal(0, 1); return (u, (u, 2)) }; return a + b }"
    )
    assert sites(p) == ["keep u", "keep a", "keep b"]


def test_a_block_shares_its_frame():
    p = program("model m() { { x ~ normal(0, 1); factor x }; { x ~ normal(0, 2); factor x } }")
    assert sites(p) == ["keep x", "keep x#2"]


# ---------------------------------------------------------------------------------- observations


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("observe y ~ normal(0, 1)", "y"),
        ("for v in y { observe v ~ normal(0, 1) }", "y"),
        ("for (v, u) in zip(x, y) { observe u ~ normal(v, 1) }", "y"),
        ("for p in zip(x, y) { observe p.1 ~ normal(p.0, 1) }", "y"),
        ("for (i, v) in enumerate(y) { observe v ~ normal(i, 1) }", "y"),
        ("for i in range(len(y)) { observe y[i] ~ normal(0, 1) }", "y"),
        ("for v in y[1:] { observe v ~ normal(0, 1) }", "y"),
        ("let z = y; for v in z { observe v ~ normal(0, 1) }", "y"),
        ("for r in rows { observe r.a ~ normal(0, 1) }", "rows"),
        ("observe y[0] +  x[0] ~ normal(0, 1)", "y[0] + x[0]"),
    ],
)
def test_an_observation_is_named_by_the_data_it_traces_to(statement: str, name: str):
    p = program(f"model m(x: [real], y: [real], rows: [{{a: real}}]) {{ {statement} }}")
    assert [n.name for n in nodes(p.entry.body) if isinstance(n, ir.Observe)] == [name]


def test_observations_of_the_same_data_are_told_apart():
    p = program("model m(y: [real]) { observe y ~ normal(0, 1); observe y[0] ~ normal(2, 1) }")
    assert [n.name for n in nodes(p.entry.body) if isinstance(n, ir.Observe)] == ["y", "y#2"]


# ----------------------------------------------------------------------------------------- kinds


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("[n, x]", "return [to_real(n), x]"),
        ("if x > 0 { n } else { x }", "return to_real(n)"),
        ("fold s = 0 for i in range(n) { s + x }", "= 0.0 for"),
        ("concat([n], [x])", "concat(([to_real(n)] : [real]), [x])"),
        ("f(n)", "call @f(to_real(n))"),
        ("n * x", "(n * x)"),
    ],
)
def test_integers_become_real_where_reals_are_meant(expression: str, shown: str):
    p = program(
        f"""
        fn f(x: real) -> real {{ x }}
        model m(n: nat, x: real) {{ let r = {expression}; return r }}
        """
    )
    assert shown in show(p)


def test_an_array_of_tuples_converts_in_a_loop():
    p = program("model m(ns: [(nat, nat)], x: real) { return if x > 0 { ns } else { [(x, 2)] } }")
    assert "for item: (nat, nat) in ns do return (to_real(item.(0)), item.(1))" in show(p)


def test_instances_by_type():
    p = program("fn f(x) => x\nmodel m(n: nat, x: real) { return (f(n), f(x), f(n)) }")
    assert [f.name for f in p.functions] == ["m", "f", "f#2"]
    assert [str(f.type) for f in p.functions[1:]] == ["nat -> nat", "real -> real"]


# ------------------------------------------------------------------------------------ the interface


def test_programs_are_elaborated_once():
    compiled = compile_source(Source("<test>", "## Doc.\nmodel m(x: real) { normal(x, 1) }"))
    assert compiled.models == ("m",)
    assert compiled.program("m") is compiled.program("m")
    assert compiled.doc("m") == "Doc."
    (x,) = compiled.parameters("m")
    assert (x.name, str(x.type), x.has_default) == ("x", "real", False)
    assert x.span.text.startswith("x")


def test_defaults_of_models_are_data():
    text = "model m(x: real = -1.5, y: [(nat, bool)] = [(1, true), (2, false)]) { normal(x, 1) }"
    x, y = compile_source(Source("<test>", text)).parameters("m")
    assert (x.default, x.has_default) == (-1.5, True)
    assert y.default == [(1, True), (2, False)]
    computed = compile_source(Source("<test>", "model m(x: real = exp(1)) { normal(x, 1) }"))
    with pytest.raises(DiagnosticError, match="is not a constant"):
        computed.parameters("m")


def test_errors_raise_and_warnings_do_not():
    with pytest.raises(DiagnosticError):
        compile_source(Source("<test>", "model m(x: real) { normal(x, y) }"))
    warned = compile_source(Source("<test>", "model m() { x ~ normal(0, 1); return 2 }"))
    assert [d.code for d in warned.diagnostics] == ["W501"]


def test_elaboration_imports_no_jax(root: Path):
    code = (
        "import sys; from ppl.lang.compile import compile_source as c;"
        "from ppl.semantics.diagnostics import Source as S;"
        "c(S('t', 'model m() { normal(0, 1) }')).program('m');"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)

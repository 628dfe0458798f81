"""What each pass does, on programs small enough to read, and that it keeps every program sound."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from ppl.lang.compile import compile_source
from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, Source
from ppl.semantics.ir_names import binders, uniquify
from ppl.semantics.ir_parse import read
from ppl.semantics.ir_print import show
from ppl.semantics.ir_verify import verify
from ppl.semantics.passes import PASSES, Pass, run_passes
from ppl.semantics.passes.inline import inline

ROOT = Path(__file__).parents[3]
MODELS = sorted(p for f in ("examples", "benchmarks") for p in (ROOT / f).rglob("*.ppl"))


def after(name: str, text: str) -> str:
    """The body of the entry's measure after one pass."""
    program = read(dedent(text))
    verify(program)
    return measure(run_passes(program, only=(name,)))


def measure(program: ir.Program) -> str:
    text = show(program).split(f"def {program.main}(", 1)[1].split("\ndef ", 1)[0]
    return dedent(text.split("=\n", 1)[1].replace("  return thunk ", "", 1)).strip()


def same(got: str, wanted: str) -> None:
    def lines(text: str) -> list[str]:
        return [line.strip() for line in text.strip().splitlines()]

    assert lines(got) == lines(wanted)


def test_inline_calls_at_the_paths_of_the_calls():
    same(
        after(
            "inline",
            """
            main m
            def m(y: real): measure[real] = return thunk {
              t: measure[real] <- call @f(y);
              x: real <- keep "x" run t;
              u: measure[real] <- call @f(x);
              at "f" run u
            }
            def f(z: real): measure[real] = return thunk {
              w: real <- keep "w" run normal(z, 1);
              return w
            }
            """,
        ),
        """
        {
          z.1: real <- return y;
          t: measure[real] <- return thunk {
              w.1: real <- keep "w" run normal(z.1, 1);
              return w.1
            };
          x: real <- keep "x" run t;
          z.2: real <- return x;
          u: measure[real] <- return thunk {
              w.2: real <- keep "w" run normal(z.2, 1);
              return w.2
            };
          at "f" run u
        }
        """,
    )


def test_inline_leaves_recursion_and_what_is_over_the_budget():
    text = """
        main m
        def m(n: nat): measure[nat] = return thunk {
          a: nat <- call @f(n); b: nat <- call @g(a); return b
        }
        def f(k: nat): nat = if (k == 0) then return k else call @f(((k - 1) : nat))
        def g(k2: nat): nat = return (k2 + 2)
        """
    assert "call @f" in after("inline", text) and "call @g" not in after("inline", text)
    kept = inline(read(dedent(text)), budget=2)
    assert "call @g" in show(kept)
    assert [f.name for f in kept.functions] == ["m", "f", "g"]
    assert [f.name for f in run_passes(read(dedent(text))).functions] == ["m", "f"]


def test_inline_opens_a_lambda_that_is_an_argument():
    out = run_passes(
        read(
            dedent(
                """
                main m
                def m(x: real): measure[real] = return thunk {
                  y: real <- call @twice(fn (v: real) => return (v * 3), x);
                  return y
                }
                def twice(f: real -> real, z: real): real = { a: real <- call f(z); call f(a) }
                """
            )
        )
    )
    assert "call" not in show(out)
    same(measure(out), "{\na.1: real <- return (x * 3);\ny: real <- return (a.1 * 3);\nreturn y\n}")


def test_simplify():
    same(
        after(
            "simplify",
            """
            main m
            def m(x: real): measure[(real, real, nat)] = return thunk {
              a: real <- return x;
              p: (real, nat) <- return (a, 3);
              n: nat <- return p.(1);
              c: bool <- return ((n + 1) < 5);
              dead: pos <- return exp(x);
              b: real <- if c then run normal(p.(0), 1) else at "else" run normal(0, (2 * 3));
              k: nat <- return index([10, 20, 30], (1 + 1));
              d: bool <- return and(true, or(false, (x > 0)));
              r: real <- if d then return to_real(2) else return b;
              return (b, r, k)
            }
            """,
        ),
        """
        {
          b: real <- run normal(x, 1);
          d: bool <- return (x > 0);
          r: real <- if d
            then return 2.0
            else return b;
          return (b, r, 30)
        }
        """,
    )


def test_simplify_runs_in_place_a_measure_that_is_run_once():
    text = """
        main m
        def m(): measure[real] = return thunk {
          t: measure[real] <- return thunk { w: real <- keep "w" run normal(0, 1); return w };
          x: real <- keep "x" run t;
          return x
        }
        """
    same(
        after("simplify", text),
        """
        {
          x: real <- keep "x" {
            w: real <- keep "w" run normal(0, 1);
            return w
          };
          return x
        }
        """,
    )
    twice = text.replace("return x", 'y: real <- keep "y" run t; return (x + y)')
    assert "run t" in after("simplify", twice)


def test_simplify_keeps_names_unique_through_tuples():
    program = read(
        dedent(
            """
            main m
            def m(): measure[real] = return thunk {
              t: measure[real] <- return thunk { w: real <- keep "w" run normal(0, 1); return w };
              p: (measure[real], nat) <- return (t, 2);
              a: measure[real] <- return p.(0);
              b: measure[real] <- return p.(0);
              x: real <- keep "x" run a;
              y: real <- keep "y" run b;
              return (x + y)
            }
            """
        )
    )
    out = run_passes(program, only=("simplify",))  # verified: names are unique
    assert show(out).count('keep "w" run normal(0, 1)') == 2
    assert "w.1" in show(out)


def test_simplify_leaves_errors_to_the_run():
    text = """
        main m
        def m(): measure[nat] = return thunk {
          a: nat <- return index([1, 2, 3], 7);
          b: pos <- return (1 / 0);
          _: unit <- score b;
          return a
        }
        """
    assert "index([1, 2, 3], 7)" in after("simplify", text)
    assert "(1 / 0)" in after("simplify", text)


def test_dead_draws():
    same(
        after(
            "dead_draws",
            """
            main m
            def m(d: dist[real], f: measure[real], xs: [real]): measure[real] = return thunk {
              a: real <- at "normal" run normal(0, 1);
              b: real <- at "d" run d;
              _: [real] <- at "for" for x: real in xs do at "normal" run normal(x, 1);
              c: real <- if (index(xs, 0) > 0)
                then at "then" run normal(a, 1)
                else at "else" return (0.0 : real);
              kept: real <- keep "kept" run normal(0, 1);
              flat: real <- at "flat" run (flat(-inf, inf) : measure[real]);
              unknown: real <- at "f" run f;
              scored: unit <- at "for#2" { w: real <- run normal(0, 1); score w };
              return b
            }
            """,
        ),
        """
        {
          b: real <- at "d" run d;
          kept: real <- keep "kept" run normal(0, 1);
          flat: real <- at "flat" run flat(-inf, inf);
          unknown: real <- at "f" run f;
          scored: unit <- at "for#2" {
              w: real <- run normal(0, 1);
              score w
            };
          return b
        }
        """,
    )


def test_contract():
    text = """
        main m
        def m(a: [real], b: [real], x: [[real]], n: [nat]): measure[(real, real, real, nat)] =
          return thunk return (sum((a * b)), sum((x * x)), sum((a * 2)), sum((n * n)))
        """
    same(after("contract", text), "return (dot(a, b), sum((x * x)), sum((a * 2)), sum((n * n)))")


def test_hoist():
    same(
        after(
            "hoist",
            """
            main m
            def m(s: real, xs: [real], n: nat): measure[[[real]]] = return thunk {
              r: [[real]] <- keep "r" for x: real in xs do {
                k: pos <- return exp(s);
                first: real <- return index(xs, 0);
                scan h: real = x for y: real in xs do {
                  z: real <- keep "z" run normal((h + log1p(exp(x))), (k + square(s)));
                  return (z + first)
                }
              };
              return r
            }
            """,
        ),
        """
        {
          k: pos <- return exp(s);
          once.2: pos <- return (k + square(s));
          r: [[real]] <- keep "r" for x: real in xs do {
              first: real <- return index(xs, 0);
              once.1: pos <- return log1p(exp(x));
              scan h: real = x for y: real in xs do {
                z: real <- keep "z" run normal((h + once.1), once.2);
                return (z + first)
              }
            };
          return r
        }
        """,
    )


@pytest.mark.parametrize("path", MODELS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_pass_keeps_every_model_sound_and_is_done_after_one_more(path: Path):
    compiled = compile_source(Source(path.name, path.read_text()))
    for model in compiled.models:
        program = compiled.program(model)
        for name in PASSES:
            run_passes(program, only=(name,))
        out = run_passes(program)
        again = run_passes(out)
        assert show(run_passes(again)) == show(again)


def test_until_runs_the_passes_before():
    program = read("main m def m(): measure[nat] = return thunk return (1 + (2 : nat))")
    assert run_passes(program, until="inline") == program
    assert measure(run_passes(program, until="simplify")) == "return 3"
    with pytest.raises(KeyError):
        run_passes(program, until="nope")


def test_a_pass_that_breaks_a_rule_is_caught(monkeypatch: pytest.MonkeyPatch):
    def lose(program: ir.Program) -> ir.Program:
        return ir.Program(program.functions, "nobody")

    program = read("main m def m(): measure[real] = return thunk run normal(0, 1)")
    monkeypatch.setattr("ppl.semantics.passes.PASSES", {"lose": Pass("lose", "Measure", lose, "")})
    with pytest.raises(DiagnosticError, match="no function `nobody`"):
        run_passes(program, only=("lose",))


def test_uniquify_renames_only_what_repeats():
    text = """
        main m
        def m(x: real): measure[real] = return thunk {
          a: real <- { b: real <- return x; return (b + 1) };
          c: real <- { b: real <- return a; return (b + 2) };
          return (a + c)
        }
        """
    out = uniquify(read(dedent(text)))
    verify(out)
    assert sorted(binders(out.entry.body)) == ["a", "b", "b.1", "c"]
    assert "return (b.1 + 2)" in show(out)

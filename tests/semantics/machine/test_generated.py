"""What generated code may consist of: numbered names, a fixed table, integers. Nothing of the
model's text reaches it, whatever the text is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ppl
from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.machine import Machine, MachineKey, table
from ppl.semantics.machine.codegen.unit import Options
from ppl.verify.programs import FEATURES, MACHINE_FEATURES, programs

OPTIONS = [
    Options(),
    Options(named=True),
    Options(named=True, fueled=True),
    Options(named=True, suspends=True),
    Options(rational=True),
    Options(keyed=True),
    Options(keyed=True, suspends=True),
    Options(named=True, settable=True, suspends=True),
]
NODES = (
    "Module FunctionDef arguments arg Return Assign AugAssign For While If Expr Call Name Constant "
    "Tuple List ListComp comprehension BinOp UnaryOp BoolOp Compare IfExp Subscript Attribute Continue Break Pass Load "
    "Store Add Sub Mult Div BitAnd BitXor RShift And Or Not USub Eq NotEq Lt LtE Gt GtE Is"
).split()
NUMBERED = re.compile(r"[abcfgkptuvwx]\d+|[skvc_]")
TABLE = frozenset(table.table(is_rational=False))


def check_source(source: str) -> None:
    """Parses a module against the whitelist."""
    for node in ast.walk(ast.parse(source)):
        assert type(node).__name__ in NODES, ast.dump(node)
        match node:
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.arg(arg=name):
                assert NUMBERED.fullmatch(name) or name in TABLE, name
            case ast.Constant(value=value):
                assert type(value) is int, value
            case ast.Attribute(value=ast.Name(id="s"), attr=attr):
                assert attr in ("w", "draw", "stream", "fuel")
            case ast.Attribute():
                raise AssertionError(ast.dump(node))


@given(programs(features=FEATURES | MACHINE_FEATURES, paths=300))
@settings(max_examples=25, deadline=None)
def test_generated_programs_stay_within_the_whitelist(program):
    machine = Machine(ppl.compile(program.source)[program.model].program)
    for options in OPTIONS:
        check_source(machine.source(options))


def test_texts_maps_and_gaussian_processes_stay_within_the_whitelist():
    m = ppl.compile("""
model m(s: text, w: map[text, real]) {
  f ~ gaussian_process(fn (x) => w[s], fn (a, b) => exp(-(a - b)^2))
  let n = put(remove(w, s + "'"), upper(s[0:2]) + text(f(0.5)), get(w, "q_run", f(1)))
  return ([k + s[-1] < "k1" for k in keys(n)], lookup(n, "__import__"), items(n), len(s), len(n), w == n)
}
""").m
    machine = Machine(m.program)
    for options in OPTIONS:
        check_source(machine.source(options))


#: names and texts that would be dangerous or confusing in Python source
HOSTILE = st.one_of(
    st.sampled_from(
        [
            "__import__",
            "s",
            "k",
            "v1",
            "f1",
            "q_run",
            "exec",
            "None",
            "x\nimport os",
            "'''",
            "\\",
            "f(",
            "#",
            "λ",
        ]
    ),
    st.text(min_size=1, max_size=20),
)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
@settings(max_examples=60, deadline=None)
def test_no_name_or_text_of_the_program_reaches_the_code(a, b, step, text):
    """Programs of the IR with any names at all, as a hostile file or pass might make them."""
    if len({a, b, "main", "arg"}) < 4:
        return
    dist = ir.Op(T.Dist(T.BOOL), "bernoulli", (ir.Lit(T.PROB, 0.25),))
    draw = ir.At(T.BOOL, step, ir.Run(T.BOOL, dist), keep=True)
    record = ir.MakeRecord(
        T.Record(((text, T.TEXT), (text + "b", T.BOOL))),
        (text, text + "b"),
        (ir.Lit(T.TEXT, text), ir.Var(T.BOOL, b)),
    )
    body = ir.Block(record.type, (ir.Bind(b, draw),), ir.Return(record.type, record))
    measure = ir.Thunk(T.Measure(record.type), body)
    fun = T.Fun((T.BOOL,), measure.type)
    inner = ir.Function(a, (ir.Param("arg", T.BOOL),), ir.Return(measure.type, measure), fun)
    call = ir.Call(measure.type, ir.Global(fun, a), (ir.Lit(T.BOOL, True),))
    main = ir.Function("main", (), call, T.Fun((), measure.type))
    machine = Machine(ir.Program((inner, main), "main"))
    for options in OPTIONS:
        check_source(machine.source(options))
    out = machine.run({}, MachineKey(1))
    assert out.result == {text: text, text + "b": next(iter(out.sites.values()))}


def test_generated_code_has_no_builtins():
    machine = Machine(ppl.compile("model main() { x ~ bernoulli(0.5); return x }").main.program)
    assert machine.code(Options())._direct.__globals__["__builtins__"] == {}


@pytest.mark.parametrize("depth", [10, 50, 90])
def test_deeply_nested_programs_compile(depth):
    nested = "x"
    for _ in range(depth):
        nested = f"(if x > 0 {{ {nested} + 1 }} else {{ 0 }})" if _ % 3 == 0 else f"({nested} + 1)"
    loops = "observe y ~ normal(0, 1)"
    for i in range(min(depth, 40)):
        loops = f"for i{i} in range(1) {{ {loops} }}"
    source = f"model main(x: int, y: real) {{\n{loops}\n a ~ bernoulli(0.5)\n return {nested} }}"
    model = ppl.compile(source).main
    machine, data = Machine(model.program), model(x=1, y=0.5).values
    first = machine.run(data, MachineKey(1))
    assert first.result == 1 + depth
    assert machine.start(data).finish(MachineKey(1)).log_weight == first.log_weight


def test_the_machine_does_without_jax():
    """Compiling, running, resuming and enumerating a program loads neither JAX nor SciPy."""
    script = """
import sys
import ppl
from ppl.semantics.engine import choose
from ppl.semantics.machine import Machine, MachineKey, enumerate_paths
model = ppl.compile("model main() { x ~ bernoulli(0.5); observe 0.3 ~ normal(indicator(x), 1); return x }").main
assert choose(model.program).name == "xla"
machine = Machine(model.program)
machine.run({}, MachineKey(1))
machine.start({}).finish(MachineKey(1))
assert len(enumerate_paths(machine, {})) == 2
assert not {"jax", "scipy", "numpyro"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)

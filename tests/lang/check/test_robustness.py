"""Whatever the parser accepts, the checker answers with diagnostics, and soon.

1,200 mutated programs in the usual run; `pytest -m soak tests/lang/check` reads 100,000.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ppl.lang.check import Checked, check
from ppl.lang.elaborate import elaborate
from ppl.lang.parser import parse
from ppl.semantics.codes import CODES
from ppl.semantics.diagnostics import DiagnosticError, Source
from ppl.semantics.ir_verify import verify

HERE = Path(__file__).parent
TOKEN = re.compile(r'\s+|[A-Za-z_]\w*|\d+\.?\d*|"[^"]*"|->|=>|[^\w\s]')
PIECES = """(a, b)|[1, 2]|{a: 1}|fn (x) => x|normal(0, 1)|true|"s"|()|x.a|x.0|x[0]|x[-1]|x[1:2]
X[:, 1]|mem|zip|iid(3, normal(0, 1))|truncate(normal(0, 1))|min|range|flat()|normalize(m)|as pos
as [real]|return 1|@|^ 2|for y in ys { y }|[y for y in ys]|if c { 1 }|match x { _ => 1 }""".replace(
    "\n", "|"
).split("|")


def mutants(count: int, seed: int):
    """Programs with a few of their tokens replaced, dropped, added or moved."""
    rng = random.Random(seed)
    texts = [p.read_text("utf-8") for p in sorted((HERE / "models").glob("*.ppl"))]
    for p in sorted((HERE / "snapshots").glob("*.txt")):
        texts += [
            c.partition("-" * 80)[0] for c in p.read_text("utf-8").split("=" * 80 + "\n")[:-1]
        ]
    pool = [t for text in texts for t in TOKEN.findall(text)]
    words = [t for t in pool if t[0].isalnum()]
    for _ in range(count):
        tokens = [t for t in TOKEN.findall(rng.choice(texts)) if t]
        own = [i for i, t in enumerate(tokens) if t[0].isalnum()]
        if own and rng.random() < 0.5:  # mildly: a word of its own in the place of another
            for _ in range(rng.randint(1, 2)):
                tokens[rng.choice(own)] = tokens[rng.choice(own)]
            yield "".join(tokens)
            continue
        for _ in range(rng.randint(1, 4)):
            at = rng.choice([i for i, t in enumerate(tokens) if t[0].isalnum()] or [0])
            tokens[at] = rng.choice([rng.choice(words), rng.choice(PIECES), " "])
            if rng.random() < 0.3:
                tokens.insert(rng.randrange(len(tokens)), rng.choice(pool))
        yield "".join(tokens)


def elaborated(c: Checked, model: str) -> None:
    """The program of a model obeys the rules, or is over a language model."""
    try:
        program = elaborate(c, model)
    except DiagnosticError as error:
        assert [d.code for d in error.diagnostics] == ["E732"]
    else:
        verify(program)


def survived(count: int, seed: int) -> tuple[int, int]:
    """How many mutants are parsed, and how many of those are refused: the others are programs,
    which the rules of the IR hold for."""
    parsed = wrong = 0
    for number, text in enumerate(mutants(count, seed)):
        try:
            module = parse(Source("mutant", text))
        except DiagnosticError:
            continue
        parsed += 1
        try:
            c = check(module)
            assert all(d.code in CODES for d in c.diagnostics)
            assert "".join(d.render() for d in c.diagnostics) or c.ok
            for key in c.instances:
                assert c.instances[key].types
            if c.ok:
                for model in c.models:
                    elaborated(c, model)
        except Exception as error:
            raise AssertionError(f"seed {seed}, mutant {number}:\n{text}") from error
        wrong += not c.ok
    return parsed, wrong


def test_mutated_programs_get_diagnostics_or_are_programs():
    parsed, wrong = survived(1_200, seed=20)
    assert wrong > 100 and parsed - wrong > 20


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_thousand_mutated_programs(seed):
    parsed, wrong = survived(25_000, seed)
    assert wrong > 2_500 and parsed - wrong > 500


def seconds(text: str) -> float:
    module = parse(Source("large", text))
    start = time.process_time()
    c = check(module)
    assert [d.render() for d in c.diagnostics][:1] == []
    return time.process_time() - start


def long_block(n: int) -> str:
    lines = ["model m(y: [real]) {", "  x0 ~ normal(0, 1)", "  s0 ~ half_normal(1)"]
    for i in range(1, n // 3):
        lines.append(f"  x{i} ~ normal(x{i - 1} * 0.5 + {i}, s{i - 1})")
        lines.append(f"  let s{i} = exp(x{i}) + abs(x{i - 1} - 2 * x{i})")
        lines.append(f"  observe y[{i}] ~ normal(x{i}, s{i})")
    return "\n".join([*lines, "  return 1", "}"])


def long_chain(n: int) -> str:
    """Templates that call each other twice: copied constraints would double at each level."""
    lines = ["fn f0(x) { x + 1 }"]
    lines += [f"fn f{i}(x) {{ f{i - 1}(x) * 2 + f{i - 1}(0.5) }}" for i in range(1, n)]
    return "\n".join([*lines, f"model m(y: real) {{ return f{n - 1}(y) }}"])


@pytest.mark.parametrize("program", [long_block, long_chain])
def test_time_is_linear(program):
    """Eight times the size takes less than 24 times as long (a quadratic would take 64)."""
    small = min(seconds(program(60)) for _ in range(5))
    assert min(seconds(program(480)) for _ in range(2)) < 24 * small + 0.05


def test_deep_programs():
    nested = "x"
    for _ in range(38):
        nested = f"if c {{ ({nested}, 1).0 }} else {{ x }}"
    c = check(parse(Source("deep", f"fn f(c: bool, x: real) {{ {nested} }}")))
    assert c.diagnostics == ()


def test_endless_types_are_refused_soon():
    text = (
        "type perfect[a] = One(a) | Two(perfect[(a, a)])\n"
        "fn leaves[a](t: perfect[a]) -> nat { match t { One(_) => 1, Two(u) => 2 * leaves(u) } }\n"
        "model m() { return leaves(Two(One((1, 2)))) }"
    )
    c = check(parse(Source("endless", text)))
    assert {d.code for d in c.diagnostics} == {"E390"}


def test_checking_imports_no_jax():
    code = (
        "import sys\nfrom ppl.lang.parser import parse\nfrom ppl.lang.check import check\n"
        "from ppl.semantics.diagnostics import Source\n"
        "c = check(parse(Source('p', 'model m(y: real) { observe y ~ normal(0, 1) }')))\n"
        "assert c.ok and c.instances[c.entry('m')].types\n"
        "print(sorted({'jax', 'numpyro', 'numpy', 'scipy'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"

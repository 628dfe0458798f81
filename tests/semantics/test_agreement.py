"""The two evaluators agree tape by tape, on generated programs that both can run.

The machine runs every path of a program; XLA is given the choices of all of them, by site path, one
lane a path, and must come to the same result, the same named values, the same score of every
observation, and the same mass (probability times weight). Nothing is compiled: XLA's evaluator runs
operation by operation. (That it has no other paths is shown by `test_exactness`.)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import enumerate_paths
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.axes import Arr, spread
from ppl.semantics.xla.outputs import numeric_parts
from ppl.semantics.xla.program import ALL, particles
from ppl.semantics.xla.sites import draw
from ppl.semantics.xla.sites import given as given_rule
from ppl.semantics.xla.state import total
from ppl.verify.programs import Program, programs

TOLERANCE = 1e-10
#: lanes come in these numbers, so that operations on few shapes are compiled
LANES = (16, 64, 512)
#: loops are at most this long in generated programs
LONGEST = 4
#: (name, indices) of a number
Leaf = tuple[str, tuple[int, ...]]


def leaves(name: str, indices: tuple[int, ...], value: Any) -> Iterator[tuple[Leaf, Any]]:
    """The numbers in one of the machine's values, by name and place."""
    if isinstance(value, Mapping):
        for k, v in value.items():
            yield from leaves(f"{name}.{k}", indices, v)
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from leaves(name, (*indices, i), v)
    elif isinstance(value, tuple):
        for k, v in enumerate(value):
            yield from leaves(f"{name}.{k}", indices, v)
    elif isinstance(value, (bool, int, float)):
        yield (name, indices), value


def spelled(name: str, value: Any, known: Collection[str] = ()) -> Iterator[tuple[Leaf, Any]]:
    """As `leaves`, of a name with its indices in brackets (unless brackets and all are known)."""
    indices: tuple[int, ...] = ()
    while name not in known and (found := re.search(r"\[([\d,]+)\](?!.*\[[\d,]+\])", name)):
        name = name[: found.start()] + name[found.end() :]
        indices = (*(int(i) for i in found[1].split(",")), *indices)
    yield from leaves(name, indices, value)


class Tapes:
    """The paths of a program on the machine."""

    def __init__(self, target: ppl.Target, limit: int):
        found = enumerate_paths(target.model.machine, target.values, limit=limit)
        self.executions = [p.execution for p in found]
        self.masses = np.array([p.weight for p in found])
        self.lanes = next(n for n in LANES if n >= len(found))
        self.sites = self._table(e.sites for e in self.executions)
        self.kept = self._table(e.kept for e in self.executions)
        self.results = [dict(leaves("result", (), e.result)) for e in self.executions]

    def scores(self, known: Collection[str]) -> list[dict[Leaf, Any]]:
        """The scores of observations. Their names are texts, which may have brackets of their own."""
        return self._table((e.observed for e in self.executions), known)

    @staticmethod
    def _table(rows: Any, known: Collection[str] = ()) -> list[dict[Leaf, Any]]:
        return [
            {k: x for name, v in row.items() for k, x in spelled(name, v, known)} for row in rows
        ]

    def given(self, longest: int) -> dict[str, Arr]:
        """The choices as arrays led by the lanes; 0 where a path does not make one. Every loop is
        taken to have at least `longest` steps if it lacks some on every path."""
        shapes: dict[str, tuple[int, ...]] = {}
        for row in self.sites:
            for name, indices in row:
                reach = tuple(i + 1 for i in indices)
                shapes[name] = tuple(map(max, shapes.get(name, reach), reach))
        out = {}
        for name, reach in shapes.items():
            kind = next(type(row[k]) for row in self.sites for k in row if k[0] == name)
            data = np.zeros((self.lanes, *(max(n, longest) for n in reach)), kind)
            for lane, row in enumerate(self.sites):
                for (site, indices), x in row.items():
                    if site == name:
                        data[(lane, *indices)] = x
            out[name] = data
        return {k: Arr(jnp.asarray(v), (particles(self.lanes),)) for k, v in out.items()}


def plain_name(site: str) -> str:
    """XLA adds which of several families, or measures, is drawn from."""
    return re.sub(r"/option ?\d+", "", site)


def given_or_any(site: Any, scope: Any, state: Any) -> Any:
    """The value from the trace, or any where the machine, which runs one branch alone, comes to the
    site on no path."""
    if plain_name(site.name) not in map(plain_name, scope.given):
        x, _ = draw(site, scope, replace(state, omega=Key(jax.random.key(0))))
        scope = replace(scope, given={**scope.given, site.name: x})
    return given_rule(site, scope, state)


def on_xla(target: ppl.Target, tapes: Tapes) -> tuple[Any, Any, np.ndarray]:
    """The result, the state and the mass of every lane."""
    for longest in range(1, LONGEST + 1):
        choices = tapes.given(longest)
        names: set[str] = set()
        while True:
            try:
                given = {**choices, **{k: choices[plain_name(k)] for k in names}}
                return _driven(target, given, tapes.lanes)
            except DiagnosticError as error:
                (problem,) = error.diagnostics
                (name,) = re.findall("`(.*?)`", problem.message)[:1] or [""]
                if problem.code != "E802" or plain_name(name) not in choices:
                    raise
                if name in names or name in choices:
                    break  # a loop in which some step makes no choice on any path
                names.add(name)
    raise AssertionError("no value fits a site")


def _driven(target: ppl.Target, given: Mapping[str, Arr], lanes: int) -> Any:
    axis = particles(lanes)
    result, state = target.bound.execute(
        target.data, rule=given_or_any, axes=(axis,), given=given, record=ALL
    )
    scores = total((f.score for f in state.scores), (axis,))
    return result, state, np.exp(np.asarray(scores.data))


def columns(parts: Mapping[str, Arr], lanes: int) -> dict[str, np.ndarray]:
    return {k: np.asarray(spread(v, (particles(lanes),)).data) for k, v in parts.items()}


def plainly_named(ours: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values by plain names: at most one of several alternatives is there in a lane."""
    out: dict[str, np.ndarray] = {}
    for name, found in ours.items():
        plain, found = plain_name(name), found.astype(float)
        out[plain] = np.where(np.isnan(out[plain]), found, out[plain]) if plain in out else found
    return out


def compare(what: str, ours: Mapping[str, np.ndarray], rows: list[dict[Leaf, Any]]) -> None:
    """Every number of the machine's is XLA's; XLA's others are missing, or scores of 0."""
    expected = defaultdict(dict)
    for lane, row in enumerate(rows):
        for (name, indices), x in row.items():
            assert name in ours, f"{what} `{name}` is unknown to XLA, which has {sorted(ours)}"
            expected[name][lane, *indices] = float(x)
    for name, found in ours.items():
        want = np.full(found.shape, 0.0 if what == "score" else np.nan)
        for place, x in expected.get(name, {}).items():
            want[place] = x
        got = found[: len(rows)].astype(float)
        if name not in expected and what != "score":  # a Dirac's, or in a branch no path takes
            continue
        np.testing.assert_allclose(
            got, want[: len(rows)], atol=TOLERANCE, rtol=0, err_msg=f"{what} {name}"
        )


def compare_scores(ours: Mapping[str, np.ndarray], rows: list[dict[Leaf, Any]]) -> None:
    """As `compare`. Observations of one name are numbered in the order in which they are met, of
    which XLA, which runs all branches, meets more: then the scores are compared, but not which
    number is whose."""
    several = {base(name) for name in ours if name != base(name)}
    compare(
        "score",
        {k: v for k, v in ours.items() if base(k) not in several},
        [{k: x for k, x in row.items() if base(k[0]) not in several} for row in rows],
    )
    for name in several:
        found = [v.reshape(len(v), -1) for k, v in ours.items() if base(k) == name]
        for got, row in zip(np.hstack(found), rows, strict=False):
            want = [float(x) for (k, _), x in row.items() if base(k) == name]
            want = np.sort(np.pad(want, (0, len(got) - len(want))))
            np.testing.assert_allclose(np.sort(got), want, atol=TOLERANCE, rtol=0, err_msg=name)


def base(name: str) -> str:
    """The name of an observation without its number."""
    return re.sub(r"#\d+$", "", name)


def check(program: Any, limit: int) -> None:
    target = ppl.compile(program.source)[program.model](**program.data)
    tapes = Tapes(target, limit)
    with precision(), jax.disable_jit():
        result, state, masses = on_xla(target, tapes)
        n = tapes.lanes
        np.testing.assert_allclose(
            masses[: len(tapes.masses)], tapes.masses, atol=TOLERANCE, rtol=0
        )
        compare("result", columns(numeric_parts("result", result), n), tapes.results)
        kept = {k: v for name, x in state.kept.items() for k, v in numeric_parts(name, x).items()}
        compare("value", plainly_named(columns(kept, n)), tapes.kept)
        compare_scores(columns(state.observed, n), tapes.scores(state.observed))


@given(programs(paths=60, size=1))
@settings(max_examples=80, phases=[Phase.explicit, Phase.generate])
def test_both_evaluators_agree_on_every_tape(program):
    check(program, LANES[-1])


@pytest.mark.soak
@given(programs(paths=500, size=2))
@settings(max_examples=3_000, phases=[Phase.explicit, Phase.generate])
def test_both_evaluators_agree_on_many_programs(program):
    check(program, LANES[-1])


#: programs that generation found, at their smallest
FOUND = {
    "one name observed in a loop and outside": """
fn f(a) { for j in range(3) { observe 0 ~ binomial(2, 3/7) }; return a }
model main() {
  x ~ categorical([1/5, 1/5, 3/5])
  y ~ fold s = x for i in range(3) { i ~ f(s); return i }
  z ~ f(x)
  return (x, y, z)
}
""",
    "arrays of different functions in the arms of a choice": """
model main() {
  x ~ categorical([1/5, 1/5, 3/5])
  let fs = if x == 1 { [fn (a: nat) => dirac(a), fn (a: nat) => dirac(2), fn (a: nat) => dirac(a)] }
    else { [fn (a: nat) => categorical([1/7, 2/7, 4/7]), fn (a: nat) => dirac(a),
            fn (a: nat) => dirac(1)] }
  y ~ fs[0](1)
  z ~ fs[x](2)
  return (x, y, z)
}
""",
    "a run of one of two functions that draw": """
model main() {
  x ~ categorical([1/5, 1/5, 3/5])
  y ~ (if x == 0 { fn (a) => { z ~ bernoulli(1/3); return z } } else { fn (a) => { z ~ bernoulli(a); return not z } })(2/7)
  return (x, y)
}
""",
    "a loop that carries one of two functions over one mixture": """
model main() {
  let y = mixture([2/7, 4/7, 1/7], [dirac(1), binomial(2, 3/5), categorical([3/7, 1/7, 3/7])])
  f ~ fold s = fn (a: nat) => y for i in range(3) { return fn (b: nat) => y }
  z ~ f(2)
  return z
}
""",
    "one name observed in two branches": """
model main() {
  x ~ categorical([1/5, 1/5, 3/5])
  if x == 0 { observe 0 ~ binomial(2, 3/7) } else { observe 0 ~ binomial(3, x / 7) }
  return x
}
""",
}


@pytest.mark.parametrize("name", FOUND)
def test_programs_that_were_found_once(name):
    check(Program(FOUND[name], "main"), LANES[-1])


def test_a_function_that_grows_in_a_loop_is_the_machines():
    """It is no program that both can run: XLA carries one of finitely many codes."""
    source = """
model main() {
  x ~ categorical([1/5, 1/5, 3/5])
  f ~ fold s = fn (a) => a for i in range(3) { z ~ bernoulli(2/7); return fn (a) => s(a) + (if z { a } else { 1 }) }
  return f(x)
}
"""
    found = ppl.infer(ppl.compile(source).main(), "exact", progress=False)
    assert [r.code for r in found.remarks] == ["W717"]
    mean = sum(p * (x + 3 * (2 / 7 * x + 5 / 7)) for x, p in enumerate([0.2, 0.2, 0.6]))
    assert np.sum(found.weights * found.result) == pytest.approx(mean, abs=1e-12)

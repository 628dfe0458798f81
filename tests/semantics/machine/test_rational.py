"""The machine against the rational oracle, on generated finite programs, in exact arithmetic.

For every program the law of the result, and its joint law with all sites drawn, are equal fractions.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings

import ppl
from ppl.lang.parser import parse
from ppl.semantics.diagnostics import Source
from ppl.semantics.machine import Machine, enumerate_paths
from ppl.verify.programs import FEATURES, MACHINE_FEATURES, programs
from tests.oracles import rational
from tests.oracles.compare import plain


def plain_result(x: Any) -> Any:
    """As `compare.plain`, of the machine's Python values, constructors included."""
    if hasattr(x, "args") and hasattr(x, "name"):
        return (x.name, *map(plain_result, x.args))
    if isinstance(x, dict):
        return tuple((k, plain_result(x[k])) for k in sorted(x))
    if isinstance(x, (list, tuple)):
        return tuple(map(plain_result, x))
    return plain(x)


def oracle_value(x: Any) -> Any:
    if isinstance(x, rational.Cons):
        return (x.name, *map(oracle_value, x.args))
    if isinstance(x, rational.Record):
        return tuple((k, oracle_value(v)) for k, v in x.fields)
    if isinstance(x, tuple):
        return tuple(map(oracle_value, x))
    return plain(x)


def machine_law(program: Any) -> dict[Any, Fraction]:
    target = ppl.compile(program.source)[program.model](**program.data)
    out: defaultdict[Any, Fraction] = defaultdict(Fraction)
    for path in enumerate_paths(Machine(target.model.program), target.values, rational=True):
        sites = frozenset((k, plain_result(v)) for k, v in path.execution.sites.items())
        out[plain_result(path.execution.result), sites] += path.weight
    return dict(out)


def oracle_law(program: Any) -> dict[Any, Fraction]:
    module = parse(Source("generated.ppl", program.source))
    law = rational.law(module, program.model, program.data)
    assert law.unfinished == 0
    out: defaultdict[Any, Fraction] = defaultdict(Fraction)
    for (result, sites), w in law.joint.items():
        out[oracle_value(result), frozenset((k, oracle_value(v)) for k, v in sites)] += w
    return dict(out)


def results(joint: dict[Any, Fraction]) -> dict[Any, Fraction]:
    out: defaultdict[Any, Fraction] = defaultdict(Fraction)
    for (result, _), w in joint.items():
        out[result] += w
    return dict(out)


def check(program: Any) -> None:
    """A draw from a Dirac is a site of the oracle and none of the engines': there, results only."""
    ours, theirs = machine_law(program), oracle_law(program)
    assert results(ours) == results(theirs)
    if "dirac(" not in program.source:
        assert ours == theirs


@given(programs(features=FEATURES | MACHINE_FEATURES, paths=150))
@settings(max_examples=120, deadline=None)
def test_the_machine_is_exact(program):
    check(program)


@pytest.mark.soak
@given(programs(features=FEATURES | MACHINE_FEATURES, paths=600, size=3))
@settings(max_examples=5_000, deadline=None)
def test_the_machine_is_exact_on_many_programs(program):
    check(program)

"""The machine against the rational oracle, on generated finite programs, in exact arithmetic.

For every program: the joint law of the result and of all sites drawn, as fractions, equal.
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


def oracle_law(program: Any, skip: frozenset[str]) -> dict[Any, Fraction]:
    module = parse(Source("generated.ppl", program.source))
    law = rational.law(module, program.model, program.data)
    assert law.unfinished == 0
    out: defaultdict[Any, Fraction] = defaultdict(Fraction)
    for (result, sites), w in law.joint.items():
        seen = frozenset((k, oracle_value(v)) for k, v in sites if k not in skip)
        out[oracle_value(result), seen] += w
    return dict(out)


def check(program: Any) -> None:
    """Draws from a Dirac are no sites of the engines, so that only those they know are compared."""
    ours = machine_law(program)
    theirs = oracle_law(program, frozenset())
    known = {name for _, sites in ours for name, _ in sites}
    everything = {name for _, sites in theirs for name, _ in sites}
    theirs = oracle_law(program, frozenset(everything - known))
    assert ours == theirs


@given(programs(features=FEATURES | MACHINE_FEATURES, paths=150))
@settings(max_examples=300, deadline=None)
def test_the_machine_is_exact(program):
    check(program)


@pytest.mark.soak
@given(programs(features=FEATURES | MACHINE_FEATURES, paths=600, size=3))
@settings(max_examples=5_000, deadline=None)
def test_the_machine_is_exact_on_many_programs(program):
    check(program)

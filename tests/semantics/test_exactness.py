"""The engine against the rational oracle, on generated finite programs.

For every program: the evidence, the law of the result, the probability and the score of every path
with all the sites it drew (the joint law over sites), by enumerated tapes; and the weight of each
importance sample, which must be exactly the score of the path that it took.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings

import ppl
from ppl.inference import exact as exact_inference
from ppl.inference.exact import Exact, Factored, enumerate_paths, run_exact
from ppl.inference.importance import Importance, run_importance
from ppl.lang.parser import parse
from ppl.semantics.diagnostics import DiagnosticError, Source
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import default_precision, precision
from ppl.semantics.xla.outputs import Host
from ppl.semantics.xla.program import particles
from ppl.verify.programs import programs
from tests.oracles import rational
from tests.oracles.compare import distance, plain

pytestmark = pytest.mark.usefixtures("quick_compilation")

TOLERANCE = 1e-10
DRAWS = 64
#: without `explain`, which traces every line that runs
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


@dataclass(frozen=True)
class Rows:
    """Executions: results and sites led by the row (arrays of arrays closed), and log-weights."""

    result: Any
    sites: dict[str, Any]
    log_weights: np.ndarray


def _seen(result: Any, state: Any) -> Any:
    """Values are missing (nan) where their branch was not taken."""
    return result, {**state.sites, **state.kept}


def ours(program: Any) -> tuple[Rows, Rows]:
    """All executions by tapes, and some by importance sampling."""
    target = ppl.compile(program.source)[program.model](**program.data)
    with precision():
        exact = enumerate_paths(target.bound, target.data, Exact(), observe=_seen)
        drawn = run_importance(
            target.bound, target.data, Importance(particles=DRAWS), seed=7, observe=_seen
        )
        return _rows(target, exact), _rows(target, drawn)


def _rows(target: Any, found: Any) -> Rows:
    n = len(found.log_weights)
    host = Host(target.model.program, particles(n), np.asarray, default_precision())
    result, sites = found.values
    return Rows(
        host.to_python(result),
        {k: host.to_python(v) for k, v in sites.items()},
        np.asarray(found.log_weights, np.float64),
    )


def at(value: Any, index: tuple[int, ...], like: Any) -> Any:
    """One execution's value out of columns, in the shape of the oracle's value `like`."""
    if isinstance(like, rational.Array):
        return tuple(at(value, (*index, i), x) for i, x in enumerate(like))
    if isinstance(like, rational.Record):
        return tuple((k, at(value[k], index, x)) for k, x in like.fields)
    if isinstance(like, tuple):
        return tuple(at(v, index, x) for v, x in zip(value, like, strict=True))
    return plain(np.asarray(value)[index])


def leaves(rows: Rows, law: rational.Law) -> Iterator[Any]:
    """The path of the oracle that each execution took; None if it has weight 0 there.

    An assignment of all sites determines the path, so at most one fits.
    """
    by_names: dict[tuple[str, ...], dict[Any, Any]] = {}
    likes: dict[str, Any] = {}
    for atom in law.joint:
        drawn = dict(atom[1])
        likes.update(drawn)
        names = tuple(sorted(drawn))
        key = plain(atom[0]), tuple(plain(drawn[k]) for k in names)
        by_names.setdefault(names, {})[key] = atom
    like = next(iter(law.joint))[0]
    for row in range(len(rows.log_weights)):
        result = at(rows.result, (row,), like)
        fits = []
        for names, atoms in by_names.items():
            values = tuple(at(*column(rows, name, row), likes[name]) for name in names)
            if (result, values) in atoms:
                fits.append(atoms[result, values])
        assert len(fits) <= 1, fits
        yield fits[0] if fits else None


def column(rows: Rows, site: str, row: int) -> tuple[Any, tuple[int, ...]]:
    """`hs[2]/h[1]` is entry [row, 2, 1] of the column `hs/h`.

    The engine draws nothing for a Dirac, and one site for each family that a distribution may be
    of: there the value is that of the name it was bound to.
    """
    places = tuple(int(i) for group in re.findall(r"\[([\d,]+)\]", site) for i in group.split(","))
    name = re.sub(r"\[[\d,]+\]", "", site)
    while name not in rows.sites and "/" in name:
        name = name.rpartition("/")[0]
    return rows.sites[name], (row, *places)


@pytest.fixture(autouse=True)
def one_batch_size(monkeypatch: pytest.MonkeyPatch):
    """Programs of a few hundred paths are compiled once."""
    monkeypatch.setattr(exact_inference, "Enumerator", partial(Enumerator, batches=(256,)))


def check_exactness(program: Any) -> None:
    law = rational.law(parse(Source("generated.ppl", program.source)), program.model, program.data)
    exact, drawn = ours(program)
    # the joint law over the result and all sites
    masses: dict[Any, float] = {}
    for atom, log_weight in zip(leaves(exact, law), exact.log_weights, strict=True):
        assert atom is not None or log_weight == -np.inf, "a path that does not exist"
        if atom is not None:
            masses[atom] = masses.get(atom, 0.0) + float(np.exp(log_weight))
    assert masses.keys() == law.joint.keys(), "a path is missing"
    assert distance(masses, {k: float(w) for k, w in law.joint.items()}) < TOLERANCE
    # results and evidence are sums over it, summed here by the engine itself
    evidence = float(np.exp(np.logaddexp.reduce(exact.log_weights)))
    assert evidence == pytest.approx(float(law.evidence), abs=TOLERANCE)
    # importance weights
    for atom, log_weight in zip(leaves(drawn, law), drawn.log_weights, strict=True):
        score = 0.0 if atom is None else float(law.joint[atom] / law.prior[atom])
        assert np.exp(log_weight) == pytest.approx(score, abs=TOLERANCE)


@given(programs(paths=200))
@settings(max_examples=24, phases=PHASES)
def test_the_engine_is_exact(program):
    check_exactness(program)


def test_sums_have_the_same_evidence():
    """Variable elimination, forced by a budget of one path. Some programs it may refuse."""
    summed, refused = 0, 0

    @given(programs(paths=200))
    @settings(max_examples=16, phases=PHASES)
    def check(program):
        nonlocal summed, refused
        module = parse(Source("generated.ppl", program.source))
        law = rational.law(module, program.model, program.data)
        target = ppl.compile(program.source)[program.model](**program.data)
        try:
            with precision():
                found = run_exact(
                    target.bound, target.data, Exact(paths=1, draws=1), seed=7, observe=_seen
                )
        except DiagnosticError as error:
            assert error.diagnostics[0].code == "E807", error
            refused += 1
            return
        assert isinstance(found, Factored)
        summed += 1
        assert np.exp(found.log_evidence) == pytest.approx(float(law.evidence), abs=TOLERANCE)

    check()
    assert summed >= refused, "most programs can be summed"


@pytest.mark.soak
@given(programs(paths=2_000, size=3))
@settings(max_examples=1_000, phases=PHASES)
def test_the_engine_is_exact_on_many_programs(program):
    check_exactness(program)

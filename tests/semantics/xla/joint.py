"""The joint law of everything that has a name, on both engines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

import ppl
from ppl.lang.parser import parse
from ppl.semantics.diagnostics import Source
from ppl.semantics.machine import enumerate_paths
from ppl.semantics.machine.paths import split
from tests.oracles import rational
from tests.oracles.compare import distance, plain, results
from tests.semantics.xla.running import row, target

#: mass of each (result, values by name and indices)
Joint = dict[tuple[Hashable, frozenset[Any]], float]


@contextmanager
def quick_compilation() -> Iterator[None]:
    """Without the optimiser: every program is compiled, run once and forgotten."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


def on_xla(t: Any) -> Joint:
    """By enumerated tapes. What an execution does not have is missing (nan)."""
    with quick_compilation():
        found = ppl.infer(t, ppl.exact(paths=10**12), progress=False, engine="xla")
    out: defaultdict[Any, float] = defaultdict(float)
    for i, weight in enumerate(np.exp(found.log_weights[0])):
        named = frozenset(
            (name, *entry)
            for name, column in found.draws.items()
            for entry in _entries((), column[0, i])
        )
        out[plain(row(found.result, i)), named] += float(weight)
    return dict(out)


def on_machine(t: Any) -> Joint:
    out: defaultdict[Any, float] = defaultdict(float)
    for path in enumerate_paths(t.model.machine, t.values, limit=10**6):
        e = path.execution
        named = frozenset(
            (f"{name}{part}", *entry)
            for steps, value in {**e.trace, **e.kept_paths}.items()
            for name, indices in [split(steps)]
            for part, leaf in _parts("", value)
            for entry in _entries(indices, leaf)
        )
        out[plain(e.result), named] += path.weight
    return dict(out)


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, tuple):
        for i, v in enumerate(value):
            yield from _parts(f"{name}.{i}", v)
    elif isinstance(value, dict):
        for k, v in value.items():
            yield from _parts(f"{name}.{k}", v)
    else:
        yield name, value


def _entries(indices: tuple[int, ...], value: Any) -> Iterator[tuple[tuple[int, ...], float]]:
    array = np.asarray(value, float)
    for at in np.ndindex(array.shape):
        if not np.isnan(array[at]):
            yield (*indices, *at), round(float(array[at]), 9)


def engines_agree(source: str, **data: Any) -> Joint:
    """Assert that both engines give one joint law over the result and all names, and that the law
    of the result is the rational oracle's; give the joint law."""
    t = target(source, **data)
    here, there = on_xla(t), on_machine(t)
    assert here.keys() == there.keys()
    assert distance(here, there) < 1e-12
    truth = rational.law(parse(Source("test.ppl", source)), "m", data)
    want = {plain(k): float(w) for k, w in truth.results.items() if w}
    assert distance(results(here), want) < 1e-12
    return here

"""Programs from source text, run on XLA, against the rational oracle and by value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

import jax
import numpy as np

import ppl
from ppl.lang.parser import parse
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Source
from ppl.semantics.engine import Engine
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.program import particles
from ppl.semantics.xla.values import spread_value
from tests.oracles import rational
from tests.oracles.compare import plain


def target(source: str, **data: Any) -> Any:
    """The model `m` on data, for XLA whatever the compiler would choose."""
    model = ppl.compile(source).m
    model.__dict__["engine"] = Engine("xla")
    return model(**data)


def row(value: Any, i: int) -> Any:
    """The i-th draw of a result."""
    if isinstance(value, (tuple, list)):
        return tuple(row(v, i) for v in value)
    if isinstance(value, Mapping):
        return {k: row(v, i) for k, v in value.items()}
    return value if isinstance(value, str) else np.asarray(value)[0, i]


def law(source: str, **data: Any) -> dict[Hashable, float]:
    """The unnormalised law of the result, by running every path."""
    found = ppl.infer(target(source, **data), ppl.exact(paths=10**12), progress=False)
    out: defaultdict[Hashable, float] = defaultdict(float)
    for i, weight in enumerate(np.exp(found.log_weights[0])):
        out[plain(row(found.result, i))] += float(weight)
    return dict(out)


def agrees(source: str, **data: Any) -> dict[Hashable, float]:
    """Assert that the law of the result is that of the rational oracle, and give it."""
    want: defaultdict[Hashable, float] = defaultdict(float)
    truth = rational.law(parse(Source("test.ppl", source)), "m", data)
    for value, weight in truth.results.items():
        if weight:
            want[plain(value)] += float(weight)
    got = law(source, **data)
    assert got.keys() == want.keys()
    np.testing.assert_allclose([got[k] for k in want], list(want.values()), rtol=1e-12)
    return dict(want)


def result(source: str, **data: Any) -> Any:
    """The result of a program without randomness."""
    t = target(source, **data)
    return row(ppl.infer(t, ppl.importance(particles=1), progress=False).result, 0)


def trace(source: str, **data: Any) -> Any:
    """Trace the program forward, and compile nothing."""
    t = target(source, **data)
    axes = (particles(7),)
    with precision():

        def forward(values: Any, key: Any) -> Any:
            out, weight, state = t.bound.forward(values, Key(key), axes)
            return spread_value((out, dict(state.sites), dict(state.kept)), axes), weight.data

        return jax.eval_shape(forward, dict(t.data), jax.random.key(0))


def refused(source: str, **data: Any) -> Diagnostic:
    """What the engine says of a program that it cannot run, found while tracing."""
    try:
        trace(source, **data)
    except DiagnosticError as error:
        return error.diagnostics[0]
    raise AssertionError("the program was not refused")


def log_density(t: Any, position: Mapping[str, Any]) -> float:
    with precision():
        return float(jax.jit(t.density.log_density)(t.data, dict(position)))


def gradient(t: Any, position: Mapping[str, Any]) -> dict[str, np.ndarray]:
    with precision():
        found = jax.jit(jax.grad(t.density.log_density, argnums=1))(t.data, dict(position))
        return {k: np.asarray(v) for k, v in found.items()}

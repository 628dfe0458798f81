"""Errors that depend on values: an index out of range, a number that a checked cast refuses.

They cannot raise while compiled code runs, so a run collects, for each place in the source, the
lanes in which it went wrong (lanes that do not take a branch never do), and whoever looks at the
results raises. The value read instead is the nearest legal one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Span
from ppl.semantics.xla.axes import Arr, Axis, elementwise
from ppl.semantics.xla.state import Scope


@partial(
    jax.tree_util.register_dataclass, data_fields=["bad"], meta_fields=["code", "message", "span"]
)
@dataclass(frozen=True)
class Fault:
    """Where (`span`) and in which lanes (`bad`, booleans) something went wrong."""

    bad: Arr
    code: str
    message: str
    span: Span | None


def note(scope: Scope, bad: Arr, code: str, message: str, span: Span | None) -> None:
    """Record the live lanes in which `bad` holds somewhere."""
    if scope.faults is None:
        return
    k = len(bad.axes)
    if bad.event_rank:
        bad = Arr(jnp.any(bad.data, axis=tuple(range(k, k + bad.event_rank))), bad.axes)
    if scope.mask is not None:
        bad = elementwise(jnp.logical_and, scope.mask, bad)
    scope.faults.append(Fault(bad, code, message, span))


def over_axis(faults: Iterable[Fault], axis: Axis) -> list[Fault]:
    """What went wrong in some element of a plate."""
    out = []
    for f in faults:
        if axis in f.bad.axes:
            i = f.bad.axes.index(axis)
            rest = (*f.bad.axes[:i], *f.bad.axes[i + 1 :])
            f = replace(f, bad=Arr(jnp.any(f.bad.data, axis=i), rest))
        out.append(f)
    return out


def over_time(faults: Iterable[Fault]) -> list[Fault]:
    """What went wrong in some step of a scan (time leads)."""
    return [replace(f, bad=Arr(jnp.any(f.bad.data, axis=0), f.bad.axes)) for f in faults]


def raise_faults(faults: Iterable[Fault], *, weights: Any = None) -> None:
    """Raise E709, E710 … for the faults that happened, in runs of positive weight if given."""
    problems = []
    for f in faults:
        bad = np.asarray(f.bad.data)
        if weights is not None and bad.ndim:
            bad = bad & (np.asarray(weights).reshape(bad.shape) > -np.inf)
        if bad.any():
            share = f" (in {bad.sum():,} of {bad.size:,} runs)" if bad.size > 1 else ""
            problems.append(Diagnostic(f.code, f.message + share, f.span))
    if problems:
        raise DiagnosticError(*problems)

"""Casts that fail where chains went, though at no draw: the draws are those given that they do not.

A density is zero where a failing cast makes it so, and a chain that proposes such a point stays
where it is. Points around the draws tell whether that was the cast's doing: those at which it
fails, and which would have positive density had it not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.sampling import Draws
from ppl.semantics import ir
from ppl.semantics.analysis.forms import walk
from ppl.semantics.diagnostics import Diagnostic
from ppl.target import Target

if TYPE_CHECKING:
    from ppl.semantics.xla.program import Bound
    from ppl.semantics.xla.state import SiteRule

#: points that are looked at
POINTS = 512
CASTS = frozenset(("checked_nat", "checked_pos", "checked_prob", "checked_int"))


def failing_casts(target: Target, draws: Draws, free: Callable[[], SiteRule]) -> Diagnostic | None:
    """A warning that chains met casts that fail. They did not if none of their transitions
    diverged, where that is known. free: how the draws' coordinates are read."""
    diverging = draws.stats.get("diverging")
    if diverging is not None and not np.any(diverging):
        return None
    if not draws.position or not _casts(target.model.program):
        return None
    return _around(target, draws, free())


@lru_cache(maxsize=256)
def _casts(program: ir.Program) -> bool:
    nodes = (n for f in program.functions for n in walk(f.body))
    return any(isinstance(n, ir.Op) and n.op in CASTS for n in nodes)


def _around(target: Target, draws: Draws, free: SiteRule) -> Diagnostic | None:
    density, faults = _probe(target.bound, free)(target.data, around(draws))
    for fault in faults:
        if fault.code != "E710" or fault.bad.axes:
            continue  # of values of a site that is summed out, which may have no probability
        met = int(np.sum(np.asarray(fault.bad.data) & (np.asarray(density) > -np.inf)))
        if met:
            return Diagnostic(
                "W710",
                f"{fault.message} at {met} of {POINTS} points around the draws: such points have "
                "weight zero, and the draws are those given that the cast does not fail",
                fault.span,
                hint="if that is meant, say so before the cast, `condition x >= 0`; if not, use "
                "what cannot fail, such as `exp(x)` or `softplus(x)`",
            )
    return None


def around(draws: Draws) -> dict[str, Any]:
    """Positions around the draws, by site, led by POINTS: each of some of the draws, moved by half,
    once or twice the difference of two others. Whole numbers stay as they are."""
    out, i = {}, np.arange(POINTS)
    for path, x in draws.position.items():
        rows = np.reshape(x, (-1, *x.shape[2:]))
        n = len(rows)
        first, second, third = (rows[(k * (n // POINTS + 1) * i + k) % n] for k in (1, 3, 7))
        if np.issubdtype(rows.dtype, np.floating):
            scale = 2.0 ** (i % 3 - 1)
            first = first + scale.reshape(-1, *[1] * (x.ndim - 2)) * (second - third)
        out[path] = first.astype(rows.dtype)
    return out


@lru_cache(maxsize=16)
def _probe(bound: Bound, free: SiteRule) -> Callable[..., Any]:
    @jax.jit
    def run(data: Any, position: Any) -> Any:
        return jax.vmap(lambda at: bound.forgiven(data, at, free))(
            {k: jnp.asarray(v) for k, v in position.items()}
        )

    return run

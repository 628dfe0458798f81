"""Nested inference that draws: `normalize(m, importance(n))` and `normalize(m, rejection(tries))`.

Both run `m` inside the run of the program. Run i draws under the path of the statement and its own
index i; its sites, scores and observations are not the program's.

- `rejection`. Law: m divided by its mass, exactly. An execution is accepted with probability
  exp(its scores), so that no score may exceed 0 (E845). Giving up would change the law, and so it
  is an error (E846). (von Neumann, "Various techniques in connection with random digits", 1951.)
- `importance`. Law: `Approximates`. One of n executions, chosen in proportion to their weights
  (sampling importance resampling: Rubin, 1987), so that the bias is O(1/n). If all n have weight
  zero, so has the execution of the program.
"""

from __future__ import annotations

import math
from typing import Any

from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.machine.distributions.discrete import DISCRETE
from ppl.semantics.machine.distributions.family import Family
from ppl.semantics.machine.distributions.indices import INDICES
from ppl.semantics.machine.nested import Inside, Outside, inner_state
from ppl.semantics.machine.paths import below
from ppl.semantics.machine.rational import rational_family
from ppl.semantics.machine.state import FREE, Dead, State

#: of choices of inference's own
BERNOULLI, CATEGORICAL = DISCRETE["bernoulli"], INDICES["categorical"]


def importance(s: State, m: Any, path: Any) -> Any:
    """Run `normalize(measure, importance(n))`."""
    measure, n, span = m[3:]
    if (value := _earlier(s, path)) is not FREE:
        return value
    if n < 1:
        raise fail("E320", f"`importance({n})`: at least one execution is needed", span=span)
    runs = [_execution(s, measure, path, i) for i in range(n)]
    found = [(inner, v, inner.w) for inner, v in runs if inner is not None]
    if not found:
        raise Dead
    if s.code.options.rational:
        masses = [w.of for _, _, w in found]
    else:
        top = max(w for _, _, w in found)
        masses = [math.exp(w - top) for _, _, w in found]
    total = sum(masses)
    chosen = _draw(s, below(path, "chosen"), CATEGORICAL, (tuple(p / total for p in masses),))
    inner, value, _ = found[chosen]
    return _taken(s, path, inner, value)


def rejection(s: State, m: Any, path: Any) -> Any:
    """Run `normalize(measure, rejection(tries))`."""
    measure, tries, span = m[3:]
    if (value := _earlier(s, path)) is not FREE:
        return value
    rational = s.code.options.rational
    for i in range(tries):
        inner, value = _execution(s, measure, path, i, bounded=True)
        if inner is None:
            continue
        p = inner.w.of if rational else math.exp(inner.w)
        if _draw(s, below(below(path, (i,)), "accepted"), BERNOULLI, (p,)):
            return _taken(s, path, inner, value)
    raise fail(
        "E846",
        f"none of {tries:,} executions of the measure was accepted",
        span=span,
        hint="its conditions hold too rarely: try more often, or use `exact` or `importance(n)`",
    )


def importance_block(s: State, k: Any, v: Any) -> Any:
    return k[1], importance(s, k[2], k[3])


def rejection_block(s: State, k: Any, v: Any) -> Any:
    return k[1], rejection(s, k[2], k[3])


def bounded(s: State, score: Any, span: Span | None) -> Any:
    """A score, which inside `rejection` is the logarithm of a probability."""
    if s.bounded and score > 0:
        raise fail(
            "E845",
            f"this score is above 0 ({score:.4g}), and `rejection` accepts with its exponential",
            span=span,
            hint="subtract an upper bound from it, or use `importance(n)`",
        )
    return score


def _execution(
    s: State, measure: Any, path: Any, i: int, *, bounded: bool = False
) -> tuple[Any, Any]:
    """Run i: its state, None if its weight is zero, and its value."""
    root = below(path, (i,))
    inner = inner_state(s, Inside(s.omega), Outside(s), root)
    inner.bounded = bounded
    try:
        return inner, s.code.run_measure(inner, measure, root)
    except Dead:
        return None, None
    finally:
        s.fuel = inner.fuel


def _earlier(s: State, path: Any) -> Any:
    """The value that the source of randomness has for the statement, if it knows one."""
    ask = getattr(s.omega, "earlier", None)
    return FREE if ask is None else ask(path if type(path) is int else path[0])


def _taken(s: State, path: Any, inner: State, value: Any) -> Any:
    """The value of a run; the random functions in it keep the values that it asked for."""
    if s.code.named:
        s.nested = s.nested, path, value
    s.fresh.update(inner.fresh)
    if s.owned is not None and inner.owned:
        s.owned |= inner.owned
    return value


def _draw(s: State, path: Any, family: Family, args: tuple[Any, ...]) -> Any:
    """A choice of inference's own: a draw that is no site."""
    if s.code.options.rational:
        family = rational_family(family.name, family)
    return s.omega.begin(s)(path if type(path) is int else path[0], family, args)

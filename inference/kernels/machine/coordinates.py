"""The free coordinates of numbers in draws: where a random walk walks.

A continuous number of a law between known bounds has the real line for its coordinate: log(v - lo),
-log(hi - v), or the log odds of (v - lo) / (hi - lo); bounds may depend on other sites. Other
continuous numbers (of truncated or transformed laws, of increasing vectors) are their own
coordinates, and a walk that leaves their support is rejected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from ppl.inference.kernels.machine.traces import Site
from ppl.semantics.machine.distributions.combinators import elements
from ppl.semantics.machine.distributions.family import Family
from ppl.semantics.signatures import PRIMITIVES, Distribution

#: supports of vectors that are thinner than their space: no number of them moves alone
THIN = ("simplex", "zero_sum", "corr_cholesky", "corr_matrix", "cov_matrix", "counts")


@dataclass(frozen=True)
class Line:
    """A continuous number in [lower, upper], and its coordinate. `map` and `back` may raise
    ArithmeticError or ValueError at or beyond the ends."""

    lower: float = -math.inf
    upper: float = math.inf

    def free(self, v: float) -> float:
        """The coordinate of a value."""
        lo, hi = self.lower > -math.inf, self.upper < math.inf
        if lo and hi:
            return math.log(v - self.lower) - math.log(self.upper - v)
        return math.log(v - self.lower) if lo else -math.log(self.upper - v) if hi else v

    def back(self, z: float) -> float:
        """The value at a coordinate."""
        lo, hi = self.lower > -math.inf, self.upper < math.inf
        if lo and hi:
            width, e = self.upper - self.lower, math.exp(-abs(z))
            small = width * e / (1 + e)
            return self.upper - small if z > 0 else self.lower + small
        return self.lower + math.exp(z) if lo else self.upper - math.exp(-z) if hi else z

    def log_slope(self, v: float) -> float:
        """log |dv / dz| at a value."""
        lo, hi = self.lower > -math.inf, self.upper < math.inf
        out = (math.log(v - self.lower) if lo else 0.0) + (math.log(self.upper - v) if hi else 0.0)
        return out - math.log(self.upper - self.lower) if lo and hi else out


WHOLE = Line()


class Thin(Exception):
    """The law of a site is on a set that is thinner than its space."""


def lines(site: Site) -> Sequence[Line]:
    """The line of every number in a site's value, in order. Raises Thin."""
    if type(site.value) is not tuple and (known := _fixed(site.family)) is not None:
        return known
    return list(_lines(site.family, site.args, site.value))


@lru_cache(maxsize=1024)
def _fixed(family: Family) -> Sequence[Line] | None:
    """The line of a single number, if its ends are no arguments."""
    row = PRIMITIVES.get(family.name)
    support = row.support if isinstance(row, Distribution) else "real"
    lower, upper = _bounds(family.name, support)
    return None if int in (type(lower), type(upper)) else (Line(lower, upper),)


def _lines(family: Family, args: tuple[Any, ...], value: Any) -> Iterator[Line]:
    parts = elements(family, args)
    if parts is not None:
        for (part, own), v in zip(parts, value, strict=True):
            yield from _lines(part, own, v)
        return
    row = PRIMITIVES.get(family.name)
    support = row.support if isinstance(row, Distribution) else "real"
    if support in THIN or support.partition("(")[0] in THIN:
        raise Thin
    if type(value) is tuple:
        yield from (WHOLE for _ in numbers(value))
        return
    lower, upper = _bounds(family.name, support)
    yield Line(*(args[b] if type(b) is int else b for b in (lower, upper)))


@cache
def _bounds(name: str, support: str) -> tuple[Any, Any]:
    """The ends of a support: numbers, or which argument they are."""
    params = PRIMITIVES[name].params if name in PRIMITIVES else ()
    kind, _, inside = support.rstrip(")").partition("(")
    at = [params.index(p) for p in inside.split(",") if p in params]
    match kind:
        case "positive":
            return 0.0, math.inf
        case "unit_interval":
            return 0.0, 1.0
        case "at_least":
            return at[0], math.inf
        case "interval":
            return at[0], at[1]
    return -math.inf, math.inf


def numbers(value: Any) -> Iterator[Any]:
    """The numbers in a value, in order."""
    if type(value) is tuple:
        for v in value:
            yield from numbers(v)
    else:
        yield value


def with_numbers(value: Any, new: Sequence[Any]) -> Any:
    """A value with these numbers in their places."""
    if type(value) is not tuple:
        return new[0]
    left = iter(new)

    def put(x: Any) -> Any:
        return tuple(map(put, x)) if type(x) is tuple else next(left)

    return put(value)

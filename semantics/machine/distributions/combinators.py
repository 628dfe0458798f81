"""Distributions made of distributions.

A distribution is a value `(run, block, block, family, arguments)` (see `values`); a combinator's
arguments hold others. Functions of the language (in `transform`) arrive as Python functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import special
from ppl.semantics.machine.distributions.family import (
    MAX_VALUES,
    NEVER,
    Family,
    Options,
    child,
    too_many,
)
from ppl.semantics.machine.state import Dead
from ppl.semantics.machine.values import ARGS, FAMILY


def log_prob(dist: Any, x: Any) -> Any:
    """The log density of a distribution value."""
    return dist[FAMILY].log_prob(x, *dist[ARGS])


def sample(dist: Any, u: float, z: int) -> Any:
    return dist[FAMILY].sample(u, z, *dist[ARGS])


def support(dist: Any) -> Options:
    return dist[FAMILY].support(*dist[ARGS])


class Product(Family):
    """The independent product of an elementwise row over arrays: scalars go with every element."""

    def __init__(self, base: Family):
        super().__init__(
            base.name,
            base.density,
            base.draw,
            base.legal,
            base.inside,
            base.values,
            discrete=base.discrete,
        )
        object.__setattr__(self, "base", base)

    base: Family

    def log_prob(self, x: Any, *args: Any) -> Any:
        if type(x) is not tuple and not any(type(a) is tuple for a in args):
            return self.base.log_prob(x, *args)
        total: Any = 0.0
        for row in _rows((x, *args)):
            total = total + self.log_prob(*row)
        return total

    def sample(self, u: float, z: int, *args: Any) -> Any:
        if not any(type(a) is tuple for a in args):
            return self.base.sample(u, z, *args)
        return tuple(self.sample(*child(z, i), *row) for i, row in enumerate(_rows(args)))

    def support(self, *args: Any) -> Options:
        if not any(type(a) is tuple for a in args):
            return self.base.support(*args)
        return combinations([self.support(*row) for row in _rows(args)])


def sized_as(family: Family, args: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
    """Arguments with which a product over numbers draws an array of the shape of x: the law of one
    element, observed for every element of an array."""
    if not isinstance(family, Product) or any(type(a) is tuple for a in args):
        return args
    return (_filled(x, args[0]), *args[1:])


def _filled(x: Any, value: Any) -> Any:
    return tuple(_filled(v, value) for v in x) if type(x) is tuple else value


def log_probs(family: Family, x: Any, args: tuple[Any, ...]) -> Any:
    """The log probability of a value, or of each of its independent elements (nested tuples)."""
    if isinstance(family, Product) and type(x) is tuple:
        return tuple(log_probs(family, row[0], row[1:]) for row in _rows((x, *args)))
    if isinstance(family, Iid):
        _, d = args
        return tuple(log_probs(d[FAMILY], v, d[ARGS]) for v in x)
    return family.log_prob(x, *args)


def _rows(args: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    sizes = {len(a) for a in args if type(a) is tuple}
    if len(sizes) != 1:
        shown = " and ".join(map(str, sorted(sizes)))
        raise fail("E704", f"a distribution over arrays of different lengths: {shown}")
    (n,) = sizes
    return [tuple(a[i] if type(a) is tuple else a for a in args) for i in range(n)]


@dataclass(frozen=True)
class Combinations(Sequence[tuple[Any, Any]]):
    """One option for every element, the last varying fastest; made when it is looked at."""

    each: tuple[Options, ...]

    def __len__(self) -> int:
        return math.prod(len(o) for o in self.each)

    def __getitem__(self, k: Any) -> Any:
        if not 0 <= k < len(self):
            raise IndexError(k)
        row = []
        for options in reversed(self.each):
            k, i = divmod(k, len(options))
            row.append(options[i])
        row.reverse()
        return tuple(v for v, _ in row), math.prod(p for _, p in row)


def combinations(each: Iterable[Options]) -> Options:
    """The options of a draw of several elements. Raises E807 if they are too many."""
    found = Combinations(tuple(each))
    count = math.prod(len(o) for o in found.each)  # beyond what `len` may be, perhaps
    if count > MAX_VALUES:
        raise too_many(count)
    return found


def elements(family: Family, args: tuple[Any, ...]) -> list[tuple[Family, Any]] | None:
    """The laws of the elements of a draw of independent ones, None of others."""
    row = family if isinstance(family, (Product, Iid)) else getattr(family, "base", None)
    if isinstance(row, Product) and any(type(a) is tuple for a in args):
        return [(family, row) for row in _rows(args)]
    if isinstance(row, Iid):
        n, d = args
        return [(d[FAMILY], d[ARGS])] * n
    return None


class Dirac(Family):
    """Always its argument."""

    def __init__(self) -> None:
        super().__init__(
            "dirac",
            lambda x, at: 0.0,
            lambda u, z, at: at,
            lambda at: True,
            lambda x, at: x == at,
            values=lambda at: [(at, 1)],
            log_cdf=lambda x, at: 0.0 if x >= at else NEVER,
            log_sf=lambda x, at: NEVER if x >= at else 0.0,
            quantile=lambda lp, lq, at: at,
            discrete=True,
        )


class Mixture(Family):
    """An index drawn with probabilities proportional to the weights, then that component."""

    def __init__(self) -> None:
        super().__init__(
            "mixture", _mixture_density, _mixture_draw, _mixture_legal, lambda x, w, ds: True
        )

    def support(self, *args: Any) -> Options:
        weights, components = args
        if not _mixture_legal(weights, components):
            raise Dead
        total = sum(weights)
        merged: dict[Any, Any] = {}
        for w, d in zip(weights, components, strict=True):
            if w > 0:
                for v, p in support(d):
                    merged[v] = merged.get(v, 0) + w / total * p
        return list(merged.items())


def _mixture_legal(weights: Any, components: Any) -> bool:
    return (
        len(weights) == len(components)
        and all(0 <= w < math.inf for w in weights)
        and sum(weights) > 0
    )


def _mixture_density(x: Any, weights: Any, components: Any) -> float:
    terms = [
        math.log(w) + log_prob(d, x) for w, d in zip(weights, components, strict=True) if w > 0
    ]
    return special.log_sum_exp(terms) - math.log(sum(weights))


def _mixture_draw(u: float, z: int, weights: Any, components: Any) -> Any:
    left = u * sum(weights)
    chosen = 0
    for i, w in enumerate(weights):
        if w > 0:
            chosen = i
            if left < w:
                break
            left -= w
    return sample(components[chosen], *child(z, 0))


class Iid(Family):
    """n independent draws of a distribution."""

    def __init__(self) -> None:
        super().__init__(
            "iid",
            lambda x, n, d: sum((log_prob(d, v) for v in x), 0.0),
            lambda u, z, n, d: tuple(sample(d, *child(z, i)) for i in range(n)),
            lambda n, d: n >= 0,
            lambda x, n, d: len(x) == n,
        )

    def support(self, *args: Any) -> Options:
        n, d = args
        return combinations([support(d)] * n)


class Transform(Family):
    """The law of forward(x) for x drawn from `d`; forward is monotone, backward its inverse."""

    def __init__(self) -> None:
        super().__init__(
            "transform",
            _transform_density,
            lambda u, z, d, forward, backward: forward(sample(d, u, z)),
            lambda d, forward, backward: True,
            lambda x, d, forward, backward: True,
        )


def _transform_density(y: float, d: Any, forward: Any, backward: Any) -> float:
    """log density at backward(y) plus log |d backward / dy|, by Ridders' method:
    to about ten digits."""
    x = backward(y)
    slope = _derivative(backward, y)
    return log_prob(d, x) + special.safe_log(abs(slope))


def _derivative(f: Any, x: float) -> float:
    """f'(x) by Ridders' method (Advances in Engineering Software 4, 1982)."""
    h = 0.05 * max(abs(x), 0.1)
    best, error = math.nan, math.inf
    rows: list[list[float]] = []
    for i in range(10):
        row = [(f(x + h) - f(x - h)) / (2 * h)]
        factor = 1.0
        for j in range(i):
            factor *= 1.96
            row.append((row[j] * factor - rows[-1][j]) / (factor - 1))
            change = max(abs(row[j + 1] - row[j]), abs(row[j + 1] - rows[-1][j]))
            if change <= error:
                best, error = row[j + 1], change
        rows.append(row)
        h /= 1.4
    return best


class Truncate(Family):
    """A distribution given lower <= x <= upper, renormalised."""

    def __init__(self) -> None:
        super().__init__(
            "truncate", _truncate_density, _truncate_draw, lambda d, lo, hi: lo <= hi, _inside
        )

    def support(self, *args: Any) -> Options:
        d, lo, hi = args
        kept = _between(d, lo, hi)
        total = sum(p for _, p in kept)
        if not total:
            raise Dead
        return [(v, p / total) for v, p in kept]


def _between(d: Any, lo: Any, hi: Any) -> Options:
    """The values from lo to hi and their probabilities: all counts there are between finite bounds,
    whatever the law."""
    family = d[FAMILY]
    if _finite(d) or isinstance(family, (Mixture, Truncate)) or not family.discrete:
        return [(v, p) for v, p in support(d) if lo <= v <= hi]
    low = max(lo, 0) if not family.inside(-1, *d[ARGS]) else lo
    if not (low > -math.inf and hi < math.inf):
        return support(d)  # refuses
    counts = range(math.ceil(low), math.floor(hi) + 1)
    return [(v, p) for v in counts if (p := math.exp(log_prob(d, v))) > 0]


def _inside(x: Any, d: Any, lo: Any, hi: Any) -> bool:
    return lo <= x <= hi


def _tails(d: Any) -> tuple[Any, Any, Any]:
    family, args = d[FAMILY], d[ARGS]
    if family.log_cdf is None or family.log_sf is None:
        raise fail(
            "E721",
            f"`{family.name}` cannot be truncated: its distribution function is not known",
            hint="condition on the bounds instead: `condition x >= lower`",
        )
    cdf = lambda x: NEVER if x == -math.inf else 0.0 if x == math.inf else family.log_cdf(x, *args)  # noqa: E731
    sf = lambda x: 0.0 if x == -math.inf else NEVER if x == math.inf else family.log_sf(x, *args)  # noqa: E731
    return family, cdf, sf


def _finite(d: Any) -> bool:
    family = d[FAMILY]
    if isinstance(family, Mixture):
        return all(_finite(c) for c in d[ARGS][1])
    if isinstance(family, Truncate):
        return _finite(d[ARGS][0])
    return family.values is not None


def _log_mass(d: Any, lo: Any, hi: Any) -> float:
    """log P(lo <= X <= hi), by the smaller tail."""
    family, args = d[FAMILY], d[ARGS]
    if isinstance(family, Mixture):
        weights, parts = args
        terms = [
            math.log(w) + _log_mass(c, lo, hi) for w, c in zip(weights, parts, strict=True) if w > 0
        ]
        return special.log_sum_exp(terms) - math.log(sum(weights))
    if _finite(d):
        return special.safe_log(sum(p for v, p in support(d) if lo <= v <= hi))
    family, cdf, sf = _tails(d)
    low, high = _ends(family, lo, hi)
    left, right = cdf(low), sf(low)
    if right < left:
        return special.log_diff_exp(right, sf(high))
    return special.log_diff_exp(cdf(high), left)


def _ends(family: Family, lo: Any, hi: Any) -> tuple[Any, Any]:
    """The bounds, such that P(lo <= X <= hi) is F(high) - F(low)."""
    if not family.discrete:
        return lo, hi
    low = math.ceil(lo) - 1 if lo > -math.inf else lo
    return low, math.floor(hi) if hi < math.inf else hi


def _truncate_density(x: Any, d: Any, lo: Any, hi: Any) -> float:
    mass = _log_mass(d, lo, hi)
    return log_prob(d, x) - mass if mass > NEVER else NEVER


def _truncate_draw(u: float, z: int, d: Any, lo: Any, hi: Any) -> Any:
    family, args = d[FAMILY], d[ARGS]
    if isinstance(family, Mixture):
        weights, parts = args
        masses = tuple(
            w * math.exp(_log_mass(c, lo, hi)) if w > 0 else 0.0
            for w, c in zip(weights, parts, strict=True)
        )
        if not sum(masses) > 0:
            raise Dead
        left, chosen = u * sum(masses), 0
        for i, m in enumerate(masses):
            if m > 0:
                chosen = i
                if left < m:
                    break
                left -= m
        return _truncate_draw(*child(z, 0), parts[chosen], lo, hi)
    if _finite(d):
        options = [(v, p) for v, p in support(d) if lo <= v <= hi]
        left = u * sum(p for _, p in options)
        for v, p in options:
            if left < p:
                return v
            left -= p
        if options:
            return options[-1][0]
        raise Dead
    mass = _log_mass(d, lo, hi)
    if mass == NEVER:
        raise Dead
    family, cdf, sf = _tails(d)
    low, high = _ends(family, lo, hi)
    lp = special.log_add_exp(cdf(low), math.log(u) + mass)
    lq = special.log_add_exp(sf(high), math.log1p(-u) + mass)
    if family.quantile is not None:
        x = family.quantile(min(lp, 0.0), min(lq, 0.0), *args)
    else:
        x = special.invert(
            cdf,
            sf,
            lp,
            lq,
            low if low > -math.inf else _end(family, args, low),
            high,
            family.discrete,
        )
    return min(max(x, lo), hi)


def _end(family: Family, args: Any, low: float) -> float:
    """A point below the support, if it begins at 0; counts must leave 0 above it."""
    if family.inside(-1.0, *args):
        return low
    return -1 if family.discrete else 0.0


COMBINATORS: dict[str, Family] = {
    f.name: f for f in (Dirac(), Mixture(), Iid(), Transform(), Truncate())
}

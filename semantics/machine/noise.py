"""Noise maps on the machine: see `semantics.noise`, whose maps these are, on Python's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ppl.semantics.machine.distributions.combinators import Product, elements
from ppl.semantics.machine.distributions.family import NEVER, Family
from ppl.semantics.machine.distributions.multivariate import nested
from ppl.semantics.machine.special import invert, log_add_exp, safe_log
from ppl.semantics.signatures import PRIMITIVES, Distribution

Uniform = Callable[[], float]


class NoMap(Exception):
    """A family declares no noise map."""


def moved(
    family: Family, before: tuple[Any, ...], x: Any, after: tuple[Any, ...], uniform: Uniform
) -> Any:
    """What the noise of a draw `x` at arguments `before` gives at the arguments `after`.

    Random (by `uniform`), given x, where the law is discrete. Raises NoMap.
    """
    if before == after:
        return x
    first, second = (_elements(family, args, x) for args in (before, after))
    if first is not None or second is not None:
        if first is None or second is None or len(first) != len(second):
            raise NoMap(family.name)
        if any(f is not g for (f, _), (g, _) in zip(first, second, strict=True)):
            raise NoMap(family.name)
        rows = zip(first, x, second, strict=True)
        return tuple(moved(f, a, v, b, uniform) for (f, a), v, (_, b) in rows)
    row = PRIMITIVES.get(family.name)
    kind = row.noise if isinstance(row, Distribution) else None
    base: Family = getattr(family, "base", family)
    if kind == "gumbel-max":
        return _by_gumbels(base, before, x, after, uniform)
    if kind is not None and row is not None and row.kind == "plain" and row.name in _FACTORS:
        return _by_standard_vector(family.name, before, x, after)
    if kind is None or base.log_cdf is None or base.log_sf is None:
        raise NoMap(family.name)
    return _at_level(base, _level(base, before, x, uniform), after)


def _elements(family: Family, args: tuple[Any, ...], x: Any) -> Any:
    """The laws of independent elements: of an array of parameters, or of an array seen."""
    parts = elements(family, args)
    if parts is None and isinstance(family, Product) and type(x) is tuple:
        return [(family, args)] * len(x)
    return parts


def _level(family: Family, args: tuple[Any, ...], x: Any, uniform: Uniform) -> tuple[float, float]:
    """The logarithms of both tails at the quantile level of x."""
    assert family.log_cdf is not None and family.log_sf is not None
    if not family.discrete:
        return family.log_cdf(x, *args), family.log_sf(x, *args)
    below, above = family.log_cdf(x - 1, *args), family.log_sf(x, *args)
    u, mass = uniform(), family.log_prob(x, *args)
    return log_add_exp(below, math.log(u) + mass), log_add_exp(above, math.log1p(-u) + mass)


def _at_level(family: Family, level: tuple[float, float], args: tuple[Any, ...]) -> Any:
    if family.quantile is not None:
        return family.quantile(*level, *args)
    below, above = family.log_cdf, family.log_sf
    assert below is not None and above is not None
    low = -math.inf if family.inside(-1.0, *args) else 0.0
    return invert(
        lambda x: below(x, *args), lambda x: above(x, *args), *level, low, math.inf, family.discrete
    )


def _by_gumbels(
    family: Family, before: tuple[Any, ...], x: Any, after: tuple[Any, ...], uniform: Uniform
) -> Any:
    """One Gumbel a category; the drawn one is the largest after adding log probabilities (Oberst
    and Sontag 2019; the conditional law by Maddison, Tarlow and Minka 2014)."""
    assert family.values is not None
    old, new = (dict(family.values(*args)) for args in (before, after))
    top = -math.log(-math.log(uniform()))
    best, at = NEVER, x
    for category in dict.fromkeys((*old, *new)):
        lp, u = safe_log(old.get(category, 0.0)), uniform()
        if category == x:
            gumbel = top - lp
        elif lp > NEVER:
            gumbel = -log_add_exp(-top, math.log(-math.log(u)) - lp) - lp
        else:
            gumbel = -math.log(-math.log(u))
        shifted = gumbel + safe_log(new.get(category, 0.0))
        if shifted > best:
            best, at = shifted, category
    return at


def _lower(m: Any) -> np.ndarray:
    return np.tril(np.asarray(m, float))


#: the Cholesky factor of the covariance, or of the precision
_FACTORS: dict[str, Callable[[Any], np.ndarray]] = {
    "multi_normal": lambda m: np.linalg.cholesky(np.asarray(m, float)),
    "multi_normal_cholesky": _lower,
    "multi_normal_prec": lambda m: np.linalg.cholesky(np.asarray(m, float)),
}


def _by_standard_vector(name: str, before: tuple[Any, ...], x: Any, after: tuple[Any, ...]) -> Any:
    (mu, m), (new_mu, new_m) = before, after
    old, new = _FACTORS[name](m), _FACTORS[name](new_m)
    centred = np.subtract(x, mu)
    if name == "multi_normal_prec":
        return nested(np.asarray(new_mu) + np.linalg.solve(new.T, old.T @ centred))
    return nested(np.asarray(new_mu) + new @ np.linalg.solve(old, centred))

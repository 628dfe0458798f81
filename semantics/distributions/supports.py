"""Supports, as NumPyro constraints.

Bounds may be arrays that depend on other variables, with infinite and finite elements side by side.
Bounds given as Python or NumPy numbers are known when tracing, and cost nothing.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints


class Tree:
    """Pytree plumbing shared by constraints and transforms: every field is data."""

    fields: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    def tree_flatten(self):
        data = tuple(getattr(self, f) for f in self.fields)
        return data, (self.fields, {f: getattr(self, f) for f in self.static})

    def __repr__(self) -> str:
        named = (f"{f}={getattr(self, f)!r}" for f in (*self.static, *self.fields))
        return f"{type(self).__name__}({', '.join(named)})"


def between(lower: ArrayLike, upper: ArrayLike, fraction: ArrayLike) -> Array:
    """A point inside [lower, upper], increasing in `fraction`, which is in (0, 1)."""
    lower, upper = jnp.asarray(lower), jnp.asarray(upper)
    low, high = jnp.isfinite(lower), jnp.isfinite(upper)
    start = jnp.where(low, lower, jnp.where(high, upper - 2, 0.0))
    width = jnp.where(low & high, upper - start, 1.0)
    return start + width * fraction


def known(bound: Any, value: float) -> bool:
    """Whether a bound is known, when tracing, to be `value` everywhere."""
    return isinstance(bound, (int, float, np.ndarray, np.generic)) and bool(np.all(bound == value))


class Interval(Tree, constraints.Constraint):
    """Finite reals in [lower, upper]."""

    fields = ("lower", "upper")

    def __init__(self, lower: ArrayLike = -np.inf, upper: ArrayLike = np.inf):
        self.lower, self.upper = lower, upper

    def __call__(self, x: Any) -> Array:
        return (x >= self.lower) & (x <= self.upper) & jnp.isfinite(x)

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.broadcast_to(between(self.lower, self.upper, 0.5), jnp.shape(prototype))


def covers_everything(support: constraints.Constraint, x: Array) -> bool:
    """Whether every finite value of x's kind is in the support, known when tracing."""
    match support:
        case Interval(lower=lower, upper=upper):
            return known(lower, -np.inf) and known(upper, np.inf)
        case Booleans():
            return x.dtype == bool
        case _:
            return isinstance(support, RealVector)


class Integers(Tree, constraints.Constraint):
    """Integers in lower, …, upper; `upper` may be infinity."""

    is_discrete = True
    fields = ("lower", "upper")

    def __init__(self, lower: ArrayLike, upper: ArrayLike = np.inf):
        self.lower, self.upper = lower, upper

    def __call__(self, x: Any) -> Array:
        x = jnp.asarray(x)
        whole = jnp.isfinite(x) & (x == jnp.floor(x)) if x.dtype.kind == "f" else True
        return (x >= self.lower) & (x <= self.upper) & whole

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.broadcast_to(jnp.asarray(self.lower), jnp.shape(prototype))


class Booleans(Integers):
    """False and True."""

    def __init__(self):
        super().__init__(0, 1)


class Counts(Tree, constraints.Constraint):
    """Vectors of k naturals whose sum is `total`."""

    is_discrete = True
    event_dim = 1
    fields = ("total",)

    def __init__(self, total: ArrayLike):
        self.total = total

    def __call__(self, x: Any) -> Array:
        return jnp.all((x >= 0) & (x == jnp.floor(x)), -1) & (jnp.sum(x, -1) == self.total)

    def feasible_like(self, prototype: Any) -> Array:
        first = jnp.arange(jnp.shape(prototype)[-1]) == 0
        return jnp.where(first, jnp.asarray(self.total)[..., None], 0)


class RealVector(Tree, constraints.Constraint):
    """Vectors of finite reals."""

    event_dim = 1

    def __call__(self, x: Any) -> Array:
        return jnp.all(jnp.isfinite(x), -1)

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.zeros_like(prototype)


class Simplex(Tree, constraints.Constraint):
    """Vectors of at least 0 whose sum is 1 up to rounding."""

    event_dim = 1

    def __call__(self, x: Any) -> Array:
        tolerance = 10 * x.shape[-1] * jnp.finfo(x.dtype).eps ** 0.75
        return jnp.all(x >= 0, -1) & (jnp.abs(jnp.sum(x, -1) - 1) <= tolerance)

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.full_like(prototype, 1 / jnp.shape(prototype)[-1])


class Ordered(Tree, constraints.Constraint):
    """Strictly increasing vectors within [lower, upper]; bounds carry no event dimension."""

    event_dim = 1
    fields = ("lower", "upper")

    def __init__(self, lower: ArrayLike = -np.inf, upper: ArrayLike = np.inf):
        self.lower, self.upper = lower, upper

    def __call__(self, x: Any) -> Array:
        inside = (x[..., 0] >= self.lower) & (x[..., -1] <= self.upper)
        return inside & jnp.all(jnp.diff(x) > 0, -1) & jnp.all(jnp.isfinite(x), -1)

    def feasible_like(self, prototype: Any) -> Array:
        n = jnp.shape(prototype)[-1]
        lower, upper = (jnp.asarray(b)[..., None] for b in (self.lower, self.upper))
        inner = between(lower, upper, jnp.arange(1, n + 1) / (n + 1))
        return jnp.broadcast_to(inner, jnp.shape(prototype))


class CorrCholesky(Tree, constraints.Constraint):
    """Cholesky factors of correlation matrices: lower triangular, positive diagonal, unit rows."""

    event_dim = 2

    def __call__(self, x: Any) -> Array:
        tolerance = 10 * x.shape[-1] * jnp.finfo(x.dtype).eps ** 0.75
        unit = jnp.all(jnp.abs(jnp.sum(x * x, -1) - 1) <= tolerance, -1)
        lower = jnp.all(jnp.triu(x, 1) == 0, (-2, -1))
        return unit & lower & jnp.all(jnp.diagonal(x, axis1=-2, axis2=-1) > 0, -1)

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.broadcast_to(
            jnp.eye(prototype.shape[-1], dtype=prototype.dtype), prototype.shape
        )


class CorrMatrix(Tree, constraints.Constraint):
    """Correlation matrices: symmetric, positive definite, unit diagonal."""

    event_dim = 2

    def __call__(self, x: Any) -> Array:
        tolerance = 10 * x.shape[-1] * jnp.finfo(x.dtype).eps ** 0.75
        unit = jnp.abs(jnp.diagonal(x, axis1=-2, axis2=-1) - 1) <= tolerance
        symmetric = jnp.abs(x - jnp.swapaxes(x, -1, -2)) <= tolerance
        factor = jnp.linalg.cholesky(jax.lax.stop_gradient(x))
        definite = jnp.all(jnp.isfinite(factor), (-2, -1))
        return jnp.all(unit, -1) & jnp.all(symmetric, (-2, -1)) & definite

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.broadcast_to(
            jnp.eye(prototype.shape[-1], dtype=prototype.dtype), prototype.shape
        )


class Covariance(Tree, constraints.Constraint):
    """Covariance matrices: symmetric, positive definite."""

    event_dim = 2

    def __call__(self, x: Any) -> Array:
        size = 1 + jnp.max(jnp.abs(x), (-2, -1), initial=0)
        tolerance = 10 * x.shape[-1] * jnp.finfo(x.dtype).eps ** 0.75 * size
        skew = jnp.abs(x - jnp.swapaxes(x, -1, -2)) <= tolerance[..., None, None]
        factor = jnp.linalg.cholesky(jax.lax.stop_gradient(x))
        return jnp.all(skew, (-2, -1)) & jnp.all(jnp.isfinite(factor), (-2, -1))

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.broadcast_to(
            jnp.eye(prototype.shape[-1], dtype=prototype.dtype), prototype.shape
        )


class ZeroSum(Tree, constraints.Constraint):
    """Vectors whose sum is 0 up to rounding."""

    event_dim = 1

    def __call__(self, x: Any) -> Array:
        size = 1 + jnp.max(jnp.abs(x), -1, initial=0)
        tolerance = 10 * x.shape[-1] * jnp.finfo(x.dtype).eps ** 0.75 * size
        return jnp.all(jnp.isfinite(x), -1) & (jnp.abs(jnp.sum(x, -1)) <= tolerance)

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.zeros_like(prototype)


class Point(Tree, constraints.Constraint):
    """One value, of rank `event_dim`."""

    is_discrete = True
    fields = ("value",)
    static = ("event_dim",)

    def __init__(self, value: ArrayLike, event_dim: int = 0):
        self.value, self.event_dim = value, event_dim

    def __call__(self, x: Any) -> Array:
        return jnp.all(x == self.value, axis=tuple(range(-self.event_dim, 0)))

    def feasible_like(self, prototype: Any) -> Array:
        return jnp.broadcast_to(self.value, jnp.shape(prototype))

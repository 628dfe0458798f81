"""Bijections from unconstrained coordinates to supports, as NumPyro transforms.

log-determinants are computed from the unconstrained side, where nothing cancels. Those of vectors
and matrices are with respect to the free coordinates of the density: all but the last of a simplex,
the strictly lower triangle of a correlation matrix or its factor, the lower triangle of a
covariance matrix.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.transforms import Transform, biject_to

from ppl.semantics.distributions.supports import (
    CorrCholesky,
    CorrMatrix,
    Covariance,
    Interval,
    Ordered,
    RealVector,
    Simplex,
    Tree,
    ZeroSum,
    known,
)
from ppl.semantics.functions.casts import real
from ppl.semantics.functions.logarithms import log_sigmoid


class IntervalBijection(Tree, Transform):
    """Reals to [lower, upper], elementwise and increasing: the identity, an exponential from the
    finite end, or a logistic function, as each element's bounds are infinite or not."""

    fields = ("interval",)

    def __init__(self, interval: Interval):
        self.interval = interval

    def _cases(self) -> tuple[Any, Any, Any, Any]:
        """(lower, upper, has a lower, has an upper bound); infinite bounds are replaced by 0, and a
        case known when tracing is a NumPy bool."""
        out = []
        for bound, infinite in ((self.interval.lower, -np.inf), (self.interval.upper, np.inf)):
            if known(bound, infinite):
                out.append((np.zeros(()), np.False_))
            elif isinstance(bound, (int, float)):
                out.append((bound, np.True_))
            else:
                finite = jnp.isfinite(bound)
                out.append((jnp.where(finite, bound, 0), finite))
        (lower, has_lower), (upper, has_upper) = out
        return lower, upper, has_lower, has_upper

    def __call__(self, x: ArrayLike) -> Array:
        x = real(x)
        lower, upper, has_lower, has_upper = self._cases()
        both = has_lower & has_upper
        y = x
        if not known(both, False):
            width = upper - lower
            s = jnp.where(
                x < 0, lower + width * jax.nn.sigmoid(x), upper - width * jax.nn.sigmoid(-x)
            )
            y = jnp.where(both, s, y)
        if not known(has_lower & ~has_upper, False):
            y = jnp.where(
                has_lower & ~has_upper, lower + jnp.exp(_where(has_lower & ~has_upper, x)), y
            )
        if not known(has_upper & ~has_lower, False):
            y = jnp.where(
                has_upper & ~has_lower, upper - jnp.exp(-_where(has_upper & ~has_lower, x)), y
            )
        return y

    def _inverse(self, y: ArrayLike) -> Array:
        y = real(y)
        lower, upper, has_lower, has_upper = self._cases()
        above = jnp.log(jnp.where(has_lower, y - lower, 1.0))
        below = jnp.log(jnp.where(has_upper, upper - y, 1.0))
        return jnp.where(has_lower | has_upper, above - below, y)

    def log_abs_det_jacobian(self, x: ArrayLike, y: Any, intermediates: Any = None) -> Array:
        x = real(x)
        lower, upper, has_lower, has_upper = self._cases()
        both = has_lower & has_upper
        out = jnp.where(has_lower, x, 0.0) - jnp.where(has_upper, x, 0.0)
        if not known(both, False):
            width = jnp.where(both, upper - lower, 1.0)
            out = jnp.where(both, jnp.log(width) + log_sigmoid(x) + log_sigmoid(-x), out)
        return jnp.broadcast_to(out, jnp.broadcast_shapes(x.shape, jnp.shape(out)))


def _where(mask: Any, x: Array) -> Array:
    """x where `mask`, else 0: keeps what is not selected from overflowing."""
    return x if known(mask, True) else jnp.where(mask, x, 0.0)


class OrderedBijection(Tree, Transform):
    """R^n to increasing vectors within bounds.

    Below no upper bound, successive gaps are exponentials. Below one, each element takes a logistic
    fraction of what is left, shifted so that 0 is mapped to equal gaps.
    """

    fields = ("ordered",)

    domain = constraints.real_vector
    codomain = constraints.ordered_vector

    def __init__(self, ordered: Ordered):
        self.ordered = ordered

    def _bounds(self):
        lower, upper = (jnp.asarray(b)[..., None] for b in (self.ordered.lower, self.ordered.upper))
        has_lower, has_upper = jnp.isfinite(lower), jnp.isfinite(upper)
        lower, upper = jnp.where(has_lower, lower, 0.0), jnp.where(has_upper, upper, 0.0)
        return lower, upper, has_lower, has_upper

    def _log_left(self, x: Array) -> tuple[Array, Array, Array]:
        """For an upper bound: log of the fraction of the width (or, without a lower bound, of the
        distance) left above each element, and the shifted coordinates."""
        *_, has_lower, has_upper = self._bounds()
        n = x.shape[-1]
        shifted = jnp.where(has_upper, x - jnp.log(n - jnp.arange(n)), 0.0)
        first = jnp.arange(n) == 0
        free = first & ~has_lower
        steps = jnp.where(free, jnp.where(has_upper, -x, 0.0), log_sigmoid(-shifted))
        return jnp.cumsum(steps, -1), shifted, free

    def __call__(self, x: ArrayLike) -> Array:
        x = real(x)
        lower, upper, has_lower, has_upper = self._bounds()
        first = jnp.arange(x.shape[-1]) == 0
        free = first & ~has_lower
        gaps = jnp.where(free, x, jnp.exp(jnp.where(has_upper | free, 0.0, x)))
        open_above = lower + jnp.cumsum(gaps, -1)
        left, *_ = self._log_left(x)
        width = upper - lower
        bounded = jnp.where(has_lower, lower - width * jnp.expm1(left), upper - jnp.exp(left))
        return jnp.where(has_upper, bounded, open_above)

    def _inverse(self, y: ArrayLike) -> Array:
        y = real(y)
        lower, upper, has_lower, has_upper = self._bounds()
        n = y.shape[-1]
        first = jnp.arange(n) == 0
        before = jnp.concatenate([jnp.broadcast_to(lower, (*y.shape[:-1], 1)), y[..., :-1]], -1)
        free = first & ~has_lower
        gap = jnp.log(jnp.where(free, 1.0, y - before))
        rest = jnp.log(jnp.where(has_upper, upper - y, 1.0))
        shift = jnp.where(free, 0.0, jnp.log(n - jnp.arange(n)))
        return jnp.where(has_upper, gap - rest + shift, jnp.where(free, y, gap))

    def log_abs_det_jacobian(self, x: ArrayLike, y: Any, intermediates: Any = None) -> Array:
        x = real(x)
        lower, upper, has_lower, has_upper = self._bounds()
        left, shifted, free = self._log_left(x)
        width = jnp.where(has_lower & has_upper, upper - lower, 1.0)
        bounded = jnp.log(width) + left + jnp.where(free, 0.0, log_sigmoid(shifted))
        return jnp.sum(jnp.where(has_upper, bounded, jnp.where(free, 0.0, x)), -1)


class SimplexBijection(Tree, Transform):
    """R^(n-1) to the simplex by stick breaking in logarithms; 0 is mapped to the centre.

    The Jacobian is that of the first n - 1 coordinates (Stan Reference Manual, "Unit simplex").
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _logs(self, x: Array) -> tuple[Array, Array]:
        """(log y, log of the fractions of the stick that are left over at each break)."""
        n = x.shape[-1] + 1
        x = x - jnp.log(n - 1 - jnp.arange(n - 1))
        rest = log_sigmoid(-x)
        left = jnp.pad(jnp.cumsum(rest, -1), [(0, 0)] * (x.ndim - 1) + [(1, 0)])
        taken = jnp.pad(log_sigmoid(x), [(0, 0)] * (x.ndim - 1) + [(0, 1)])
        return left + taken, rest

    def __call__(self, x: ArrayLike) -> Array:
        return jnp.exp(self._logs(real(x))[0])

    def _inverse(self, y: ArrayLike) -> Array:
        y = real(y)
        n = y.shape[-1]
        left = jnp.flip(jnp.cumsum(jnp.flip(y, -1), -1), -1)  # y_k + … + y_n
        return jnp.log(y[..., :-1]) - jnp.log(left[..., 1:]) + jnp.log(n - 1 - jnp.arange(n - 1))

    def log_abs_det_jacobian(self, x: ArrayLike, y: Any, intermediates: Any = None) -> Array:
        log_y, rest = self._logs(real(x))
        return jnp.sum(log_y[..., :-1] + rest, -1)

    def forward_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] - 1)


class CorrCholeskyBijection(Tree, Transform):
    """R^(n(n-1)/2) to Cholesky factors of correlation matrices.

    Row i of the strictly lower triangle holds canonical partial correlations tanh(x_ij), each the
    share of what the row's earlier elements leave of its unit length (Lewandowski, Kurowicka and
    Joe 2009).
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky

    def _logs(self, x: Array) -> tuple[Array, Array, Array]:
        """(matrix of x, log sech of it, log of the length left before each column)."""
        n = _order(x.shape[-1])
        rows, columns = np.tril_indices(n, -1)
        matrix = jnp.zeros((*x.shape[:-1], n, n), x.dtype).at[..., rows, columns].set(x)
        magnitude = jnp.abs(matrix)
        log_sech = jnp.log(2.0) - magnitude - jnp.log1p(jnp.exp(-2 * magnitude))
        log_sech = jnp.where(np.tri(n, k=-1, dtype=bool), log_sech, 0.0)
        return matrix, log_sech, jnp.cumsum(log_sech, -1) - log_sech

    def __call__(self, x: ArrayLike) -> Array:
        matrix, _, before = self._logs(real(x))
        n = matrix.shape[-1]
        shares = jnp.where(np.eye(n, dtype=bool), 1.0, jnp.tanh(matrix))
        return jnp.where(np.tri(n, dtype=bool), jnp.exp(before) * shares, 0.0)

    def _inverse(self, y: ArrayLike) -> Array:
        y = real(y)
        n = y.shape[-1]
        square = jnp.where(np.tri(n, dtype=bool), y * y, 0.0)
        left = jnp.flip(jnp.cumsum(jnp.flip(square, -1), -1), -1)  # y_ij^2 + … + y_ii^2
        rows, columns = np.tril_indices(n, -1)
        rest = jnp.sqrt(left[..., rows, columns + 1])
        return jnp.arcsinh(y[..., rows, columns] / rest)

    def log_abs_det_jacobian(self, x: ArrayLike, y: Any, intermediates: Any = None) -> Array:
        x = real(x)
        _, log_sech, before = self._logs(x)
        lower = np.tri(log_sech.shape[-1], k=-1, dtype=bool)
        return jnp.sum(jnp.where(lower, before + 2 * log_sech, 0.0), (-2, -1))

    def forward_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        n = _order(shape[-1])
        return (*shape[:-1], n, n)

    def inverse_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        n = shape[-1]
        return (*shape[:-2], n * (n - 1) // 2)


class CorrMatrixBijection(CorrCholeskyBijection):
    """R^(n(n-1)/2) to correlation matrices, through their Cholesky factors."""

    codomain = constraints.corr_matrix

    def __call__(self, x: ArrayLike) -> Array:
        factor = super().__call__(x)
        product = factor @ jnp.swapaxes(factor, -1, -2)
        return jnp.where(np.eye(factor.shape[-1], dtype=bool), 1.0, product)

    def _inverse(self, y: ArrayLike) -> Array:
        return super()._inverse(jnp.linalg.cholesky(real(y)))

    def log_abs_det_jacobian(self, x: ArrayLike, y: Any, intermediates: Any = None) -> Array:
        x = real(x)
        to_factor = super().log_abs_det_jacobian(x, None)
        log_sech = self._logs(x)[1]
        # d(corr)/d(factor), row by row: the j-th diagonal element counts once for each later row
        n = log_sech.shape[-1]
        log_diagonal = jnp.sum(log_sech, -1)
        return to_factor + jnp.sum(log_diagonal * (n - 1 - np.arange(n)), -1)


def _order(free: int) -> int:
    """n, given the number n(n-1)/2 of elements below the diagonal of an n by n matrix."""
    return (1 + round((1 + 8 * free) ** 0.5)) // 2


class CovarianceBijection(Tree, Transform):
    """R^(n(n+1)/2) to covariance matrices, through their Cholesky factors with logarithms on the
    diagonal."""

    domain = constraints.real_vector
    codomain = constraints.positive_definite

    def __call__(self, x: ArrayLike) -> Array:
        x = real(x)
        n = _order(x.shape[-1]) - 1
        matrix = jnp.zeros((*x.shape[:-1], n, n), x.dtype).at[..., *np.tril_indices(n)].set(x)
        factor = jnp.where(np.eye(n, dtype=bool), jnp.exp(matrix), matrix)
        return factor @ jnp.swapaxes(factor, -1, -2)

    def _inverse(self, y: ArrayLike) -> Array:
        factor = jnp.linalg.cholesky(real(y))
        n = factor.shape[-1]
        diagonal = np.eye(n, dtype=bool)
        logs = jnp.where(diagonal, jnp.log(jnp.where(diagonal, factor, 1.0)), factor)
        return logs[..., *np.tril_indices(n)]

    def log_abs_det_jacobian(self, x: ArrayLike, y: Any, intermediates: Any = None) -> Array:
        # row i of the factor has i + 1 free elements, each scaled by the diagonal elements after it
        x = real(x)
        n = _order(x.shape[-1]) - 1
        i = np.arange(n)
        return jnp.sum((n + 1 - i) * x[..., i * (i + 3) // 2], -1) + n * np.log(2.0)

    def forward_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        n = _order(shape[-1]) - 1
        return (*shape[:-1], n, n)

    def inverse_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        n = shape[-1]
        return (*shape[:-2], n * (n + 1) // 2)


class ZeroSumBijection(Tree, Transform):
    """R^(n-1) to vectors that sum to 0, a rotation: coordinate k is along (1, …, 1, -(k + 1), 0, …)
    (Stan Reference Manual, "Zero sum vector")."""

    domain = constraints.real_vector
    codomain = constraints.zero_sum(1)

    def __call__(self, x: ArrayLike) -> Array:
        x = real(x)
        k = np.arange(x.shape[-1])
        w = x / np.sqrt((k + 1.0) * (k + 2.0))
        edge = [(0, 0)] * (x.ndim - 1)
        rest = jnp.flip(jnp.cumsum(jnp.flip(w, -1), -1), -1)
        return jnp.pad(rest, [*edge, (0, 1)]) - jnp.pad((k + 1) * w, [*edge, (1, 0)])

    def _inverse(self, y: ArrayLike) -> Array:
        y = real(y)
        k = np.arange(y.shape[-1] - 1)
        before = jnp.cumsum(y[..., :-1], -1)
        return (before - (k + 1) * y[..., 1:]) / np.sqrt((k + 1.0) * (k + 2.0))

    def log_abs_det_jacobian(self, x: ArrayLike, y: Any, intermediates: Any = None) -> Array:
        x = real(x)
        return jnp.zeros(x.shape[:-1], x.dtype)

    def forward_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] - 1)


class RealVectorBijection(Tree, Transform):
    """The identity on vectors."""

    domain = constraints.real_vector
    codomain = constraints.real_vector

    def __call__(self, x: ArrayLike) -> Array:
        return real(x)

    def _inverse(self, y: ArrayLike) -> Array:
        return real(y)

    def log_abs_det_jacobian(self, x: ArrayLike, y: Any, intermediates: Any = None) -> Array:
        x = real(x)
        return jnp.zeros(x.shape[:-1], x.dtype)


for _constraint, _make in (
    (Interval, IntervalBijection),
    (Ordered, OrderedBijection),
    (Simplex, lambda _: SimplexBijection()),
    (CorrCholesky, lambda _: CorrCholeskyBijection()),
    (CorrMatrix, lambda _: CorrMatrixBijection()),
    (Covariance, lambda _: CovarianceBijection()),
    (ZeroSum, lambda _: ZeroSumBijection()),
    (RealVector, lambda _: RealVectorBijection()),
):
    biject_to.register(_constraint, _make)

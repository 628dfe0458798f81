"""Laws of covariance matrices, and of vectors that sum to zero: see `distributions.constrained`."""

from __future__ import annotations

import math
from math import log, pi
from typing import Any

import numpy as np

from ppl.semantics.machine.distributions import samplers
from ppl.semantics.machine.distributions.family import Family, finite, positive
from ppl.semantics.machine.distributions.multivariate import (
    Vector,
    cholesky,
    nested,
    normals,
    solve,
)
from ppl.semantics.machine.omega import Generator


def _log_det(root: np.ndarray) -> float:
    return 2 * float(np.log(np.diagonal(root)).sum())


def _log_constant(nu: float, n: int) -> float:
    """log of 2^(nu n / 2) and the multivariate gamma function of nu / 2."""
    gammas = math.fsum(math.lgamma(0.5 * (nu - i)) for i in range(n))
    return 0.5 * nu * n * log(2) + 0.25 * n * (n - 1) * log(pi) + gammas


def _wishart_density(x: Any, nu: float, s: Any) -> float:
    n, root, scale = len(s), cholesky(x), cholesky(s)
    return (
        0.5 * (nu - n - 1) * _log_det(root)
        - 0.5 * float(np.square(solve(scale, root)).sum())
        - 0.5 * nu * _log_det(scale)
        - _log_constant(nu, n)
    )


def _inv_wishart_density(x: Any, nu: float, s: Any) -> float:
    n, root, scale = len(s), cholesky(x), cholesky(s)
    return (
        -0.5 * (nu + n + 1) * _log_det(root)
        - 0.5 * float(np.square(solve(root, scale)).sum())
        + 0.5 * nu * _log_det(scale)
        - _log_constant(nu, n)
    )


def _standard_factor(g: Generator, nu: float, n: int) -> np.ndarray:
    """The Cholesky factor of a Wishart(nu, identity) matrix (Bartlett 1933): normals below square
    roots of chi-squares."""
    factor = np.zeros((n, n))
    for i in range(n):
        factor[i, :i] = normals(g, i)
        factor[i, i] = math.sqrt(2) * math.exp(0.5 * samplers.log_gamma(g, 0.5 * (nu - i)))
    return factor


def _wishart_draw(u: float, z: int, nu: float, s: Any) -> Any:
    root = cholesky(s) @ _standard_factor(Generator(z), nu, len(s))
    return nested(root @ root.T)


def _inv_wishart_draw(u: float, z: int, nu: float, s: Any) -> Any:
    root = solve(_standard_factor(Generator(z), nu, len(s)), cholesky(s).T)
    return nested(root.T @ root)


def _freedom(nu: float, s: Any) -> bool:
    return len(s) - 1 < nu < math.inf


def _is_symmetric(x: Any, nu: float, s: Any) -> bool:
    a = np.asarray(x, float)
    return a.shape == (len(s), len(s)) and bool(np.isfinite(a).all()) and np.allclose(a, a.T)


def _zero_sum_density(x: Vector, n: int, sigma: float) -> float:
    squares = math.fsum((v / sigma) ** 2 for v in x)
    return -0.5 * squares - (n - 1) * (log(sigma) + 0.5 * log(2 * pi))


def _zero_sum_draw(u: float, z: int, n: int, sigma: float) -> Vector:
    white = normals(Generator(z), n)
    return nested(sigma * (white - white.mean()))


def _sums_to_zero(x: Vector, n: int, sigma: float) -> bool:
    inside = len(x) == n and all(map(finite, x))
    return inside and abs(math.fsum(x)) <= 1e-10 * n * (1 + max(map(abs, x)))


CONSTRAINED: dict[str, Family] = {
    f.name: f
    for f in (
        Family("wishart", _wishart_density, _wishart_draw, _freedom, _is_symmetric),
        Family("inv_wishart", _inv_wishart_density, _inv_wishart_draw, _freedom, _is_symmetric),
        Family(
            "zero_sum_normal",
            _zero_sum_density,
            _zero_sum_draw,
            lambda n, sigma: n >= 1 and positive(sigma),
            _sums_to_zero,
        ),
    )
}

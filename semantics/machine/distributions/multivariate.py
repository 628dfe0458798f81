"""Families over vectors and matrices, and base measures. NumPy arrays inside, tuples outside.

Densities are with respect to the coordinates that `semantics.distributions` uses: of a simplex all
but the last, of a correlation matrix or factor the strictly lower triangle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf, log, pi
from typing import Any

import numpy as np

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions import samplers
from ppl.semantics.machine.distributions.family import (
    MAX_VALUES,
    Family,
    always,
    finite,
    positive,
    too_many,
    whole,
)
from ppl.semantics.machine.omega import Generator

Vector = tuple[float, ...]


def nested(a: np.ndarray) -> Any:
    """An array as tuples of Python numbers."""
    return tuple(map(nested, a)) if a.ndim > 1 else tuple(a.tolist())


def _vector(x: Any, mu: Any) -> bool:
    return len(x) == len(mu) and all(map(finite, x))


def normals(g: Generator, n: int) -> np.ndarray:
    return np.array([samplers.standard_normal(g) for _ in range(n)])


def solve(factor: np.ndarray, b: np.ndarray) -> np.ndarray:
    from scipy.linalg import solve_triangular

    return solve_triangular(factor, b, lower=True)


def cholesky(matrix: Any) -> np.ndarray:
    """The lower Cholesky factor. Raises ArithmeticError where there is none."""
    try:
        return np.linalg.cholesky(np.asarray(matrix, float))
    except np.linalg.LinAlgError:
        raise ArithmeticError from None


def _lower(matrix: Any) -> np.ndarray:
    factor = np.tril(np.asarray(matrix, float))
    if not (np.diagonal(factor) > 0).all():
        raise ArithmeticError
    return factor


def _normal(name: str, factor: Callable[[Any], np.ndarray], *, precision: bool = False) -> Family:
    def density(x: Vector, mu: Vector, matrix: Any) -> float:
        root = factor(matrix)
        centred = np.subtract(x, mu)
        white = root.T @ centred if precision else solve(root, centred)
        log_det = float(np.log(np.diagonal(root)).sum())
        return (
            -0.5 * float(white @ white)
            + (log_det if precision else -log_det)
            - 0.5 * len(x) * log(2 * pi)
        )

    def draw(u: float, z: int, mu: Vector, matrix: Any) -> Vector:
        root = factor(matrix)
        white = normals(Generator(z), len(mu))
        moved = np.linalg.solve(root.T, white) if precision else root @ white
        return nested(np.asarray(mu) + moved)

    return Family(name, density, draw, always, lambda x, mu, matrix: _vector(x, mu))


def _student_density(x: Vector, nu: float, mu: Vector, matrix: Any) -> float:
    root, n = _lower(matrix), len(x)
    white = solve(root, np.subtract(x, mu))
    return (
        math.lgamma(0.5 * (nu + n))
        - math.lgamma(0.5 * nu)
        - 0.5 * n * log(nu * pi)
        - float(np.log(np.diagonal(root)).sum())
        - 0.5 * (nu + n) * math.log1p(float(white @ white) / nu)
    )


def _student_draw(u: float, z: int, nu: float, mu: Vector, matrix: Any) -> Vector:
    g = Generator(z)
    white = normals(g, len(mu))
    scale = math.sqrt(0.5 * nu) * math.exp(-0.5 * samplers.log_gamma(g, 0.5 * nu))
    return nested(np.asarray(mu) + scale * (_lower(matrix) @ white))


# ---------------------------------------------------------------------------------------- simplices


def _on_simplex(x: Any, *_: Any) -> bool:
    return all(v >= 0 for v in x) and abs(math.fsum(x) - 1) < 1e-6


def _dirichlet_density(x: Vector, alpha: Vector) -> float:
    powers = math.fsum(special.xlogy(a - 1, v) for a, v in zip(alpha, x, strict=True))
    return powers - math.fsum(map(math.lgamma, alpha)) + math.lgamma(math.fsum(alpha))


def _dirichlet_draw(u: float, z: int, alpha: Vector) -> Vector:
    g = Generator(z)
    logs = [samplers.log_gamma(g, a) for a in alpha]
    total = special.log_sum_exp(logs)
    return tuple(max(math.exp(x - total), samplers.TINY) for x in logs)


# ------------------------------------------------------------------------------------------ counts


def _counts(x: Any, n: int, p: Any) -> bool:
    return len(x) == len(p) and sum(x) == n and all(k >= 0 and whole(k) for k in x)


def _compositions(n: int, parts: int) -> list[tuple[int, ...]]:
    """Every way to write n as an ordered sum of `parts` counts."""
    if math.comb(n + parts - 1, n) > MAX_VALUES:
        raise too_many(math.comb(n + parts - 1, n))
    if parts == 1:
        return [(n,)]
    return [(k, *rest) for k in range(n + 1) for rest in _compositions(n - k, parts - 1)]


def _multinomial_values(n: int, p: Any) -> list[tuple[Any, Any]]:
    total = sum(p)
    out = []
    for counts in _compositions(n, len(p)):
        mass: Any = math.factorial(n)
        for k in counts:
            mass = mass // math.factorial(k)
        for k, w in zip(counts, p, strict=True):
            mass = mass * (w / total) ** k
        out.append((counts, mass))
    return out


def _multinomial_density(x: Any, n: int, p: Vector) -> float:
    total = math.fsum(p)
    return math.lgamma(n + 1) + math.fsum(
        special.xlogy(k, w / total) - math.lgamma(k + 1) for k, w in zip(x, p, strict=True)
    )


def _multinomial_draw(u: float, z: int, n: int, p: Vector) -> tuple[int, ...]:
    """Successive binomials, each given what is left."""
    g, left, rest, out = Generator(z), n, math.fsum(p), []
    for w in p[:-1]:
        k = samplers.binomial(g.uniform(), g, left, min(max(w / rest, 0.0), 1.0)) if rest > 0 else 0
        out.append(k)
        left, rest = left - k, rest - w
    return (*out, left)


def _dirichlet_multinomial_density(x: Any, n: int, alpha: Vector) -> float:
    total = math.fsum(alpha)
    out = math.lgamma(n + 1) + math.lgamma(total) - math.lgamma(n + total)
    for k, a in zip(x, alpha, strict=True):
        out += math.lgamma(k + a) - math.lgamma(a) - math.lgamma(k + 1)
    return out


def _dirichlet_multinomial_draw(u: float, z: int, n: int, alpha: Vector) -> tuple[int, ...]:
    return _multinomial_draw(u, z ^ 1, n, _dirichlet_draw(u, z, alpha))


def _weights(n: int, p: Any) -> bool:
    return n >= 0 and all(0 <= w < inf for w in p) and sum(p) > 0


# ----------------------------------------------------------------------------- correlation matrices


def _lkj_log_constant(n: int, eta: float) -> float:
    """log of ∫ det(R)^(eta - 1) dR (Lewandowski, Kurowicka and Joe 2009, equation 16)."""
    total = 0.0
    for k in range(1, n):
        b = eta + 0.5 * (n - k - 1)
        total += (2 * eta - 2 + n - k) * (n - k) * log(2.0) + (n - k) * special.lbeta(b, b)
    return total


def _lkj_cholesky_density(x: Any, n: int, eta: float) -> float:
    powers = (n - i - 1 + 2 * eta - 2 for i in range(1, n))
    logs = (log(x[i][i]) for i in range(1, n))
    return math.fsum(a * b for a, b in zip(powers, logs, strict=True)) - _lkj_log_constant(n, eta)


def _onion(z: int, n: int, eta: float) -> np.ndarray:
    """The onion method of the same paper: rows of beta length squared and uniform direction."""
    g = Generator(z)
    factor = np.eye(n)
    beta = eta + 0.5 * (n - 2)
    for i in range(1, n):
        square = samplers.beta(g, 0.5 * i, beta)
        direction = normals(g, i)
        factor[i, :i] = math.sqrt(square) * direction / np.linalg.norm(direction)
        factor[i, i] = math.sqrt(1 - square)
        beta -= 0.5
    return factor


def _correlations(z: int, n: int, eta: float) -> Any:
    factor = _onion(z, n, eta)
    out = factor @ factor.T
    np.fill_diagonal(out, 1.0)
    return nested(out)


def _is_factor(x: Any, n: int, eta: float) -> bool:
    a = np.asarray(x, float)
    return (
        a.shape == (n, n)
        and np.allclose(a, np.tril(a))
        and bool((np.diagonal(a) > 0).all())
        and np.allclose((a * a).sum(1), 1, atol=1e-6)
    )


def _is_correlation(x: Any, n: int, eta: float) -> bool:
    a = np.asarray(x, float)
    return a.shape == (n, n) and np.allclose(a, a.T) and np.allclose(np.diagonal(a), 1, atol=1e-6)


# ------------------------------------------------------------------------------------ base measures


def _ordered(x: Any, n: int, lo: float, hi: float) -> bool:
    inside = all(lo <= v <= hi for v in x)
    return len(x) == n and inside and all(a < b for a, b in zip(x, x[1:], strict=False))


def _lebesgue(name: str, legal: Callable[..., bool], inside: Callable[..., bool]) -> Family:
    return Family(name, lambda x, *args: 0.0, None, legal, inside)


MULTIVARIATE: dict[str, Family] = {
    f.name: f
    for f in (
        _normal("multi_normal", cholesky),
        _normal("multi_normal_prec", cholesky, precision=True),
        _normal("multi_normal_cholesky", _lower),
        Family(
            "multi_student_t",
            _student_density,
            _student_draw,
            lambda nu, mu, root: positive(nu),
            lambda x, nu, mu, root: _vector(x, mu),
        ),
        Family(
            "dirichlet",
            _dirichlet_density,
            _dirichlet_draw,
            lambda alpha: all(map(positive, alpha)),
            lambda x, alpha: len(x) == len(alpha) and _on_simplex(x),
        ),
        Family(
            "multinomial",
            _multinomial_density,
            _multinomial_draw,
            _weights,
            _counts,
            values=_multinomial_values,
            discrete=True,
        ),
        Family(
            "dirichlet_multinomial",
            _dirichlet_multinomial_density,
            _dirichlet_multinomial_draw,
            lambda n, alpha: n >= 0 and all(map(positive, alpha)),
            _counts,
            discrete=True,
        ),
        Family(
            "lkj_corr_cholesky",
            _lkj_cholesky_density,
            lambda u, z, n, eta: nested(_onion(z, n, eta)),
            lambda n, eta: n >= 1 and positive(eta),
            _is_factor,
        ),
        Family(
            "lkj_corr",
            lambda x, n, eta: (
                2 * (eta - 1) * float(np.log(np.diagonal(cholesky(x))).sum())
                - _lkj_log_constant(n, eta)
            ),
            lambda u, z, n, eta: _correlations(z, n, eta),
            lambda n, eta: n >= 1 and positive(eta),
            _is_correlation,
        ),
        _lebesgue("flat", lambda lo, hi: lo < hi, lambda x, lo, hi: lo <= x <= hi and finite(x)),
        _lebesgue("flat_ordered", lambda n, lo, hi: n >= 0 and lo < hi, _ordered),
        _lebesgue("flat_simplex", lambda n: n >= 1, lambda x, n: len(x) == n and _on_simplex(x)),
    )
}

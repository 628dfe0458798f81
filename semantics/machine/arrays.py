"""The rows of the table of primitives on arrays, which are tuples.

Total on their types but for statistics of too few numbers, and sizes that do not fit. Linear
algebra goes through NumPy, imported when first needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from ppl.semantics.machine import special
from ppl.semantics.machine.maps import MAPS
from ppl.semantics.machine.scalars import SCALAR, div, inf, nan
from ppl.semantics.machine.texts import TEXTS
from ppl.semantics.statistics import too_few


def lifted(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` applied to each element of its array arguments; a scalar goes with anything."""

    def lift(*args: Any) -> Any:
        arrays = [a for a in args if type(a) is tuple]
        if not arrays:
            return f(*args)
        n = len(arrays[0])
        if any(len(a) != n for a in arrays):
            shown = " and ".join(str(len(a)) for a in arrays)
            raise ShapeError(f"arrays of different lengths: {shown}")
        if len(args) == 1:
            return tuple([lift(x) for x in args[0]])
        return tuple([lift(*[a[i] if type(a) is tuple else a for a in args]) for i in range(n)])

    return lift


class ShapeError(Exception):
    """Arrays whose sizes do not fit."""


class TooFew(ShapeError):
    """Fewer numbers than a statistic needs."""

    def __init__(self, op: str, problem: str):
        super().__init__(problem)
        self.op = op


def leaves(xs: Any) -> list[Any]:
    """All numbers in an array of any rank."""
    if xs and type(xs[0]) is tuple:
        return [v for x in xs for v in leaves(x)]
    return list(xs)


def total(xs: Any) -> Any:
    out = leaves(xs)
    return math.fsum(out) if out and type(out[0]) is float else sum(out)


def enough(op: str, n: int) -> None:
    """Raise TooFew unless a statistic of n numbers is one."""
    if (problem := too_few(op, n)) is not None:
        raise TooFew(op, problem)


def mean(xs: Any) -> float:
    out = leaves(xs)
    enough("mean", len(out))
    return div(total(xs), len(out))


def variance(xs: Any, op: str = "var") -> float:
    out = leaves(xs)
    enough(op, len(out))
    m = mean(xs)
    return div(math.fsum((x - m) ** 2 for x in out), len(out) - 1)


def _extremum(pick: Callable[..., Any], empty: float) -> Callable[[Any], Any]:
    def reduce(xs: Any) -> Any:
        out = leaves(xs)
        return nan if any(x != x for x in out) else pick(out, default=empty)

    return reduce


def concat(xs: Any, ys: Any) -> Any:
    return xs + ys


def cumulative(f: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    def running(xs: Any) -> Any:
        out: list[Any] = []
        for x in xs:
            out.append(f(out[-1], x) if out else x)
        return tuple(out)

    return running


def linspace(lo: float, hi: float, n: int) -> Any:
    """n evenly spaced numbers; both ends are exact; n = 1 gives lo."""
    steps = [i / max(n - 1, 1) for i in range(n)]
    return tuple(lo + t * (hi - lo) if t < 0.5 else hi - (1 - t) * (hi - lo) for t in steps)


def softmax(xs: Any) -> Any:
    top = max(xs)
    weights = [math.exp(x - top) for x in xs]
    mass = math.fsum(weights)
    return tuple(w / mass for w in weights)


def log_softmax(xs: Any) -> Any:
    mass = special.log_sum_exp(xs)
    return tuple(x - mass for x in xs)


def dot(a: Any, b: Any) -> Any:
    if len(a) != len(b):
        raise ShapeError(f"vectors of different lengths: {len(a)} and {len(b)}")
    out: Any = 0
    for x, y in zip(a, b, strict=True):
        out = out + x * y
    return out


def matmul(a: Any, b: Any, rank_a: int, rank_b: int) -> Any:
    """Products of vectors and matrices. A matrix without rows does not show that it is one."""
    if rank_b == 2:
        columns = transpose(b)
        if rank_a == 2:
            return tuple(tuple(dot(row, column) for column in columns) for row in a)
        return tuple(dot(a, column) for column in columns)
    if rank_a == 2:
        return tuple(dot(row, b) for row in a)
    return dot(a, b)


def transpose(xs: Any) -> Any:
    return tuple(zip(*xs, strict=True))


def flatten(xs: Any) -> Any:
    return tuple(x for row in xs for x in row)


def identity(n: int) -> Any:
    return tuple(tuple(int(i == j) for j in range(n)) for i in range(n))


def _linear(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy arrays; where it fails, NaN, which no density survives."""

    def apply(*args: Any) -> Any:
        import numpy as np

        arrays = [np.asarray(a, float) for a in args]
        try:
            out = np.asarray(f(np, *arrays))
        except np.linalg.LinAlgError:
            shape = arrays[-1].shape
            out = np.full(shape, nan)
        return _tuples(out.tolist())

    return apply


def _tuples(x: Any) -> Any:
    return tuple(map(_tuples, x)) if type(x) is list else x


def _triangular(np: Any, lower: Any, b: Any) -> Any:
    from scipy.linalg import solve_triangular

    return solve_triangular(lower, b, lower=True)


def first(better: Callable[[Any, Any], bool]) -> Callable[[Any], int]:
    def where(xs: Any) -> int:
        best = 0
        for i in range(1, len(xs)):
            if better(xs[i], xs[best]):
                best = i
        return best

    return where


WHOLE: dict[str, Callable[..., Any]] = {
    "sum": total,
    "prod": lambda xs: math.prod(leaves(xs)),
    "mean": mean,
    "var": variance,
    "sd": lambda xs: math.sqrt(variance(xs, "sd")),
    "minimum": _extremum(min, inf),
    "maximum": _extremum(max, -inf),
    "logsumexp": lambda xs: special.log_sum_exp(leaves(xs)),
    "any": lambda xs: any(leaves(xs)),
    "all": lambda xs: all(leaves(xs)),
    "count": lambda xs: sum(leaves(xs)),
    "len": len,
    "range": lambda n: tuple(range(n)),
    "range_from": lambda lo, hi: tuple(range(lo, hi)),
    "enumerate": lambda xs: tuple(enumerate(xs)),
    "concat": concat,
    "reverse": lambda xs: xs[::-1],
    "repeat": lambda x, n: (x,) * n,
    "transpose": transpose,
    "flatten": flatten,
    "zeros": lambda n: (0,) * n,
    "ones": lambda n: (1,) * n,
    "linspace": linspace,
    "cumsum": cumulative(lambda a, b: a + b),
    "cumprod": cumulative(lambda a, b: a * b),
    "diff": lambda xs: tuple(b - a for a, b in zip(xs, xs[1:], strict=False)),
    "sort": lambda xs: tuple(sorted(xs)),
    "argmin": first(lambda a, b: a < b),
    "argmax": first(lambda a, b: a > b),
    "softmax": softmax,
    "log_softmax": log_softmax,
    "one_hot": lambda i, n: tuple(int(j == i) for j in range(n)),
    "dot": dot,
    "outer": lambda a, b: tuple(tuple(x * y for y in b) for x in a),
    "matmul": matmul,
    "diag": lambda d: tuple(
        tuple(x if i == j else 0 * x for j in range(len(d))) for i, x in enumerate(d)
    ),
    "diagonal": lambda a: tuple(row[i] for i, row in enumerate(a)),
    "identity": identity,
    "add_diag": lambda a, d: tuple(
        tuple(x + d if i == j else x for j, x in enumerate(row)) for i, row in enumerate(a)
    ),
    "trace": lambda a: total(tuple(row[i] for i, row in enumerate(a))),
    "cholesky": _linear(lambda np, a: np.linalg.cholesky(a)),
    "solve": _linear(lambda np, a, b: np.linalg.solve(a, b)),
    "solve_triangular": _linear(_triangular),
    "inverse": _linear(lambda np, a: np.linalg.inv(a)),
    "log_det": _linear(lambda np, a: np.linalg.slogdet(a)[1]),
    **TEXTS,
    **{f"map_{name}": f for name, f in MAPS.items()},
}


@cache
def elementwise(op: str) -> Callable[..., Any]:
    """An elementwise row on arrays."""
    return lifted(SCALAR[op])

"""Gaussian processes as random functions: values drawn where they are asked for, given the others.

`gaussian_process(mean, kernel)` run once is a memoised function (`memoise`). Asked for a value at a
new input x it draws from

    normal(mean(x) + w·z, sqrt(kernel(x, x) - w·w)),      L w = (kernel(x, x_1), …, kernel(x, x_n)),

where x_1, …, x_n are the inputs asked before, L the lower Cholesky factor of their covariance and
z = L^-1 (values - means): the conditional law given the values so far, so that the values at any
inputs, asked in any order, are jointly normal with this mean and covariance. L grows by the row
(w, standard deviation) (Rasmussen & Williams, *Gaussian Processes for Machine Learning*, 2006,
section 2.2 and A.4). The n-th value costs O(n²).

Rows are kept in the run's table of memoised draws, which is never changed, only extended: so a
particle's copy of the process shares them.
"""

from __future__ import annotations

import math
from typing import Any

from ppl.semantics import types as T
from ppl.semantics.machine.distributions import family_of
from ppl.semantics.machine.memoise import found_at, key_of, memoised
from ppl.semantics.machine.state import State

_NORMAL = family_of("normal", T.Dist(T.REAL))
#: relative to kernel(x, x): a smaller conditional variance is zero, one below its negative an error
_ROUNDING = 1e-10


class Indefinite(Exception):
    """A kernel that is not positive semidefinite."""


def gaussian_process(s: State, m: Any, path: Any) -> Any:
    """Run `gaussian_process(mean, kernel)`: a random function."""
    _, _, _, mean, kernel = m
    h = path if type(path) is int else path[0]
    return memoised(
        s, (_conditional, _conditional_block, _conditional_block, mean, kernel, h), path
    )


def gaussian_process_block(s: State, k: Any, v: Any) -> Any:
    return k[1], gaussian_process(s, k[2], k[3])


def _conditional(s: State, c: Any, x: Any) -> Any:
    """The law of the value at an input that was not asked for before."""
    _, _, _, mean, kernel, h = c
    apply = s.code.apply
    row: list[float] = []
    rows = 0
    at = float(apply(s, mean, (x,)))
    variance = own = float(apply(s, kernel, (x, x)))
    while (known := found_at(s, (h, ("asked", rows)))) is not None:
        other, others, centre, sd = known
        rows += 1
        value = found_at(s, key_of(h, (other,)))
        shared = float(apply(s, kernel, (x, other)))
        explained = math.fsum(a * b for a, b in zip(others, row, strict=True))
        weight = (shared - explained) / sd if sd else 0.0
        row.append(weight)
        at += weight * ((value - centre) / sd) if sd else 0.0
        variance -= weight * weight
    if variance < -_ROUNDING * 100 * abs(own) or not own >= 0:
        raise Indefinite(
            f"the kernel of a Gaussian process is not positive semidefinite: at its input number "
            f"{rows + 1} the conditional variance would be {variance:.3g}"
        )
    sd = math.sqrt(variance) if variance > _ROUNDING * own else 0.0
    s.fresh[h, ("asked", rows)] = (x, tuple(row), at, sd)
    return _draw, _draw_block, _draw_block, _NORMAL, (at, sd)


def _conditional_block(s: State, k: Any, v: Any) -> Any:
    return k[1], _conditional(s, k[2], k[3])


def _draw(s: State, m: Any, path: Any) -> Any:
    at, sd = m[4]
    return s.draw(path, _NORMAL, (at, sd)) if sd else at


def _draw_block(s: State, k: Any, v: Any) -> Any:
    return k[1], _draw(s, k[2], k[3])

"""From the rows of the table of signatures to distributions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from math import pi
from typing import Any

import jax
import jax.numpy as jnp
from numpyro.distributions import constraints

from ppl.semantics import jax_compat
from ppl.semantics.distributions.base_measures import BASE_MEASURES
from ppl.semantics.distributions.constrained import CONSTRAINED
from ppl.semantics.distributions.counts import COUNTS
from ppl.semantics.distributions.discrete import DISCRETE
from ppl.semantics.distributions.family import Family, Member
from ppl.semantics.distributions.half_line import HALF_LINE
from ppl.semantics.distributions.intervals import INTERVALS
from ppl.semantics.distributions.law import Checks, Law
from ppl.semantics.distributions.line import LINE
from ppl.semantics.distributions.multivariate import MULTIVARIATE
from ppl.semantics.distributions.skewed import SKEWED
from ppl.semantics.distributions.supports import (
    Booleans,
    CorrCholesky,
    CorrMatrix,
    Counts,
    Covariance,
    Integers,
    Interval,
    RealVector,
    Simplex,
    ZeroSum,
)
from ppl.semantics.signatures import PRIMITIVES, Distribution

CONTINUOUS: dict[str, Family] = LINE | HALF_LINE | INTERVALS | SKEWED
FAMILIES: dict[str, Family] = CONTINUOUS | DISCRETE | COUNTS | MULTIVARIATE | CONSTRAINED

#: the constraints that rows name, of the parameters they mention
SUPPORTS: dict[str, Callable[..., constraints.Constraint]] = {
    "real": lambda: Interval(),
    "positive": lambda: Interval(0.0),
    "unit_interval": lambda: Interval(0.0, 1.0),
    "circular": lambda: Interval(-pi, pi),
    "at_least": lambda lower: Interval(lower),
    "interval": Interval,
    "bool": Booleans,
    "nat": lambda: Integers(0),
    "up_to": lambda n: Integers(0, n),
    "int_interval": Integers,
    "drawn": lambda n, a, b: Integers(jnp.maximum(n - b, 0), jnp.minimum(n, a)),
    "index": lambda weights: Integers(0, weights.shape[-1] - 1),
    "index_cuts": lambda cuts: Integers(0, cuts.shape[-1]),
    "counts": Counts,
    "real_vector": RealVector,
    "simplex": Simplex,
    "corr_cholesky": CorrCholesky,
    "corr_matrix": CorrMatrix,
    "cov_matrix": Covariance,
    "zero_sum": ZeroSum,
}


@cache
def _support_of(name: str) -> Callable[..., constraints.Constraint]:
    """A row's constraint, as a function of all its arguments in order.

    Rows whose constraint mentions parameters use these as they stand (no canonical form).
    """
    row = PRIMITIVES[name]
    assert isinstance(row, Distribution)
    constraint, _, inner = row.support.removesuffix(")").partition("(")
    places = [row.params.index(p) for p in inner.split(",") if p]
    make = SUPPORTS[constraint]
    return lambda *args: make(*(args[i] for i in places))


def make(name: str, args: tuple[Any, ...], *, checks: Checks = "all") -> Law:
    """The distribution of row `name` (any but a combinator).

    Each argument has batch dimensions, which broadcast, before the event dimensions of the row's
    signature; static arguments are Python ints. Illegal parameters give a law whose log density is
    -infinity everywhere (`valid` is false), unless `checks` leaves them out (see `Law`).
    """
    if name in BASE_MEASURES:
        return BASE_MEASURES[name](*args)
    row = PRIMITIVES[name]
    assert isinstance(row, Distribution)
    # constants of finite laws stay constants while tracing: they may say how many values there are
    known = row.finite and all(jax_compat.is_concrete(a) for a in args)
    with jax.ensure_compile_time_eval() if known else nullcontext():
        return Member(
            name, FAMILIES[name], args, _support_of(name), finite=row.finite, checks=checks
        )

"""Conjugate families: what an observation adds to a prior's hyperparameters.

Each likelihood is known by its *statistics*, which are added up over observations; the posterior
is the prior's family at hyperparameters updated by their sums. (Diaconis & Ylvisaker, Conjugate
priors for exponential families, Ann. Statist. 7(2), 1979.)

A normal prior's observations are normal with a mean that is affine in the site. Their statistics
are taken about the prior's mean m: precision and gradient of the log-likelihood there, which keeps
its digits where data are far from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ppl.semantics import ir
from ppl.semantics.passes.conjugacy.build import (
    ONE,
    ZERO,
    as_type,
    minus,
    number,
    op,
    over,
    plus,
    times,
)
from ppl.semantics.passes.conjugacy.linear import WHOLE, At, Kind, Linear

Args = tuple[ir.Value, ...]


@dataclass(frozen=True)
class Use:
    """An observation: its distribution's arguments, its value, and how the parameter that the
    site enters by depends on it (for a normal: how the mean less the value does)."""

    args: Args
    value: ir.Value
    form: Linear


@dataclass(frozen=True)
class Likelihood:
    """parameter: the argument that the site enters by. kind: the most general form it may have.
    statistics: of one observation, and the element of the site that they belong to."""

    parameter: int
    kind: Kind
    statistics: Callable[[Use], tuple[Args, At]]


@dataclass(frozen=True)
class Family:
    """A prior. posterior: hyperparameters after statistics are added. mean: a value inside the
    support for hyperparameters, which varies smoothly with them."""

    prior: str
    likelihoods: Mapping[str, Likelihood]
    posterior: Callable[[Args, Args], Args]
    mean: Callable[[Args], ir.Value]

    @property
    def takes(self) -> str:
        """The likelihoods, for messages."""
        return ", ".join(self.likelihoods)


def _counted(f: Callable[[Use], Args]) -> Callable[[Use], tuple[Args, At]]:
    return lambda use: (f(use), use.form.at)


# --------------------------------------------------------------------------------------- beta


def _flip(u: Use) -> Args:
    return op("indicator", u.value), op("indicator", op("not", u.value))


def _successes(u: Use) -> Args:
    return u.value, op("max", minus(u.args[0], u.value), ZERO)


_BETA = Family(
    "beta",
    {
        "bernoulli": Likelihood(0, "itself", _counted(_flip)),
        "binomial": Likelihood(1, "itself", _counted(_successes)),
        "geometric": Likelihood(0, "itself", _counted(lambda u: (ONE, u.value))),
    },
    lambda h, s: (plus(h[0], s[0]), plus(h[1], s[1])),
    lambda h: over(h[0], plus(h[0], h[1])),
)

# -------------------------------------------------------------------------------------- gamma


def _gamma(u: Use) -> Args:
    return u.args[0], times(u.form.slope, u.value)


_GAMMA = Family(
    "gamma",
    {
        "poisson": Likelihood(0, "multiple", _counted(lambda u: (u.value, u.form.slope))),
        "exponential": Likelihood(
            0, "multiple", _counted(lambda u: (ONE, times(u.form.slope, u.value)))
        ),
        "gamma": Likelihood(1, "multiple", _counted(_gamma)),
    },
    lambda h, s: (plus(h[0], s[0]), plus(h[1], s[1])),
    lambda h: over(h[0], h[1]),
)

# ---------------------------------------------------------------------------------- dirichlet


def _category(u: Use) -> tuple[Args, At]:
    return (ONE,), u.value


_DIRICHLET = Family(
    "dirichlet",
    {
        "categorical": Likelihood(0, "itself", _category),
        "multinomial": Likelihood(1, "itself", lambda u: ((u.value,), WHOLE)),
    },
    lambda h, s: (plus(h[0], s[0]),),
    lambda h: over(h[0], op("sum", h[0])),
)

# ------------------------------------------------------------------------------------- normal


def _normal(residual: ir.Value, u: Use) -> Args:
    """Precision, and gradient at the reference, of log N(residual; 0, sd)."""
    slope, sd = u.form.slope, u.args[1]
    per = over(slope, op("square", sd))
    return over(op("square", slope), op("square", sd)), times(per, residual)


def _log_normal(u: Use) -> Args:
    return _normal(minus(op("log", u.value), u.args[0]), u)


def _updated(h: Args, s: Args) -> Args:
    mean, sd = h
    precision = plus(over(ONE, op("square", sd)), s[0])
    return plus(mean, over(s[1], precision)), over(ONE, op("sqrt", precision))


_NORMAL = Family(
    "normal",
    {
        "normal": Likelihood(
            0, "affine", _counted(lambda u: _normal(minus(u.value, u.args[0]), u))
        ),
        "lognormal": Likelihood(0, "affine", _counted(_log_normal)),
    },
    _updated,
    lambda h: h[0],
)

FAMILIES: Mapping[str, Family] = {f.prior: f for f in (_BETA, _GAMMA, _DIRICHLET, _NORMAL)}

#: how many elements a statistic of a family has for one of the site
STATISTICS: Mapping[str, int] = {"beta": 2, "gamma": 2, "dirichlet": 1, "normal": 2}

_LOG_ROOT_TAU = 0.9189385332046727  # log(2 pi) / 2


def minus_log_density(family: Family, args: Args, at: ir.Value) -> ir.Value:
    """Less the log density of the posterior at its own mean: a number, or an array of them."""
    if family.prior == "normal":
        return minus(op("log", args[1]), number(-_LOG_ROOT_TAU))
    dist = op(family.prior, *args)
    return op("neg", op("log_prob", dist, as_type(at, dist.type.item)))  # type: ignore[attr-defined]

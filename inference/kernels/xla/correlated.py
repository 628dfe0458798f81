"""Random numbers of a compiled filter that are moved a little, rather than drawn anew.

Every draw of a run, of ancestors too, is a function of standard normal numbers: on the line its
quantile at Φ(x), of finitely many values that at which their running sum passes Φ(x), of normal
vectors the standardised vector. The numbers stand in one vector, in the order in which the program
reads them, which no choice changes. A move takes each x to ρ x + sqrt(1 - ρ²) ε, ε standard normal,
which is reversible for the standard normal law. So two estimates have errors in common, which
cancel from their ratio.

Deligiannidis, Doucet and Pitt, "The correlated pseudomarginal method" (2018); Dahlin, Lindsten,
Kronander and Schön, "Accelerating pseudo-marginal Metropolis-Hastings by correlating auxiliary
variables" (2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr
from numpyro.distributions import Distribution, Independent

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.distributions.family import Member
from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.pieces import Pieces
from ppl.semantics.distributions.point import Dirac
from ppl.semantics.distributions.repeats import Repeats
from ppl.semantics.jax_compat import constant
from ppl.semantics.noise import push
from ppl.semantics.omega import Path

#: a shape to so many numbers that were not read before
Take = Callable[[tuple[int, ...]], Any]


def moved(numbers: Any, correlation: float, new: Any) -> Any:
    """Standard normal numbers that have this correlation with others, by `new` ones."""
    return correlation * numbers + math.sqrt(1 - correlation**2) * new


@partial(jax.tree_util.register_dataclass, data_fields=["numbers", "used"], meta_fields=[])
@dataclass(frozen=True)
class Numbers:
    """A source of randomness that reads `numbers`, of which so many are `used`; zeros instead, if
    there are None. Where a mask says that a draw is not taken its numbers are read all the same."""

    numbers: Any
    used: Any

    @staticmethod
    def of(numbers: Any) -> Numbers:
        return Numbers(numbers, jnp.zeros((), int))

    def draw(
        self, path: Path, dist: Any, shape: tuple[int, ...], *, where: Any = None
    ) -> tuple[Numbers, Any]:
        """Raises E882 for a law that has no map from numbers."""
        source = self

        def take(shape: tuple[int, ...]) -> Any:
            nonlocal source
            begin, count = source.used, math.prod(shape)
            source = replace(source, used=begin + count)
            if self.numbers is None:
                return jnp.zeros(shape)
            return jnp.reshape(jax.lax.dynamic_slice(self.numbers, (begin,), (count,)), shape)

        value = by_numbers(dist.expand(shape), take)
        if value is None:
            name = getattr(dist, "name", type(dist).__name__)
            raise _unmoved(f"a draw from `{name}` is no function of normal numbers", path)
        return source, value

    def enter(self, t: Any) -> Numbers:
        return self

    def leave(self, inner: Numbers) -> Numbers:
        return inner

    def foreign_key(self, path: Path) -> Any:
        raise _unmoved("code that takes a key makes a draw", path)

    @property
    def has_room(self) -> Any:
        """Asked for by loops without a bound."""
        raise _unmoved("how many numbers a loop reads is random", ())


def count_of(run: Callable[..., Numbers], *arguments: Any) -> int:
    """How many numbers are read by a run on a source, whatever its other arguments; it is not run.

    Raises:
        DiagnosticError: E882, it cannot be run by numbers.
    """
    return int(constant(lambda *args: run(Numbers.of(None), *args).used, *arguments))


def by_numbers(law: Distribution, take: Take) -> Any:
    """A draw, as a function of normal numbers; None if there is none."""
    match law:
        case Independent(base_dist=base):  # whose batch has the event's dimensions
            return by_numbers(base, take)
        case Repeats(base=base, n=n):
            each = by_numbers(base.expand((n, *law.batch_shape)), take)
            return None if each is None else jnp.moveaxis(each, 0, len(law.batch_shape))
        case Pieces():
            return _level(take(law.batch_shape))
        case Dirac():
            return jnp.broadcast_to(law.value, (*law.batch_shape, *law.event_shape))
        case Member(name="normal", parameters=(mu, sigma)):
            return mu + sigma * take(law.batch_shape)
        case Member(name="multi_normal" | "multi_normal_prec" | "multi_normal_cholesky"):
            return push(law, take((*law.batch_shape, *law.event_shape)))
    if D.is_finite(law):
        return _listed(law, _level(take(law.batch_shape)))
    if law.event_shape or not isinstance(law, Law):
        return None
    x = take(law.batch_shape)
    try:
        return law.quantile(log_ndtr(x), log_ndtr(-x))
    except DiagnosticError:  # it has none
        return None


def _level(x: Any) -> Any:
    """Φ(x), below 1."""
    return jnp.minimum(ndtr(x), 1 - 0.5 * jnp.finfo(x.dtype).eps)


def _listed(law: Distribution, u: Any) -> Any:
    """The first value at which the running sum of probabilities is above u."""
    values, log_p = D.support_values(law)  # (K, *batch, *event), (K, *batch)
    p = jnp.exp(log_p)
    upto = jnp.cumsum(p, axis=0)
    total = jnp.where(upto[-1] > 0, upto[-1], 1)
    numbers = jnp.arange(p.shape[0]).reshape((-1,) + (1,) * len(law.batch_shape))
    last = jnp.max(jnp.where(p > 0, numbers, 0), axis=0)  # the sum may be rounded down
    k = jnp.minimum(jnp.sum(u >= upto / total, axis=0), last)
    k = k[(None, ...) + (None,) * len(law.event_shape)]
    return jnp.take_along_axis(values, k, axis=0)[0]


def _unmoved(why: str, path: Path) -> DiagnosticError:
    at = f" (`{'/'.join(path)}`)" if path else ""
    return fail(
        "E882",
        f"the random numbers of this filter cannot be moved: {why}{at}",
        hint="leave the choice of the engine to the compiler: engine='auto'; or set correlation=0",
    )

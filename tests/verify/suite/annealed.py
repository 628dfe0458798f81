"""What goes from prior to posterior by temperatures, or by fitted proposals, as subjects of checks.

Both work on points of a space and know no program. Here a point is the number of an execution of a
program, the last one standing for all of weight zero; their probabilities and scores are data, so
that programs of as many executions share compiled code. Populations, their moves and their weights
are those of the production code, over all tapes: what they mean is a measure, which is the
program's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from unittest.mock import patch

import jax.numpy as jnp
import numpy as np

from ppl.inference import adaptive_importance
from ppl.inference.annealing import Annealing, Bridge, Rejuvenate, anneal
from ppl.inference.movers import Mover, Walkers, accept
from ppl.inference.rejuvenate import resample_move, waste_free
from ppl.inference.resample import Resample
from ppl.semantics import distributions as D
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import precision
from ppl.verify import Enumeration
from ppl.verify.runnable import Runnable

#: (bridge, states, omega) -> (omega, points (n, 1), log weights (n,))
Population = Callable[["Bridge", int, Any], tuple[Any, Any, Any]]
#: particles, and temperatures after 0
PARTICLES, LADDER = 3, (0.4, 1.0)
LIMIT = 100_000


class States(NamedTuple):
    """The logarithms of probabilities and of scores, of each execution (m,)."""

    prior: Any
    scores: Any

    def bridge(self) -> Bridge:
        """On their numbers, as rows (n, 1)."""

        def start(omega: Any, n: int) -> Any:
            law = D.make("categorical", (jnp.exp(self.prior),)).expand((n,))
            omega, k = omega.draw(("", "start"), law, (n,))
            return omega, k[:, None].astype(float), jnp.zeros(n)

        def log_density(x: Any, t: Any) -> Any:
            k = x[:, 0].astype(int)
            return self.prior[k] + jnp.where(t > 0, t * self.scores[k], 0.0)

        return Bridge(start, log_density, affine=True)


def means(population: Population) -> Enumeration:
    """E[Σ w δ_x] of a population, over all tapes."""

    @lru_cache(maxsize=32)
    def paths(m: int) -> Enumerator:
        def run(states: States, tape: Any) -> Any:
            tape, x, log_weights = population(states.bridge(), m, tape)
            return (x, log_weights), tape

        return Enumerator(run, length=32, batches=(1024,), quick=True)

    def measure(model: Runnable) -> Any:
        law = model.law(LIMIT)
        executions = list(law.executions.values())
        scores = np.array([e.log_weight for e in executions])
        prior = np.array(list(law.masses.values())) * np.exp(-scores)
        rest = max(1 - prior.sum(), 0.0) if abs(1 - prior.sum()) > 1e-9 else 0.0
        with precision(), np.errstate(divide="ignore"):
            states = States(np.log([*prior, rest]), np.array([*scores, -math.inf]))
            found = paths(len(executions) + 1)(states, limit=LIMIT)
        x, log_weights = found.outputs
        masses = np.exp(found.log_probability)[:, None] * np.exp(log_weights)
        total = np.bincount(x.astype(int).ravel(), masses.ravel(), len(executions) + 1)
        assert total[-1] == 0
        return [(e, math.log(w)) for e, w in zip(executions, total, strict=False)]

    return Enumeration(measure)


def walk(states: int) -> Mover:
    """To the next state or the one before, of all particles alike."""

    def step(omega: Any, target: Any, walkers: Walkers, tuning: Any, scale: Any) -> Any:
        omega, up = omega.draw(("", "way"), D.make("bernoulli", (0.5,)), ())
        there = walkers.x + jnp.where(up, 1.0, -1.0)
        inside = (there[:, 0] >= 0) & (there[:, 0] < states)
        there = jnp.clip(there, 0, states - 1)
        proposed = Walkers(there, jnp.where(inside, target(there), -jnp.inf))
        return accept(omega, walkers, proposed, proposed.log_density - walkers.log_density)

    nothing = jnp.zeros(())
    return Mover(
        lambda x, weights: nothing, lambda target, x: Walkers(x, target(x)), step,
        lambda x, y, tuning: nothing + 1, 0.5,
    )  # fmt: skip


def annealed(rejuvenate: Callable[[Mover], Rejuvenate]) -> Callable[[Any], Enumeration]:
    """A population that follows the ladder of temperatures."""

    def population(bridge: Bridge, states: int, omega: Any) -> Any:
        mover = walk(states)
        how = Annealing(
            bridge, rejuvenate(mover), mover.tune, PARTICLES, len(LADDER), np.asarray(LADDER)
        )
        omega, found = anneal(how, omega, None)
        return omega, found.x, found.log_weights

    subject = means(population)
    return lambda program: subject


def tempered(mover: Mover) -> Rejuvenate:
    """As `tempered_smc`."""
    return resample_move(mover, Resample("systematic", 0.9), 1)


def ais(mover: Mover) -> Rejuvenate:
    """Never resampled."""
    return resample_move(mover, Resample("systematic", 0.0), 1)


def wasteless(mover: Mover) -> Rejuvenate:
    """One of the particles is the first of a chain, whose states are all kept."""
    return waste_free(mover, 1)


def fitted(bridge: Bridge, states: int, omega: Any) -> Any:
    """What adaptive importance sampling returns: draws from the prior and from a proposal that was
    fitted to an earlier draw, which is forgotten. The proposal is a table, half flat."""
    flat = D.make("categorical", (jnp.full(states, 1 / states),))
    omega, seen = omega.draw(("", "seen"), flat, ())
    q = 0.5 / states + 0.5 * (jnp.arange(states) == seen)
    omega, starts, _ = bridge.start(omega, 1)
    after: list[Any] = []

    def draw(omega: Any, q: Any, n: int) -> Any:
        law = D.make("categorical", (q,)).expand((n,))
        omega, k = omega.draw(("", "proposed"), law, (n,))
        after[:] = [omega]
        return omega, k[:, None].astype(float)

    def log_density(q: Any, x: Any) -> Any:
        return jnp.log(q[x[:, 0].astype(int)])

    with patch.multiple(adaptive_importance, draw=draw, log_density=log_density):
        legal, n = jnp.ones(1, bool), PARTICLES
        x, log_weights = adaptive_importance.weighted(bridge, omega, q, starts, legal, n - 1)
    return after[0], x, log_weights - jnp.log(n)


ADAPTIVE = means(fitted)


def adaptive(program: Any) -> Enumeration:
    return ADAPTIVE

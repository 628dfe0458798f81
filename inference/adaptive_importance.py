"""Importance sampling from a proposal that is fitted to the posterior first.

In rounds, draws from the proposals so far are weighted by the density over the mixture of all these
proposals, and the next one is fitted to all draws (Cornuet, Marin, Mira and Robert, "Adaptive
multiple importance sampling", 2012). The first proposal is the prior. What is returned are fresh
draws, from the last proposal and, a tenth of them, from the prior, weighted by the density over
that mixture: so weights are bounded where the likelihood is.

Law: `ProperlyWeighted`. Given the rounds, whose draws are forgotten, the proposal is fixed.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from ppl.inference.annealing import Bridge
from ppl.inference.checkpoint import Checkpoint
from ppl.inference.cut import Cuts
from ppl.inference.population import Population
from ppl.inference.populations import bridge_of
from ppl.inference.student_mixture import StudentMixture, draw, fitted, log_density, started
from ppl.inference.temperatures import next_temperature
from ppl.inference.weighted import Importance
from ppl.semantics import keys
from ppl.semantics.density import Density
from ppl.semantics.diagnostics import fail
from ppl.semantics.omega import Key
from ppl.semantics.processes import fetched
from ppl.semantics.weighted import Weighted

Array = Any
Omega = Any

#: the share of the prior in the last mixture
DEFENSIVE = 0.1
#: effective draws that a fit should have for every coordinate of a component
PER_COORDINATE = 10
#: steps of a fit
STEPS = 3


def run_adaptive(
    density: Density,
    data: Any,
    settings: Importance,
    *,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> Weighted:
    """Weighted positions in free coordinates, led by the draw. With a `checkpoint` it goes on at
    the round where an earlier process was killed. Raises E801 if a site has no sampler, E814 if
    none is continuous, E898 if the checkpoint is of another run."""
    if density.size == 0:
        raise fail(
            "E814",
            "there is no continuous site to fit a proposal for",
            hint="leave `rounds` out, or use `exact`",
        )
    arguments = data, keys.seed_words(seed)
    saved = checkpoint and checkpoint.begin(precision=str(jnp.result_type(float)))
    run = _compiled(density, settings)(*arguments)
    z, log_weights = jax.device_get(fetched(run(*arguments, checkpoint=saved)))
    return Weighted(density.unflatten(z), log_weights)


@lru_cache(maxsize=64)
def _compiled(density: Density, settings: Importance) -> Cuts:
    """(data, seed) to the draws, cut at the rounds."""

    def run(data: Any, seed: Any) -> tuple[Array, Array]:
        bridge, omega = bridge_of(density, data), Key(keys.wrap(seed))
        return sample(bridge, omega, settings)

    return Cuts(run)


def sample(bridge: Bridge, omega: Omega, settings: Importance) -> tuple[Array, Array]:
    """Positions (particles, d) and their log weights, of which the mean is the evidence."""
    n, rounds = settings.particles, settings.rounds
    some = math.ceil(DEFENSIVE * n)
    _, starts, log_weights = bridge.start(omega.enter(0), n // rounds + some)
    legal = log_weights > -jnp.inf
    fit = (starts[some:], legal[some:])
    q = adapted(bridge, omega, *fit, rounds, settings.components)
    return weighted(bridge, omega.enter(rounds), q, starts[:some], legal[:some], n - some)


def adapted(
    bridge: Bridge, omega: Omega, first: Array, legal: Array, rounds: int, components: int
) -> StudentMixture:
    """The proposal after so many rounds of n draws each, the first of which is given: (n, d) from
    the prior, of no weight where they are not legal."""
    n = first.shape[0]
    wanted = PER_COORDINATE * first.shape[1] * components
    q = started(first, jnp.full(n, 1 / n), jnp.arange(components))

    def room(row: Array) -> Array:
        return jnp.zeros((rounds, *row.shape), row.dtype)

    # the draws of every round, the densities of target and prior there, and all proposals so far
    draws = (room(first), room(first[:, 0]), room(first[:, 0]))
    past = jax.tree.map(lambda a: jnp.broadcast_to(a, (rounds, *a.shape)), q)
    made = jnp.arange(rounds)

    def round_of(r: Array, carry: Any) -> Any:
        q, past, (xs, targets, priors) = carry
        past = jax.tree.map(lambda all_of_them, new: all_of_them.at[r].set(new), past, q)
        _, x = draw(omega.enter(r), q, n)
        x = jnp.where(r == 0, first, x)
        target = bridge.log_density(x, jnp.ones(()))
        xs = xs.at[r].set(x)
        targets = targets.at[r].set(jnp.where((r == 0) & ~legal, -jnp.inf, target))
        priors = priors.at[r].set(bridge.log_density(x, jnp.zeros(())))
        everywhere = xs.reshape(-1, xs.shape[-1])
        over = jax.lax.map(lambda q: log_density(q, everywhere), past)
        over = jnp.where(((made >= 1) & (made <= r))[:, None], over, -jnp.inf)
        mixture = logsumexp(jnp.concatenate([priors.reshape(1, -1), over]), axis=0)
        ratio = jnp.where(made[:, None] <= r, targets, -jnp.inf).reshape(-1) - mixture
        weights = tamed(ratio, wanted)
        q = jax.lax.fori_loop(0, STEPS, lambda _, q: fitted(q, everywhere, weights), q)
        return q, past, (xs, targets, priors)

    q, _, _ = jax.lax.fori_loop(0, rounds, round_of, (q, past, draws))
    return q


def tamed(log_weights: Array, wanted: int) -> Array:
    """Normalised weights: as they are if they are worth `wanted` draws, else a power of them that
    is. So the first fits, to few good draws, do not collapse."""
    n = log_weights.shape[0]
    log_weights = jnp.where(jnp.isnan(log_weights), -jnp.inf, log_weights)
    possible = jnp.sum(log_weights > -jnp.inf)
    share = jnp.minimum(wanted / jnp.maximum(possible, 1), 0.9)
    flat = Population(jnp.full(n, -math.log(n)))
    t = next_temperature(jnp.zeros(()), flat, lambda s: s * log_weights, share=share)
    return flat.scored(t * log_weights).weights


def weighted(
    bridge: Bridge, omega: Omega, q: StudentMixture, starts: Array, legal: Array, n: int
) -> tuple[Array, Array]:
    """Draws from the prior and n from the proposal, and the log weights of all."""
    _, rest = draw(omega, q, n)
    x = jnp.concatenate([starts, rest])
    prior, target = (bridge.log_density(x, jnp.asarray(t)) for t in (0.0, 1.0))
    share = len(starts) / len(x)
    mixture = jnp.logaddexp(math.log(share) + prior, math.log1p(-share) + log_density(q, x))
    ratio = target - mixture
    possible = jnp.concatenate([legal, jnp.ones(n, bool)]) & ~jnp.isnan(ratio)
    return x, jnp.where(possible, ratio, -jnp.inf)

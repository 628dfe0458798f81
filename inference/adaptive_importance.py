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
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from ppl.inference.annealing import Bridge
from ppl.inference.chains import seed_words
from ppl.inference.importance import WeightedDraws
from ppl.inference.population import Population
from ppl.inference.rejuvenate import few
from ppl.inference.student_mixture import StudentMixture, draw, fitted, log_density, started
from ppl.inference.temperatures import next_temperature
from ppl.inference.tempered import bridge_of
from ppl.inference.weighted import Importance
from ppl.semantics.density import Density
from ppl.semantics.diagnostics import fail
from ppl.semantics.omega import Key

Array = Any
Omega = Any

#: the share of the prior in the last mixture
DEFENSIVE = 0.1
#: effective draws that a fit should have for every coordinate of a component
PER_COORDINATE = 10


def run_adaptive(density: Density, data: Any, settings: Importance, *, seed: int) -> WeightedDraws:
    """Weighted positions in free coordinates, led by the draw. Raises E801 if a site has no
    sampler, E814 if none is continuous."""
    if density.size == 0:
        raise fail(
            "E814",
            "there is no continuous site to fit a proposal for",
            hint="leave `rounds` out, or use `exact`",
        )
    z, log_weights = jax.device_get(_compiled(density, settings)(data, seed_words(seed)))
    return WeightedDraws(density.unflatten(z), log_weights)


@lru_cache(maxsize=64)
def _compiled(density: Density, settings: Importance) -> Callable[..., Any]:
    def run(data: Any, seed: Any) -> tuple[Array, Array]:
        bridge, omega = bridge_of(density, data), Key(jax.random.wrap_key_data(seed))
        n, rounds = settings.particles // settings.rounds, settings.rounds
        q = adapted(bridge, omega, n, rounds, settings.components)
        return weighted(bridge, omega.enter(rounds), q, settings.particles)

    return jax.jit(run)


def adapted(bridge: Bridge, omega: Omega, n: int, rounds: int, components: int) -> StudentMixture:
    """The proposal after so many rounds of n draws each, the first from the prior."""
    inner, first, log_weights = bridge.start(omega.enter(0), n)
    wanted = PER_COORDINATE * first.shape[1] * components
    prior, target = (bridge.log_density(first, jnp.asarray(t)) for t in (0.0, 1.0))
    target = jnp.where(log_weights > -jnp.inf, target, -jnp.inf)
    weights = tamed(target - prior, wanted)
    inner, at = few(inner, weights, components)
    q = fitted(started(first, weights, at), first, weights)

    def room(row: Array, blank: float) -> Array:
        return jnp.full((rounds, *row.shape), blank, row.dtype).at[0].set(row)

    # the draws of every round, the densities of target and prior there, and all proposals so far
    draws = (room(first, 0.0), room(target, -jnp.inf), room(prior, 0.0))
    past = jax.tree.map(lambda a: jnp.broadcast_to(a, (rounds, *a.shape)), q)

    def following(r: Array, carry: Any) -> Any:
        q, past, (xs, targets, priors) = carry
        past = jax.tree.map(lambda all_of_them, new: all_of_them.at[r].set(new), past, q)
        _, x = draw(omega.enter(r), q, n)
        xs = xs.at[r].set(x)
        targets = targets.at[r].set(bridge.log_density(x, jnp.ones(())))
        priors = priors.at[r].set(bridge.log_density(x, jnp.zeros(())))
        made = jnp.arange(rounds)
        used = (made >= 1) & (made <= r)
        everywhere = xs.reshape(-1, xs.shape[-1])
        over = jax.vmap(lambda q: log_density(q, everywhere))(past)
        over = jnp.where(used[:, None], over, -jnp.inf)
        mixture = logsumexp(jnp.concatenate([priors.reshape(1, -1), over]), axis=0)
        ratio = jnp.where(made[:, None] <= r, targets, -jnp.inf).reshape(-1) - mixture
        weights = tamed(ratio, wanted)
        return fitted(q, everywhere, weights), past, (xs, targets, priors)

    q, _, _ = jax.lax.fori_loop(1, rounds, following, (q, past, draws))
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


def weighted(bridge: Bridge, omega: Omega, q: StudentMixture, n: int) -> tuple[Array, Array]:
    """n draws from prior and proposal, and their log weights; positions (n, d)."""
    some = math.ceil(DEFENSIVE * n)
    omega, defensive, log_weights = bridge.start(omega, some)
    omega, rest = draw(omega, q, n - some)
    x = jnp.concatenate([defensive, rest])
    prior, target = (bridge.log_density(x, jnp.asarray(t)) for t in (0.0, 1.0))
    share = some / n
    mixture = jnp.logaddexp(math.log(share) + prior, math.log1p(-share) + log_density(q, x))
    legal = jnp.concatenate([log_weights, jnp.zeros(n - some)]) > -jnp.inf
    ratio = target - mixture
    return x, jnp.where(legal & ~jnp.isnan(ratio), ratio, -jnp.inf)

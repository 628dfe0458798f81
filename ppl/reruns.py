"""Executions run again on XLA: what `ppl.prior`, `ppl.predict`, `ppl.log_likelihood` and
`ppl.counterfactual` do there. Apart from them, because it imports JAX, which the machine does
without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.executions import is_observation, named, observed, posterior_of
from ppl.holes import Holes
from ppl.inference.counterfactual import imagined
from ppl.posterior import Posterior
from ppl.replays import gathered, replay, to_replay
from ppl.semantics.precision import precision
from ppl.semantics.xla.faults import raise_faults
from ppl.semantics.xla.fixed import as_data
from ppl.semantics.xla.program import ALL
from ppl.semantics.xla.state import State
from ppl.semantics.xla.steps import by_name
from ppl.semantics.xla.values import RValue
from ppl.settings import Setting, together
from ppl.target import Target


def simulated(
    target: Target, sites: Any, shape: tuple[int, int], seed: int, *, method: str
) -> Posterior:
    """Runs forward with the choices `sites`, each (chain, draw, …), observations drawn."""
    n, (running, filled) = shape[0] * shape[1], to_replay(target, sites)
    with precision():
        known, seen, result = replay(
            running,
            filled,
            sites,
            n,
            seed=seed,
            salt=0xF0,
            observe=_everything,
            record=ALL,
            predict=True,
        )
        drawn = {k: v for k, v in known.items() if not is_observation(k)}
        if method == "predict":
            drawn = {k: v for k, v in drawn.items() if _is_hole(k, target.holes)}
        about = {"model": target.name, "method": method, "settings": {}, "seed": seed}
        made = posterior_of(running, {**drawn, **seen}, result, n, shape, **about)
    return replace(made, target=target)


def _everything(result: RValue, state: State) -> RValue:
    return named(state), observed(state), result


def _is_hole(path: str, holes: Sequence[Holes]) -> bool:
    """Whether a site is where values missing in the data were drawn."""
    return any(h.dimensions(path) is not None for h in holes)


def predicted_on_xla(posterior: Posterior, target: Target, seed: int) -> Posterior:
    """Runs forward with the choices of a posterior's draws, as many as it has."""
    if posterior.log_weights is not None:
        posterior = posterior.resample(int(np.prod(posterior.shape)), seed=seed)
    sites = gathered(posterior.draws)
    return simulated(target, sites, posterior.shape, seed, method="predict")


def likelihood_on_xla(posterior: Posterior, target: Target, seed: int) -> dict[str, np.ndarray]:
    """The log probability of every observation given the choices of each draw: see
    `ppl.likelihood.log_likelihood`."""
    shape, sites = posterior.shape, gathered(posterior.draws)
    n, (running, filled) = shape[0] * shape[1], to_replay(target, sites)
    with precision():
        found = replay(
            running,
            filled,
            sites,
            n,
            seed=seed,
            salt=0xF1,
            observe=_scores,
            record=frozenset(("elements",)),
        )
        scores = {k: np.asarray(v.data) for k, v in by_name(found).items()}
    made = {k: np.where(np.isnan(v), 0.0, v) for k, v in scores.items()}
    return {k: v.reshape(*shape, *v.shape[1:]) for k, v in made.items()}


def _scores(_: RValue, state: State) -> RValue:
    return observed(state)


def imagined_on_xla(
    target: Target, settings: Sequence[Setting], seen: Posterior, seed: int
) -> Posterior:
    """The executions of `seen` as they would have been, had `settings` been made besides those of
    `target`: see `ppl.counterfactual`."""
    with precision():
        values, result = _worlds(target, settings, seen, seed)
        about = {
            k: getattr(seen, k)
            for k in ("stats", "log_weights", "evidence", "evidence_se", "method", "settings")
        }
        n = int(np.prod(seen.shape))
        return posterior_of(target, values, result, n, seen.shape, seed=seed, **about)


def _worlds(target: Target, settings: Sequence[Setting], seen: Posterior, seed: int) -> Any:
    n = int(np.prod(seen.shape))
    sites = {k: np.reshape(v, (n, *np.shape(v)[2:])) for k, v in seen.draws.items()}
    fixed, values = as_data(together(settings))
    found, result, faults = imagined(
        target.bound, target.data, sites, n, fixed, values, seed=seed, observe=_world
    )
    weights = None if seen.log_weights is None else np.reshape(seen.log_weights, n)
    raise_faults(faults, weights=weights)
    return found, result


def _world(result: Any, state: Any) -> Any:
    """The choices and names of a run, and its observations by name."""
    known = {k: v for k, v in named(state).items() if not is_observation(k)}
    return {**observed(state), **known}, result, state.faults

"""Forward simulation: draws from the prior, and predictions of new observations.

Both run the program forward with observations drawn instead of scored. A prediction takes the
random choices of a posterior where it has them and draws the others: see `ppl.replays`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.engines import left_xla, went_over
from ppl.holes import Holes
from ppl.methods import checked_count, checked_seed
from ppl.model import UNFIT, Target, checked_target
from ppl.posterior import Posterior
from ppl.replays import gathered, replay, to_replay
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.precision import precision
from ppl.semantics.xla.program import ALL
from ppl.semantics.xla.state import State
from ppl.semantics.xla.values import RValue
from ppl.simulate import predict_on_machine, prior_on_machine
from ppl.xla import is_observation, named, observed, posterior_of


def prior(target: Target, *, draws: int = 1000, seed: int = 0) -> Posterior:
    """Independent runs of the model forward, scores ignored: the law of every site and of the
    observations before any of them is seen.

    Raises:
        DiagnosticError: E801, a site has a density but no sampler.
    """
    target, seed = checked_target("prior", target), checked_seed(seed)
    draws = checked_count("draws", draws)
    if target.model.engine.name == "machine":
        return prior_on_machine(target, draws, seed)
    try:
        return _simulate(target, {}, (1, draws), seed, method="prior")
    except DiagnosticError as error:
        (problem, *_) = error.diagnostics
        if problem.code not in UNFIT:
            raise
        return went_over(prior_on_machine(target, draws, seed), problem)


def predict(posterior: Posterior, target: Target, *, seed: int = 0) -> Posterior:
    """New observations for every draw of a posterior; by name, each (chain, draw, …).

    Weighted draws are first resampled, as many as there are. Sites that the posterior does not
    have, or has for other sizes, are drawn from the model given the rest; programs that run on the
    machine take them path by path, so that other data have to number groups in the same way.
    """
    target, seed = checked_target("predict", target), checked_seed(seed)
    if not isinstance(posterior, Posterior):
        raise fail(
            "E817",
            f"`predict` needs a posterior, not {type(posterior).__name__}",
            hint="infer one first: predict(infer(target, method), target)",
        )
    if target.model.engine.name == "machine" or left_xla(posterior):
        return predict_on_machine(posterior, target, seed)
    if posterior.log_weights is not None:
        posterior = posterior.resample(int(np.prod(posterior.shape)), seed=seed)
    sites = gathered(posterior.draws)
    return _simulate(target, sites, posterior.shape, seed, method="predict")


def _simulate(
    target: Target, sites: Any, shape: tuple[int, int], seed: int, *, method: str
) -> Posterior:
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

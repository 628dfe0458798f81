"""The log-likelihood of each observation, in every draw of a posterior.

What leave-one-out cross-validation and WAIC are made of (Vehtari, Gelman & Gabry, "Practical
Bayesian model evaluation using leave-one-out cross-validation and WAIC", 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppl.engines import left_xla
from ppl.holes import Holes
from ppl.methods import checked_seed
from ppl.posterior import Posterior
from ppl.simulate import likelihood_on_machine
from ppl.target import Target, checked_target


def log_likelihood(posterior: Posterior, target: Target, *, seed: int = 0) -> dict[str, np.ndarray]:
    """The log probability (density) of every observation given the choices of each draw.

    By name, each (chain, draw, …) of the shape of what was observed, independent elements of
    arrays apart: `observe y ~ normal(m, s)` gives one number for each y. An observation that a run
    did not make, and a value missing in the data, count 0; `factor` is no observation.
    Discrete choices count as they were drawn, also those that inference summed out.

    Choices that the posterior does not have, or has for other sizes, are drawn from the model given
    the rest, so that other data can be scored.
    """
    target, seed = checked_target("log_likelihood", target).itself, checked_seed(seed)
    if target.model.engine.name == "machine" or left_xla(posterior) or target.beyond is not None:
        return _without_holes(target.holes, likelihood_on_machine(posterior, target, seed))
    from ppl.reruns import likelihood_on_xla  # imports JAX

    return _without_holes(target.holes, likelihood_on_xla(posterior, target, seed))


def _without_holes(holes: Sequence[Holes], scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores of what was there."""
    missing = {h.leaf.name: h.missing for h in holes}
    same = {k for k, m in missing.items() if k in scores and scores[k].shape[2:] == m.shape}
    return {k: np.where(missing[k], 0.0, v) if k in same else v for k, v in scores.items()}

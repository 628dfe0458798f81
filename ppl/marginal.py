"""`Posterior.marginal`: the law of some of the values that a posterior is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ppl.inference.marginal import marginal as merged
from ppl.posterior import Posterior


def marginal(posterior: Posterior, names: Sequence[str]) -> Posterior:
    """The draws of these names alone; of a posterior that is enumerated, each value once.

    Raises:
        DiagnosticError: E891, there is no such site or element.
    """
    draws = {name: posterior[name] for name in names}
    sites = {name.partition("[")[0] for name in names}
    found = replace(
        posterior,
        draws=draws,
        result=None,
        stats=posterior.stats,
        log_weights=posterior.log_weights,
        marginals={k: v for k, v in posterior.marginals.items() if k in sites},
        points={},
        standing=None,
    )
    if not posterior.exact:
        return found
    columns = [array[0].reshape(len(array[0]), -1).tolist() for array in draws.values()]
    parts = [repr(row) for row in zip(*columns, strict=True)]  # what is missing equals itself
    where, masses = merged(parts, np.asarray(posterior.log_weights, float)[0])
    kept = {name: array[:, where] for name, array in draws.items()}
    return replace(found, draws=kept, log_weights=masses[None])

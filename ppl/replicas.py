"""Independent filters of one target as one posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ppl.inference.population import relative_error
from ppl.posterior import Posterior


def joined(filters: Sequence[Posterior]) -> Posterior:
    """The first, with the mean of the evidence of all and its standard error; and with all of them
    where they stand, if they can go on. Law: the mean of unbiased estimates is one."""
    first, *others = filters
    logs = np.array([f.log_evidence for f in filters])
    mean = float(np.logaddexp.reduce(logs) - np.log(len(logs)))
    standing = None
    if first.standing is not None:
        bare = {"draws": {}, "result": None, "log_weights": None, "points": {}}
        standing = (first, *(replace(f, **bare) for f in others))
    return replace(first, evidence=mean, evidence_se=relative_error(logs), standing=standing)

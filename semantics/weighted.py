"""Weighted draws: independent values, each with a weight.

Meaning of a random value x with weight w: the measure E[w δ(x)]; so of n independent ones, the
mean of w f(x) estimates ∫ f of the measure without bias, for every f, and the mean weight its mass.
A run forward that scores is one (`Bound.forward`, `Machine.run`); a sampler is one whose weights
are 1. The particles of a population are not independent, and their weights are masses: there it is
the sum (`inference.population`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Weighted:
    """n draws: `values`, as whoever made them holds them; `log_weights` (n,)."""

    values: Any
    log_weights: np.ndarray

    @property
    def log_evidence(self) -> float:
        """The log of the mean weight."""
        return float(np.logaddexp.reduce(self.log_weights) - np.log(len(self.log_weights)))

    @property
    def log_evidence_se(self) -> float:
        """Its standard error by the delta method, sd(w) / (sqrt(n) mean(w)); NaN if no weight is
        positive."""
        top = np.max(self.log_weights)
        if not np.isfinite(top):
            return float("nan")
        w = np.exp(self.log_weights - top)
        return float(np.std(w) / np.mean(w) / np.sqrt(len(w)))

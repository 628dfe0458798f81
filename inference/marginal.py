"""The law of a part of what a finite measure is of.

Law: that of the part under the same measure (its pushforward): of equal parts the masses add up,
and the mass of all is the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np


def marginal(parts: Iterable[Hashable], log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each part is first met (parts,), and the log of the mass of all that are equal to it
    (parts,); log_weights: of the whole atoms, in order."""
    first: dict[Hashable, int] = {}
    at = np.array([first.setdefault(part, len(first)) for part in parts], int)
    masses = np.full(len(first), -np.inf)
    np.logaddexp.at(masses, at, log_weights)
    _, where = np.unique(at, return_index=True)
    return where, masses

"""What inference over the machine draws for itself, as families, and the paths it draws them at.

No program has these paths: each begins with an empty name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ppl.semantics.machine.distributions.family import Family, Options, always, probability
from ppl.semantics.machine.distributions.indices import INDICES
from ppl.semantics.machine.paths import hash_of
from ppl.semantics.machine.state import Dead

ANCESTOR, SITE, ACCEPT, VALUE, KERNEL, STEP = (
    hash_of(("", name)) for name in ("ancestor", "site", "accept", "value", "kernel", "step")
)


def _pieces(edges: Callable[[], Any], k: int) -> Options:
    """The midpoint and the length of every interval between edges."""
    cuts = [0.0, *sorted({e for e in edges()[k].tolist() if 0 < e < 1}), 1.0]
    return [(0.5 * (a + b), b - a) for a, b in zip(cuts, cuts[1:], strict=False)]


def _index(u: float, z: int, n: int) -> int:
    k = int(u * n)
    return k if k < n else n - 1


def _coin(u: float, z: int, p: float) -> bool:
    if 0 <= p <= 1:
        return u < p
    raise Dead


#: (edges, k): uniform on (0, 1), and used in one way between neighbours in row k of `edges()`
UNIFORM = Family(
    "uniform between edges",
    lambda u, edges, k: 0.0,
    lambda u, z, edges, k: u,
    always,
    lambda u, edges, k: 0 < u < 1,
    values=_pieces,
)

#: (n): one of 0, …, n - 1
INDEX = Family(
    "index",
    lambda k, n: -math.log(n),
    _index,
    always,
    lambda k, n: 0 <= k < n,
    values=lambda n: [(k, 1 / n) for k in range(n)],
    discrete=True,
    quick=_index,
)

#: (p): true with probability p
COIN = Family(
    "coin",
    lambda x, p: math.log(p if x else 1 - p),
    _coin,
    probability,
    lambda x, p: x in (0, 1),
    values=lambda p: [(False, 1 - p), (True, p)],
    discrete=True,
    quick=_coin,
)

#: (p): k with probability p[k]
CATEGORICAL = INDICES["categorical"]

"""Many independent lanes in blocks of a fixed size.

Blocks bound the memory and give each lane its random numbers by block and place, so results do not
depend on how many blocks one call of compiled code runs, and other numbers of lanes reuse it.
Blocks are put together on the host: each operation on a device array is a program to compile.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.program import particles
from ppl.semantics.xla.values import RValue


def joined(parts: list[RValue], n: int, *, nested: bool = False) -> RValue:
    """Values along one particle axis of `n` lanes, out of consecutive blocks (the last one padded).

    Every leaf varies along the particle axis; with `nested`, each part is several blocks, stacked.
    """
    axis = particles(n)

    def flat(*arrs: Arr) -> Arr:
        data = [np.asarray(a.data) for a in arrs]
        if nested:
            data = [x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) for x in data]
        return Arr((np.concatenate(data) if len(data) > 1 else data[0])[:n], (axis,))

    return jax.tree.map(flat, *parts, is_leaf=lambda v: isinstance(v, Arr))


def padded(tree: Any, start: int, size: int) -> Any:
    """Rows start … start + size of every array, the last row repeated beyond its end."""
    rows = np.arange(start, start + size)
    return jax.tree.map(lambda x: x[np.minimum(rows, x.shape[0] - 1)], tree)

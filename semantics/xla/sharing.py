"""How devices share the particles: each has an equal part of the particle axis.

A value that varies along a shared axis is told to be in parts (`share`), or whole on every device
(`whole`); between the two the compiler sees to it. What adds up over particles is computed from
whole arrays, in the same order whatever the number of devices, so that results do not depend on it.
With several processes every one of them has to run the same.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Array = Any


def mesh_for(n: int) -> Mesh | None:
    """As many devices as share n particles evenly; None if that is one.

    With several processes all devices of all of them, or else each process runs everything.
    """
    devices = jax.devices()
    some = max(k for k in range(1, len(devices) + 1) if n % k == 0)
    if some == 1 or (jax.process_count() > 1 and some < len(devices)):
        return None
    return Mesh(np.array(devices[:some]), ("particle",))


def share(x: Array, mesh: Mesh | None, at: int = 0) -> Array:
    """The array, each device having a part of its dimension number `at`."""
    return x if mesh is None else _placed(x, mesh, (*(None,) * at, "particle"))


def whole(x: Array, mesh: Mesh | None) -> Array:
    """The array, all of it on every device."""
    return x if mesh is None else _placed(x, mesh, ())


def _placed(x: Array, mesh: Mesh, parts: tuple[str | None, ...]) -> Array:
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec(*parts)))

"""Runs that several processes share, each with devices of its own (`jax.distributed`)."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def in_step() -> None:
    """Wait for the other processes, if there are any: connections that one opens alone time out."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("quasiborel")


def fetched(tree: Any) -> Any:
    """Arrays whose parts are with several processes, whole and on every host."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    def one(x: Any) -> Any:
        if not isinstance(x, jax.Array) or x.is_fully_addressable:
            return x
        return np.asarray(multihost_utils.process_allgather(x, tiled=True))

    return jax.tree.map(one, tree)

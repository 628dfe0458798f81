"""Of which run a checkpoint is: all that the draws depend on, as JSON can hold it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ppl.inference.checkpoint import Checkpoint
from ppl.semantics.ir_print import show
from ppl.target import Target


def checkpoint_of(folder: Path, about: Mapping[str, Any], target: Target) -> Checkpoint:
    """A folder's checkpoint of the run of a target; `about` says by which method, how set, and from
    which seed."""
    settings = {k: str(v) for k, v in about["settings"].items()}
    data = sha256(repr(target.bound.static).encode())
    for leaf in jax.tree.leaves(target.data):
        array = np.asarray(leaf)
        data.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    program = sha256(show(target.bound.program).encode())
    return Checkpoint(
        folder,
        {
            **about,
            "settings": settings,
            "program": program.hexdigest(),
            "data": data.hexdigest(),
            "JAX": jax.__version__,
        },
    )

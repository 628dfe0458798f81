"""Of which run a checkpoint is: all that the draws depend on, as JSON can hold it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.inference.folder import Folder
from ppl.inference.kernels.algebra import Kernel, basic_kernels
from ppl.semantics.ir_print import show
from ppl.target import Target

if TYPE_CHECKING:
    from ppl.inference.checkpoint import Checkpoint


def checkpoint_of(
    folder: Path, about: Mapping[str, Any], target: Target, method: Any
) -> Checkpoint:
    """A folder's checkpoint of the run of a target on XLA; `about` says by which method, how set,
    and from which seed."""
    import jax

    from ppl.inference.checkpoint import Checkpoint

    data = [np.asarray(leaf) for leaf in jax.tree.leaves(target.data)]
    known = [repr(target.bound.static), *data]
    return Checkpoint(
        folder,
        _told(about, method)
        | {"program": _hashed(show(target.bound.program)), "data": _hashed(known)}
        | {"JAX": jax.__version__},
    )


def folder_of(folder: Path, about: Mapping[str, Any], target: Target, method: Any) -> Folder:
    """The same of a run on the machine."""
    return Folder(
        folder,
        _told(about, method)
        | {"engine": "machine", "program": _hashed(show(target.machine.program))}
        | {"data": _hashed(target.plain), "Python": f"{sys.version_info[0]}.{sys.version_info[1]}"},
    )


def _told(about: Mapping[str, Any], method: Any) -> dict[str, Any]:
    """`about`, and what other programs have a part in it."""
    settings = {k: _name(v) if callable(v) else str(v) for k, v in about["settings"].items()}
    others: list[Any] = []
    if (guide := getattr(method, "guide", None)) is not None:
        others += [show(guide.machine.program), guide.plain]
    kernel = getattr(method, "kernel", None)
    for one in basic_kernels(kernel) if isinstance(kernel, Kernel) else ():
        model = getattr(one, "model", None) or getattr(one, "auxiliary", None)
        if model is not None:
            others += [show(model.machine.program), getattr(one, "data", None)]
    return {**about, "settings": settings} | ({"others": _hashed(others)} if others else {})


def _name(f: Any) -> str:
    return getattr(f, "__qualname__", type(f).__name__)


def _hashed(value: Any) -> str:
    """A number for values: of arrays by what is in them, of functions by their names."""
    out = sha256()

    def add(v: Any) -> None:
        if isinstance(v, Mapping):
            out.update(f"map {len(v)} ".encode())
            for key, item in v.items():
                add(key)
                add(item)
        elif isinstance(v, (list, tuple)):
            out.update(f"list {len(v)} ".encode())
            for item in v:
                add(item)
        elif isinstance(v, np.ndarray):
            out.update(f"array {v.dtype} {v.shape} ".encode() + v.tobytes())
        elif callable(v):
            out.update(f"function {_name(v)} ".encode())
        else:
            out.update(f"{type(v).__name__} {v!r} ".encode())

    add(value)
    return out.hexdigest()

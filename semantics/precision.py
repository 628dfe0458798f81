"""The precision arithmetic runs in, chosen for a scope and never for the caller's process.

JAX decides between 32- and 64-bit numbers by a flag. We set it for the thread and scope of our own
computations only. A 64-bit array silently computes in 32 bits outside such a scope, so whoever
hands arrays or closures out re-enters it when they are used again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Precision = Literal["double", "single"]


def default_precision() -> Precision:
    """Double on CPUs, single on accelerators, whose double-precision units are few."""
    import jax

    return "double" if jax.default_backend() == "cpu" else "single"


@contextmanager
def precision(name: Precision | None = None) -> Iterator[Precision]:
    """Compute in this precision (the platform's default if None) within a `with` block.

    The scope belongs to the thread that entered it: a worker thread enters its own.
    """
    import jax

    chosen = name or default_precision()
    if chosen not in ("double", "single"):
        raise ValueError(f"precision is 'double' or 'single', not {chosen!r}")
    with jax.enable_x64(chosen == "double"):
        yield chosen

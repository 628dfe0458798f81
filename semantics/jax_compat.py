"""What we need of JAX beyond its documented interface, in one place."""

from __future__ import annotations

from typing import Any

import jax


def is_concrete(x: Any) -> bool:
    """Whether the value of `x` is known now, so that it can decide a shape."""
    return not isinstance(x, jax.core.Tracer)

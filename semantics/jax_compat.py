"""What we need of JAX beyond its documented interface, in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import core


def is_concrete(x: Any) -> bool:
    """Whether the value of `x` is known now, so that it can decide a shape."""
    return not isinstance(x, core.Tracer)


def unread(f: Callable[[Any], Any], x: Any) -> bool:
    """Whether no output of `f` is computed from its argument, a tree of arrays."""
    from jax.interpreters import partial_eval

    closed = jax.make_jaxpr(f)(x)
    _, used = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    return not any(used)

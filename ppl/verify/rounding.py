"""Whether code in JAX computes in single precision: its differences are then rounding up to 10^-5.

Checks are made in double precision. But arrays that were made outside of it, by `jnp.array` for
instance, and that a subject has in it, are single, and so is what is computed from them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

#: differences that are rounding where something is computed in single precision
SINGLE = 1e-5

#: what only moves numbers
_MOVES = frozenset(
    """
    gather slice dynamic_slice dynamic_update_slice reshape squeeze transpose broadcast_in_dim
    concatenate select_n copy rev expand_dims stop_gradient
    """.split()
)


def single(f: Callable[..., Any], *args: Any) -> bool:
    """Whether something that f computes is rounded to single precision."""
    import jax

    return any(
        str(getattr(v.aval, "dtype", "")) == "float32"
        for e in _equations(jax.make_jaxpr(f)(*args).jaxpr)
        if e.primitive.name not in _MOVES
        for v in e.outvars
    )


def _equations(jaxpr: Any) -> Iterator[Any]:
    from jax.extend.core import jaxprs_in_params

    for e in jaxpr.eqns:
        inner = list(jaxprs_in_params(e.params))
        if not inner:
            yield e
        for sub in inner:
            yield from _equations(getattr(sub, "jaxpr", sub))
